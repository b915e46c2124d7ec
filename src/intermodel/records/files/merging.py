"""One thing as several sources tell it: which wins, and where they disagree. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

from intermodel.records.facts import Fact, WhatItIs

COMPARED = ("kind", "architecture", "parameters", "precision", "context_length", "vocabulary", "chat_template")
"""Facts of which there can be only one. Of formats, languages and modalities a source may tell a part, and a
tokenizer has a name of its own in every library."""


def merged(*whats: WhatItIs) -> WhatItIs:
    """Each fact from the first that knows it."""
    known = {
        field.name: next((fact for what in whats if (fact := getattr(what, field.name)) is not None), None)
        for field in fields(WhatItIs)
    }
    return WhatItIs(**known)


def disagreements(*whats: WhatItIs) -> tuple[str, ...]:
    """Where a later source says something else than the first that knows it, in words."""
    return tuple(note for name in COMPARED for note in _of_one(name, whats))


def _of_one(name: str, whats: Sequence[WhatItIs]) -> Iterator[str]:
    first: Fact[Any] | None = None
    for what in whats:
        other: Fact[Any] | None = getattr(what, name)
        if first is None or other is None:
            first = first or other
        elif not _same(name, first.value, other.value):
            told = "another" if name == "chat_template" else str(other.value)
            own = "one" if name == "chat_template" else str(first.value)
            yield f"{name}: {own} ({first.source}), {told} ({other.source})"


def _same(name: str, one: Any, other: Any) -> bool:
    if name == "architecture":  # `LlamaForCausalLM` for transformers is `llama` for llama.cpp
        short, long = sorted((_letters(one), _letters(other)), key=len)
        return long.startswith(short)
    if name == "chat_template":
        return bool(one.strip() == other.strip())
    return bool(one == other)


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())
