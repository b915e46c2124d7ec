"""Passports: what is known of a thing, on one page; two or three side by side; and finding one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import Invalid, NotFound
from intermodel.governance import Caller
from intermodel.ledger import EnteredBy
from intermodel.records.catalogue import Query
from intermodel.records.passport import Line, Passport, compared
from intermodel.records.picture import WORDS, picture
from intermodel.records.record import Record
from intermodel.records.store import Records as Store
from intermodel.records.verdict.words import PURPOSES, of_allowed, once, owed, rests_on, sentence
from intermodel.web.pages.card import Rendered, rendered
from intermodel.web.pages.render import number, page, short

MOST_COMPARED = 3

FRAMEWORKS = {
    "plain": ("In plain words", "Closed, open access or open source."),
    "mof": ("Model Openness Framework", "Classes III to I, by which parts are there under open licences."),
    "osaid": ("Open Source AI Definition 1.0", "Passed or not: may anybody use, study, change and share all of it?"),
    "osai": ("European open-source AI index", "Twelve dimensions, each open, partial or closed."),
    "oucg": ("Opening up ChatGPT", "Fourteen dimensions, frozen in 2025."),
    "fmti": ("Transparency, after the FMTI", "How many of its hundred indicators are met; not an official score."),
}
"""Titles of the frameworks, and what they count, as sentences."""

FACETS = {
    "kind": "Kind",
    "task": "Task",
    "licence": "Commercial use",
    "grade": "Openness",
    "size": "Size",
    "language": "Language",
    "tier": "Tier",
    "owner": "Owner",
}
PLACES = {
    "": "anywhere",
    "EU": "the European Union",
    "CN": "China",
    "DE": "Germany",
    "GB": "the United Kingdom",
    "KR": "Korea",
    "US": "the United States",
}


class Records:
    def __init__(self, records: Store) -> None:
        self._records = records

    async def search(self, request: Request, caller: Caller) -> Response:
        """What the catalogue finds, with the facets by which it can be narrowed."""
        pairs = [(name, value) for name, value in request.query_params.multi_items() if value]
        query = Query.of(pairs, None if caller.admin else ())
        found = await self._records.search(query)
        return page(
            request.scope,
            "records.html",
            caller,
            query=query,
            found=found,
            facets=FACETS,
            address=_address(pairs),
        )

    async def show(self, request: Request, caller: Caller) -> Response:
        """One passport."""
        place = request.query_params.get("place", "")
        one = await self._records.passport(request.path_params["address"], place)
        card = await _card(one.record)
        entered = await self._records.entered(one.record) if caller.admin else {}
        return await asyncio.to_thread(_passport, request, caller, one, card, place, entered)  # many ancestors, maybe

    async def compare(self, request: Request, caller: Caller) -> Response:
        """Two or three passports side by side."""
        wanted = list(dict.fromkeys(filter(None, (request.query_params.get(key, "").strip() for key in "abc"))))
        if len(wanted) < 2:
            return page(request.scope, "compare.html", caller, wanted=wanted, passports=[], problems=[])
        passports: list[Passport] = []
        problems: list[str] = []
        for name in wanted[:MOST_COMPARED]:
            try:
                passports.append(await self._records.passport(name, ""))
            except (NotFound, Invalid) as error:
                problems.append(str(error))
        return await asyncio.to_thread(
            page,
            request.scope,
            "compare.html",
            caller,
            status=404 if problems else 200,
            wanted=wanted,
            passports=passports,
            problems=problems,
            rows=compared(passports) if passports else [],
            ruled=[
                (sentence(PURPOSES[first["purpose"]])[:-1], [one["strict"]["outcome"] for one in same])
                for first, *rest in zip(*(one.verdicts for one in passports), strict=True)
                for same in [[first, *rest]]
            ],
            graded=[
                (name, [next((g for g in one.grades if g["framework"] == name), None) for one in passports])
                for name in FRAMEWORKS
            ],
            frameworks=FRAMEWORKS,
            shown=shown,
        )


def _passport(
    request: Request, caller: Caller, one: Passport, card: Rendered | None, place: str,
    entered: Mapping[int, EnteredBy],
) -> Response:  # fmt: skip
    wide, narrow = picture(one.record.graph, one.record.address)
    return page(
        request.scope,
        "record.html",
        caller,
        one=one,
        record=one.record,
        summary=summary(one),
        plain=next((grade for grade in one.grades if grade["framework"] == "plain"), None),
        commercial=next((verdict for verdict in one.verdicts if verdict["purpose"] == "commercial"), None),
        told=[line for line in one.disclosed if line.value],
        kept_back=[line for line in one.disclosed if line.value is False],
        rulings=[ruling(verdict) for verdict in one.verdicts],
        duties=owed(of_allowed(one.verdicts)),
        conflicts=once(one.verdicts, "conflicts"),
        flags=once(one.verdicts, "flags"),
        laws=laws(one.obligations),
        card=card,
        notice=one.obligations.get("notice", ""),
        said=[*one.record.statements, *one.record.around],
        entered=entered,
        frameworks=FRAMEWORKS,
        wide=Markup(wide),  # noqa: S704 - every label of it is escaped by `picture`
        narrow=Markup(narrow),  # noqa: S704
        ways={how.value: words for how, words in WORDS.items()},
        place=place,
        places=PLACES | ({} if place in PLACES else {place: place}),
        shown=shown,
    )


def shown(line: Line) -> str:
    """A fact's value as people read it; "" where it is unknown."""
    return value_shown(line.name, line.value)


def value_shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    if value is False:
        return "not disclosed"
    if name == "parameters":
        return f"{short(value)} ({number(value)})" if value >= 1000 else number(value)
    if name in ("context_length", "vocabulary"):
        return f"{number(value)} tokens"
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def summary(one: Passport) -> str:
    """What it is, in a line: only what is known."""
    facts = one.record.what
    maker = one.record.graph.node(one.record.address).maker
    pieces = [
        (facts.kind.value.value if facts.kind else ""),
        f"by {maker}" if maker else "",
        f"{short(facts.parameters.value)} parameters" if facts.parameters else "",
        facts.architecture.value if facts.architecture else "",
        facts.precision.value if facts.precision else "",
        f"{number(facts.context_length.value)} tokens of context" if facts.context_length else "",
    ]
    return " · ".join(filter(None, pieces))


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Where a search leads when a facet's value is chosen or left."""

    pairs: tuple[tuple[str, str], ...]

    def with_(self, name: str, value: str) -> str:
        """Chosen, if it was not; left, if it was."""
        kept = [pair for pair in self.pairs if pair[0] not in ("after",) and pair != (name, value)]
        added = [] if (name, value) in self.pairs else [(name, value)]
        return self._path([*kept, *added])

    def after(self, cursor: str) -> str:
        return self._path([*(pair for pair in self.pairs if pair[0] != "after"), ("after", cursor)])

    def asking(self, text: str) -> str:
        """The same facets, other words."""
        return self._path([("q", text), *(pair for pair in self.pairs if pair[0] not in ("q", "after"))])

    def has(self, name: str, value: str) -> bool:
        return (name, value) in self.pairs

    def _path(self, pairs: Sequence[tuple[str, str]]) -> str:
        return f"/records?{urlencode(pairs)}" if pairs else "/records"


def _address(pairs: Sequence[tuple[str, str]]) -> Narrowed:
    return Narrowed(tuple(pairs))


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict as a line of the page."""

    words: str
    strict: str
    lenient: str
    certainty: str
    reasons: tuple[str, ...]


def ruling(verdict: Mapping[str, Any]) -> Ruling:
    """What one verdict says."""
    reasons = (*verdict["strict"]["reasons"], *verdict["lenient"]["reasons"], *verdict["reasons"])
    words = dict.fromkeys(one["words"] for one in reasons)
    return Ruling(
        sentence(PURPOSES[verdict["purpose"]])[:-1],
        verdict["strict"]["outcome"],
        verdict["lenient"]["outcome"],
        rests_on(verdict["strict"]["certainty"]),
        tuple(dict.fromkeys(map(sentence, (*words, *verdict["warnings"])))),
    )


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of law that apply, or may apply, for the same reason."""

    applies: str
    why: str
    each: tuple[Mapping[str, Any], ...]


def laws(obligations: Mapping[str, Any]) -> list[Rules]:
    """What the law asks of whoever offers it: what applies first, then what may, by what that depends on."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in sorted(obligations.get("items", ()), key=lambda one: one["applies"] is None):
        applies = "applies" if one["applies"] else "may apply"
        why = "" if one["applies"] else sentence(one["why"])
        found.setdefault((applies, why), []).append(one)
    return [Rules(applies, why, tuple(each)) for (applies, why), each in found.items()]


async def _card(record: Record) -> Rendered | None:
    """Its card as HTML, made beside the calls that stream meanwhile."""
    return await asyncio.to_thread(rendered, record.card.text) if record.card and record.card.text else None
