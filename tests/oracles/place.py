"""Where results that others published lie."""

from __future__ import annotations

from pathlib import Path

import pytest

ORACLES = Path(__file__).parents[2].parent / "shared" / "oracles"


def oracle(name: str) -> Path:
    """A file or folder of them; skips the test where it is absent."""
    path = ORACLES / name
    if not path.exists():
        pytest.skip(f"no {path}: the oracles are kept beside the repository")
    return path
