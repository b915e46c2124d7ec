"""Slips in what is told: named, with what was likely meant, and no reason to refuse it."""

from __future__ import annotations

import pytest

from intermodel.records.cautions import MOST, card_cautions, cautions, graph_cautions
from intermodel.records.licences import unheard
from intermodel.records.lineage import Graph, Node
from intermodel.records.told import Told


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("mitt", ("No licence of the name 'mitt' is known here; did you mean mit?",)),
        ("Apache2.0", ("No licence of the name 'Apache2.0' is known here; did you mean apache-2.0?",)),
        ("qzxv", ("No licence of the name 'qzxv' is known here.",)),
        ("MIT OR mitt", ("No licence of the name 'mitt' is known here; did you mean mit?",)),
        ("mit", ()), ("MIT", ()), ("Apache-2.0 AND MIT", ()), ("other", ()), ("openrail", ()),
        ("unknown", ()), ("NOASSERTION", ()), ("", ()), (None, ()),
    ],
)  # fmt: skip
def test_an_unheard_licence_is_named_with_the_nearest_that_is_known(
    said: str | None, expected: tuple[str, ...]
) -> None:
    assert unheard(said) == expected


def test_every_place_of_a_licence_is_looked_at_and_each_slip_said_once() -> None:
    told = Told.of(
        {
            "licence": "mitt", "declared": "mitt", "terms": "opnai",
            "lineage": {"nodes": [{"id": "base", "licence": "lama2"}], "edges": []},
            "disclosure": {"licences": {"code": "apche-2.0"}, "components": {"x": {"licence": "bsdd-3-clause"}}},
        }
    )  # fmt: skip
    said = cautions(told)
    assert [one.split("'")[1] for one in said] == ["mitt", "opnai", "lama2", "apche-2.0", "bsdd-3-clause"]
    assert graph_cautions(Graph({"a": Node("a", licence="mitt"), "b": Node("b", declared="mit")})) == said[:1]
    many = Told.of({"lineage": {"nodes": [{"id": str(i), "licence": f"qzxv{i}"} for i in range(99)], "edges": []}})
    assert len(cautions(many)) == MOST


def test_a_broken_head_is_said() -> None:
    (broken,) = card_cautions("---\nlicense: [mit\n---\n# Mine\n")
    assert broken.startswith("The head of its card is broken, so nothing is read from it: ")
    (wrong, licence) = card_cautions("---\nlicense: mitt\nlanguage: {a: b}\n---\n# Mine\n")
    assert wrong.startswith("In the head of its card: ")
    assert "did you mean mit?" in licence
    assert card_cautions("---\nlicense: mit\n---\n# Mine\n") == ()
    assert cautions(Told.of({"card": "# No head\n"})) == ()
