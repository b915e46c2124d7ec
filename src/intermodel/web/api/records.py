"""`/api/v1/records`: what is known of any thing, what follows from it, the proof of it, and telling more."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from intermodel.core import NotFound
from intermodel.records.bom import cyclonedx, spdx3
from intermodel.records.catalogue import CLOSED, FACETS, Query
from intermodel.records.cautions import card_cautions, cautions, graph_cautions
from intermodel.records.record import Record
from intermodel.records.store import Records as Store
from intermodel.records.told import Told
from intermodel.records.verdict import COUNTRIES, Purpose
from intermodel.records.withdrawing import Withdrawal
from intermodel.web.api.entered import who_asks
from intermodel.web.api.forms import Form
from intermodel.web.api.operation import Asked, Operation, Raw

TAKEN_BYTES = 16 * 1024 * 1024
"""Largest bundle that is taken over."""
TOLD_BYTES = 4 * 1024 * 1024
"""Largest document that tells of a thing: a card and a lineage of a few thousand things."""

INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
"""A number of an entry."""
_MOST_VALUES = 12


def _values(given: str) -> str:
    values = given.split("\n")
    if len(values) > _MOST_VALUES or not all(0 < len(value) <= 200 for value in values):
        raise ValueError(f"must be at most {_MOST_VALUES} values of 1 to 200 characters")
    return given


def _several(one: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"type": "array", "maxItems": _MOST_VALUES, "items": {"type": "string", **one}})


Facet = Annotated[str, AfterValidator(_values), _several({"minLength": 1, "maxLength": 200, "pattern": r"^[^\n]*$"})]
"""Values of a facet, a line each."""
Place = Annotated[str, Field(max_length=20), WithJsonSchema({"enum": ["", "EU", *sorted(COUNTRIES)]})]


class Search(Form):
    """Words, and values of facets; one that is given twice means either."""

    several = frozenset(FACETS)

    q: Annotated[str, Field(max_length=1000)] = ""
    """Words that its address, name, tags or summary hold."""
    kind: Annotated[str, AfterValidator(_values), _several({"enum": list(CLOSED["kind"])})] = ""
    task: Facet = ""
    licence: Annotated[str, AfterValidator(_values), _several({"enum": list(CLOSED["licence"])})] = ""
    """The verdict on commercial use: `allow` (on pages *yes*), `duties` (*yes, with duties*), `refuse` (*no*) or
    `unknown` (*not known*)."""
    grade: Annotated[str, AfterValidator(_values), _several({"enum": list(CLOSED["grade"])})] = ""
    """`open source`, `open access`, `closed`, `unknown`."""
    size: Annotated[str, AfterValidator(_values), _several({"enum": list(CLOSED["size"])})] = ""
    language: Facet = ""
    tier: Annotated[str, AfterValidator(_values), _several({"pattern": "^([0-9]{1,9}|unknown)$"})] = ""
    owner: Facet = ""
    limit: Annotated[int, Field(ge=1, le=200)] = 20
    typing: bool = False
    """Whether the last word is unfinished: any that begins with it will do."""
    after: Annotated[str, Field(pattern=r"^([0-9a-f]{16}-[0-9a-f]{1,16})?$")] = ""
    """The `next` of the page before."""


def _day(given: Any) -> Any:
    if isinstance(given, str):
        try:
            return date.fromisoformat(given)
        except ValueError:
            raise ValueError("must be a day such as 2026-11-20") from None
    return given


class Asking(Form):
    """What somebody wants to do, and where."""

    purpose: Annotated[Purpose, WithJsonSchema({"enum": [one.value for one in Purpose]})] = Purpose.COMMERCIAL
    place: Place = ""
    """Country or region, as ISO 3166 writes it (`DE`); empty: anywhere that is not excluded by name."""
    on: Annotated[date, BeforeValidator(_day)] | None = None
    """The day on which; licences change. Today where it is left out."""


class Standing(Form):
    """Where it is to be used."""

    place: Place = ""
    """Country or region, as ISO 3166 writes it (`DE`)."""


class BomQuery(Form):
    """In which form."""

    format: Literal["cyclonedx", "cyclonedx-1.7", "spdx", "spdx3"] = "cyclonedx"
    """CycloneDX 1.6 or 1.7; `spdx` and `spdx3` are both SPDX 3.0.1."""


class Open(BaseModel):
    """A document whose parts docs/record.md describes."""

    model_config = ConfigDict(extra="allow")


class Things(Open):
    """What the catalogue found, with counts by facet."""

    data: list[dict[str, Any]]
    total: int
    next: str


class RecordState(Open):
    """All that is known of one thing, each fact with who says so."""

    address: str
    digest: str
    digest_of: Literal["file", "address"]
    what: dict[str, Any]
    lineage: dict[str, Any]
    statements: list[dict[str, Any]]


class Recorded(RecordState):
    """The record as it is now."""

    new: list[int]
    """The entries of the ledger that were made; none where the same was said before."""
    cautions: list[str]
    """Likely slips in what was told, such as a licence that nobody here knows. It was recorded all the same."""


class PassportState(Open):
    """What is claimed of a thing, what was verified and how, what follows, and what is unknown."""

    address: str
    digest: str
    what: list[dict[str, Any]]
    grades: list[dict[str, Any]]
    verdicts: list[dict[str, Any]]
    verified: list[dict[str, Any]]
    unknown: list[str]


class VerdictState(Open):
    """What the licences along a lineage permit, strictly and leniently read, with reasons and duties."""


class Grades(Open):
    """How open a thing is by each framework; they measure different things and are never made into one number."""

    data: list[dict[str, Any]]


class Bill(Open):
    """A bill of material, CycloneDX 1.6 or 1.7, or SPDX 3.0.1."""


class Bundle(Open):
    """Signed statements with their proofs, for `intermodel verify`."""


class Signed(Open):
    """A bundle, or one DSSE envelope. It is taken as it is spelled."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [{"required": ["type"]}, {"required": ["payload"]}]})


class TakenEntry(Form):
    """A statement as it stands in this ledger now."""

    index: int
    signer: str
    """Id of the key that signed it."""


class Taken(Form):
    """What was not there yet."""

    entries: list[TakenEntry]
    left_out: list[str]
    """What was not taken that a trusted signer signed, and why."""


class Reason(Form):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=2000)]
    """What is wrong, in a sentence. It stands in the ledger for good; mail addresses and telephone numbers are left
    out."""


class WithdrawnState(Form):
    """What was taken back just now; nothing where all of it was before."""

    new: list[int]
    """The entries that were made, which say so."""
    withdrawn: list[int]
    """The entries that they take back."""
    aside: list[int]
    """Those of them that others signed: they are set aside by this node alone, and stay their signers' word."""
    again: list[int]
    """Statements that count again, for what was withdrawn had superseded them."""


class ToldForm(Form):
    """What somebody tells of a thing. The node signs that it was told so, by whom and where."""

    told_by: Annotated[str, Field(max_length=2000)] = ""
    """Who says so; empty where it is this node's own word."""
    url: Annotated[str, Field(max_length=2000)] = ""
    what: dict[str, Any] | None = None
    """Facts by name: kind, architecture, parameters, precision, formats, context_length, languages, modalities ..."""
    disclosure: dict[str, Any] | None = None
    """What was laid open: components, told, licences, indicators, access."""
    lineage: dict[str, Any] | None = None
    """`nodes` and `edges`."""
    card: Annotated[str, Field(max_length=1024 * 1024)] | None = None
    """A card as Hugging Face writes them: a YAML head and Markdown."""
    name: str | None = None
    maker: str | None = None
    date: str | None = None
    licence: str | None = None
    """What its text or maker says holds."""
    declared: str | None = None
    """What a tag claims."""
    terms: str | None = None
    """The terms of a service."""
    shipped: str | None = None
    note: str | None = None


class Records:
    """The operations on records. Everything public: who may see which thing is decided where it is called."""

    def __init__(self, records: Store) -> None:
        self._records = records

    def operations(self) -> list[Operation]:
        one = "/records/{name}"
        return [
            Operation("GET", "/records", self.search, Things, Search),
            Operation("POST", "/records", self.take, Taken, takes=Signed, who="admin", most=TAKEN_BYTES),
            Operation("GET", one, self.get, RecordState, misses=True),
            Operation("PUT", one, self.put, Recorded, takes=ToldForm, who="admin", most=TOLD_BYTES),
            Operation("POST", f"{one}/sign", self.sign, Recorded, who="admin", misses=True),
            Operation("POST", f"{one}/withdraw", self.withdraw, WithdrawnState, takes=Reason, who="admin", misses=True),
            Operation("GET", f"{one}/passport", self.passport, PassportState, Standing, misses=True),
            Operation("GET", f"{one}/verdict", self.verdict, VerdictState, Asking, misses=True),
            Operation("GET", f"{one}/grades", self.grades, Grades, misses=True),
            Operation("GET", f"{one}/bom", self.bom, Bill, BomQuery, misses=True),
            Operation("GET", f"{one}/bundle", self.bundle, Bundle, misses=True),
            Operation(
                "POST", "/ledger/{index}/withdraw", self.withdraw_entry, WithdrawnState, takes=Reason, who="admin",
                misses=True, clashes=True,
            ),
        ]  # fmt: skip

    async def search(self, asked: Asked) -> dict[str, Any]:
        """Find things by words and facets."""
        given = asked.query.model_dump() | {"typing": "true" if asked.query.typing else ""}
        pairs = [(name, line) for name, value in given.items() for line in str(value).split("\n") if line]
        return (await self._records.search(Query.of(pairs, None if asked.caller.admin else ()))).document()

    async def take(self, asked: Asked) -> Taken:
        """Take over what signers say whom this node trusts, out of a bundle of theirs or one signed envelope."""
        taken = await self._records.take(asked.raw, who_asks(asked))
        entries = [TakenEntry(index=entry.index, signer=entry.signer) for entry in taken.entries]
        return Taken(entries=entries, left_out=list(taken.left_out))

    async def get(self, asked: Asked) -> dict[str, Any]:
        """All that is known of a thing. Each fact has its source; what other sources say instead stands beside it."""
        return await asyncio.to_thread((await self._records.of(asked.name)).document)

    async def put(self, asked: Asked) -> dict[str, Any]:
        """Tell of a thing. What the same source told before of the same kind is superseded and stays in the ledger."""
        told = Told.of(asked.body.model_dump(exclude_none=True))
        record = await self._records.put(asked.name, told, who_asks(asked))
        return await asyncio.to_thread(lambda: _recorded(record, cautions(told)))

    async def sign(self, asked: Asked) -> dict[str, Any]:
        """Sign what this node reads of a model that it holds: its file's facts, and its card."""
        record = await self._records.sign(asked.name, who_asks(asked))
        return await asyncio.to_thread(
            lambda: _recorded(record, card_cautions(record.card.text) if record.card else graph_cautions(record.graph))
        )

    async def withdraw(self, asked: Asked) -> WithdrawnState:
        """Take back all that this node said of a thing under its name. It stays in the ledger, and counts no more."""
        return _withdrawn(await self._records.withdraw(asked.name, asked.body.reason, who_asks(asked)))

    async def withdraw_entry(self, asked: Asked) -> WithdrawnState:
        """Take back one statement. Another signer's is set aside, for this node alone."""
        if not INDEX.fullmatch(asked.name):
            raise NotFound(f"'{asked.name[:40]}' is no number of an entry.", code="entry_not_found")
        return _withdrawn(await self._records.withdraw(int(asked.name), asked.body.reason, who_asks(asked)))

    async def passport(self, asked: Asked) -> dict[str, Any]:
        """What a thing is, from what it was made, how open it is, what it may be used for, and what is unknown."""
        return await asyncio.to_thread((await self._records.passport(asked.name, asked.query.place)).document)

    async def verdict(self, asked: Asked) -> dict[str, Any]:
        """What the licences of a thing and of its ancestors permit. Informative, and no legal advice."""
        query: Asking = asked.query
        return await self._records.verdict(asked.name, query.purpose, query.place, query.on)

    async def grades(self, asked: Asked) -> dict[str, Any]:
        """How open a thing is, by each framework."""
        return {"data": await self._records.grades(asked.name)}

    async def bom(self, asked: Asked) -> dict[str, Any]:
        """A bill of material of a thing and what it was made from."""
        record, at = await self._records.of(asked.name), datetime.now(UTC)
        form = asked.query.format
        if form.startswith("spdx"):
            return await asyncio.to_thread(lambda: spdx3(record.document(), at))
        version: Literal["1.6", "1.7"] = "1.7" if form == "cyclonedx-1.7" else "1.6"
        return await asyncio.to_thread(lambda: cyclonedx(record.document(), at, version))

    async def bundle(self, asked: Asked) -> Raw:
        """All statements on which a record rests, with the proofs that anyone can check offline."""
        record = await self._records.of(asked.name)
        if not (record.statements or record.around):
            raise NotFound(
                f"Nothing about '{record.address}' is signed yet.",
                hint="`intermodel records sign ADDRESS` signs what this node reads of a model that it holds.",
                code="nothing_signed",
            )
        return Raw(await self._records.bundle(record), "application/json")


def _withdrawn(made: Withdrawal) -> WithdrawnState:
    return WithdrawnState(
        new=list(made.new), withdrawn=list(made.withdrawn), aside=list(made.aside), again=list(made.again)
    )


def _recorded(record: Record, said: Sequence[str]) -> dict[str, Any]:
    return record.document() | {"new": list(record.new), "cautions": list(said)}
