"""Cards as the Hub's own library reads them: the same fields, but for what its YAML 1.1 takes for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from intermodel.records.card import Card, Result

hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble/README.md"
RESULTS = """\
model-index:
- name: foo
  results:
  - task: {type: text-generation, name: Text Generation}
    dataset: {type: mmlu, name: MMLU, config: all, split: test}
    metrics:
    - {type: acc, value: 0.5, name: Accuracy, verified: true}
    - {type: f1, value: 20.5}
"""
HEADS = [
    "license: mit\n",
    "license: [mit, apache-2.0]\nlanguage: en\n",
    "language:\n- en\n- de\ntags: [a, b]  # c\ndatasets: imdb\nmetrics: [x]\n",
    "base_model: a/b\nbase_model_relation: quantized\npipeline_tag: text-generation\nlibrary_name: peft\n",
    "license: other\nthing: |\n  two\n  lines\nlicense_name: foo\nlicense_link: https://x\n",
    "co2_eq_emissions:\n  emissions: 1.5\n  source: x\n",
    RESULTS,
]


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_same_fields_are_read(head: str, newline: str) -> None:
    text = f"---\n{head}---\n# Title\n".replace("\n", newline)
    theirs = hub.ModelCard(text).data
    ours = Card.parse(text)
    expected = dict(ours.fields)
    expected.pop("model-index", None)
    found = {key: value for key, value in theirs.to_dict().items() if key != "model-index"}
    assert {key: value if isinstance(value, list) else [value] for key, value in found.items()} == {
        key: value if isinstance(value, list) else [value] for key, value in expected.items()
    }
    results = [
        Result(one.task_type, one.dataset_type, one.metric_type, one.metric_value, one.dataset_name or "",
               one.metric_name or "", one.dataset_config or "", one.dataset_split or "", "", one.verified)
        for one in theirs.eval_results or ()
    ]  # fmt: skip
    assert list(ours.view.results) == results


@pytest.mark.parametrize("head", HEADS)
def test_what_we_write_they_read(head: str) -> None:
    card = Card.parse(f"---\n{head}---\n# Title\n").with_(license="apache-2.0", tags=["no", "1e3", "a: b"], new="x")
    theirs = hub.ModelCard(card.text).data
    assert (theirs.license, theirs.tags, theirs.new) == ("apache-2.0", ["no", "1e3", "a: b"], "x")


def test_what_they_write_we_read() -> None:
    data = hub.ModelCardData(language=["no", "en"], license="mit", tags=["1_000", "on"], base_model="a/b")
    card = Card.parse(str(hub.ModelCard(f"---\n{data.to_yaml()}\n---\n# Title")))
    assert card.view.languages == ("no", "en")
    assert card.view.tags == ("1_000", "on")
    template = hub.ModelCard.from_template(data) if _has_jinja() else None
    if template is not None:
        assert Card.parse(str(template)).mistake is None


def _has_jinja() -> bool:
    return pytest.importorskip("jinja2") is not None


def test_they_take_norwegian_for_no() -> None:
    text = "---\nlanguage: no\n---\n"
    assert Card.parse(text).view.languages == ("no",)
    assert hub.ModelCard(text).data.language in (False, "no", ["no"])


def test_they_refuse_what_is_a_mistake() -> None:
    for head in ("a: [\n", "- a\n", "a\n"):
        text = f"---\n{head}---\n"
        assert Card.parse(text).mistake is not None
        with pytest.raises(ValueError if head != "a: [\n" else Exception):
            hub.ModelCard(text)


def test_of_a_key_given_twice_they_take_the_last() -> None:
    text = "---\nlicense: cc-by-nc-4.0\nlicense: mit\n---\n"
    assert hub.ModelCard(text).data.license == "mit"
    assert Card.parse(text).mistake is not None  # YAML 1.2.2, 3.2.1.1: keys are unique


def test_pebbles_card_is_in_order() -> None:
    theirs = hub.ModelCard(PEBBLE.read_text()).data
    ours = Card.parse(PEBBLE.read_bytes()).view
    assert (theirs.license,) == ours.licences
    assert tuple(theirs.tags) == ours.tags
    assert theirs.pipeline_tag == ours.task
