"""Records from the ledger, the models of this machine and their cards; and what is told of others, into the ledger."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson

from intermodel.core import Digest, IntermodelError, Invalid, NotFound
from intermodel.core.errors import TooLarge
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library, Model
from intermodel.ledger import Ledger, verify
from intermodel.records import lineage_file
from intermodel.records.card import Card, disclosure_of, lineage_of, what_of
from intermodel.records.catalogue import Catalogue, Entry, Found, Query
from intermodel.records.catalogue.entry import MOST_TEXT, MOST_VALUE, MOST_VALUES
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.files import lineage_of as lineage_in
from intermodel.records.files import look
from intermodel.records.files import told as told_by_files
from intermodel.records.law import obligations
from intermodel.records.lineage import Graph
from intermodel.records.openness import grades
from intermodel.records.openness.read import disclosure as disclosure_in
from intermodel.records.passport import Check, Passport, checks_of, passport
from intermodel.records.predicates import (
    CARD,
    DISCLOSURE,
    LINEAGE,
    WHAT,
    check,
    disclosure_document,
    graph_document,
    graph_of,
    what_document,
    withheld,
)
from intermodel.records.predicates import disclosure_of as disclosure_of_predicate
from intermodel.records.record import (
    CardText,
    Held,
    Record,
    Said,
    checked_address,
    compose,
    disclosure_joined,
    identity,
    joined_graphs,
    newest_count,
    read_statement,
)
from intermodel.records.told import Told
from intermodel.records.verdict import Outcome, Purpose, verdict
from intermodel.storage import Blobs

log = logging.getLogger(__name__)

CARD_BYTES = 1024 * 1024
"""Largest card that is read."""
MOST_ANCESTORS = 400
"""Things whose own statements are read for one record; a lineage that is larger says so."""
FILES_REMEMBERED = 256
SAID_REMEMBERED = 10_000
MOST_SUMMARISED = 20_000
"""Characters of a card's text in which its summary is looked for."""
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
    ) -> None:
        self.ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._library = library
        self._blobs = blobs
        self._is_deployed = is_deployed
        self._read_files: dict[str, Held] = {}
        self._read_said: dict[int, Said] = {}

    async def of(self, address: str) -> Record:
        """The record of the thing at an address. Raises `NotFound` where nothing is known of it."""
        models = {model.address: model for model in await self._library.all()}
        part = await self._part(address, models)
        service = self._is_deployed(address)
        if not (part.held or part.card or part.said or service):
            raise NotFound(
                f"Nothing is known of '{address[:200]}' here.",
                hint="`intermodel records put FILE.yaml` records what is told of a thing.",
                code="record_not_found",
            )
        ancestors, around, problems = await self._ancestors(address, part.lineage(), models)
        derived = WhatItIs(kind=Fact(Kind.SERVICE, "derived:deployments")) if service else WhatItIs()
        problems = (*part.problems, *problems)
        return compose(address, part.held, part.card, part.said, ancestors, problems, derived, around)

    async def put(self, address: str, told: Told) -> Record:
        """Record what is told of a thing, as statements signed by this node, and return its record.

        What was told before of the same kind by the same source is superseded, and stays in the ledger. What is told
        again without a change is not recorded again. Mail addresses and telephone numbers in its words are left out, as
        a ledger forgets nothing. Raises `Invalid` or `TooLarge` before anything is written.
        """
        subject = Subject(checked_address(address), identity(address))
        predicates = told.predicates(address)
        card = told.card
        if card:
            Card.parse(card)
            predicates[CARD] = told.who() | {"digest": _sha256(card.encode()), "size": len(card.encode())}
        predicates = {kind: withheld(predicate) for kind, predicate in predicates.items()}
        for predicate_type, predicate in predicates.items():
            check(predicate_type, predicate)
            if len(_canonical(predicate)) > MOST_PREDICATE:
                raise TooLarge(
                    f"What is told of {predicate_type.split(':')[-2]} is longer than the {MOST_PREDICATE:,} bytes that "
                    "one statement holds. Nothing was recorded.",
                    hint="Shorten the texts, or leave out a chat template; a card may be long.",
                )
        await asyncio.to_thread(self._tried, address, None, card, predicates)
        if card:
            await asyncio.to_thread(self._blobs.add, io.BytesIO(card.encode()))
        await self._record_new(subject, predicates)
        record = await self.of(address)
        await self._list(record)
        return record

    async def sign(self, address: str) -> Record:
        """Sign what this node reads of a model that it holds: its file's facts, its card, and what the card says.

        Long texts are cut, and mail addresses and telephone numbers left out: the card itself is signed whole, by its
        digest. A part that the ledger does not take is left out, with a line in the log; the others are signed. Raises
        `NotFound` where it holds none at that address.
        """
        model = await self._library.find(address)
        held, beside = await self._held(model), await asyncio.to_thread(_beside, model.path)
        facts = what_document(held.what)
        if len(facts.get("chat_template", "")) > MOST_TEMPLATE:
            del facts["chat_template"]
        predicates: dict[str, dict[str, Any]] = {WHAT: {"told_by": f"the file {held.file}", "facts": facts}}
        read = await asyncio.to_thread(self._tried, address, held, beside)
        if beside is not None:
            predicates[CARD] = {"digest": _sha256(beside.encode()), "size": len(beside.encode())}
            await asyncio.to_thread(self._blobs.add, io.BytesIO(beside.encode()))
        if disclosed := disclosure_document(read.disclosure):
            predicates[DISCLOSURE] = {"told_by": "its files and its card", **_shortened(disclosed)}
        predicates[LINEAGE] = {"told_by": "its files and its card", **graph_document(read.graph)}
        for predicate_type, predicate in predicates.items():
            said = withheld(predicate)
            try:
                check(predicate_type, said)
                await self._record_new(Subject(address, held.digest), {predicate_type: said})
            except (Invalid, TooLarge) as error:
                log.warning("%s of %s is not signed: %s", predicate_type, address, error)
        record = await self.of(address)
        await self._list(record)
        return record

    async def grades(self, address: str) -> list[dict[str, Any]]:
        """How open the thing is by each framework, as JSON. Raises `NotFound`."""
        return [grade.document() for grade in grades((await self.of(address)).disclosure)]

    async def verdict(self, address: str, purpose: Purpose, place: str = "", on: date | None = None) -> dict[str, Any]:
        """What the licences of the thing and its ancestors permit, as JSON. Raises `NotFound`, or `Invalid` for a place
        that is none."""
        return verdict((await self.of(address)).graph, address, purpose, place, on or self._today()).document()

    async def passport(self, address: str, place: str = "") -> Passport:
        """All of it on one page, with every proof checked. Raises as `verdict` does."""
        record, today = await self.of(address), self._today()
        graded = grades(record.disclosure)
        plain = next((grade.outcome for grade in graded if grade.framework == "plain"), "")
        is_open = {"open source": True, "closed": False}.get(plain)
        checks = await self._checks(record)

        def made() -> Passport:
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
        """Sign what is read of the models of this machine, as far as that is new, and put them into the catalogue."""
        for model in await self._library.all():
            try:
                await self.sign(model.address)
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
            record = compose(address, held, _card(card, "card:README.md", address) if card else None, said)
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

    async def _list(self, record: Record) -> None:
        """Into the catalogue. What was recorded stays so where that fails: the next start tries again."""
        try:
            await self._catalogue.put([await asyncio.to_thread(entry_of, record, self._today())])
        except IntermodelError as error:
            log.warning("%s is not in the catalogue: %s", record.address, error)
        except Exception:
            log.exception("%s is not in the catalogue", record.address)

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock(), UTC).date()

    async def _checks(self, record: Record) -> list[Check]:
        """What was verified just now of what the record rests on."""
        found = []
        if record.held:
            how = "was computed from its bytes when it was added here; it is computed again before the model is loaded."
            found.append(Check("The digest of its file", how, True))
        if record.statements or record.around:
            report = await asyncio.to_thread(verify, await self.bundle(record), [self.ledger.verifier])
            found += checks_of([(one.what, one.holds, one.found) for one in report.checks])
        return found

    async def bundle(self, record: Record) -> bytes:
        """All statements about a thing, and about those it came from, as one file that can be verified offline."""
        return await self.ledger.bundle(sorted({said.index for said in (*record.statements, *record.around)}))

    async def _record_new(self, subject: Subject, predicates: Mapping[str, Mapping[str, Any]]) -> None:
        """Those that say something that the newest of their kind and source does not say. All of them or none."""
        said = await self._said(subject.name, [subject.digest])
        before = [one for one in newest_count(said, subject.name) if one.counts and subject.name in one.about]
        new = [
            Statement((subject,), predicate_type, predicate)
            for predicate_type, predicate in predicates.items()
            if not any(
                one.predicate_type == predicate_type and _canonical(one.predicate) == _canonical(predicate)
                for one in before
            )
        ]
        if new:
            await self.ledger.record_all(new)

    async def _part(self, address: str, models: Mapping[str, Model]) -> _Part:
        """What is said of a thing itself."""
        held, beside = await self._files(models.get(address))
        said = await self._said(address, [identity(address), *([held.digest] if held else [])])
        if beside is not None:
            return _Part(address, held, _card(beside, "card:README.md", address), said)
        card, problems = await asyncio.to_thread(self._told_card, address, said)
        return _Part(address, held, card, said, problems)

    async def _files(self, model: Model | None) -> tuple[Held | None, str | None]:
        """What is read from a model's file, and the card beside it; None where there is none here."""
        if model is None:
            return None, None
        return await self._held(model), await asyncio.to_thread(_beside, model.path)

    async def _held(self, model: Model) -> Held:
        """What the file says. A file is known by its digest, so it is read once."""
        key = f"{model.address} {model.digest} {model.path.name}"
        found = self._read_files.get(key)
        if found is None:
            found = await asyncio.to_thread(_read, model)
            if len(self._read_files) >= FILES_REMEMBERED:
                self._read_files.clear()
            self._read_files[key] = found
        return found

    async def _said(self, address: str, digests: Sequence[str]) -> list[Said]:
        """The statements about any of these, each once.

        Two things may have the same bytes and not the same licence, card or maker: of what is said of the bytes under
        another name only the facts that a file shows are taken. What was signed by a key that this ledger did not have
        at that entry, or has revoked, is shown and does not count.
        """
        found: dict[int, Said] = {}
        for digest in digests:
            for entry in await self.ledger.about(digest):
                if (told := entry.statement) is not None:
                    known = self._read_said.get(entry.index)
                    found[entry.index] = known or read_statement(entry.index, entry.signer, entry.at, told)
        if len(self._read_said) > SAID_REMEMBERED:
            self._read_said.clear()
        self._read_said |= found  # an entry never changes; whose key signs may
        ring = self.ledger.keys
        own = ring.keys
        return [
            replace(one, own=one.signer in own)
            if ring.signs(one.signer, one.index)
            else replace(one, problem=one.problem or "the key that signed it is not in force there.")
            for one in found.values()
            if address in one.about or one.predicate_type == WHAT or not one.known
        ]

    def _told_card(self, address: str, said: Sequence[Said]) -> tuple[CardText | None, tuple[str, ...]]:
        """The card of the newest statement about one; blocks."""
        for one in newest_count(said, address):
            if one.predicate_type == CARD and one.counts:
                digest = Digest(one.predicate["digest"])
                try:
                    data = self._blobs.find(digest).read_bytes()
                except (NotFound, OSError):
                    return None, (f"Statement {one.index} names a card, {digest}, whose text is not here.",)
                changed = f"The text kept for the card of statement {one.index} is not what was signed."
                if _sha256(data) != digest:
                    return None, (changed,)
                try:
                    return _card(data.decode(), one.source, address), ()
                except UnicodeDecodeError:
                    return None, (f"The card that statement {one.index} names is no text.",)
        return None, ()

    async def _ancestors(
        self, address: str, own: Graph, models: Mapping[str, Model]
    ) -> tuple[dict[str, Graph], list[Said], tuple[str, ...]]:
        """The own lineage of all from which a thing was made, as far as they say something of themselves; the
        statements that it rests on; what was not looked up."""
        found: dict[str, Graph] = {}
        around: list[Said] = []
        seen = {address}
        waiting = deque(edge.parent for edge in own.edges)
        while waiting:
            name = waiting.popleft()
            if name in seen:
                continue
            if len(seen) > MOST_ANCESTORS:
                far = f"The lineage holds more than {MOST_ANCESTORS} things: the farthest were not looked up"
                return found, around, (far,)
            seen.add(name)
            part = await self._part(name, models)
            if part.held or part.card or part.said:
                found[name] = lineage = part.lineage()
                around += [one for one in newest_count(part.said, name) if one.counts]
                waiting.extend(edge.parent for edge in lineage.edges)
        return found, around, ()


@dataclass(frozen=True, slots=True)
class _Part:
    """What is said of one thing itself."""

    address: str
    held: Held | None
    card: CardText | None
    said: Sequence[Said]
    problems: tuple[str, ...] = ()

    def lineage(self) -> Graph:
        return compose(self.address, self.held, self.card, self.said).graph


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
    )


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


def _card(text: str, source: str, address: str) -> CardText:
    """A card with what it says. One that cannot be read is kept, with the reason."""
    digest = _sha256(text.encode())
    try:
        card = Card.parse(text)
        graph = lineage_of(card, address)
        own = graph.node(address)
        licence, problem = own.declared or own.licence or "", str(card.mistake) if card.mistake else ""
        return CardText(text, digest, source, licence, what_of(card), disclosure_of(card), graph, problem)
    except Invalid as error:
        return CardText(text, digest, source, problem=str(error))


def _read(model: Model) -> Held:
    """What the file says; blocks. Of one that cannot be read the reason is noted, and nothing is known."""
    name = model.path.name
    licence = Fact(model.facts.licence, f"file:{name}") if model.facts.licence else None
    try:
        found = look(model.path)
    except (IntermodelError, OSError) as error:
        return Held(
            str(model.digest), name, model.size, WhatItIs(), licence, notes=_placeless(model.path, [str(error)])
        )
    disclosure = Disclosure(model.address, told=told_by_files(found.what))
    graph = lineage_in(found, model.address)
    notes = list(found.notes)
    for kind, path in _papers(model.path):
        source = f"file:{path.name}"
        try:
            if kind == "disclosure":
                told = disclosure_document(disclosure_in(path))
                disclosure = disclosure_joined(disclosure_of_predicate(told, model.address, source), disclosure)
            else:
                more = lineage_file.parse(path.read_text("utf-8"))
                graph = joined_graphs([graph, graph_of(graph_document(more), source)])
        except (IntermodelError, OSError, UnicodeDecodeError) as error:
            notes.append(str(error))
    return Held(
        str(model.digest), name, model.size, found.what, licence, disclosure, graph, _placeless(model.path, notes)
    )


def _placeless(file: Path, notes: Iterable[str]) -> tuple[str, ...]:
    """Notes that name files without their folders: whoever may read a record need not know the machine."""
    folders = sorted({f"{one}/" for path in (file, file.resolve()) for one in path.parents[:2] if one.name}, key=len)
    for folder in reversed(folders):
        notes = [note.replace(folder, "") for note in notes]
    return tuple(notes)


def _papers(file: Path) -> Iterator[tuple[str, Path]]:
    """The disclosure and the lineage that lie with a model: `disclosure.yaml` in its folder, or
    `FOLDER.disclosure.yaml` beside that; where the folder holds one model alone."""
    if not _is_alone(file):
        return
    folder = file if file.is_dir() else file.parent
    for kind in ("disclosure", "lineage"):
        for path in (folder / f"{kind}.yaml", folder.with_name(f"{folder.name}.{kind}.yaml")):
            if path.is_file() and path.stat().st_size <= CARD_BYTES:
                yield kind, path
                break


def _is_alone(file: Path) -> bool:
    """Whether what lies beside a model's file is about that model; the node's own copies lie among others."""
    return file.is_dir() or (file.suffix == ".gguf" and len(list(file.parent.glob("*.gguf"))) == 1)


def _beside(file: Path) -> str | None:
    """The card in the folder of a model's file, if that holds one model alone; blocks."""
    try:
        if not _is_alone(file):
            return None
        path = (file if file.is_dir() else file.parent) / "README.md"
        if path.stat().st_size > CARD_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _shortened(disclosed: dict[str, Any]) -> dict[str, Any]:
    """A disclosure whose long texts are cut; who wants the whole reads the card."""
    told = {
        key: {**one, "text": f"{one['text'][: MOST_SIGNED - 2]} …"} if len(one.get("text", "")) > MOST_SIGNED else one
        for key, one in disclosed.get("told", {}).items()
    }
    return {**disclosed, "told": told} if told else disclosed


def _sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _canonical(predicate: Mapping[str, Any]) -> bytes:
    return orjson.dumps(predicate, option=orjson.OPT_SORT_KEYS)
