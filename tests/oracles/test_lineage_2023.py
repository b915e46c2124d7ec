"""The classic chain of 2023: what a licence walk must conclude, and on what grounds."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from intermodel.records.lineage_file import parse
from intermodel.records.verdict import Outcome, Verdict, verdict
from tests.oracles.place import ORACLES, oracle

FILE = "lineage_2023.yaml"
CODES = {
    "allow": Outcome.ALLOW, "allow-with-duties": Outcome.DUTIES, "deny": Outcome.REFUSE, "unknown": Outcome.UNKNOWN,
}  # fmt: skip

REASONS: dict[str, list[tuple[str, str, str]]] = {
    "alpaca-52k": [("alpaca-52k", "cc-by-nc-4.0", "commercial"),
                   ("text-davinci-003", "openai-terms-2023-03", "outputs_train_models")],
    "alpaca-7b": [("llama-7b-65b", "llama1", "commercial"), ("alpaca-52k", "cc-by-nc-4.0", "commercial"),
                  ("text-davinci-003", "openai-terms-2023-03", "outputs_train_models")],
    "vicuna-13b": [("llama-7b-65b", "llama1", "commercial"), ("sharegpt", "unspecified", "commercial"),
                   ("chatgpt", "openai-terms-2023-03", "outputs_train_models")],
    "koala-13b": [("llama-7b-65b", "llama1", "commercial"), ("alpaca-52k", "cc-by-nc-4.0", "commercial"),
                  ("sharegpt", "unspecified", "commercial"),
                  ("chatgpt", "openai-terms-2023-03", "outputs_train_models")],
    "colossalchat-coati-7b": [("llama-7b-65b", "llama1", "commercial")],
    "dolly-v1-6b": [("gpt-j-6b", "apache-2.0", "commercial"), ("alpaca-52k", "cc-by-nc-4.0", "commercial"),
                    ("text-davinci-003", "openai-terms-2023-03", "outputs_train_models")],
    "databricks-dolly-15k": [("databricks-dolly-15k", "cc-by-sa-3.0", "commercial")],
    "pythia-12b": [("pythia-12b", "apache-2.0", "commercial")],
    "dolly-v2-12b": [("pythia-12b", "apache-2.0", "commercial"),
                     ("databricks-dolly-15k", "cc-by-sa-3.0", "commercial")],
}  # fmt: skip
"""What each `why` names: the thing, its licence, and the fact of it."""

DUTIES: dict[str, list[tuple[str, str]]] = {
    "databricks-dolly-15k": [("attribution", "cc-by-sa-3.0"), ("share-alike", "cc-by-sa-3.0")],
    "pythia-12b": [("attribution", "apache-2.0")],
    "dolly-v2-12b": [("attribution", "apache-2.0"), ("notice", "apache-2.0"), ("attribution", "cc-by-sa-3.0"),
                     ("share-alike", "cc-by-sa-3.0")],
}  # fmt: skip
WARNINGS = {
    "pythia-12b": ["the-pile"],
    "dolly-v2-12b": ["the-pile", "declared licence of dolly-v2-12b is to be read"],
}


def expected() -> list[dict[str, Any]]:
    path = ORACLES / FILE
    told: list[dict[str, Any]] = yaml.safe_load(path.read_text())["expect"] if path.exists() else [{"id": "absent"}]
    return told


def walked(name: str) -> Verdict:
    return verdict(parse(oracle(FILE).read_text()), name, "commercial")


@pytest.mark.parametrize("expect", expected(), ids=lambda one: str(one["id"]))
def test_every_verdict_is_reached_with_its_reasons(expect: dict[str, Any]) -> None:
    found = walked(expect["id"])
    codes = expect["commercial"]
    codes = codes if isinstance(codes, dict) else {"strict": codes, "lenient": codes}
    assert found.strict.outcome is CODES[codes["strict"]]
    assert found.lenient.outcome is CODES[codes["lenient"]]
    assert set(expect["certainty"]) <= {str(each) for each in found.certainty}
    assert bool(found.flags) == expect.get("declared_conflict", False)
    grounds = {(reason.node, reason.licence, reason.fact) for reason in found.reasons}
    assert set(REASONS[expect["id"]]) <= grounds
    owed = {(duty.kind, duty.licence) for duty in found.duties}
    assert set(DUTIES.get(expect["id"], ())) <= owed
    for words in WARNINGS.get(expect["id"], ()):
        assert any(words in warning for warning in found.warnings), words
    assert found.complete


def test_all_nine_are_here() -> None:
    oracle(FILE)
    assert {one["id"] for one in expected()} == set(REASONS)


def test_the_words_name_the_clause_and_the_way() -> None:
    found = walked("vicuna-13b")
    first = found.strict.reasons[0]
    assert first.words.startswith("weights are a derivative of llama-7b-65b: LLaMA License Agreement, sections 1a, ")
    assert [(step.child, step.how, step.parent) for step in first.way] == [("vicuna-13b", "fine-tune", "llama-7b-65b")]
    itself = next(reason for reason in found.reasons if reason.node == "vicuna-13b")
    assert "the tag is on the delta weights only and widens no right in the base" in itself.words
    contract = next(reason for reason in found.reasons if reason.node == "chatgpt")
    assert [step.how for step in contract.way] == ["trained-on", "outputs"]
    assert str(contract.certainty) == "contract"


def test_the_dates_of_a_licence_that_changed_are_told() -> None:
    assert any("alpaca-52k changed: apache-2.0, then cc-by-nc-4.0" in note for note in walked("alpaca-52k").warnings)


def test_what_the_maker_announced_answers_for_no_other_purpose() -> None:
    graph = parse(oracle(FILE).read_text())
    assert verdict(graph, "dolly-v2-12b", "redistribute").strict.outcome is Outcome.UNKNOWN
