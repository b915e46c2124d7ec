"""A record: all that is known of one thing, each fact with who says so. Values alone; `compose` puts them together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from intermodel.core import Invalid
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import Fact, WhatItIs
from intermodel.records.lineage import Graph
from intermodel.records.predicates import FACTS, disclosure_document, graph_document
from intermodel.records.said import Said

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?")
RESERVED = ("verdict", "passport", "grades", "bundle", "bom", "sign", "compare", "withdraw", "entered")
"""What no address may end with: these are the parts of a record."""

NOTHING, CLOSED, ALONE = WhatItIs(), Disclosure(""), Graph()
"""Of a thing of which nothing is known."""


def identity(address: str) -> str:
    """The digest of a thing that has no file here: of the canonical JSON `{"address":"..."}`.

    It names the thing and promises nothing of its content: a service may change behind it.
    """
    return f"sha256:{hashlib.sha256(orjson.dumps({'address': address})).hexdigest()}"


def checked_address(address: str) -> str:
    """The address, if a record may stand under it. Raises `Invalid`."""
    if not NAME.fullmatch(address) or len(address) > 200 or address.rpartition("/")[2] in RESERVED:
        raise Invalid(
            f"'{address[:200]}' is no address for a record.",
            hint=f"Use NAME or owner/NAME: letters, digits, dot, dash, underscore; not {', '.join(RESERVED)}.",
            code="invalid_address",
        )
    return address


@dataclass(frozen=True, slots=True)
class CardText:
    """A card as it came: `text` to the letter, its digest, where it was found, and what was read from it."""

    text: str
    digest: str
    source: str
    licence: str = ""
    what: WhatItIs = NOTHING
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """What this node has of a thing: its file's digest, and what the file says."""

    digest: str
    file: str
    size: int
    what: WhatItIs
    licence: Fact[str] | None = None
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    notes: tuple[str, ...] = ()
    """Where its files disagree, and what of them could not be read."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of one thing. `others` are the facts that lost to a nearer source, by the name of the field."""

    address: str
    digest: str
    held: Held | None = None
    what: WhatItIs = NOTHING
    licence: Fact[str] | None = None
    """What it claims of itself, or is claimed of it."""
    others: Mapping[str, tuple[Fact[Any], ...]] = field(default_factory=dict)
    card: CardText | None = None
    disclosure: Disclosure = CLOSED
    graph: Graph = ALONE
    statements: tuple[Said, ...] = ()
    around: tuple[Said, ...] = ()
    """Statements about the things from which it came, on which its lineage rests."""
    problems: tuple[str, ...] = ()
    """What could not be read, in words."""
    new: tuple[int, ...] = ()
    """The entries that were made just now, where it is the answer to a telling or a signing."""

    @property
    def known(self) -> bool:
        """Whether anything is known of it at all."""
        return bool(self.held or self.card or self.statements or self.graph.edges)

    @property
    def withdrawn(self) -> bool:
        """Whether all that was ever said of it was taken back, and nothing else is known of it here."""
        told = [one for one in self.statements if one.predicate_type != WITHDRAWAL]
        known = self.held or self.card or self.what.kind or not told
        return not known and all(one.withdrawn or one.aside for one in told)

    def said(self, index: int) -> Said | None:
        """The statement at that place of the ledger, if this record rests on it."""
        return next((one for one in (*self.statements, *self.around) if one.index == index), None)

    def document(self) -> dict[str, Any]:
        """As JSON: what passports, bills of material and pages are made from."""
        return {
            "address": self.address,
            "digest": self.digest,
            "digest_of": "file" if self.held else "address",
            "file": {"name": self.held.file, "size": self.held.size} if self.held else None,
            "what": {name: self._fact(name, getattr(self.what, name)) for name in FACTS},
            "licence": self._fact("licence", self.licence),
            "card": {"digest": self.card.digest, "source": self.card.source, "problem": self.card.problem}
            if self.card
            else None,
            "disclosure": {"name": self.address, **disclosure_document(self.disclosure)},
            "disputes": {
                name: [{"value": _plain(one.value), "source": one.source} for one in found]
                for name, found in self.others.items()
            },
            "lineage": graph_document(self.graph),
            "statements": [said.document() for said in self.statements],
            "around": [said.document() for said in self.around],
            "problems": list(self.problems),
        }

    def _fact(self, name: str, fact: Fact[Any] | None) -> dict[str, Any] | None:
        if fact is None:
            return None
        others = [{"value": _plain(one.value), "source": one.source} for one in self.others.get(name, ())]
        return {"value": _plain(fact.value), "source": fact.source, "others": others}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
