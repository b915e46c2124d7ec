"""What a thing is, and who says so: each fact with its source, unknown where nobody says it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Kind(StrEnum):
    """What has a record."""

    WEIGHTS = "weights"
    ADAPTER = "adapter"
    SERVICE = "service"
    DATASET = "dataset"
    APPLICATION = "application"


@dataclass(frozen=True, slots=True)
class Fact(Generic[T]):
    """A value and where it was read.

    `source` is `file:` and the file's name, `card:` and a field (`card:license`), `statement:` and its place in the
    ledger, or `derived:` and what from.
    """

    value: T
    source: str


@dataclass(frozen=True, slots=True)
class WhatItIs:
    """What a model is. None is *unknown*, never "no"."""

    kind: Fact[Kind] | None = None
    architecture: Fact[str] | None = None
    parameters: Fact[int] | None = None
    precision: Fact[str] | None = None
    """Of most weights: `F32`, `BF16`, `Q4_K_M`."""
    formats: Fact[tuple[str, ...]] | None = None
    """`safetensors`, `gguf`, `pytorch` ..."""
    context_length: Fact[int] | None = None
    languages: Fact[tuple[str, ...]] | None = None
    """ISO 639 codes."""
    modalities: Fact[tuple[str, ...]] | None = None
    """Of input and output: `text`, `image`, `audio`, `video`."""
    tokenizer: Fact[str] | None = None
    vocabulary: Fact[int] | None = None
    chat_template: Fact[str] | None = None
