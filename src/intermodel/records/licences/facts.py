"""The facts of licences, as frozen values read once from `licences.json`.

Each fact has a code for programs, words for people, and its source: a section of the text where it was read, else who
reported it. `SOURCES` says what a source's first word stands for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import orjson


class Code(StrEnum):
    """What a fact comes to. `unknown` is never read as `allow`."""

    ALLOW = "allow"
    CONDITIONAL = "conditional"
    DENY = "deny"
    PRIVATE = "private"
    """Changed copies are for oneself and may not be passed on."""
    NONE = "none"
    DUTY = "duty"
    LIMIT = "limit"
    USE_LIMITS = "use-limits"
    """Of outputs: the uses that are ruled out are ruled out for them too."""
    SAME_TERMS = "same-terms"
    """Of outputs: all terms bind them too."""
    NOT_ADDRESSED = "not-addressed"
    SEE_TEXT = "see-text"
    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


_READ = {"ldb", "meta", "cal", "mg", "dpi", "spdx"}
"""Sources that rest on the text itself, or on a published reading of it."""


@dataclass(frozen=True, slots=True)
class Said:
    """One fact: what a licence says of one matter, in words, and where it says so."""

    code: Code
    words: str
    source: str
    value: Mapping[str, Any] = field(default_factory=dict)
    """The numbers and names in it, for programs."""

    @property
    def read(self) -> bool:
        """Whether a source rests on the licence's text, and not on a summary or on what follows from silence."""
        return bool(_READ & set(re.findall(r"[a-z]+", self.source.removeprefix("follows "))))

    @property
    def section(self) -> str:
        """The sections of the text that it rests on, as the source names them: `1a, 2a.i`."""
        return ", ".join(re.findall(r"\[([^\]]+)\]", self.source)).replace(",", ", ").replace(",  ", ", ")


NOT_KNOWN = Said(Code.UNKNOWN, "unknown", "none")


@dataclass(frozen=True)
class Licence:
    """A licence, or the terms of a service. `start` and `end` bound the time in which its maker offered this text."""

    id: str
    name: str
    kind: str
    facts: Mapping[str, Said] = field(compare=False)
    tag: str | None = None
    """Its identifier in the Hugging Face table; several licences may share one (`other`)."""
    spdx: str | None = None
    start: str = ""
    """As far as it is known: `2023`, `2023-03`, `2023-03-14`."""
    end: str = ""
    note: str = ""
    sections: str = ""
    """Whether the sections in its sources were compared with its text: `text`, `research` (by the list that the facts
    began from), `unchecked`; "" where none are named."""

    def fact(self, name: str) -> Said:
        """What it says of that matter; unknown where nothing is known."""
        return self.facts.get(name, NOT_KNOWN)

    @property
    def title(self) -> str:
        """Its name without what is said in brackets behind it."""
        return self.name.split(" (")[0]

    @cached_property
    def known(self) -> bool:
        """Whether anything at all is known of it."""
        return any(said.code is not Code.UNKNOWN for said in self.facts.values())

    @property
    def contract(self) -> bool:
        """Whether it binds whoever agreed to it, and nobody else."""
        return self.kind == "service-terms"

    def begun(self, on: date) -> bool:
        """Whether the text was there on that day, as far as its date is known."""
        return not self.start or self.start <= on.isoformat()[: len(self.start)]

    def ended(self, on: date) -> bool:
        """Whether its maker had withdrawn it by that day."""
        return bool(self.end) and on.isoformat()[: len(self.end)] > self.end


def _said(told: Mapping[str, Any]) -> Said:
    value = told["v"]
    words = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return Said(Code(told["c"]), words, told["src"], MappingProxyType(told.get("x", {})))


def _licence(told: Mapping[str, Any]) -> Licence:
    return Licence(
        told["id"],
        told["name"],
        told["kind"],
        MappingProxyType({name: _said(fact) for name, fact in told["facts"].items()}),
        told.get("hf_id"),
        told.get("spdx"),
        told.get("from", ""),
        told.get("to", ""),
        told.get("note", ""),
        told.get("sections", ""),
    )


_DATA = orjson.loads((files(__package__) / "licences.json").read_bytes())

SOURCES: Mapping[str, str] = MappingProxyType(_DATA["sources"])
FIELDS: Mapping[str, str] = MappingProxyType(_DATA["fields"])
LICENCES: Mapping[str, Licence] = MappingProxyType({told["id"]: _licence(told) for told in _DATA["licences"]})
"""By their ids, which are also the tags of the Hugging Face table where that has one for the text."""
