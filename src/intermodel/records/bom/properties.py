"""What has no place of its own in a bill of material, as named texts; the same names in CycloneDX and in SPDX 3.

CycloneDX calls them properties (`intermodel:fact.parameters`); SPDX 3 has a class for exactly those
(`extension_CdxPropertiesExtension`). A name may stand more than once; values with parts are JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from intermodel.records.bom.described import Described
from intermodel.records.bom.text import compact
from intermodel.records.lineage import Node
from intermodel.records.predicates import FACTS

PREFIX = "intermodel:"
UNKNOWN = "unknown"
NODE_TEXTS = ("name", "date", "shipped", "note")
LICENCES = ("licence", "declared", "terms")
"""Of a thing in a lineage; to the letter, where a format's own place has another spelling or room for one only."""
LISTS = ("formats", "languages", "modalities")
COUNTS = ("parameters", "context_length", "vocabulary")

Pairs = Iterator[tuple[str, str]]


def of_subject(described: Described) -> Pairs:
    """All of a record, but for what its lineage says of it."""
    for name in FACTS:
        fact = getattr(described.what, name)
        if fact is None or name == "kind":
            continue
        for value in fact.value if isinstance(fact.value, tuple) else (fact.value,):
            yield f"fact.{name}", str(value)
        yield f"source.{name}", fact.source
    if described.what.kind:
        yield "source.kind", described.what.kind.source
    if described.licence:
        yield "licence", described.licence.value
        yield "source.licence", described.licence.source
    yield from _of_disclosure(described)
    if described.card_digest:
        yield "card", described.card_digest
    for one in described.statements:
        yield "statement", compact({key: value for key, value in asdict(one).items() if value != ""})
    for name, others in sorted(described.disputes.items()):
        for fact in others:
            yield f"other.{name}", compact({"value": fact.value, "source": fact.source})


def of_node(node: Node, described: Described) -> Pairs:
    """What the lineage says of a thing, and each edge that leads to it."""
    kind = described.kind(node)
    yield "id", node.id
    yield "kind", kind.value if kind else UNKNOWN
    for name in NODE_TEXTS:
        if getattr(node, name):
            yield f"node.{name}", getattr(node, name)
    for name in LICENCES:
        if getattr(node, name) is not None:
            yield f"node.{name}", getattr(node, name)
    for tenure in node.history:
        yield "node.history", _dense(asdict(tenure))
    for purpose in node.announced:
        yield "node.announced", purpose
    if node.multimodal is not None:
        yield "node.multimodal", "true" if node.multimodal else "false"
    for edge in described.parents.get(node.id, ()):
        parts = {"parent": edge.parent, "how": edge.how.value, "shipped_as": edge.shipped_as, "source": edge.source}
        yield "made-from", compact({key: value for key, value in parts.items() if value or key == "parent"})


def _of_disclosure(described: Described) -> Pairs:
    disclosure = described.disclosure
    for name, component in sorted(disclosure.components.items()):
        yield f"component.{name}", _dense(asdict(component))
    for name, told in sorted(disclosure.told.items()):
        yield f"told.{name}", _dense(asdict(told))
    for name, licence in sorted(disclosure.licences.items()):
        yield f"licences.{name}", licence
    for name, holds in sorted(disclosure.indicators.items()):
        yield f"indicator.{name}", "true" if holds else "false"
    for name, source in sorted(disclosure.indicator_sources.items()):
        yield f"indicator-source.{name}", source
    for name, presence in sorted(disclosure.access.items()):
        yield f"access.{name}", presence.value


def _dense(parts: dict[str, Any]) -> str:
    return compact({key: value for key, value in parts.items() if value is not None and (value or key == "licence")})
