"""A node whose ledger has something to show: entries of several kinds and signers, a witness, a ledger that forked."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Verifier, dsse, open_ledger, statement, uri
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE, Checkpoint, Note, cosigned, signed
from intermodel.ledger.remote import FOLDER
from intermodel.ledger.watch import Fork, Watch
from intermodel.settings import Ledger, Records, Settings
from intermodel.storage import Database, DataFolder
from tests.support import Running, settings_for

HOSTILE = "</code></pre><script>alert(1)</script><img src=x onerror=alert(2)>'\"&{{ 7*7 }}"
OPAQUE = "https://slsa.example/provenance/v1"
GRADE = {"framework": "mof", "version": "1", "outcome": "class I"}
LATER = 1_790_000_000
MADE = "2026-09-21T14:13:20.000000Z"
"""When the witness cosigned, and others made their statements."""
NOBODY_THERE = "http://127.0.0.1:9"

_T = TypeVar("_T")


@dataclass(frozen=True)
class Others:
    """Who has a say beside the node, each with a key."""

    witness: LocalSigner
    followed: LocalSigner
    friend: LocalSigner

    @classmethod
    def make(cls) -> Others:
        return cls(LocalSigner.make(), LocalSigner.make(), LocalSigner.make())

    @property
    def cosigner(self) -> Verifier:
        return Verifier("witness.example", self.witness.public, COSIGNATURE)

    def settings(self, data: Path, **given: Any) -> Settings:
        """Of a node that asks the witness, follows the other ledger and trusts the friend; nobody answers."""
        ledger = Ledger(
            witnesses=[{"key": f"{self.cosigner}", "url": f"{NOBODY_THERE}/witness"}],
            watch=[{"keys": f"{Verifier('other.example', self.followed.public)}", "url": f"{NOBODY_THERE}/ledger"}],
        )
        records = Records(trusted_signers=[f"{Verifier('friend.example', self.friend.public)}"])
        return settings_for(data, ledger=ledger, records=records, **given)

    def fork(self, data: Path) -> Path:
        """Keep in a data folder that the followed ledger contradicts itself; where the proof lies."""
        watch = Watch(data / FOLDER, [Verifier("other.example", self.followed.public)])
        for root in (b"one", b"other"):
            text = Checkpoint("other.example", 2, hashlib.sha256(root).digest()).text
            try:
                watch.see(bytes(signed(text, "other.example", self.followed)))
            except Fork as fork:
                return fork.found.path
        raise AssertionError("that is no fork")

    def cosign(self, node: Running) -> int:
        """Have the newest checkpoint cosigned; of how many entries that is."""
        ledger = node.node.ledger
        note = ledger.checkpoint()
        line = cosigned(Note.parse(note).text, "witness.example", self.witness, LATER)
        ledger.cosign(note, [line], [self.cosigner])
        return ledger.log.size


def on(node: Running, work: Coroutine[Any, Any, _T]) -> _T:
    """What the node's own loop makes of it."""
    return asyncio.run_coroutine_threadsafe(work, node.loop).result(20)


def graded(number: int = 1, **more: Any) -> Statement:
    """A statement about the thing of that number."""
    return Statement((Subject(f"thing-{number}", f"sha256:{number:064x}"),), uri("grade"), GRADE | more)


def record(node: Running, *some: Statement) -> list[int]:
    return [one.index for one in on(node, node.node.ledger.record_all(some))]


def take(node: Running, signer: LocalSigner, said: Statement, made: str = MADE) -> int:
    """Add what somebody else signed, whether they are trusted or not."""
    payload = statement.dumped(said, LATER).replace(MADE.encode(), made.encode())
    envelope = dsse.seal(payload, [signer])
    return on(node, node.node.ledger.record_envelope(envelope, [signer.public])).index


def opaque(predicate: dict[str, Any], name: str = "a-build") -> Statement:
    """Of a type that nobody here reads."""
    digest = orjson.dumps(predicate).hex()[:64].ljust(64, "0")
    return Statement((Subject(name, f"sha256:{digest}"),), OPAQUE, predicate)


def begin(data: Path, *some: Statement) -> Verifier:
    """A ledger with these in a data folder, laid out and closed; the key that signs it."""

    async def work() -> Verifier:
        folder = DataFolder(data)
        folder.prepare()
        folder.secret()
        database = Database("", default=folder.sqlite)
        await database.open()
        try:
            async with open_ledger(data, database) as ledger:
                await ledger.record_all(some)
                return ledger.verifier
        finally:
            await database.close()

    return asyncio.run(work())
