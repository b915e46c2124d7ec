"""What `intermodel records put` makes of a file's values."""

from __future__ import annotations

import pytest

from intermodel.cli.records import _documents
from intermodel.core import Invalid


def test_numbers_are_numbers_and_days_and_names_stay_as_they_are_written() -> None:
    text = "address: it\ndate: 2023-03-14\nwhat: {parameters: 7_000, context_length: 8192}\nshipped: no\n"
    assert _documents(text, None) == {
        "it": {"date": "2023-03-14", "what": {"parameters": "7_000", "context_length": 8192}, "shipped": "no"}
    }
    lineage = "nodes: [{id: 1.10, date: 2023}, {id: 1.1}]\nedges: [{from: 1.10, to: 1.1, how: copy}]"
    assert set(_documents(lineage, None)) == {"1.10", "1.1"}
    assert _documents('{"address": "it", "note": "a", "url": null}', None) == {"it": {"note": "a"}}
    assert set(_documents("note: a", "named")) == {"named"}


BOMB = "\n  - &a [x, x]\n" + "".join(
    f"  - &{c} [{', '.join([f'*{p}'] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("&a [*a]", "in line 2, the alias \\*a names itself"),
        ("&a {b: *a}", "names itself"),
        (BOMB, "more than 2,000,000 values"),
        ("[" * 100_000, "nested deeper than 32"),
        ("{a: 1, a: 2}", "the key 'a' stands a second time"),
        ("!!python/object/apply:os.system [ls]", "has no meaning here"),
    ],
    ids=["list", "mapping", "multiplied", "deep", "twice", "tag"],
)
def test_what_never_ends_or_means_two_things_is_refused(text: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        _documents(f"address: it\nwhat: {text}\n", None)
