"""The ledger as pages: how it stands with itself and with others, its entries, one of them with its proof.

All of it is for admins, as in the API. An entry is shown to others too where a record rests on it that they may see:
that record's bundle has the entry, with its proof, for everybody with a token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from intermodel.core import Invalid, NotFound
from intermodel.core.statements import Subject
from intermodel.gateway import Gateway
from intermodel.governance import Caller
from intermodel.ledger import Entry, Verifier, merkle, predicates, verify
from intermodel.ledger.note import Checkpoint, Note
from intermodel.ledger.withdrawal import Withdrawn, named_by, things
from intermodel.records.passport import Check, checks_of
from intermodel.records.said import read_statement
from intermodel.records.store import Records
from intermodel.settings import Settings
from intermodel.storage import DataFolder
from intermodel.web.auth import Auth
from intermodel.web.pages.entries import INDEX, Asking, Entries, Wanted
from intermodel.web.pages.render import page
from intermodel.web.pages.standing import Met, others
from intermodel.web.pages.statements import NAMES, TITLES, keys_of, kind_words, signed_by, title_of
from intermodel.web.pages.words import clock

MOST_TYPES = 60
"""Types of predicates that are offered to choose from."""
MOST_SUBJECTS = 20
"""Subjects of an entry that are shown, and whose records are looked for; the statement itself names all."""
MOST_PLACES = 200
"""Newest entries about a thing among which the statement is looked for that a withdrawal names."""
RECEIPTS = 40
"""Receipts of an entry on one page."""


@dataclass(frozen=True, slots=True)
class About:
    """What an entry is about, and the address of the record that shows it; "" where there is none.

    `entry`: where the statement stands, if it is one that is taken back.
    """

    name: str
    digest: str
    record: str = ""
    entry: int | None = None


@dataclass(frozen=True, slots=True)
class Covered:
    """A receipt that an entry covers; without `receipt` it is kept no longer."""

    id: str
    receipt: Mapping[str, Any] | None


class LedgerPages:
    def __init__(self, settings: Settings, gateway: Gateway, records: Records, auth: Auth) -> None:
        self._options = settings.ledger
        self._data = DataFolder(settings.data).path
        self._ledger = records.ledger
        self._entries = Entries(records.ledger, lambda: records.trusted)
        self._records = records
        self._catalog = gateway.catalog
        self._receipts = gateway.accounts.receipts
        self._auth = auth

    async def show_all(self, request: Request, _caller: Caller) -> Response:
        """How the ledger stands, and its newest entries. What is damaged is told, and the rest is shown."""
        caller = await self._auth.admin(request.scope)
        wanted, now, asking, ledger = Wanted.of(request.query_params), time.time(), Asking(), self._ledger
        note = Note.parse(ledger.checkpoint())
        head = Checkpoint.parse(note.text)
        index = await ledger.indexed()
        changes = await asking.tried(ledger.of_type(predicates.KEY), [])
        standing = await asyncio.to_thread(others, self._data, self._options, ledger, asking.told)
        newest = await asking.tried(ledger.entry(head.size - 1), None)
        listed = await self._entries.list(wanted, asking)
        return page(
            request.scope,
            "ledger.html",
            caller,
            status=503 if asking.problems else 200,
            problems=list(asking.problems.values()),
            ledger=ledger,
            head=head,
            note=bytes(note).decode(),
            signed=sorted(one.key.id for one in note.signed_by(self._own(head))),
            newest=newest,
            keys=keys_of(ledger, changes),
            others=standing,
            met=[(one.found, await self._stated(one)) for one in standing.met],
            publish=self._options.publish,
            listed=listed,
            wanted=wanted,
            types={one: kind_words(one) for one in _with(await index.types(MOST_TYPES), wanted.type)},
            signers=self._signers(wanted.signer),
            plot_of=await self._entries.by_day(now),
            looked_at=self._entries.looked_at,
            clock=lambda at: clock(at, now),
        )

    async def show(self, request: Request, caller: Caller) -> Response:
        """One entry, with its proof. To those who may not see it, it is refused as if it were not there."""
        given, ledger, size = request.path_params["index"], self._ledger, self._ledger.log.size
        if not INDEX.fullmatch(given) or int(given) >= size:
            await self._auth.admin(request.scope)
            raise NotFound(
                f"The ledger has no entry {given[:40]}.",
                hint=f"It has {size:,}, counted from 0.",
                code="entry_not_found",
            )
        entry = await ledger.entry(int(given))
        if not caller.admin and not await self._is_shown(entry):
            await self._auth.admin(request.scope)
        about = await self._about(entry)
        note = Note.parse(ledger.checkpoint())
        head = Checkpoint.parse(note.text)
        proof = ledger.log.inclusion(entry.index, head.size)
        receipts, first, count = await self._covered(entry, request) if caller.admin else ([], 0, 0)
        entered = await ledger.entered.of([entry.index]) if caller.admin else {}
        checks, withdrawals = await self._verified(entry)
        said = entry.statement
        return page(
            request.scope,
            "entry.html",
            caller,
            entry=entry,
            title=title_of(entry),
            kind=kind_words(said.predicate_type) if said else "",
            name=NAMES.get(said.predicate_type, "") if said else "",
            says=read_statement(entry.index, entry.signer, entry.at, said).says if said else "",
            document=said.document() if said else None,
            raw=entry.envelope.decode(errors="replace"),
            about=about,
            more=max(0, len(said.subjects) - len(about)) if said else 0,
            signed=signed_by(entry, ledger.keys, self._records.trusted),
            head=head,
            leaf=merkle.leaf_hash(entry.envelope),
            proof=proof,
            holds=merkle.includes(entry.index, head.size, merkle.leaf_hash(entry.envelope), proof, head.root),
            checks=checks,
            withdrawals=withdrawals,
            entered=entered.get(entry.index),
            receipts=receipts,
            first=first,
            count=count,
            step=RECEIPTS,
            verifier=ledger.verifier,
            clock=lambda at: clock(at, time.time()),
        )

    async def predicate(self, request: Request, caller: Caller) -> Response:
        """What one kind of statement says, from its schema, which is all there is about that."""
        name = request.path_params["name"]
        if name not in predicates.NAMES:
            raise NotFound(
                f"There is no predicate '{name[:100]}' of this project.",
                hint=f"There are {', '.join(predicates.NAMES)}. Whoever defines others says what they mean.",
            )
        schema = predicates.schema(name)
        return page(request.scope, "predicate.html", caller, name=name, uri=predicates.uri(name), title=TITLES[name],
                    schema=schema, required=schema.get("required", []))  # fmt: skip

    def _own(self, head: Checkpoint) -> list[Verifier]:
        """Who may sign a checkpoint of that size."""
        return [Verifier(head.origin, key) for key in self._ledger.keys.heads(head.size)]

    async def _stated(self, met: Met) -> int | None:
        """Which entry of this ledger says that there is that fork."""
        return next(iter((await self._ledger.places([met.digest])).get(met.digest, ())), None)

    async def _about(self, entry: Entry) -> list[About]:
        """What it is about, as far as that is shown, each with its record."""
        if entry.statement is None:
            return []
        held, found = await self._held(), list[About]()
        taken_back = named_by(entry.statement)
        for one in entry.statement.subjects[:MOST_SUBJECTS]:
            if one.digest == taken_back:
                found.append(
                    About(
                        "the statement that it takes back",
                        one.digest,
                        entry=await self._place(taken_back, things(entry.statement)),
                    )
                )
                continue
            found.append(About(one.name, one.digest, await self._showing(one, held, entry.index)))
        return found

    async def _is_shown(self, entry: Entry) -> bool:
        """Whether a record shows the entry: who may see the one may see the other."""
        held = await self._held()
        subjects = things(entry.statement) if entry.statement else ()
        for one in subjects[:MOST_SUBJECTS]:
            if await self._showing(one, held, entry.index):
                return True
        return False

    async def _held(self) -> dict[str, str]:
        """The models of this machine: their addresses, by the digest of their file."""
        return {str(model.digest): address for address, model in (await self._catalog.models()).items()}

    async def _showing(self, subject: Subject, held: Mapping[str, str], index: int) -> str:
        """The address of a record of the subject that shows that entry; "" where none does."""
        for name in dict.fromkeys(filter(None, (subject.name, held.get(subject.digest, "")))):
            if await self._shows(name, index):
                return name
        return ""

    async def _place(self, statement: str, about: Sequence[Subject]) -> int | None:
        """Where the statement of that digest stands, which is about these; None where it is not in this ledger, or not
        among the newest about them."""
        digest = about[0].digest if about else ""
        for index in reversed((await self._ledger.places([digest])).get(digest, [])[-MOST_PLACES:]):
            if (await self._ledger.entry(index)).digest == statement:
                return index
        return None

    async def _shows(self, address: str, index: int) -> bool:
        """Whether there is a record at that address, and it shows that entry."""
        try:
            return (await self._records.of(address)).said(index) is not None
        except (NotFound, Invalid):
            return False

    async def _verified(self, entry: Entry) -> tuple[list[Check], Sequence[Withdrawn]]:
        """What `intermodel verify` finds of the entry at this moment, and what takes it back."""
        index, verifiers = entry.index, self._records.trusted.verifiers
        bundle = await self._ledger.bundle([index, *await self._ledger.withdrawals([index])])
        report = await asyncio.to_thread(verify, bundle, [self._ledger.verifier, *verifiers])
        names = {one.key.id: one.name for one in verifiers}
        checks = checks_of([(one.what, one.holds, one.found) for one in report.checks], names)
        if entry.statement is not None and not predicates.known(entry.statement.predicate_type):
            checks = [_opaque(one) for one in checks]
        return checks, next((one.withdrawn for one in report.entries if one.index == index), ())

    async def _covered(self, entry: Entry, request: Request) -> tuple[list[Covered], int, int]:
        """The receipts of its group on this page, the first of them, and how many there are in all."""
        if entry.statement is None or entry.statement.predicate_type != predicates.RECEIPTS:
            return [], 0, 0
        group = await (await self._ledger.indexed()).group(entry.index)
        if group is None:
            return [], 0, 0
        given = request.query_params.get("from", "")
        first = int(given) if INDEX.fullmatch(given) and int(given) < len(group.ids) else 0
        return [await self._receipt(one) for one in group.ids[first : first + RECEIPTS]], first, len(group.ids)

    async def _receipt(self, receipt_id: str) -> Covered:
        try:
            return Covered(receipt_id, await self._receipts.find(receipt_id))
        except NotFound:
            return Covered(receipt_id, None)

    def _signers(self, wanted: str) -> dict[str, str]:
        """By whose key entries may be asked for: this ledger's, the newest first, and those that are trusted."""
        own = {one.key.id: f"This node, {one.key.id[:8]}" for one in reversed(self._ledger.keys.periods)}
        named = {one.key.id: f"{one.name}, {one.key.id[:8]}" for one in self._records.trusted.verifiers}
        known = own | {key: name for key, name in named.items() if key not in own}
        return known if not wanted or wanted in known else known | {wanted: f"{wanted[:16]}…"}


def _opaque(check: Check) -> Check:
    """Nobody here can hold a predicate of another's against a schema."""
    if not (check.holds and check.what.startswith("Statement of ")):
        return check
    return replace(check, how="is an in-toto Statement; what its predicate means is not read here")


def _with(known: Sequence[str], wanted: str) -> list[str]:
    """Also what is asked for and not there."""
    return [*known, wanted] if wanted and wanted not in known else list(known)
