"""What a card says of a model: typed fields, what it is, its lineage, what is disclosed; and cards made anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.records.card import NOT_DISCLOSED, Card, Emissions, Result, disclosure_of, lineage_of, what_of
from intermodel.records.card.placeholders import says_nothing
from intermodel.records.card.sections import plain
from intermodel.records.disclosure import DISCLOSED, Disclosure, Presence, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble/README.md"

TEMPLATE = """\
---
# For reference on model card metadata, see the spec
{}
---

# Model Card for Model ID

<!-- Provide a quick summary of what the model is/does. -->

## Model Details

### Model Description

- **Developed by:** [More Information Needed]
- **Model type:** [More Information Needed]

## Uses

<!-- Address questions around how the model is intended to be used. -->

### Direct Use

[More Information Needed]

## Bias, Risks, and Limitations

<!-- This section is meant to convey both technical and sociotechnical limitations. -->

[More Information Needed]

### Recommendations

Users (both direct and downstream) should be made aware of the risks, biases and limitations of the model. More \
information needed for further recommendations.

## Training Details

### Training Data

<!-- This should link to a Dataset Card -->

[More Information Needed]

### Training Procedure

#### Preprocessing [optional]

[More Information Needed]

#### Training Hyperparameters

- **Training regime:** [More Information Needed] <!--fp32, fp16 mixed precision -->

#### Speeds, Sizes, Times [optional]

[More Information Needed]

## Evaluation

### Results

[More Information Needed]

## Environmental Impact

Carbon emissions can be estimated using the [Machine Learning Impact calculator]\
(https://mlco2.github.io/impact#compute) presented in [Lacoste et al. (2019)](https://arxiv.org/abs/1910.09700).

- **Hardware Type:** [More Information Needed]
- **Hours used:** [More Information Needed]
- **Carbon Emitted:** [More Information Needed]

## Technical Specifications [optional]

### Model Architecture and Objective

[More Information Needed]

### Compute Infrastructure

[More Information Needed]

#### Hardware

[More Information Needed]
"""


def test_a_template_discloses_nothing() -> None:
    disclosure = disclosure_of(Card.parse(TEMPLATE))
    assert {topic: one for topic, one in disclosure.told.items() if one.text} == {}
    for topic in ("architecture", "hardware", "compute", "training_data", "training_method", "energy", "risks"):
        assert disclosure.told[topic].presence is Presence.CLOSED
    assert disclosure.told["training_data"].source == "card:Training Data"
    assert disclosure.components == {}


def test_what_is_written_into_the_template_is_told() -> None:
    text = TEMPLATE.replace("-> \n\n[More", "->\n\n[More")
    for heading, said in (
        ("### Training Data\n\n<!-- This should link to a Dataset Card -->\n\n", "The Pile, 825 GB."),
        ("#### Hardware\n\n", "64 A100 of 80 GB."),
        ("### Model Architecture and Objective\n\n", "A decoder."),
        ("#### Preprocessing [optional]\n\n", "Deduplicated."),
        ("#### Speeds, Sizes, Times [optional]\n\n", "3e22 FLOP."),
    ):
        assert heading + "[More Information Needed]" in text
        text = text.replace(heading + "[More Information Needed]", heading + said)
    text = text.replace("**Carbon Emitted:** [More Information Needed]", "**Carbon Emitted:** 3 t")
    told = disclosure_of(Card.parse(text)).told
    assert told["training_data"] == Told("The Pile, 825 GB.", "card:Training Data", Presence.OPEN)
    assert told["hardware"] == Told("64 A100 of 80 GB.", "card:Hardware", Presence.OPEN)
    assert told["architecture"] == Told("A decoder.", "card:Model Architecture and Objective", Presence.OPEN)
    assert told["compute"] == Told("3e22 FLOP.", "card:Speeds, Sizes, Times [optional]", Presence.OPEN)
    assert told["data_processing"] == Told("Deduplicated.", "card:Preprocessing [optional]", Presence.OPEN)
    assert told["training_method"].text == ""  # what stands inside its section is about other things
    assert "3 t" in told["energy"].text


def test_pebbles_card() -> None:
    card = Card.parse(PEBBLE.read_bytes())
    told = disclosure_of(card).told
    assert told["training_method"].source == "card:How it was made"
    assert told["training_method"].text.startswith("A Llama of 5 layers")
    assert told["limitations"].source == "card:What it cannot do"
    assert "hardware" not in told
    what = what_of(card)
    assert what.languages == Fact(("en",), "card:language")
    assert what.modalities == Fact(("text",), "card:pipeline_tag")
    assert card.line(card.sections[0]) == card.text.splitlines().index("# pebble") + 1
    graph = lineage_of(card, "intermodel/pebble")
    assert graph.edges == ()
    assert graph.node("intermodel/pebble").declared == "apache-2.0"


@pytest.mark.parametrize(
    ("text", "nothing"),
    [
        ("", True), ("[More Information Needed]", True), ("More information needed", True), ("N/A", True), ("TBD.",
        True),
        ("**Not disclosed**", True), ("- TODO", True), ("<!-- tell -->", True), ("---", True), ("### Data\n\nTBA",
        True),
        ("> [Needs More Information]", True), ("- **A:** N/A\n- **B:** unknown", True), ("{{ training_data }}", True),
        ("none of it was filtered", False), ("- **A:** N/A\n- **B:** 12", False), ("See [paper](x).", False),
        ("```\ncode\n```", False), ("unknown\n\nbut large", False), ("- a: none", False),
    ],
)  # fmt: skip
def test_placeholders(text: str, nothing: bool) -> None:
    assert says_nothing(text) is nothing


@pytest.mark.parametrize(
    ("title", "said"),
    [
        ("**Training Data**", "training data"), ("3.1 Training Data", "training data"), ("Training data:",
        "training data"),
        ("\U0001f4da Training Data", "training data"), ("[Training Data](#x)", "training data"),
        ("Preprocessing [optional]", "preprocessing"), ("Bias, Risks, & Limitations", "bias risks and limitations"),
        ("<a name='x'></a>Out-of-Scope Use", "out-of-scope use"), ("Model's size", "models size"),
    ],
)  # fmt: skip
def test_headings_are_compared_by_their_words(title: str, said: str) -> None:
    assert plain(title) == said


def test_sections() -> None:
    body = (
        "# A\none\n\nTwo\n---\ntwo\n```\n# no heading\n```\n<!--\n# nor this\n-->\n## B ##\nb\n### C\nc\n"
        "# D\n> # quoted\n    # code\n#no\n~~~\n# open to the end\n"
    )
    card = Card.parse(body)
    assert [(one.title, one.level, one.line) for one in card.sections] == [
        ("A", 1, 1), ("Two", 2, 4), ("B", 2, 13), ("C", 3, 15), ("D", 1, 17),
    ]  # fmt: skip
    assert card.sections[0].own == "one\n"
    assert card.sections[2].own == "b"
    assert card.sections[3].inside == ("A", "B")


def test_fields_have_types() -> None:
    head = """\
license: other
license_name: foo
license_link: LICENSE
base_model: https://huggingface.co/meta-llama/Llama-2-7b
datasets: [imdb, https://huggingface.co/datasets/a/b, imdb]
language: no
tags: [a, 1]
pipeline_tag: image-text-to-text
library_name: peft
metrics: accuracy
co2_eq_emissions: {emissions: 12.5, source: codecarbon, hardware_used: 1 A100}
model-index:
- name: Foo
  results:
  - task: {type: text-generation}
    dataset: {type: mmlu, name: MMLU, config: all, split: test}
    metrics:
    - {type: acc, value: 0.5, name: Accuracy, verified: true}
    - {type: f1, value: "20 ± 1"}
    source: {name: board, url: "https://x"}
"""
    card = Card.parse(f"---\n{head}---\n")
    view = card.view
    assert (view.licences, view.licence_name, view.licence_link) == (("other",), "foo", "LICENSE")
    assert (view.base_models, view.datasets) == (("meta-llama/Llama-2-7b",), ("imdb", "a/b"))
    assert (view.languages, view.tags, view.metrics) == (("no",), ("a", "1"), ("accuracy",))
    assert view.emissions == Emissions(12.5, "codecarbon", "", "", "1 A100")
    assert view.results == (
        Result("text-generation", "mmlu", "acc", 0.5, "MMLU", "Accuracy", "all", "test", "https://x", True),
        Result("text-generation", "mmlu", "f1", "20 ± 1", "MMLU", "", "all", "test", "https://x"),
    )
    assert view.problems == ()
    what = what_of(card)
    assert what.kind == Fact(Kind.ADAPTER, "card:library_name")
    assert what.modalities == Fact(("image", "text"), "card:pipeline_tag")
    disclosure = disclosure_of(card)
    assert disclosure.name == "Foo"
    assert disclosure.told["energy"] == Told(
        "12.5 g CO2 equivalent (codecarbon)", "card:co2_eq_emissions", Presence.OPEN
    )
    assert disclosure.told["hardware"].text == "1 A100"
    assert disclosure.told["training_data"] == Told("imdb, a/b", "card:datasets", Presence.PARTIAL)
    assert disclosure.components["evaluation_results"].source == "card:model-index"
    assert disclosure.licences == {}
    assert lineage_of(card, "me/x").node("me/x").declared == "foo"


def test_fields_of_wrong_types_are_unknown_and_named() -> None:
    head = """\
license: {a: b}
license_name: [x]
base_model: 1.5
datasets: [[x], {y: z}]
language: true
pipeline_tag: 3
co2_eq_emissions: {emissions: -1}
model-index: [1, {name: x, results: y}, {results: [1, {task: {}, dataset: {}, metrics: []},
  {task: {type: a}, dataset: {type: b}, metrics: [1, {type: c}]}]}]
"""
    card = Card.parse(f"---\n{head}---\n")
    view = card.view
    assert (view.licences, view.licence_name, view.base_models, view.datasets, view.languages) == ((), "", (), (), ())
    assert view.results == ()
    assert view.emissions == Emissions()
    said = " ".join(view.problems)
    for key in ("license ", "license_name", "base_model", "datasets", "language", "pipeline_tag", "co2_eq_emissions",
                "model-index[0]", "model-index[1].results", "model-index[2].results[0]",
                "results[2].metrics"):  # fmt: skip
        assert key in said
    assert lineage_of(card, "me/x").edges == ()


@pytest.mark.parametrize(
    ("head", "edges"),
    [
        ("base_model: a/b\nbase_model_relation: quantized", [("a/b", How.QUANTISE, "card:base_model_relation")]),
        ("base_model: a/b\nbase_model_relation: finetune", [("a/b", How.FINE_TUNE, "card:base_model_relation")]),
        ("base_model: a/b\nbase_model_relation: adapter", [("a/b", How.ADAPTER, "card:base_model_relation")]),
        ("base_model: [a/b, c/d]\nbase_model_relation: merge",
         [("a/b", How.MERGE, "card:base_model_relation"), ("c/d", How.MERGE, "card:base_model_relation")]),
        ("base_model: a/b\nbase_model_relation: nonsense", [("a/b", How.FINE_TUNE, "card:base_model")]),
        ("base_model: a/b", [("a/b", How.FINE_TUNE, "card:base_model")]),
        ("base_model: a/b\nlibrary_name: peft", [("a/b", How.ADAPTER, "derived:card:library_name")]),
        ("base_model: a/b\ntags: [LoRA]", [("a/b", How.ADAPTER, "derived:card:tags")]),
        ("base_model: a/b\ntags: [gguf]", [("a/b", How.QUANTISE, "derived:card:tags")]),
        ("base_model: a/b\ntags: [mergekit, gguf]", [("a/b", How.MERGE, "derived:card:tags")]),
        ("base_model: [a/b, c/d]", [("a/b", How.MERGE, "derived:card:base_model"),
                                    ("c/d", How.MERGE, "derived:card:base_model")]),
        ("tags: ['base_model:quantized:a/b', 'base_model:a/b', 'dataset:d/e']",
         [("a/b", How.QUANTISE, "card:tags"), ("d/e", How.TRAINED_ON, "card:tags")]),
        ("base_model: a/b\ntags: ['base_model:adapter:a/b']", [("a/b", How.ADAPTER, "card:tags")]),
        ("datasets: [d/e, d/e]", [("d/e", How.TRAINED_ON, "card:datasets")]),
        ("datasets: d/e\nsource_datasets: x", [("d/e", How.ADAPTED, "card:datasets")]),
        ("base_model: me/x", [("me/x", How.FINE_TUNE, "card:base_model")]),
    ],
)  # fmt: skip
def test_lineage(head: str, edges: list[tuple[str, How, str]]) -> None:
    graph = lineage_of(Card.parse(f"---\n{head}\n---\n"), "me/x")
    assert [(edge.parent, edge.how, edge.source) for edge in graph.edges] == edges
    assert all(edge.child == "me/x" for edge in graph.edges)
    assert {"me/x", *(edge.parent for edge in graph.edges)} == graph.nodes.keys()


@pytest.mark.parametrize(
    ("line", "parameters", "context"),
    [
        ("- **Parameters:** 7B", 7_000_000_000, None), ("- **Number of parameters:** 1.3 billion", 1_300_000_000, None),
        ("- Model size: 1,262,976", 1_262_976, None), ("- **Parameters:** 8x7B", None, None),
        ("- **Parameters:** 3B to 7B", None, None), ("- **Parameters:** many", None, None),
        ("**Context Length:** 32,768 tokens", None, 32_768), ("- Context length: 128k", None, None),
        ("**Context length**: 4096", None, 4096), ("- **Parameters:** [More Information Needed]", None, None),
    ],
)  # fmt: skip
def test_numbers_in_the_text(line: str, parameters: int | None, context: int | None) -> None:
    what = what_of(Card.parse(f"# Model\n\n{line}\n"))
    assert (what.parameters and what.parameters.value) == parameters
    assert (what.context_length and what.context_length.value) == context


def test_one_heading_can_tell_in_part() -> None:
    card = Card.parse("# X\n## Overview of the training data\nBooks.\n## Hardware requirements\n2 GPUs to run it.\n")
    told = disclosure_of(card).told
    assert told["training_data"] == Told("Books.", "card:Overview of the training data", Presence.PARTIAL)
    assert "hardware" not in told


def test_long_sections_are_quoted_in_part() -> None:
    told = disclosure_of(Card.parse("# Training Data\n" + "word " * 10_000)).told["training_data"]
    assert 3000 < len(told.text) <= 4000
    assert told.text.endswith("\N{HORIZONTAL ELLIPSIS}")


WHAT = WhatItIs(
    kind=Fact(Kind.ADAPTER, "file:adapter_config.json"),
    architecture=Fact("LlamaForCausalLM", "file:config.json"),
    parameters=Fact(1_262_976, "file:model.safetensors"),
    languages=Fact(("en", "no"), "card:language"),
)


def test_a_card_made_from_a_record() -> None:
    told = {"training_data": Told("The Pile.", "card:x", Presence.OPEN), "risks": Told("", "", Presence.CLOSED)}
    disclosure = Disclosure("a/b", told=told, licences={"distribution": "apache-2.0"})
    graph = Graph(
        {}, (Edge("c/d", "a/b", How.ADAPTER), Edge("e/f", "a/b", How.TRAINED_ON), Edge("a/b", "x", How.MERGE))
    )
    card = Card.made("a/b", WHAT, disclosure, graph, {"pipeline_tag": "text-generation"})
    assert card.mistake is None
    assert card.fields == {
        "license": "apache-2.0", "base_model": "c/d", "base_model_relation": "adapter", "datasets": ["e/f"],
        "language": ["en", "no"], "library_name": "peft", "pipeline_tag": "text-generation",
    }  # fmt: skip
    assert "- **Number of Parameters:** 1,262,976" in card.body
    assert f"- **Precision:** {NOT_DISCLOSED}" in card.body
    assert f"#### Hardware\n\n{NOT_DISCLOSED}\n" in card.body
    again = disclosure_of(card).told
    assert again["training_data"].text == "The Pile."
    assert {topic for topic, one in again.items() if one.text} == {"training_data", "architecture", "size"}
    assert lineage_of(card, "a/b").edges[0].how is How.ADAPTER


NASTY = st.text(max_size=30) | st.lists(
    st.sampled_from(["# Risks", "\n", "---", "===", "```", "<!--", "> ", "- **Hardware:** 1", "text", " ", "\r",
    "1. x", "***"]),
    max_size=8,
).map("".join)  # fmt: skip


@given(st.dictionaries(st.sampled_from(DISCLOSED), NASTY, max_size=6), st.text(max_size=20))
@settings(deadline=None, max_examples=300)
def test_nothing_told_can_open_a_section_in_a_made_card(texts: dict[str, str], name: str) -> None:
    plain_card = Card.made("x", WhatItIs(), Disclosure("x"))
    told = {topic: Told(text, "", Presence.OPEN) for topic, text in texts.items()}
    card = Card.made("x", WhatItIs(architecture=Fact(name or "a", "file:x")), Disclosure("x", told=told))
    assert [one.title for one in card.sections] == [one.title for one in plain_card.sections]
    again = disclosure_of(card).told
    for topic in ("training_data", "risks", "hardware", "energy"):
        assert bool(again[topic].text) == (topic in texts and not says_nothing(again[topic].text or texts[topic]))
