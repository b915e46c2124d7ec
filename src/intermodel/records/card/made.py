"""What a card written from a record says: the headings of the Hub's template, "Not disclosed" where nothing is told.

Source: huggingface_hub `templates/modelcard_template.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from intermodel.records.disclosure import Disclosure, Told
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Graph, How

NOT_DISCLOSED = "Not disclosed"

_RELATIONS = {How.FINE_TUNE: "finetune", How.ADAPTER: "adapter", How.MERGE: "merge", How.QUANTISE: "quantized"}
_TEMPLATE = (
    ("## Uses", ""),
    ("### Direct Use", "intended_use"),
    ("### Acceptable Use Policy", "use_policy"),
    ("## Bias, Risks, and Limitations", ""),
    ("### Risks", "risks"),
    ("### Limitations", "limitations"),
    ("## Training Details", ""),
    ("### Training Data", "training_data"),
    ("### Data Provenance", "data_provenance"),
    ("### Data Selection", "data_selection"),
    ("### Annotations", "data_labelling"),
    ("### Public Data Sources", "data_public_sources"),
    ("### Third-Party Data", "data_third_party_sources"),
    ("### Preprocessing", "data_processing"),
    ("### Training Procedure", "training_method"),
    ("### Speeds, Sizes, Times", "compute"),
    ("## Environmental Impact", "energy"),
    ("## Technical Specifications", ""),
    ("### Model Architecture and Objective", "architecture"),
    ("### Model Size", "size"),
    ("### Compute Infrastructure", ""),
    ("#### Hardware", "hardware"),
)
"""Headings, and what is told under each."""

_SIMPLE = re.compile(r"[\w(\"'\u201c][^\n\r<`|]*")
_BULLET = re.compile(r"\d+[.)]\s")


def body(name: str, what: WhatItIs, disclosure: Disclosure) -> str:
    """The Markdown."""
    lines = ["", f"# {_line(name)}", "", *(f"- **{key}:** {value}" for key, value in _details(what))]
    for heading, topic in _TEMPLATE:
        lines += ["", heading]
        if topic:
            lines += ["", *_told(disclosure.told.get(topic))]
    return "\n".join(lines) + "\n"


def head(name: str, what: WhatItIs, disclosure: Disclosure, graph: Graph | None) -> dict[str, Any]:
    """The fields; base models and data sets are those of `graph`, if `name` is in it."""
    return {**_licence(disclosure), **_from_graph(graph, name), **_from_what(what)}


def _details(what: WhatItIs) -> Iterator[tuple[str, str]]:
    rows: tuple[tuple[str, Fact[Any] | None], ...] = (
        ("Architecture", what.architecture),
        ("Number of Parameters", what.parameters),
        ("Precision", what.precision),
        ("Formats", what.formats),
        ("Context Length", what.context_length),
        ("Language(s)", what.languages),
        ("Modalities", what.modalities),
        ("Tokenizer", what.tokenizer),
        ("Vocabulary", what.vocabulary),
    )
    for key, fact in rows:
        yield key, NOT_DISCLOSED if fact is None else _line(_shown(fact.value))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _line(text: str) -> str:
    """On one line, where nothing in it begins another heading or ends a mark."""
    return " ".join(text.split()).replace("<", "\\<")


def _told(told: Told | None) -> list[str]:
    """What was told, as a quotation where it has marks of its own: nothing in it can open a section or a comment."""
    if told is None or not told.text.strip():
        return [NOT_DISCLOSED]
    text = told.text.strip()
    if _SIMPLE.fullmatch(text) and not _BULLET.match(text):
        return [text]
    return [f"> {line}".rstrip() for line in re.split(r"\r\n|\n|\r", text)]


def _from_graph(graph: Graph | None, name: str) -> dict[str, Any]:
    edges = graph.parents(name) if graph is not None else ()
    bases = [edge for edge in edges if edge.how in _RELATIONS]
    data = [edge.parent for edge in edges if edge.how in (How.TRAINED_ON, How.PRE_TRAINED_ON)]
    found: dict[str, Any] = {}
    if bases:
        parents = list(dict.fromkeys(edge.parent for edge in bases))
        found["base_model"] = parents[0] if len(parents) == 1 else parents
        if len({edge.how for edge in bases}) == 1:
            found["base_model_relation"] = _RELATIONS[bases[0].how]
    if data:
        found["datasets"] = list(dict.fromkeys(data))
    return found


def _from_what(what: WhatItIs) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if what.languages:
        found["language"] = list(what.languages.value)
    if what.kind and what.kind.value is Kind.ADAPTER:
        found["library_name"] = "peft"
    if what.formats:
        found["tags"] = list(what.formats.value)
    return found


def _licence(disclosure: Disclosure) -> dict[str, Any]:
    licence = disclosure.licences.get("distribution")
    return {"license": licence} if licence else {}
