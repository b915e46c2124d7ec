"""ModelGo's workflows (Duan, Li and He, WWW'24): our conclusion beside the tool's and the paper's.

`sell` is commercial use and passing on, `share` is passing on. Where we say otherwise, `differs` says why.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from intermodel.records.lineage import Edge, Graph, How, Node
from intermodel.records.verdict import Outcome, Verdict, verdict
from tests.oracles.place import oracle


class Case(NamedTuple):
    """A workflow as a lineage. `ours`: outcome of each purpose, strictly read; `refused`: by what, for each purpose."""

    root: str
    edges: tuple[Edge, ...]
    ours: dict[str, Outcome]
    lenient: dict[str, Outcome]
    refused: dict[str, set[str]]
    conflicts: set[frozenset[str]]
    differs: tuple[str, ...]


CASES = {
    "1a": Case(
        root="collection",
        edges=(
            Edge("arXiv", "E_arXiv", How.ADAPTED), Edge("BigTranslate", "E_arXiv", How.OUTPUTS),
            Edge("StackExchange", "E_SE", How.ADAPTED), Edge("BigTranslate", "E_SE", How.OUTPUTS),
            Edge("E_arXiv", "collection", How.COPY), Edge("E_SE", "collection", How.COPY),
            Edge("Deep-sequoia", "collection", How.COPY), Edge("FreeLaw", "collection", How.COPY),
        ),
        ours={"commercial": Outcome.REFUSE, "redistribute": Outcome.REFUSE},
        lenient={"commercial": Outcome.REFUSE, "redistribute": Outcome.REFUSE},
        refused={"commercial": {"arXiv", "E_arXiv"}, "redistribute": {"conflict"}},
        conflicts={frozenset(("cc-by-nc-sa-4.0", "cc-by-sa-4.0"))},
        differs=(
            "FreeLaw (CC BY-ND 4.0) is passed on unchanged, which 2(a)(1)(A) of its text allows; ModelGo withholds "
            "every right to redistribute.",
            "Passing on is refused for the two share-alike licences: a lineage has no edge for parts that are shipped "
            "side by side, and so takes them to be one work. ModelGo keeps each on its part.",
            "LGPL-LR of Deep-sequoia allows commercial use by its text (sections 2 to 6); the tool counts an error "
            "there, the paper does not. The tool's four errors count arXiv twice.",
        ),
    ),
    "2a": Case(
        root="bundle",
        edges=(
            Edge("Baize", "bundle", How.MERGE), Edge("BLOOM", "bundle", How.MERGE), Edge("T_BERT", "bundle", How.MERGE),
            Edge("BERT", "T_BERT", How.FINE_TUNE), Edge("Wikipedia", "T_BERT", How.TRAINED_ON),
        ),
        ours={"redistribute": Outcome.REFUSE},
        lenient={"redistribute": Outcome.REFUSE},
        refused={"redistribute": {"conflict"}},
        conflicts={frozenset(("gpl-3.0", "bigscience-bloom-rail-1.0"))},
        differs=(
            "The same conclusion. The share-alike of Wikipedia's text is a duty in the strict reading, contested; the "
            "paper says that it does not reach the model, as our lenient reading does.",
        ),
    ),
    "3": Case(
        root="video",
        edges=(
            Edge("Whisper", "text", How.OUTPUTS),
            Edge("text", "story", How.ADAPTED), Edge("Baize", "story", How.OUTPUTS),
            Edge("story", "image", How.ADAPTED), Edge("StableDiffusion", "image", How.OUTPUTS),
            Edge("image", "video", How.ADAPTED), Edge("I2VGen-XL", "video", How.OUTPUTS),
        ),
        ours={"commercial": Outcome.DUTIES, "redistribute": Outcome.DUTIES},
        lenient={"commercial": Outcome.DUTIES, "redistribute": Outcome.DUTIES},
        refused={},
        conflicts=set(),
        differs=(
            "The same conclusion: use limits of OpenRAIL-M travel and nothing else. Jamendo's song is the input of a "
            "call, and a lineage has no edge for that; whoever records it as the source of an adaptation is refused, "
            "since a transcript adapts the song (CC BY-NC-ND 4.0, 1(a)).",
        ),
    ),
    "4a": Case(
        root="fused",
        edges=(
            Edge("D_X-Clip", "fused", How.MERGE), Edge("MaskFormer", "fused", How.MERGE),
            Edge("Whisper", "fused", How.MERGE),
            Edge("X-Clip", "D_X-Clip", How.FINE_TUNE), Edge("I2VGen-XL", "D_X-Clip", How.DISTIL),
            Edge("Wikimedia", "D_X-Clip", How.TRAINED_ON),
        ),
        ours={"commercial": Outcome.REFUSE, "redistribute": Outcome.DUTIES},
        lenient={"commercial": Outcome.REFUSE, "redistribute": Outcome.DUTIES},
        refused={"commercial": {"MaskFormer"}},
        conflicts=set(),
        differs=(
            "The same conclusion: MaskFormer's NC refuses the sale, and distillation leaves no trace of NC-ND. The "
            "share-alike of Wikimedia is a duty in the strict reading only.",
        ),
    ),
}  # fmt: skip
MADE = {"E_arXiv": "cc-by-nc-sa-4.0", "E_SE": "cc-by-sa-4.0", "T_BERT": "apache-2.0", "D_X-Clip": "mit"}
"""What is made on the way keeps the licence of what it was made from; the result itself is put under CC0, so that
nothing but its ancestors decides."""


def told(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(oracle("modelgo/cases.json").read_text())
    return {**document["cases"][name], "inputs": document["inputs"]}


def judged(name: str, purpose: str) -> Verdict:
    case, inputs = CASES[name], told(name)["inputs"]
    names = {end for edge in case.edges for end in (edge.parent, edge.child)}
    nodes = {
        one: Node(one, licence=inputs[one]["license"] if one in inputs else MADE.get(one, "cc0-1.0")) for one in names
    }
    return verdict(Graph(nodes, case.edges), case.root, purpose)


@pytest.mark.parametrize("name", CASES)
def test_our_conclusion(name: str) -> None:
    case = CASES[name]
    for purpose, outcome in case.ours.items():
        found = judged(name, purpose)
        assert found.strict.outcome is outcome, (purpose, [reason.words for reason in found.strict.reasons])
        assert found.lenient.outcome is case.lenient[purpose], purpose
        refused = {"conflict" if r.words.startswith("parents in conflict") else r.node for r in found.strict.reasons}
        if outcome is Outcome.REFUSE:
            assert refused == case.refused[purpose]
        assert {frozenset(conflict.licences) for conflict in found.conflicts} == case.conflicts


@pytest.mark.parametrize("name", CASES)
def test_where_it_differs_is_explained(name: str) -> None:
    """The paper counts errors; we refuse exactly where it finds one, and say where the grounds are others."""
    case, paper = CASES[name], told(name)["paper"]
    assert (paper["errors"] > 0) == (Outcome.REFUSE in case.ours.values())
    assert case.differs
    assert set(told(name)) >= {"policy", "tool", "paper"}


def test_every_case_is_here() -> None:
    document = json.loads(oracle("modelgo/cases.json").read_text())
    assert set(document["cases"]) == set(CASES)


def test_only_the_use_limits_of_the_image_model_travel_to_what_it_made() -> None:
    found = judged("3", "commercial")
    assert {(duty.kind, duty.licence) for duty in found.duties} >= {("acceptable-use", "creativeml-openrail-m")}
    assert not {duty.licence for duty in found.duties} & {"gpl-3.0", "cc-by-nc-nd-4.0", "mit"}
