"""What `intermodel records put` makes of a file's values."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from intermodel.cli.records import _documents, _plain, _read
from intermodel.core import Invalid


def test_days_become_texts() -> None:
    assert _plain({1: [date(2023, 3, 14)]}) == {"1": ["2023-03-14"]}


BOMB = "\n  - &a [x, x]\n" + "".join(
    f"  - &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("text", ["&a [*a]", "&a {b: *a}", BOMB], ids=["list", "mapping", "multiplied"])
def test_aliases_that_never_end_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "told.yaml"
    file.write_text(f"address: it\nwhat: {text}\n")
    with pytest.raises(Invalid, match="nested deeper than 64, or made of more than"):
        _documents(_read(file), None)
