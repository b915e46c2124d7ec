"""What is asked and what is answered: purposes, outcomes, reasons, duties. Frozen values, each with its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from typing import Any

from intermodel.core.errors import Invalid
from intermodel.records.licences import When

RULES = "2"
"""Version of the rules that this room applies: another verdict from the same facts means another version."""


class Purpose(StrEnum):
    """What somebody wants to do."""

    COMMERCIAL = "commercial"
    RESEARCH = "research"
    REDISTRIBUTE = "redistribute"
    MODIFY = "modify"
    TRAIN_ON_OUTPUTS = "train_on_outputs"
    SERVE = "serve"


def purpose_of(said: str) -> Purpose:
    """The purpose of that name; a hyphen is as good as an underscore. Raises `Invalid` for any other."""
    try:
        return Purpose(said.strip().lower().replace("-", "_"))
    except ValueError:
        raise Invalid(
            f"'{said[:40]}' is no purpose that is known here.", hint=f"Known: {', '.join(Purpose)}.", param="purpose"
        ) from None


class Outcome(IntEnum):
    """What it comes to; of several the smallest holds, so that a refusal or an unknown is never outvoted."""

    REFUSE = 0
    UNKNOWN = 1
    DUTIES = 2
    ALLOW = 3

    @property
    def word(self) -> str:
        """`refuse`, `unknown`, `allow-with-duties`, `allow`."""
        return "allow-with-duties" if self is Outcome.DUTIES else self.name.lower()


class Certainty(StrEnum):
    """On what a reason stands."""

    LICENCE_TEXT = "licence-text"
    CONTRACT = "contract"
    """Terms that bind whoever agreed to them, and nobody else."""
    CONTESTED = "contested"
    """Whether the text reaches that far is not settled: the terms of training data on a model."""
    UNVERIFIED = "unverified"
    """Somebody claims it, or it was concluded from a summary or from silence."""


@dataclass(frozen=True, slots=True)
class Step:
    """One edge of the way up: `child` was made from `parent`."""

    child: str
    how: str
    parent: str

    def document(self) -> dict[str, str]:
        """For JSON."""
        return {"child": self.child, "how": self.how, "parent": self.parent}


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground of a verdict. `strict` and `lenient` are what it comes to in each reading; None: it only warns."""

    words: str
    node: str
    licence: str
    fact: str
    source: str
    certainty: Certainty
    strict: Outcome | None
    lenient: Outcome | None
    way: tuple[Step, ...] = ()
    """From what was asked about up to `node`; of a long way the first steps."""
    way_length: int = 0
    also: int = 0
    """How many other things the very same is said of."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "words": self.words, "node": self.node, "licence": self.licence, "fact": self.fact, "source": self.source,
            "certainty": str(self.certainty), "strict": self.strict.word if self.strict is not None else None,
            "lenient": self.lenient.word if self.lenient is not None else None,
            "way": [step.document() for step in self.way], "way_length": self.way_length, "also": self.also,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that must be done or kept to, as a sentence.

    `kind` is one of: condition, attribution, notice, naming, share-alike, acceptable-use, scale, region, contract.
    `code` is what the fact of the licence says, in the words of the licence data.
    """

    kind: str
    code: str
    words: str
    when: When
    """Who must heed it."""
    section: str
    """The licence and its sections: `Apache License 2.0, section 4`."""
    node: str
    licence: str
    source: str
    certainty: Certainty
    lenient: bool
    """Whether it binds in the lenient reading too."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "kind": self.kind, "code": self.code, "words": self.words, "when": str(self.when),
            "section": self.section, "node": self.node, "licence": self.licence, "source": self.source,
            "certainty": str(self.certainty), "lenient": self.lenient,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two things inside that no one licence can satisfy together."""

    words: str
    nodes: tuple[str, str]
    licences: tuple[str, str]
    source: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "words": self.words, "nodes": [*self.nodes], "licences": [*self.licences], "source": self.source,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Flag:
    """A licence that promises more than what it was made from allows. `kind`: wider, drops-use-limits,
    drops-share-alike."""

    kind: str
    words: str
    declared: str
    node: str
    licence: str

    def document(self) -> dict[str, str]:
        """For JSON."""
        return {
            "kind": self.kind, "words": self.words, "declared": self.declared, "node": self.node,
            "licence": self.licence,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer in one reading, and what decided it."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    duties: tuple[Duty, ...]
    certainty: tuple[Certainty, ...]
    """On what the deciding reasons stand."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "outcome": self.outcome.word,
            "certainty": [str(each) for each in self.certainty],
            "reasons": [reason.document() for reason in self.reasons],
            "duties": [duty.document() for duty in self.duties],
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What may be done with a thing, and why. In the strict reading every ancestor and every training set binds; in
    the lenient one only what is inside it, and what a text itself counts as derived."""

    name: str
    purpose: Purpose
    place: str
    on: date | None
    strict: Finding
    lenient: Finding
    reasons: tuple[Reason, ...] = ()
    duties: tuple[Duty, ...] = ()
    warnings: tuple[str, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    flags: tuple[Flag, ...] = ()
    unknown: tuple[str, ...] = ()
    """What is not known that would matter."""
    excluded: tuple[str, ...] = ()
    """Places that some licence leaves out."""
    scale: Mapping[str, int] = field(default_factory=dict)
    """The smallest limit of each measure."""
    certainty: tuple[Certainty, ...] = ()
    walked: int = 0
    complete: bool = True
    """False where the lineage is larger than is followed; the verdict is then never a yes."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name, "purpose": str(self.purpose), "place": self.place,
            "on": self.on.isoformat() if self.on else None, "rules": RULES,
            "strict": self.strict.document(), "lenient": self.lenient.document(),
            "reasons": [reason.document() for reason in self.reasons],
            "duties": [duty.document() for duty in self.duties],
            "warnings": [*self.warnings],
            "conflicts": [conflict.document() for conflict in self.conflicts],
            "flags": [flag.document() for flag in self.flags],
            "unknown": [*self.unknown], "excluded": [*self.excluded], "scale": dict(self.scale),
            "certainty": [str(each) for each in self.certainty],
            "walked": self.walked, "complete": self.complete,
            "legal_advice": False,
        }  # fmt: skip
