"""What a card says of a thing: what it is, and from what it was made. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from intermodel.records.card.placeholders import says_nothing
from intermodel.records.card.sections import Field, plain
from intermodel.records.card.view import View, hub_id
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.lineage import Edge, Graph, How, Node

MODALITIES: Mapping[str, tuple[str, ...]] = {
    "any-to-any": (),
    "audio-classification": ("audio",),
    "audio-text-to-text": ("audio", "text"),
    "audio-to-audio": ("audio",),
    "automatic-speech-recognition": ("audio", "text"),
    "depth-estimation": ("image",),
    "document-question-answering": ("image", "text"),
    "feature-extraction": (),
    "fill-mask": ("text",),
    "image-classification": ("image",),
    "image-feature-extraction": ("image",),
    "image-segmentation": ("image",),
    "image-text-to-image": ("image", "text"),
    "image-text-to-text": ("image", "text"),
    "image-text-to-video": ("image", "text", "video"),
    "image-to-image": ("image",),
    "image-to-text": ("image", "text"),
    "image-to-video": ("image", "video"),
    "mask-generation": ("image",),
    "object-detection": ("image",),
    "question-answering": ("text",),
    "sentence-similarity": ("text",),
    "summarization": ("text",),
    "table-question-answering": ("text",),
    "text-classification": ("text",),
    "text-generation": ("text",),
    "text-ranking": ("text",),
    "text-to-audio": ("text", "audio"),
    "text-to-image": ("text", "image"),
    "text-to-speech": ("text", "audio"),
    "text-to-video": ("text", "video"),
    "text2text-generation": ("text",),
    "token-classification": ("text",),
    "translation": ("text",),
    "unconditional-image-generation": ("image",),
    "video-classification": ("video",),
    "video-text-to-text": ("video", "text"),
    "visual-document-retrieval": ("image", "text"),
    "visual-question-answering": ("image", "text"),
    "voice-activity-detection": ("audio",),
    "zero-shot-classification": ("text",),
    "zero-shot-image-classification": ("image", "text"),
    "zero-shot-object-detection": ("image", "text"),
}
"""Of input and output, by the Hub's tasks (`pipeline_tag`); empty where the task does not say."""

FORMATS = ("safetensors", "gguf", "onnx", "openvino", "coreml", "tflite", "keras", "nemo")
"""Tags and libraries that name a format of weights."""

RELATIONS = {
    "finetune": How.FINE_TUNE,
    "adapter": How.ADAPTER,
    "merge": How.MERGE,
    "quantized": How.QUANTISE,
}
"""`base_model_relation` (hub-docs `model-cards.md`, "Specifying a base model")."""

_SIZES = ("parameters", "number of parameters", "model size", "params", "parameter count", "total parameters",
          "number of model parameters", "model parameters")  # fmt: skip
_LENGTHS = ("context length", "context window", "context size", "max context length", "sequence length",
            "maximum context length", "context")  # fmt: skip
_ARCHITECTURES = ("architecture", "model architecture", "architecture type", "network architecture")
_UNITS = {"k": 10**3, "thousand": 10**3, "m": 10**6, "million": 10**6, "b": 10**9, "billion": 10**9, "t": 10**12,
          "trillion": 10**12}  # fmt: skip
_AMOUNT = re.compile(
    r"(?<![\w.,])(\d{1,6}(?:[.,]\d{1,6}){0,6})\s{0,3}(k|m|b|t|thousand|million|billion|trillion)?\b", re.I
)
_QUANTISED = ("gguf", "awq", "gptq", "exl2", "exl3", "bitsandbytes", "4-bit", "8-bit", "quantized", "fp8", "nf4",
              "compressed-tensors", "auto-round", "eetq", "hqq")  # fmt: skip
_ADAPTERS = ("lora", "adapter", "peft", "qlora", "dora")
_MERGES = ("merge", "mergekit", "moe-merge")


def what_of(view: View, fields: Sequence[Field]) -> WhatItIs:
    """What a thing is, as far as its card says so; sources are `card:` and a field or heading."""
    return WhatItIs(
        kind=_kind(view),
        architecture=_architecture(fields),
        parameters=_amount(fields, _SIZES, least=1000, units=True),
        formats=_formats(view),
        context_length=_amount(fields, _LENGTHS, least=64, units=False),
        languages=Fact(view.languages, "card:language") if view.languages else None,
        modalities=_modalities(view),
    )


def _kind(view: View) -> Fact[Kind] | None:
    if view.is_dataset:
        return Fact(Kind.DATASET, "derived:card:task_categories and other fields of data sets alone")
    if view.library == "peft":
        return Fact(Kind.ADAPTER, "card:library_name")
    if view.relation == "adapter":
        return Fact(Kind.ADAPTER, "card:base_model_relation")
    return None


def _architecture(fields: Sequence[Field]) -> Fact[str] | None:
    for field in fields:
        value = _bare(field.value)
        if plain(field.key) in _ARCHITECTURES and 0 < len(value) <= 100 and not says_nothing(value):
            return Fact(value, f"card:{field.key}")
    return None


def _bare(value: str) -> str:
    return value.strip(" *_`.")


def _amount(fields: Sequence[Field], keys: Sequence[str], *, least: int, units: bool) -> Fact[int] | None:
    """The one number that a field gives. Several, or a unit that can mean two things (128k tokens), are no fact."""
    for field in fields:
        if plain(field.key) not in keys or len(field.value) > 100:
            continue
        amounts = _AMOUNT.findall(field.value)
        if len(amounts) != 1 or (amounts[0][1] and not units):
            continue
        number = _number(*amounts[0])
        if number is not None and least <= number < 10**16:
            return Fact(number, f"card:{field.key}")
    return None


def _number(digits: str, unit: str) -> int | None:
    if unit:
        if "," in digits or digits.count(".") > 1:
            return None
        whole, _, fraction = digits.partition(".")
        scale: int = 10 ** len(fraction)
        return (int(whole) * scale + int(fraction or 0)) * _UNITS[unit.lower()] // scale
    if re.fullmatch(r"\d{1,3}(,\d{3})*|\d+", digits):
        return int(digits.replace(",", ""))
    return None


def _formats(view: View) -> Fact[tuple[str, ...]] | None:
    named = {tag.lower(): "card:tags" for tag in view.tags}
    named.setdefault(view.library.lower(), "card:library_name")
    found = [kind for kind in FORMATS if kind in named]
    return Fact(tuple(found), named[found[0]]) if found else None


def _modalities(view: View) -> Fact[tuple[str, ...]] | None:
    found = MODALITIES.get(view.task, ())
    return Fact(found, "card:pipeline_tag") if found else None


def lineage_of(view: View, address: str) -> Graph:
    """From what a thing was made, as its card says: base models and data sets, each an edge with its source.

    Where the card gives no relation to its base, it is derived from tags and library; whatever cannot be told apart is
    a fine-tune, which carries everything of the base.
    """
    edges = _once([*_bases(view, address), *_data(view, address)])
    made = {edge.how for edge in edges}
    licence = view.licences[0] if len(view.licences) == 1 else None
    if licence == "other" and view.licence_name:
        licence = view.licence_name
    kind = Kind.DATASET if view.is_dataset else Kind.ADAPTER if made & {How.ADAPTER} else None
    own = Node(address, kind=kind, declared=licence, shipped="adapter" if kind is Kind.ADAPTER else "")
    nodes = {edge.parent: Node(edge.parent, kind=_parents_kind(edge)) for edge in edges}
    return Graph(nodes | {address: own}, tuple(edges))


def _parents_kind(edge: Edge) -> Kind | None:
    return Kind.DATASET if edge.how in (How.TRAINED_ON, How.ADAPTED) else None


def _bases(view: View, address: str) -> Iterator[Edge]:
    stated = RELATIONS.get(view.relation)
    tagged = dict(_tagged(view))
    for base in view.base_models:
        if stated is not None:
            yield _edge(base, address, stated, "card:base_model_relation")
        elif base in tagged:
            yield _edge(base, address, tagged[base], "card:tags")
        else:
            how, source = _derived(view)
            yield _edge(base, address, how, source)
    for base, how in tagged.items():
        if base not in view.base_models:
            yield _edge(base, address, how, "card:tags")


def _edge(base: str, address: str, how: How, source: str) -> Edge:
    return Edge(base, address, how, shipped_as="adapter" if how is How.ADAPTER else "", source=source)


def _tagged(view: View) -> Iterator[tuple[str, How]]:
    """Tags as the Hub computes them, `base_model:quantized:owner/name`, which cards repeat."""
    for tag in view.tags:
        parts = tag.split(":", 2)
        if parts[0] == "base_model" and len(parts) == 3 and parts[1] in RELATIONS and parts[2]:
            yield hub_id(parts[2]), RELATIONS[parts[1]]


def _derived(view: View) -> tuple[How, str]:
    tags = {tag.lower() for tag in view.tags}
    if view.library == "peft" or tags & set(_ADAPTERS):
        return How.ADAPTER, "derived:card:tags" if tags & set(_ADAPTERS) else "derived:card:library_name"
    if tags & set(_MERGES):
        return How.MERGE, "derived:card:tags"
    if tags & set(_QUANTISED) or view.library.lower() == "gguf":
        return How.QUANTISE, "derived:card:tags"
    if len(view.base_models) > 1:
        return How.MERGE, "derived:card:base_model"
    return How.FINE_TUNE, "card:base_model"


def _data(view: View, address: str) -> Iterator[Edge]:
    how = How.ADAPTED if view.is_dataset else How.TRAINED_ON
    for name in view.datasets:
        yield Edge(name, address, how, source="card:datasets")
    for tag in view.tags:
        if tag.startswith("dataset:") and len(tag) > len("dataset:"):
            yield Edge(hub_id(tag.removeprefix("dataset:")), address, how, source="card:tags")


def _once(edges: Sequence[Edge]) -> list[Edge]:
    found: dict[tuple[str, How], Edge] = {}
    for edge in edges:
        found.setdefault((edge.parent, edge.how), edge)
    return list(found.values())
