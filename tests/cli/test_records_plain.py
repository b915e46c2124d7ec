"""What `intermodel records put` makes of a file's values."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intermodel.cli.records import LARGEST, _documents, app, read_text
from intermodel.cli.verdict import verdict
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


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_standard_input_is_refused_where_it_is_too_large_and_never_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, b"#" * LARGEST)
    assert len(read_text(Path("-"))) == LARGEST
    given(monkeypatch, b"#" * (LARGEST + 1))
    with pytest.raises(Invalid, match="larger than 4 MiB"):
        read_text(Path("-"))
    given(monkeypatch, b"nodes: []\nedges: []\n" + b"#" * LARGEST)
    with pytest.raises(Invalid, match="larger than 4 MiB"):
        verdict(lineage=Path("-"))


def test_standard_input_that_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    given(monkeypatch, b"licence: \xff\xfe")
    with pytest.raises(Invalid, match="cannot be read"):
        read_text(Path("-"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nodes: []\nedges: []\n", "holds no things"),
        ("nodes: [{id: good/one, licence: mit}, {id: 'not ok!', licence: mit}]\nedges: []\n", "no address"),
        ("nodes: [{id: good/one, licence: mit}, {id: a/verdict, licence: mit}]\nedges: []\n", "no address"),
        (f"nodes: [{{id: good/one, licence: mit}}, {{id: b, licence: {'m' * 3000}}}]\nedges: []\n", "licence"),
    ],
    ids=["nothing", "no name", "reserved", "too long"],
)
def test_nothing_is_sent_of_a_lineage_of_which_a_part_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "lineage.yaml"
    file.write_text(text)
    done = CliRunner().invoke(app, ["put", str(file), "--data", str(tmp_path)])  # where no node runs
    assert isinstance(done.exception, Invalid), done.exception
    assert words in done.exception.message
