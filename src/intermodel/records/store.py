"""Records from the ledger, the models of this machine and their cards; and what is told of others, into the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import orjson

from intermodel.core import IntermodelError, Invalid, NotFound
from intermodel.core.errors import TooLarge
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.ledger import EnteredBy, Ledger, Who
from intermodel.ledger import statement as statements
from intermodel.ledger.bundle import verify_parsed
from intermodel.ledger.statement import Read
from intermodel.ledger.withdrawal import digest_of, things
from intermodel.records.card import Card
from intermodel.records.catalogue import Catalogue, Found, Query
from intermodel.records.compose import compose
from intermodel.records.evidence import Evidence
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.held import card_beside, read_card
from intermodel.records.law import obligations
from intermodel.records.listed import entry_of
from intermodel.records.listing import Listing
from intermodel.records.openness import grades
from intermodel.records.passport import Check, Passport, checks_of, passport
from intermodel.records.predicates import (
    CARD,
    DISCLOSURE,
    LINEAGE,
    WHAT,
    card_named,
    disclosure_document,
    graph_document,
    what_document,
    withheld,
)
from intermodel.records.record import Held, Record, checked_address, identity
from intermodel.records.said import Said
from intermodel.records.taking import Taken, take
from intermodel.records.things import Things
from intermodel.records.told import Told
from intermodel.records.trusted import NOBODY, Trusted
from intermodel.records.verdict import Purpose, verdict
from intermodel.records.withdrawing import Withdrawal, named, standing, withdraw
from intermodel.storage import Blobs

log = logging.getLogger(__name__)

MOST_SIGNED = 1000
"""Characters that are signed of a text that a card tells."""
MOST_TEMPLATE = 20_000
"""Characters of a chat template that is signed."""
MOST_PREDICATE = 47_000
"""Bytes of what one statement says, so that it fits into an entry of the ledger with its envelope."""
NOTHING_TOLD: Mapping[str, Mapping[str, Any]] = {}


class Records:
    """What is known of any address. `is_deployed` says whether this node reaches a service under it."""

    def __init__(
        self,
        ledger: Ledger,
        library: Library,
        blobs: Blobs,
        catalogue: Catalogue,
        is_deployed: Callable[[str], bool] = lambda _address: False,
        clock: Callable[[], float] = time.time,
        trusted: Trusted = NOBODY,
    ) -> None:
        self.ledger = ledger
        self._trusted = trusted
        self._evidence = Evidence(ledger, trusted)
        self._things = Things(self._evidence, library, blobs)
        self._catalogue = catalogue
        self._clock = clock
        self._listing = Listing(ledger, catalogue, trusted, self.of, self._today)
        self._library = library
        self._blobs = blobs
        self._is_deployed = is_deployed

    @property
    def trusted(self) -> Trusted:
        """Whose word counts beside this node's own, by the keys that they have now."""
        return self._trusted

    def trust(self, trusted: Trusted) -> None:
        """Whose word counts from now on, where more was learned of their keys."""
        if trusted != self._trusted:
            self._trusted = trusted
            self._evidence.trust(trusted)
            self._listing.trust(trusted)

    async def of(self, address: str) -> Record:
        """The record of the thing at an address. Raises `NotFound` where nothing is known of it."""
        models = await self._things.models()
        thing = await self._things.of(address, models)
        service = self._is_deployed(address)
        if not (thing.known or service):
            raise NotFound(
                f"Nothing is known of '{address[:200]}' here.",
                hint="`intermodel records put FILE.yaml` records what is told of a thing.",
                code="record_not_found",
            )
        ancestors, around, problems = await self._things.ancestors(address, thing.lineage(), models)
        derived = WhatItIs(kind=Fact(Kind.SERVICE, "derived:deployments")) if service else WhatItIs()
        problems = (*thing.problems, *problems)
        return await asyncio.to_thread(
            compose, address, thing.held, thing.card, thing.said, ancestors, problems, derived, around
        )

    async def put(self, address: str, told: Told, who: Who | None = None) -> Record:
        """Record what is told of a thing, as statements signed by this node, and return its record; `who` told it here.

        What was told before of the same kind by the same source is superseded, and stays in the ledger. What is told
        again without a change is not recorded again. Mail addresses and telephone numbers in its words are left out, as
        a ledger forgets nothing. Raises `Invalid` or `TooLarge` before anything is written.
        """
        subject = Subject(checked_address(address), identity(address))
        card = told.card
        if card:
            Card.parse(card)
        predicates = told.predicates(address)
        for predicate_type, predicate in predicates.items():
            if len(orjson.dumps(predicate)) > MOST_PREDICATE:
                raise TooLarge(
                    f"What is told of {predicate_type.split(':')[-2]} is longer than the {MOST_PREDICATE:,} bytes that "
                    "one statement holds. Nothing was recorded.",
                    hint="Shorten the texts, or leave out a chat template; a card may be long.",
                )
        await asyncio.to_thread(self._tried, address, None, card, predicates)
        if card:
            await asyncio.to_thread(self._blobs.add, io.BytesIO(card.encode()))
        new = await self._record_new(subject, predicates)
        await self._entered(new, who)
        return replace(await self._listing.now(address), new=new)

    async def take(self, data: bytes, who: Who | None = None) -> Taken:
        """Add what trusted signers say, from a bundle or an envelope (`taking.take`); `who` brought it."""
        try:
            taken = await take(self.ledger, self._trusted, data)
        finally:
            self._listing.follow()
        await self._entered([entry.index for entry in taken.entries], who)
        names = {subject.name for entry in taken.entries if entry.statement for subject in things(entry.statement)}
        for name in sorted(names):
            with contextlib.suppress(NotFound, Invalid):
                await self._listing.now(name)
        return taken

    async def withdraw(self, what: str | int, reason: str, who: Who | None = None) -> Withdrawal:
        """Take back a statement by the number of its entry, or all that this node said of the thing at an address.

        Another signer's is set aside here. What was taken back before is not taken back again. Raises `NotFound`,
        `Invalid` without a reason, `Conflict` for what is never withdrawn, such as a withdrawal.
        """
        chosen = [what] if isinstance(what, int) else standing((await self.of(what)).statements, what)
        names = await named(self.ledger, chosen)
        before = await self._counting(names)
        try:
            made = await withdraw(self.ledger, chosen, reason)
        finally:
            self._listing.follow()
        await self._entered(made.new, who)
        for name in names:
            with contextlib.suppress(NotFound, Invalid):
                await self._listing.now(name)
        return replace(made, again=tuple(sorted(await self._counting(names) - before)))

    async def entered(self, record: Record) -> dict[int, EnteredBy]:
        """Who had the statements of a record made, by their places, as far as that is known: for admins alone."""
        return await self.ledger.entered.of({one.index for one in (*record.statements, *record.around)})

    async def sign(self, address: str, who: Who | None = None, *, again: bool = True) -> Record:
        """Sign what this node reads of a model that it holds: its file's facts, its card, and what the card says.

        Long texts are cut, and mail addresses and telephone numbers left out: the card itself is signed whole, by its
        digest. A part that the ledger does not take is left out, with a line in the log; the others are signed. What
        was withdrawn and is read once more is signed only where it is signed `again` on somebody's demand. Raises
        `NotFound` where it holds none at that address.
        """
        model = await self._library.find(address)
        held, beside = await self._things.held(model), await asyncio.to_thread(card_beside, model.path)
        facts = what_document(held.what)
        if len(facts.get("chat_template", "")) > MOST_TEMPLATE:
            del facts["chat_template"]
        predicates: dict[str, dict[str, Any]] = {WHAT: {"told_by": f"the file {held.file}", "facts": facts}}
        read = await asyncio.to_thread(self._tried, address, held, beside)
        if beside is not None:
            predicates[CARD] = card_named(beside)
            await asyncio.to_thread(self._blobs.add, io.BytesIO(beside.encode()))
        if disclosed := disclosure_document(read.disclosure):
            predicates[DISCLOSURE] = {"told_by": "its files and its card", **_shortened(disclosed)}
        predicates[LINEAGE] = {"told_by": "its files and its card", **graph_document(read.graph)}
        new: tuple[int, ...] = ()
        for predicate_type, predicate in predicates.items():
            try:
                told = {predicate_type: withheld(predicate)}
                new += await self._record_new(Subject(address, held.digest), told, again=again)
            except (Invalid, TooLarge) as error:
                log.warning("%s of %s is not signed: %s", predicate_type, address, error)
        await self._entered(new, who)
        return replace(await self._listing.now(address), new=new)

    async def grades(self, address: str) -> list[dict[str, Any]]:
        """How open the thing is by each framework, as JSON. Raises `NotFound`."""
        record = await self.of(address)
        return await asyncio.to_thread(lambda: [grade.document() for grade in grades(record.disclosure)])

    async def verdict(self, address: str, purpose: Purpose, place: str = "", on: date | None = None) -> dict[str, Any]:
        """What the licences of the thing and its ancestors permit, as JSON. Raises `NotFound`, or `Invalid` for a place
        that is none."""
        record, day = await self.of(address), on or self._today()
        return await asyncio.to_thread(lambda: verdict(record.graph, address, purpose, place, day).document())

    async def passport(self, address: str, place: str = "") -> Passport:
        """All of it on one page, with every proof checked. Raises as `verdict` does."""
        record, today = await self.of(address), self._today()
        checks = await self._checks(record)

        def made() -> Passport:
            graded = grades(record.disclosure)
            plain = next((grade.outcome for grade in graded if grade.framework == "plain"), "")
            is_open = {"open source": True, "closed": False}.get(plain)
            return passport(
                record,
                [grade.document() for grade in graded],
                [verdict(record.graph, address, purpose, place, today).document() for purpose in Purpose],
                obligations(record.what, None, is_open, place, today).document(),
                checks,
            )

        return await asyncio.to_thread(made)

    async def search(self, query: Query) -> Found:
        """What the catalogue finds."""
        return await self._catalogue.search(query)

    async def sign_all(self) -> None:
        """Sign what is read of the models of this machine, as far as that is new, and put them into the catalogue; in
        the background, what the catalogue lacks of what the ledger says."""
        self._listing.follow()
        for model in await self._library.all():
            try:
                await self.sign(model.address, again=False)
            except NotFound:
                continue  # it was removed meanwhile
            except IntermodelError as error:
                log.warning("nothing was signed about %s: %s", model.address, error)
            except Exception:  # one model's card is to keep no other from being signed
                log.exception("nothing was signed about %s", model.address)

    def _tried(
        self, address: str, held: Held | None, card: str | None, told: Mapping[str, Mapping[str, Any]] = NOTHING_TOLD
    ) -> Record:
        """The record that this alone makes, with all that follows from it; blocks. What cannot be reckoned with is
        refused here, before it is in a ledger for good: raises `Invalid`."""
        said = [Said(0, "", 0.0, kind, predicate, about=(address,)) for kind, predicate in told.items()]
        try:
            record = compose(address, held, read_card(card, "card:README.md", address) if card else None, said)
            entry_of(record, self._today())
            for grade in grades(record.disclosure):
                grade.document()
        except IntermodelError:
            raise
        except Exception as error:
            log.exception("what is told of %s cannot be reckoned with", address)
            raise Invalid(
                f"What is told of '{address}' cannot be graded or weighed ({type(error).__name__}).",
                hint="The node's log has the reason. Look at the licences first; nothing was recorded.",
            ) from error
        return record

    async def close(self) -> None:
        """Leave what is only going on in the background; the next start goes on with it."""
        await self._listing.close()

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    async def _checks(self, record: Record) -> list[Check]:
        """What was verified just now of what the record rests on."""
        found = []
        if record.held:
            how = "was computed from its bytes when it was added here; it is computed again before the model is loaded."
            found.append(Check("The digest of its file", how, True))
        if record.statements or record.around:
            bundle = await self.ledger.proven(_entries(record))
            keys = [self.ledger.verifier, *self._trusted.verifiers]
            known = {one.digest: Read(one.statement, one.at) for one in (*record.statements, *record.around)}

            def read(payload: bytes) -> Read:
                """Of bytes that were read from the ledger for this record the schema was looked at then."""
                return known.get(digest_of(payload)) or statements.read(payload)

            def verified() -> list[Check]:
                report = verify_parsed(bundle, keys, read=read)
                found = [(one.what, one.holds, one.found) for one in report.checks]
                return checks_of(found, {one.key.id: one.name for one in self._trusted.verifiers})

            found += await asyncio.to_thread(verified)
        return found

    async def bundle(self, record: Record) -> bytes:
        """All statements about a thing, and about those it came from, as one file that can be verified offline; what
        takes one of them back is there, too."""
        return await self.ledger.bundle(_entries(record))

    async def _entered(self, entries: Sequence[int], who: Who | None) -> None:
        if who is not None:
            await self.ledger.entered.keep(entries, who)

    async def _counting(self, names: Sequence[str]) -> set[int]:
        """The statements about these things that count now."""
        found: set[int] = set()
        for name in names:
            with contextlib.suppress(NotFound):
                found |= {one.index for one in await self._things.said(name) if one.counts}
        return found

    async def _record_new(
        self, subject: Subject, predicates: Mapping[str, Mapping[str, Any]], *, again: bool = True
    ) -> tuple[int, ...]:
        """Those that say something that the newest of their kind and source does not say, by their places in the
        ledger. All of them or none."""
        told = [Statement((subject,), predicate_type, predicate) for predicate_type, predicate in predicates.items()]
        new = await self._evidence.new(subject.name, subject.digest, told, again=again)
        if not new:
            return ()
        try:
            return tuple(entry.index for entry in await self.ledger.record_all(new))
        finally:
            self._listing.follow()


def _entries(record: Record) -> list[int]:
    """The entries on which a record rests, with those that take one of them back."""
    said = (*record.statements, *record.around)
    return sorted({one.index for one in said} | {by.entry for one in said for by in one.withdrawals})


def _shortened(disclosed: dict[str, Any]) -> dict[str, Any]:
    """A disclosure whose long texts are cut; who wants the whole reads the card."""
    told = {
        key: {**one, "text": f"{one['text'][: MOST_SIGNED - 2]} …"} if len(one.get("text", "")) > MOST_SIGNED else one
        for key, one in disclosed.get("told", {}).items()
    }
    return {**disclosed, "told": told} if told else disclosed
