"""Hides: how each back end is searched and what its answers look like.

Promises: whatever a back end sends, its results are `Hit`s with an address, or an error that says what failed.
Does not know: what is searched for and why, and who reads the pages.
"""

from intermodel.writer.search.connect import connect

__all__ = ["connect"]
