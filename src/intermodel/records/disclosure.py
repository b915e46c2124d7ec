"""What was laid open of a model: the one record from which every grader reads. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Presence(StrEnum):
    """Whether something is there for others."""

    OPEN = "open"
    PARTIAL = "partial"
    CLOSED = "closed"
    UNKNOWN = "unknown"


COMPONENTS = (
    "architecture", "parameters", "intermediate_parameters", "training_code", "data_preprocessing_code",
    "inference_code", "evaluation_code", "tokenizer", "libraries", "datasets", "evaluation_data",
    "evaluation_results", "sample_outputs", "model_card", "data_card", "technical_report", "research_paper", "metadata",
    "package", "api", "base_datasets", "base_parameters", "code_documentation", "preprint", "reviewed_paper",
)  # fmt: skip
"""What a release may hold: the components of the Model Openness Framework, and what other frameworks ask besides.

`base_datasets` and `base_parameters` are those of the model it was made from; of one that was trained from scratch they
are its own. `preprint` is one in a public archive, and `reviewed_paper` one that peers reviewed."""

DISCLOSED = (
    "architecture", "size", "hardware", "compute", "training_data", "training_method", "energy", "data_provenance",
    "data_selection", "data_labelling", "data_processing", "data_public_sources", "data_third_party_sources",
    "use_policy", "intended_use", "risks", "limitations",
)  # fmt: skip
"""What may be told in words. Those left out of GPT-4's report ("architecture (including model size), hardware, training
compute, dataset construction, training method", arXiv:2303.08774, section 2) are the first six.

`use_policy` is the text that forbids uses beyond what the law does; its text is `none` where it is known that there is
no such policy."""


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a release. `licence` is an SPDX id or expression, a name, "" for "unlicensed", None for unknown."""

    presence: Presence = Presence.UNKNOWN
    licence: str | None = None
    url: str = ""
    note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """Something that was told in words, and where; `text` is empty where it was *not disclosed*."""

    text: str = ""
    source: str = ""
    presence: Presence = Presence.UNKNOWN


@dataclass(frozen=True, slots=True)
class Disclosure:
    """All that was laid open of one thing. What is not in the mappings is unknown."""

    name: str
    components: Mapping[str, Component] = field(default_factory=dict)
    told: Mapping[str, Told] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    """Of all code, all data, all documents, or of the whole: `code`, `data`, `document`, `distribution`."""
    indicators: Mapping[str, bool] = field(default_factory=dict)
    """Answers to the indicators of the Foundation Model Transparency Index, by their names."""
    access: Mapping[str, Presence] = field(default_factory=dict)
    """How it can be reached: `package`, `api`, where they are no components of the release."""
    indicator_sources: Mapping[str, str] = field(default_factory=dict)
    """Who gives each of these answers."""
