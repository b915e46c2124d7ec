"""Hides: the terminal. A few lines a verb; the work is done in the rooms below.

Promises: help with examples, `--json` for machines, exit codes that mean something, no traceback.
Does not know: anything a room below could know.
"""

from intermodel.cli.main import app

__all__ = ["app"]
