"""The files in which openness is written down: those of other projects, and our own.

Hides their shapes; promises that a file which cannot be right is refused with its name, line and field, and that
nothing is guessed.
"""
