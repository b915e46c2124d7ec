"""The ledger as the rooms above use it: statements in, entries out, each with its proof."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from pathlib import Path

from intermodel.core import Conflict, Invalid, NotFound, Unavailable
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import bundle as bundles
from intermodel.ledger import cosigned as cosignatures
from intermodel.ledger import dsse, files, keyring, merkle, predicates
from intermodel.ledger import statement as statements
from intermodel.ledger.entered import Entered
from intermodel.ledger.entry import Entry, entry_of, row_of
from intermodel.ledger.heads import KEY_ENTRIES, hashes_of, is_signed, note_heads, read_keys
from intermodel.ledger.history import PUBLISHED
from intermodel.ledger.index import Index, Row, Sealed
from intermodel.ledger.keyring import Keyring
from intermodel.ledger.keys import CommandSigner, KeyFolder, PublicKey, Signer
from intermodel.ledger.log import Log, opened_for_reading
from intermodel.ledger.note import Checkpoint, Line, Note, Verifier
from intermodel.ledger.withdrawal import digest_of, fits, named_by
from intermodel.settings import Ledger as Options
from intermodel.storage import Database

log = logging.getLogger(__name__)

FOLDER = "ledger"
KEYS = "ledger-keys"
INDEX_S = 0.2
"""Entries that were recorded within so long are indexed together."""
_BATCH = 1000
_BREATH = 32
"""Proofs that are made in one go."""


class Ledger:
    """A node's ledger: one writer, which holds the data folder. Made by `open_ledger` and `reading`."""

    def __init__(
        self, log_: Log, index: Index | None, keys: Keyring, heads: Sequence[int], signer: Signer | None,
        folder: KeyFolder, clock: Callable[[], float], entered: Entered | None = None,
    ) -> None:  # fmt: skip
        self.log = log_
        self.keys = keys
        """Which key signed what when."""
        self._entered = entered
        self._index = index
        self._heads = list(heads)
        self._signer = signer
        self._folder = folder
        self._clock = clock
        self._recent: dict[int, Entry] = {}
        self._indexed: int | None = None
        self._indexing = asyncio.Lock()
        self._rotating = asyncio.Lock()
        self._closing = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()
        self._tasks: set[asyncio.Task[None]] = set()

    # what is known

    @property
    def origin(self) -> str:
        """Its name in checkpoints."""
        return self.log.origin

    @property
    def verifier(self) -> Verifier:
        """The key that signs it now, under its name: what others need to verify it."""
        return Verifier(self.origin, self.keys.current.key)

    @property
    def entered(self) -> Entered:
        """Who had entries made. Only for a ledger that has a database."""
        assert self._entered is not None
        return self._entered

    def checkpoint(self) -> bytes:
        """The newest checkpoint, as a signed note."""
        assert self.log.note is not None
        return bytes(self.log.note)

    def cosigned(self) -> Note | None:
        """The newest checkpoint that a witness cosigned, if it is still one of this ledger."""
        note = cosignatures.newest(self.log.folder)
        return note if note is not None and self._holds(note) else None

    async def entry(self, index: int) -> Entry:
        """Raises `NotFound`; `Unavailable` where the bytes were changed."""
        return self._recent.get(index) or entry_of(index, self.log.entry(index))

    async def about(self, digest: str) -> list[Entry]:
        """All entries that speak of a digest (`sha256:...`), oldest first."""
        return await self._found(lambda index: index.about(digest), lambda row: digest in row.digests)

    async def places(self, digests: Collection[str]) -> dict[str, list[int]]:
        """Where entries speak of these digests, oldest first; nothing of those of which none speaks."""
        known, wanted = await self._reach(), list(dict.fromkeys(digests))
        found = await self._index.places(wanted) if self._index is not None else {}
        for number in range(known, self.log.size):
            for digest in row_of(await self.entry(number)).digests:
                if digest in wanted:
                    found.setdefault(digest, []).append(number)
        return found

    async def of_type(self, predicate_type: str) -> list[Entry]:
        """All entries with predicates of that type, oldest first."""
        return await self._found(
            lambda index: index.of_type(predicate_type), lambda row: row.predicate_type == predicate_type
        )

    async def withdrawals(self, indices: Iterable[int]) -> list[int]:
        """The entries that take back one of these, whoever signed them, wherever in the ledger they stand."""
        taken_back = {one.digest: one for one in [await self.entry(index) for index in indices] if one.statement}
        found = {place for places in (await self.places(taken_back)).values() for place in places}
        some = [await self.entry(place) for place in sorted(found)]
        return [
            one.index
            for one in some
            if one.statement
            and (it := taken_back.get(named_by(one.statement)))
            and it.statement
            and fits(one.statement, it.digest, it.statement)
        ]

    async def indexed(self) -> Index:
        """What the database knows of it, brought up to the ledger: for lists and counts. Raises `Unavailable`."""
        assert self._index is not None
        await self._reach()
        return self._index

    async def bundle(self, indices: Iterable[int], *, earlier: Sequence[bytes] = ()) -> bytes:
        """Entries with all that proves them, for `verify`. `earlier`: checkpoints to which consistency is shown.

        Raises `NotFound`; `Conflict` where an earlier checkpoint is not of this log: a fork.
        """
        return bytes(await self.proven(indices, earlier))

    async def receipt_bundle(self, receipt_id: str, receipt: bytes) -> bytes:
        """A receipt, given by its bytes, with all that proves it. Raises `NotFound`; `Conflict` if it was changed."""
        assert self._index is not None
        sealed, place = await self._index.sealed(receipt_id)
        if merkle.leaf_hash(receipt) != sealed.hashes[place]:
            raise Conflict(
                f"The receipt {receipt_id} was changed: it is not the one that entry {sealed.entry} covers.",
                code="receipt_changed",
            )
        proof = merkle.inclusion_proof(place, len(sealed.hashes), _nodes(sealed.hashes))
        made = await self.proven([sealed.entry], ())
        return bytes(
            bundles.Bundle(
                made.note, made.keys, made.entries, (),
                (bundles.ReceiptProof(sealed.entry, place, receipt, tuple(proof)),),
            )
        )  # fmt: skip

    def proof(self, index: int) -> bytes:
        """The inclusion proof of one entry, as C2SP tlog-proof."""
        note = self._note_over(index)
        return bundles.as_tlog_proof(index, self.log.inclusion(index, Checkpoint.parse(note.text).size), bytes(note))

    async def last_sealed(self) -> str:
        """The largest id of a receipt that the ledger covers; empty where it covers none."""
        assert self._index is not None
        return await self._index.last_sealed()

    async def covered(self, receipt_ids: Sequence[str]) -> set[str]:
        """Which of these receipts the ledger covers."""
        assert self._index is not None
        return await self._index.covered(receipt_ids)

    # what is added

    async def record(self, statement: Statement) -> Entry:
        """Sign a statement and add it; durable when it returns.

        Raises `Invalid` where it breaks the schema of its predicate, `TooLarge` where it has more than some 48 KB,
        `Unavailable` where disk or signer fail: then it is not in the ledger.
        """
        return (await self.record_all([statement]))[0]

    async def record_all(self, some: Sequence[Statement]) -> list[Entry]:
        """The same for several, all of them or none, in one group."""
        if any(one.predicate_type == predicates.KEY for one in some):
            raise Invalid("Keys are changed by rotating and revoking, not by a statement about them.", code="bad_keys")
        at = self._now()
        payloads = [statements.dumped(one, at) for one in some]
        while True:
            await self._free.wait()
            signer = self._writing()
            if isinstance(signer, CommandSigner):
                sealed = await asyncio.to_thread(_sealed, payloads, signer)
            else:
                sealed = _sealed(payloads, signer)
            if signer is self._signer and self._free.is_set():  # else the key changed while the other one signed
                break
        indices = await self.log.add(sealed)
        made = [
            Entry(index, envelope, one, signer.public.id, at, digest_of(payload))
            for index, envelope, one, payload in zip(indices, sealed, some, payloads, strict=True)
        ]
        return self._remember(made)

    async def record_envelope(self, envelope: bytes, keys: Iterable[PublicKey], threshold: int = 1) -> Entry:
        """Add a statement that others signed, with the bytes and the signatures as they are.

        Raises `Invalid` unless `threshold` of the keys signed it and nobody else, and it is a statement.
        """
        return (await self.record_envelopes([envelope], keys, threshold))[0]

    async def record_envelopes(
        self, envelopes: Sequence[bytes], keys: Iterable[PublicKey], threshold: int = 1
    ) -> list[Entry]:
        """The same for several, all of them or none, in one group."""
        self._writing()
        given = {key.id: key for key in keys}
        for envelope in envelopes:
            await asyncio.sleep(0)  # as for proofs, whoever else waits for this thread is not to wait for all
            opened = dsse.opened(envelope, given, threshold)
            if opened.payload_type != dsse.IN_TOTO:
                raise Invalid(f"The envelope holds no statement: its payload is not {dsse.IN_TOTO}.")
            if len(dsse.verified(opened, given)) < len(opened.signatures) or not opened.signatures[0].keyid:
                raise Invalid("Some signatures of the envelope are by keys that you do not know.", code="bad_signature")
            if statements.read(opened.payload).statement.predicate_type == predicates.KEY:
                raise Invalid("A statement about another ledger's keys does not belong into this one.", code="bad_keys")
        indices = await self.log.add(envelopes)
        return self._remember([entry_of(*one) for one in zip(indices, envelopes, strict=True)])

    async def seal(self, receipts: Sequence[tuple[str, bytes]]) -> Entry:
        """Cover receipts, given by id and bytes, with one entry: one signature for all of them."""
        return await self.seal_leaves([(one, merkle.leaf_hash(data)) for one, data in receipts])

    async def seal_leaves(self, leaves: Sequence[tuple[str, bytes]]) -> Entry:
        """The same for receipts given by id and leaf hash."""
        assert self._index is not None
        ids, hashes = tuple(one for one, _ in leaves), tuple(hash_ for _, hash_ in leaves)
        root = merkle.root_of(hashes).hex()
        predicate = {"count": len(ids), "root": root, "first": min(ids), "last": max(ids)}
        made = await self.record(Statement((Subject("receipts", f"sha256:{root}"),), predicates.RECEIPTS, predicate))
        await self._index.seal(Sealed.of(made.index, ids, hashes))
        return made

    async def rotate(self, reason: str = "", new: Signer | None = None) -> Entry:
        """Go over to a new key, by an entry that both keys sign; without `new`, to one made in the folder of keys."""
        self._writing()
        by: Signer = new if new else await asyncio.to_thread(self._folder.make)

        def said(old: Signer) -> Statement:
            return keyring.said(by.public, "rotated", replaces=old.public.id, reason=reason)

        return await asyncio.shield(asyncio.create_task(self._change(said, by), name="rotate key"))

    async def revoke(self, key_id: str, since: int, reason: str = "") -> Entry:
        """Take back what an earlier key signed from entry `since` on. Raises `Conflict` for the key that signs now."""
        key = self.keys.keys.get(key_id)
        if key is None or key_id == self.keys.current.key.id:
            raise Conflict(
                f"The key {key_id[:16]} {'signs now' if key else 'is not of this ledger'}.",
                hint="Rotate first, then revoke the one before." if key else "`intermodel ledger keys` lists them.",
                code="bad_keys",
            )
        self._writing()

        def said(_: Signer) -> Statement:
            return keyring.said(key, "revoked", since=since, reason=reason)

        return await asyncio.shield(asyncio.create_task(self._change(said), name="revoke key"))

    def cosign(self, note: bytes, lines: Iterable[Line], witnesses: Iterable[Verifier]) -> bytes:
        """Keep witnesses' cosignatures on a checkpoint that this ledger gave out; the note with them.

        Those that are kept of it already stay. Lines of others, and any under the ledger's own key, are left out.
        Raises `Invalid` where a line is not by the witness that it names, or where none is of the witnesses. Blocks.
        """
        given = Note.parse(note)
        head = Checkpoint.parse(given.text)
        own = head.origin == self.origin and 0 < head.size <= self.log.size and head.root == self.log.root(head.size)
        if not own or not is_signed(given, head, self.keys):
            raise Invalid("That is no checkpoint of this ledger.", code="not_a_checkpoint")
        by_log = {Verifier(self.origin, key).id for key in self.keys.keys.values()}
        counting = [one for one in witnesses if one.id not in by_log]
        kept = [
            one
            for one in (*given.lines, *lines)
            if one.key_id not in by_log and Note(given.text, (one,)).signed_by(counting)
        ]
        if not kept:
            raise Invalid("None of the witnesses that count signed it.", code="bad_signature")
        own_lines = tuple(one for one in given.lines if one.name == self.origin and one.key_id in by_log)
        before = cosignatures.merged(self.log.folder, given.text, counting)
        cosigned = Note(given.text, own_lines).with_lines([*before, *kept])
        if not is_signed(cosigned, head, self.keys):
            raise Invalid("The ledger's own signature is not under it.", code="bad_signature")
        cosignatures.keep(self.log.folder, cosigned, counting)
        return bytes(cosigned)

    async def index(self) -> None:
        """Bring the database's index up to the ledger."""
        assert self._index is not None
        async with self._indexing:
            known, self._indexed = self._indexed, None  # where this is cancelled, nobody knows how far it came
            if known is None:
                known = await self._index.size()
            while known < (high := min(self.log.size, known + _BATCH)):
                await self._index.put([row_of(await self.entry(number)) for number in range(known, high)])
                for number in range(known, high):
                    self._recent.pop(number, None)
                known = high
            self._indexed = known

    async def reindex(self) -> None:
        """Make the index anew."""
        assert self._index is not None
        async with self._indexing:
            await self._index.clear()
            self._indexed = 0
        await self.index()

    async def close(self) -> None:
        """Lay out what was recorded, and index it. What was acknowledged is safe without."""
        await self.log.close()
        if self._index is not None and self._signer is not None:
            self._closing.set()
            if self._tasks:
                await asyncio.wait(self._tasks)
            with contextlib.suppress(Unavailable):
                await self.index()

    # how it works

    def _now(self) -> float:
        """To the microsecond, as it is written."""
        return round(self._clock(), 6)

    def _writing(self) -> Signer:
        if self._signer is None:
            raise Unavailable("The ledger is open for reading only.", code="ledger_read_only")
        return self._signer

    async def _change(self, say: Callable[[Signer], Statement], new: Signer | None = None) -> Entry:
        """Add an entry about a key; with `new`, all after it is signed by that. A task of its own, never half done.

        Nothing is recorded meanwhile: what one key signed must not come behind the other's first entry. The list of
        the entries about keys is gone meanwhile too, so that a crash leaves none that lacks one.
        """
        async with self._rotating:
            self._free.clear()
            try:
                old, at = self._writing(), self._now()
                said, signers = say(old), [old, new] if new else [old]
                ids = frozenset(one.public.id for one in signers)
                self.keys.after(self.log.size, said, ids)  # may it be so?
                payload = statements.dumped(said, at)
                envelope = await asyncio.to_thread(dsse.seal, payload, signers)
                (self.log.folder / KEY_ENTRIES).unlink(missing_ok=True)
                files.sync([self.log.folder])
                (index,) = await self.log.add([envelope], signer=new, about_keys=True)
                self.keys, self._signer = self.keys.after(index, said, ids), new or old
                self._heads.append(index)
                note_heads(self.log, self._heads)
                await self._publish_keys()
            finally:
                self._free.set()
        return self._remember([Entry(index, envelope, said, old.public.id, at, digest_of(payload))])[0]

    async def _publish_keys(self) -> None:
        """Lay what the ledger says of its keys beside its checkpoint, for those who follow it."""
        try:
            data = await self.bundle(())
            await asyncio.to_thread(files.write, self.log.folder / PUBLISHED, data)
        except OSError as error:
            log.warning("what this ledger says of its keys is not published: %s", error)

    def _note_over(self, index: int) -> Note:
        """The checkpoint under which an entry is proven: one that witnesses cosigned, if it covers the entry."""
        assert self.log.note is not None
        for note in cosignatures.read(self.log.folder):
            if self._holds(note) and index < Checkpoint.parse(note.text).size:
                return note
        return self.log.note

    def _holds(self, note: Note) -> bool:
        """Whether a checkpoint that is kept beside the log is of it, signed, and names all entries about keys."""
        try:
            head = Checkpoint.parse(note.text)
            heads = [number for number in self._heads if number < head.size]
            return (
                head.origin == self.origin
                and 0 < head.size <= self.log.size
                and is_signed(note, head, self.keys)
                and keyring.is_whole(hashes_of(self.log, heads), head.extensions) is True
            )
        except Invalid:
            return False

    async def proven(self, indices: Iterable[int], earlier: Sequence[bytes] = ()) -> bundles.Bundle:
        """The same as `bundle`, before it is written down."""
        wanted, heads = sorted(set(indices)), tuple(self._heads)
        shown = [Checkpoint.parse(Note.parse(one).text) for one in earlier]
        last = [one.size - 1 for one in shown if one.origin == self.origin and one.size <= self.log.size]
        note = self._note_over(max([*wanted, *heads, *last]))
        size, nodes = Checkpoint.parse(note.text).size, self.log.nodes()
        made: dict[int, bundles.Proven] = {}
        for count, index in enumerate(dict.fromkeys((*heads, *wanted)), 1):
            proof = self.log.inclusion(index, size, nodes)
            made[index] = bundles.Proven(index, self.log.entry(index), tuple(proof))
            if not count % _BREATH:  # whoever else waits for this thread, a call that streams, is not to wait for all
                await asyncio.sleep(0)
        return bundles.Bundle(
            bytes(note),
            tuple(made[index] for index in heads),
            tuple(made[index] for index in wanted),
            tuple(self._from(one, size) for one in earlier),
        )

    def _from(self, earlier: bytes, size: int) -> bundles.Earlier:
        head = Checkpoint.parse(Note.parse(earlier).text)
        if head.origin != self.origin or not 0 < head.size <= size or self.log.root(head.size) != head.root:
            raise Conflict(
                f"That checkpoint ({head.origin}, {head.size} entries) is not of this ledger as it is: a fork?",
                code="fork",
            )
        return bundles.Earlier(earlier, tuple(self.log.consistency(head.size, size)))

    async def _found(self, ask: Callable[[Index], Awaitable[list[int]]], fits: Callable[[Row], bool]) -> list[Entry]:
        """Those that the index names, and those of the ledger's end that it does not have yet."""
        known = await self._reach()
        numbers = await ask(self._index) if self._index is not None else []
        tail = [await self.entry(number) for number in range(known, self.log.size)]
        return [await self.entry(number) for number in numbers] + [one for one in tail if fits(row_of(one))]

    async def _reach(self) -> int:
        """One more than the newest entry that the index has, once it was brought up to the ledger."""
        if self._index is None:
            return 0
        if self._signer is not None:
            await self.index()
            if self._indexed is not None:
                return self._indexed
        return await self._index.size()

    def _remember(self, made: list[Entry]) -> list[Entry]:
        """Keep entries at hand until they are indexed, which is done behind the caller's back."""
        if self._index is not None:
            self._recent.update((one.index, one) for one in made)
            if not self._tasks:
                task = asyncio.create_task(self._index_later(), name="index ledger")
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return made

    async def _index_later(self) -> None:
        try:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), INDEX_S)
            await self.index()
        except Unavailable as error:
            log.warning("the ledger's index falls behind: %s", error.message)


@contextlib.asynccontextmanager
async def open_ledger(
    data: Path, database: Database, options: Options | None = None, *, passphrase: str = "",
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Ledger]:  # fmt: skip
    """The ledger in the data folder, which the caller holds; made on first use, with a key of its own.

    Raises `Unavailable` where something of it was changed or is missing, or its key does not open.
    """
    options = options or Options()
    log_ = Log(data / FOLDER, group_s=options.group_ms / 1000)
    keys = KeyFolder(data / KEYS, passphrase)
    index = Index(database, keys.log_name())
    external: Signer | None = await asyncio.to_thread(CommandSigner, options.signer) if options.signer else None
    await asyncio.to_thread(log_.open)
    try:
        known = await index.size()
        if known > log_.size:
            raise Unavailable(
                f"The ledger has a hole: the database knows {known} entries, and {log_.folder} holds {log_.size}.",
                hint="Restore the ledger's folder from a backup that is as new as the database.",
                code="ledger_damaged",
            )
        if not log_.size:
            await _begin(log_, external if external else await asyncio.to_thread(keys.make), clock())
        ring, heads = await asyncio.to_thread(read_keys, log_)
        log_.key_hashes = hashes_of(log_, heads)
        log_.signer = _signer(ring, external, keys)
        if not _is_listed(log_):
            await asyncio.to_thread(log_.sign_again)
        entered = Entered(database, keys.log_name(), clock)
        opened = Ledger(log_, index, ring, heads, log_.signer, keys, clock, entered)
    except BaseException:
        await log_.close()
        raise
    try:
        if known < log_.size:
            await opened.index()
        await opened._publish_keys()
        yield opened
    finally:
        await opened.close()


def reading(data: Path, database: Database | None = None) -> Ledger:
    """The ledger in a data folder as it is now, for reading, also beside a node that writes to it.

    Raises `NotFound` where there is none, `Unavailable` where it was changed.
    """
    log_ = opened_for_reading(data / FOLDER)
    if not log_.size:
        raise NotFound(
            f"There is no ledger in {data} yet.",
            hint="A node makes it when it starts: `intermodel up`.", code="no_ledger",
        )  # fmt: skip
    ring, heads = read_keys(log_)
    keys = KeyFolder(data / KEYS)
    index = Index(database, keys.log_name()) if database else None
    entered = Entered(database, keys.log_name()) if database else None
    return Ledger(log_, index, ring, heads, None, keys, time.time, entered)


async def _begin(log_: Log, signer: Signer, at: float) -> None:
    """Entry 0: the first key, signed by itself. The ledger is named after it."""
    log_.origin = f"intermodel/{signer.public.id[:32]}"
    said = keyring.said(signer.public, "added", origin=log_.origin)
    envelope = await asyncio.to_thread(dsse.seal, statements.dumped(said, at), [signer])
    log_.key_hashes = ()
    await log_.add([envelope], signer=signer, about_keys=True)


def _is_listed(log_: Log) -> bool:
    """Whether the newest checkpoint names the entries about keys; one of before that was done does not."""
    assert log_.note is not None
    assert log_.key_hashes is not None
    return keyring.is_whole(log_.key_hashes, Checkpoint.parse(log_.note.text).extensions) is True


def _signer(ring: Keyring, external: Signer | None, keys: KeyFolder) -> Signer:
    current = ring.current.key
    if external is None:
        return keys.load(current.id)
    if external.public.id != current.id:
        raise Conflict(
            f"The external signer's key is {external.public.id[:16]}, and the ledger's is {current.id[:16]}.",
            hint="Go over to it with `intermodel ledger rotate --to COMMAND`, before it is named in the settings.",
            code="bad_keys",
        )
    return external


def _sealed(payloads: Sequence[bytes], signer: Signer) -> list[bytes]:
    return [dsse.seal(one, [signer]) for one in payloads]


def _nodes(hashes: Sequence[bytes]) -> merkle.Node:
    """The nodes of a tree that is in memory."""
    return lambda level, index: merkle.root_of(hashes[index << level : (index + 1) << level])
