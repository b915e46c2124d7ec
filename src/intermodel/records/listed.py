"""What the catalogue is told of a thing: a few facts of its record, and what follows from them today. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from intermodel.records.catalogue import Entry
from intermodel.records.catalogue.entry import MOST_ADDRESS, MOST_ANCESTORS, MOST_TEXT, MOST_VALUE, MOST_VALUES
from intermodel.records.openness import grades
from intermodel.records.record import Record
from intermodel.records.verdict import Outcome, Purpose, verdict

MOST_SUMMARISED = 20_000
"""Characters of a card's text in which its summary is looked for."""


def entry_of(record: Record, today: date) -> Entry:
    """What the catalogue is told of a thing."""
    what, node = record.what, record.graph.node(record.address)
    plain = next(grade for grade in grades(record.disclosure) if grade.framework == "plain")
    commercial = verdict(record.graph, record.address, Purpose.COMMERCIAL, "", today).strict.outcome
    tags = (node.maker, what.architecture.value if what.architecture else "")
    return Entry(
        record.address,
        name=_clean(node.name),
        kind=what.kind.value.value if what.kind else "",
        licence={Outcome.ALLOW: "allow", Outcome.DUTIES: "duties", Outcome.REFUSE: "refuse"}.get(commercial, ""),
        grade="" if plain.outcome == "unknown" else _clean(plain.outcome),
        parameters=what.parameters.value if what.parameters else None,
        languages=_values(what.languages.value if what.languages else ()),
        tags=_values(tags),
        summary=_summary(record),
        ancestors=_ancestors(record),
    )


def _ancestors(record: Record) -> tuple[str, ...]:
    """Of what it was made, the nearest first: what is said of them later changes what follows for this one."""
    names = (way[-1].parent for way in record.graph.ancestors(record.address))
    return tuple(name for name in names if 0 < len(name) <= MOST_ADDRESS and "\0" not in name)[:MOST_ANCESTORS]


def _values(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, map(_clean, texts))))[:MOST_VALUES]


def _clean(text: str) -> str:
    """As the catalogue takes it."""
    return text.replace("\0", "")[:MOST_VALUE]


def _summary(record: Record) -> str:
    """The beginning of its card, without the head and the signs of Markdown; what is noted of it where it has none."""
    if record.card is None or record.card.problem:
        return record.graph.node(record.address).note[:MOST_TEXT].replace("\0", "")
    text = record.card.text
    head = re.compile(r"^---[ \t\r]*$", re.MULTILINE).search(text, 3) if text.startswith("---") else None
    begin = head.end() if head else 0
    body = text[begin : begin + MOST_SUMMARISED].replace("\0", "")
    words = re.sub(r"[#*`|>\[\]_]|\(https?:[^()\s]{0,300}\)|<[^<>]{0,300}>", " ", body)
    return " ".join(words.split())[:MOST_TEXT]
