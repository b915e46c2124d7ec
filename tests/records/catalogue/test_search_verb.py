"""How `intermodel search` shows an answer."""

from __future__ import annotations

import pytest

from intermodel.cli.search import show
from intermodel.records.catalogue import Count, Entry, Found
from intermodel.records.catalogue.query import Missing


def test_hits_and_what_else_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    hits = (
        Entry("a/llama", tasks=("text-generation",), licence="duties", parameters=7_000_000_000, tier=0),
        Entry("b/[red]\x1b[31m", parameters=66_000_000),
    )
    counts = {"licence": (Count("duties", 1), Count("refuse", 1)), "task": (Count("x", 400, False, 9), Count("y", 2))}
    show(Found(hits, 300_000, counts).document(), frozenset(["licence"]))
    said = capsys.readouterr().out
    assert "a/llama" in said
    assert "7B" in said
    assert "66M" in said
    assert "unknown" in said
    assert "2 of 300,000" in said
    assert "x about 400, y 2" in said
    assert "refuse" not in said  # its facet was chosen
    assert "\x1b[31m" not in said
    assert "[red]" in said


def test_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    show(Found((), 0, {}).document())
    assert "Nothing was found" in capsys.readouterr().out


def test_a_misspelt_word(capsys: pytest.CaptureFixture[str]) -> None:
    likely = (Count("llama", 1200), Count("lima", 2), Count("lame", 1))
    show(Found((), 0, {}, missing=(Missing("lama", likely), Missing("zz[b]\x1b", ()))).document())
    said = capsys.readouterr().out
    assert "No record has the word 'lama'. Did you mean llama (1,200 records), lima (2 records) or" in said
    assert "lame (1 record)?" in said
    assert "'zz[b]" in said
    assert "\x1b" not in said
