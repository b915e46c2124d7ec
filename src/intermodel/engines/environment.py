"""What the node's environment says to the processes that it starts here."""

from __future__ import annotations

import os

PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TMPDIR")


def cleaned() -> dict[str, str]:
    """What a child needs and no more: it reads what nobody has vouched for, and should hold no keys."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}
