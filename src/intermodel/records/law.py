"""What the law asks of a model: dated, sourced data, and which of it applies. Informative; **not legal advice**.

Hides how rules are kept (`law.json`) and matched; promises that each rule comes with its source, its dates and its
status, and that what depends on something unknown is told as *perhaps*, never as *no*. Knows no licences and no graphs:
whether a release is free and open source is for its caller to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import orjson

from intermodel.core.errors import Invalid
from intermodel.records.facts import Kind, WhatItIs
from intermodel.records.places import EU, place_of

NOT_ENFORCED = "not enforced"
NOTICE = "Informative, as of the dates given; not legal advice."

_DATA = orjson.loads((files("intermodel.records") / "law.json").read_bytes())
READ = date.fromisoformat(_DATA["read"])
"""When the sources were last read."""
GPAI_FLOP = float(_DATA["thresholds"]["gpai_flop"]["value"])
SYSTEMIC_FLOP = float(_DATA["thresholds"]["systemic_flop"]["value"])
NOTES: tuple[str, ...] = tuple(_DATA["notes"])
"""What changes the law without changing what is told here."""
THRESHOLDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(_DATA["thresholds"])


@dataclass(frozen=True, slots=True)
class Harm:
    """One of the twelve risks of NIST AI 600-1 (2024-07-26), the words in which harm is told here."""

    id: str
    name: str
    words: str
    source: str


HARMS: tuple[Harm, ...] = tuple(Harm(**told) for told in _DATA["harms"])


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that a law or a guideline says. `start` and `end` bound the days on which it holds."""

    id: str
    law: str
    title: str
    words: str
    source: str
    status: str
    start: date
    end: date | None
    note: str
    when: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Obligation:
    """A rule, and whether it applies: None where that depends on something unknown, named in `why`."""

    rule: Rule
    applies: bool | None
    why: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        rule = self.rule
        return {
            "id": rule.id, "law": rule.law, "title": rule.title, "words": rule.words, "source": rule.source,
            "status": rule.status, "from": rule.start.isoformat(), "to": rule.end.isoformat() if rule.end else None,
            "note": rule.note, "applies": self.applies, "why": self.why,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Obligations:
    """What applies, perhaps applies, or applied; and how the model counts under the EU AI Act (None: unknown)."""

    gpai: bool | None
    """A general-purpose model, by the indication of the Commission's guidelines."""
    systemic: bool | None
    """Presumed to bear systemic risk. A model below the threshold can still be designated (Art. 51(1)(b))."""
    exempt: bool | None
    """Under the open-source exemption of Art. 53(2)."""
    items: tuple[Obligation, ...]
    on: date
    place: str

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "notice": NOTICE, "read": READ.isoformat(), "on": self.on.isoformat(), "place": self.place,
            "gpai": self.gpai, "systemic": self.systemic, "exempt": self.exempt,
            "notes": [*NOTES],
            "items": [item.document() for item in self.items],
        }  # fmt: skip


def _rule(told: Mapping[str, Any]) -> Rule:
    end = date.fromisoformat(told["to"]) if "to" in told else None
    return Rule(
        told["id"], told["law"], told["title"], told["words"], told["source"], told["status"],
        date.fromisoformat(told["from"]), end, told.get("note", ""), MappingProxyType(told["when"]),
    )  # fmt: skip


RULES: tuple[Rule, ...] = tuple(_rule(told) for told in _DATA["rules"])


def obligations(
    what: WhatItIs | None = None,
    compute: float | None = None,
    open_source: bool | None = None,
    place: str = "",
    on: date | None = None,
) -> Obligations:
    """What the law asks of whoever offers that model in `place` on that day.

    `compute` is the training compute in FLOP, with that of its base. `open_source` says whether weights, architecture
    and information on use are public under a free and open licence, and nothing is charged. None is unknown. Without a
    place every rule is told; without a day, those of the day on which the sources were read. Raises `Invalid` for a
    place that is none, and for a negative compute.
    """
    if compute is not None and not compute >= 0:
        raise Invalid("Training compute is a number of operations, from 0.", hint="For example 1e24.", param="compute")
    code, day = place_of(place), on or READ
    gpai, systemic = _gpai(what, compute), _over(compute, SYSTEMIC_FLOP)
    exempt = _all(open_source, _not(systemic))
    known = {
        "gpai": gpai, "systemic": systemic, "exempt": exempt, "open_source": open_source,
    }  # fmt: skip
    items = (_applied(rule, known, what or WhatItIs(), compute, day) for rule in RULES if _there(rule, code))
    return Obligations(gpai, systemic, exempt, tuple(item for item in items if item.applies is not False), day, code)


def _gpai(what: WhatItIs | None, compute: float | None) -> bool | None:
    """The guidelines' indication: compute above 10^23 FLOP, and language, or images or video from text, come out."""
    kind = what.kind.value if what and what.kind else None
    if kind in (Kind.DATASET, Kind.APPLICATION):
        return False
    modalities = what.modalities.value if what and what.modalities else None
    makes = None if modalities is None else bool({"text", "audio"} & set(modalities))
    return _all(_over(compute, GPAI_FLOP), makes)


def _over(compute: float | None, threshold: float) -> bool | None:
    return None if compute is None else compute > threshold


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _all(*values: bool | None) -> bool | None:
    """False where one is, else unknown where one is, else True (Kleene)."""
    if False in values:
        return False
    return None if None in values else True


def _there(rule: Rule, place: str) -> bool:
    asked = rule.when.get("place", "")
    return not place or not asked or asked == place or (asked == "EU" and place in EU)


def _applied(
    rule: Rule, known: Mapping[str, bool | None], what: WhatItIs, compute: float | None, day: date
) -> Obligation:
    met: dict[str, bool | None] = {}
    for name, asked in rule.when.items():
        if name in known:
            value = known[name]
            met[name] = None if value is None else value is asked
    if "compute_over" in rule.when:
        met["compute"] = _over(compute, rule.when["compute_over"])
    applies = _all(*met.values())
    if applies is False:
        return Obligation(rule, False, "")
    if rule.status == NOT_ENFORCED:
        return Obligation(rule, None, f"{rule.status}: {rule.note}")
    if day < rule.start:
        return Obligation(rule, None, f"not before {rule.start}")
    if rule.end is not None and day > rule.end:
        return Obligation(rule, None, f"held until {rule.end}: {rule.status}")
    if applies is None:
        open_ = {name for name, value in met.items() if value is None}
        return Obligation(rule, None, " ".join(_open(rule, open_, what, compute, known)))
    return Obligation(rule, True, rule.status)


def _open(
    rule: Rule, missing: set[str], what: WhatItIs, compute: float | None, known: Mapping[str, bool | None]
) -> Iterator[str]:
    """What is not known and would decide, what is known of it, and what would settle it."""
    if compute is None and missing & {"gpai", "systemic", "exempt", "compute"}:
        threshold = _threshold(rule, missing)
        yield (
            f"It depends on whether training took more than {_power(threshold)} FLOP, and no number of FLOP is on "
            "record; what makers tell in words is not read as one."
        )
        yield from _estimate(what, threshold)
        yield "That number, with that of the model it was made from, settles it."
    if "gpai" in missing and what.modalities is None:
        yield "It depends on what comes out of it (text, speech, images), which is not known; its modalities settle it."
    if missing & {"exempt", "open_source"} and known["open_source"] is None:
        yield (
            "It depends on whether it is published as open source, which is not known; public weights and "
            "architecture, and a licence that is free and open, settle it."
        )


def _threshold(rule: Rule, missing: set[str]) -> float:
    if "compute" in missing:
        return float(rule.when["compute_over"])
    return SYSTEMIC_FLOP if "systemic" in missing or "gpai" not in missing else GPAI_FLOP


def _power(value: float) -> str:
    """A large number as people write it: `10^23`, `1.3 x 10^16`."""
    digits, _, power = f"{value:.1e}".partition("e+")
    return f"10^{int(power)}" if digits == "1.0" else f"{digits} x 10^{int(power)}"


def _estimate(what: WhatItIs, threshold: float) -> Iterator[str]:
    """What is known: the size, and what it makes of the threshold by the usual 6 FLOP for a parameter and a token."""
    if what.parameters and what.parameters.value > 0:
        size = what.parameters.value
        tokens = threshold / (6 * size)
        yield (
            f"It has {size:,} parameters: at 6 FLOP for each parameter and token, the usual estimate, that would be "
            f"{_power(tokens) if tokens >= 1e6 else f'{tokens:,.0f}'} tokens of training."
        )
