"""A passport: what is claimed of a thing, what of that was verified and how, and what is unknown. Pure.

It answers seven questions: what is it, from what was it made, how open is it, what may I do with it, what must I then
do, who says so, and what is unknown. Each answer names its sources; nothing that is unknown is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intermodel.records.cautions import graph_cautions
from intermodel.records.disclosure import DISCLOSED, Presence
from intermodel.records.lineage import Edge
from intermodel.records.predicates import FACTS
from intermodel.records.record import Record

LABELS = {
    "kind": "Kind",
    "architecture": "Architecture",
    "parameters": "Parameters",
    "precision": "Precision",
    "formats": "Formats",
    "context_length": "Context",
    "languages": "Languages",
    "modalities": "Modalities",
    "tokenizer": "Tokenizer",
    "vocabulary": "Vocabulary",
    "chat_template": "Chat template",
    "licence": "Licence or terms",
}
"""Names of facts, for people."""

TOLD_LABELS = {
    "architecture": "Architecture, in words",
    "size": "Size, in words",
    "hardware": "Hardware of training",
    "compute": "Compute of training",
    "training_data": "Training data",
    "training_method": "Training method",
    "energy": "Energy",
    "data_provenance": "Where the data came from",
    "data_selection": "How data was selected",
    "data_labelling": "How data was labelled",
    "data_processing": "How data was processed",
    "data_public_sources": "Public data, and where it is",
    "data_third_party_sources": "Data of others, and how to obtain it",
    "use_policy": "Use policy",
    "risks": "Risks",
    "limitations": "Limitations",
    "intended_use": "Intended use",
}
"""Names of what may be told in words; the first six are those that GPT-4's report left out."""

_NOBODY: Mapping[str, str] = {}

_NOT_OF = {
    "service": ("precision", "formats", "vocabulary", "chat_template", "tokenizer"),
    "dataset": (
        "architecture",
        "parameters",
        "precision",
        "context_length",
        "tokenizer",
        "vocabulary",
        "chat_template",
    ),
    "application": ("architecture", "parameters", "precision", "formats", "tokenizer", "vocabulary", "chat_template"),
}
"""Facts that a thing of the kind does not have, or does not show by its nature: they are not counted as unknown."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who says something: in words, and where the proof is."""

    words: str
    url: str = ""
    entry: int | None = None
    signer: str = ""

    def document(self) -> dict[str, Any]:
        return {"words": self.words, "url": self.url, "entry": self.entry, "signer": self.signer}


@dataclass(frozen=True, slots=True)
class Line:
    """One fact on a passport. `value` is None where nobody says it; `others` are what other sources say instead."""

    name: str
    label: str
    value: Any
    sources: tuple[Source, ...] = ()
    others: tuple[tuple[Any, tuple[Source, ...]], ...] = ()

    def document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "label": self.label,
            "value": list(self.value) if isinstance(self.value, tuple) else self.value,
            "sources": [one.document() for one in self.sources],
            "others": [
                {
                    "value": list(value) if isinstance(value, tuple) else value,
                    "sources": [s.document() for s in sources],
                }
                for value, sources in self.others
            ],
        }


@dataclass(frozen=True, slots=True)
class Check:
    """What was verified, how, and whether it holds; None where it could not be."""

    what: str
    how: str
    holds: bool | None

    def document(self) -> dict[str, Any]:
        return {"what": self.what, "how": self.how, "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Passport:
    """`grades`, `verdicts` and `obligations` are the documents of those parts, in their own words."""

    record: Record
    what: tuple[Line, ...]
    disclosed: tuple[Line, ...]
    parents: tuple[tuple[Edge, tuple[Source, ...]], ...]
    grades: tuple[Mapping[str, Any], ...]
    verdicts: tuple[Mapping[str, Any], ...]
    obligations: Mapping[str, Any]
    checks: tuple[Check, ...]
    unknown: tuple[str, ...]

    @property
    def known(self) -> tuple[Line, ...]:
        """Facts that somebody states, in the order of the labels."""
        return tuple(line for line in self.what if line.value is not None)

    @property
    def disputed(self) -> tuple[Line, ...]:
        return tuple(line for line in (*self.what, *self.disclosed) if line.others)

    @property
    def cautions(self) -> tuple[str, ...]:
        """Licences in its lineage that nobody here knows, likely slips, in sentences."""
        return graph_cautions(self.record.graph)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "address": self.record.address,
            "digest": self.record.digest,
            "digest_of": "file" if self.record.held else "address",
            "what": [line.document() for line in self.what],
            "disclosed": [line.document() for line in self.disclosed],
            "made_from": [
                {
                    "parent": edge.parent,
                    "child": edge.child,
                    "how": edge.how.value,
                    "shipped_as": edge.shipped_as,
                    "sources": [one.document() for one in sources],
                }
                for edge, sources in self.parents
            ],
            "grades": [dict(one) for one in self.grades],
            "verdicts": [dict(one) for one in self.verdicts],
            "obligations": dict(self.obligations),
            "verified": [one.document() for one in self.checks],
            "unknown": list(self.unknown),
            "cautions": list(self.cautions),
            "record": self.record.document(),
        }


def passport(
    record: Record,
    grades: Sequence[Mapping[str, Any]] = (),
    verdicts: Sequence[Mapping[str, Any]] = (),
    obligations: Mapping[str, Any] | None = None,
    checks: Sequence[Check] = (),
) -> Passport:
    """The passport of a thing, from its record and what follows from that."""
    what = tuple(_facts(record))
    disclosed = tuple(_told(record))
    parents = tuple((edge, sources(record, edge.source)) for edge in _edges(record))
    return Passport(
        record,
        what,
        disclosed,
        parents,
        tuple(grades),
        tuple(verdicts),
        obligations or {},
        tuple(checks),
        tuple(dict.fromkeys(_unknown(record, what, disclosed))),
    )


_PARTED = re.compile(r"[;,] (?=(?:file|card|statement|derived):)")


def sources(record: Record, source: str) -> tuple[Source, ...]:
    """Who stands behind a source as records write it; several are parted by `; ` or `, `, and begin with their kind."""
    return tuple(_source(record, piece) for piece in _PARTED.split(source) if piece)


def _source(record: Record, piece: str) -> Source:
    place, _, more = piece.partition(" ")
    kind, _, name = place.partition(":")
    if kind == "statement" and name.isdigit():
        return _signed(record, int(name), more)
    if kind == "file":
        return Source(f"read from the file {name}{f' ({more})' if more else ''}")
    rest = f"{name} {more}".strip()
    if kind == "card":
        return Source(f"its card, “{rest}”" if rest not in ("README.md", "") else "its card")
    if kind == "derived":
        return Source(f"follows from the {rest} of this node" if rest == "deployments" else f"follows from {rest}")
    return Source(piece, piece if kind in ("http", "https") else "")


def _signed(record: Record, index: int, more: str) -> Source:
    said = record.said(index)
    told = f"told by {said.told_by}" if said and said.told_by else "stated"
    if said and said.by:
        told += f", signed by {said.by}"
    words = f"{told} ({more.removeprefix('file:').removeprefix('card:')})" if more else told
    if said is None:
        return Source(f"{words} in a statement about another thing", entry=index)
    return Source(words, said.url, index, said.signer)


def _facts(record: Record) -> Iterator[Line]:
    for name in FACTS:
        fact = getattr(record.what, name)
        yield _line(record, name, LABELS.get(name, name), fact.value if fact else None, fact.source if fact else "")
    licence, node = record.licence, record.graph.node(record.address)
    holds = licence is None or licence.value in (node.licence, node.terms)
    label = LABELS["licence"] if holds else "Licence it claims"
    yield _line(record, "licence", label, licence.value if licence else None, licence.source if licence else "")


def _told(record: Record) -> Iterator[Line]:
    """What was told in words: a text, False where it is stated that it is not disclosed, None where nobody says."""
    for name in DISCLOSED:
        told = record.disclosure.told.get(name)
        value: Any = None
        if told is not None:
            value = told.text or (False if told.presence is Presence.CLOSED else None)
        yield _line(
            record,
            f"told.{name}",
            TOLD_LABELS.get(name, name),
            value,
            told.source if told and value is not None else "",
        )


def _line(record: Record, name: str, label: str, value: Any, source: str) -> Line:
    others = tuple((one.value, sources(record, one.source)) for one in record.others.get(name, ()))
    return Line(name, label, value, sources(record, source), others)


def _edges(record: Record) -> list[Edge]:
    """Nearest first."""
    by_child: dict[str, list[Edge]] = {}
    for edge in record.graph.edges:
        by_child.setdefault(edge.child, []).append(edge)
    names = [record.address, *(way[-1].parent for way in record.graph.ancestors(record.address))]
    return list(dict.fromkeys(edge for name in names for edge in by_child.get(name, ())))


def _unknown(record: Record, what: Sequence[Line], disclosed: Sequence[Line]) -> Iterator[str]:
    """Everything of which nothing is known, in words."""
    kind = record.what.kind.value.value if record.what.kind else ""
    for line in what:
        if line.value is None and line.name not in _NOT_OF.get(kind, ()):
            yield line.label
    for line in disclosed:
        if line.value is None and line.name not in ("told.architecture", "told.size"):  # these are facts, above
            yield line.label
    if not record.graph.parents(record.address):
        yield "From what it was made"
    names = [record.address, *(way[-1].parent for way in record.graph.ancestors(record.address))]
    for name in names[1:]:
        node = record.graph.node(name)
        if not (node.licence or node.declared or node.terms):
            yield f"The licence of {node.name or name}"
    yield from record.problems


def checks_of(found: Sequence[tuple[str, bool | None, str]], signers: Mapping[str, str] = _NOBODY) -> list[Check]:
    """What the verification of a bundle found, as (what, holds, words): what holds of many entries is said once.

    It is this node that verified its own bundle, with the key of its ledger and those of the `signers` that it trusts,
    which are the names of keys by their ids: nobody else named a key.
    """
    many: dict[str, list[tuple[str, bool | None, str]]] = {}
    checks = []
    for what, holds, words in found:
        entry, _, part = what.partition(": ")
        if what == "trust" and holds:
            key = words.rpartition(" ")[2]
            checks.append(Check("The key", f"is the ledger's own, for which this node vouches: {key}", True))
        elif part and entry.startswith(("entry ", "key ")):
            many.setdefault(part, []).append((what, holds, words))
        else:
            checks.append(Check(what[:1].upper() + what[1:], words, holds))
    for part, ones in many.items():
        bad = [one for one in ones if not one[1]]
        number = f"{len(ones)} entries" if len(ones) > 1 else ones[0][0].partition(":")[0]
        if bad:
            checks += [Check(what[:1].upper() + what[1:], _unnamed(words), holds) for what, holds, words in bad]
        else:
            how = _signed_by([words for _, _, words in ones], signers) if part == "signature" else _HOLDS.get(part)
            checks.append(Check(f"{part[:1].upper()}{part[1:]} of {number}", how or "holds", True))
    return checks


def _signed_by(found: Sequence[str], signers: Mapping[str, str]) -> str:
    """Who signed how many, from the words of `verify`: `by the ledger's key ID`, or `by ID, which you named`."""
    counts: dict[str, int] = {}
    for words in found:
        key = words.removeprefix("by ").partition(",")[0]
        own = key.startswith("the ledger's key")
        who = "this node's ledger" if own else signers.get(key) or f"the key {key[:16]}, which this node trusts"
        counts[who] = counts.get(who, 0) + 1
    if len(found) == 1:
        return f"holds: {next(iter(counts))} signed it, and it has not been changed since"
    said = [f"{number} signed by {who}" for who, number in counts.items()]
    return f"holds: {', '.join(said)}; none has been changed since"


def _unnamed(words: str) -> str:
    return words.replace("nor named by you", "nor that of somebody whom this node trusts")


_HOLDS = {
    "inclusion": "is proven: in the ledger's tree, at its place",
    "statement": "is well formed: it fits the schema of its kind",
}


def compared(passports: Sequence[Passport]) -> list[tuple[str, list[Line]]]:
    """Facts side by side: a label, and the line of each; those that nobody knows of any are left out."""
    rows = [
        list(lines)
        for part in ("what", "disclosed")
        for lines in zip(*(getattr(one, part) for one in passports), strict=True)
    ]
    return [
        (LABELS.get(lines[0].name, lines[0].label), lines)  # the label of one line may be true of that thing alone
        for lines in rows
        if any(line.value is not None for line in lines)
    ]
