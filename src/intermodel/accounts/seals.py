"""Receipts become leaves of the ledger: a group of them under one signature, off the way of calls.

The transaction that moves receipts into the database notes their ids and leaf hashes (RFC 6962) there; every few
seconds the ledger covers what was noted. A crash in between leaves the note, and the receipts are covered later; one
between the ledger and the deletion of the note covers them twice, which proves the same twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import orjson
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from intermodel.accounts.journal import dumped
from intermodel.ledger import Ledger
from intermodel.storage import Database
from intermodel.storage.tables import receipts, receipts_unsealed

SEAL_S = 5.0
"""How long a receipt waits for the ledger, about."""
NOTES = 32
"""Most notes that one entry of the ledger covers."""
_AT_ONCE = 1000
_ID = 26
_LEAF = _ID + 32


def leaves_of(rows: Iterable[tuple[str, str]]) -> bytes:
    """Ids and leaf hashes of receipts, given by id and text, as a note holds them; of ids as `new_id` makes them."""
    sha256 = hashlib.sha256
    return b"".join([
        id_.encode() + sha256(b"\0" + text.encode()).digest() for id_, text in rows if len(id_) == _ID
    ])  # fmt: skip


async def note(db: AsyncConnection, owner: str, leaves: bytes) -> None:
    """Within the transaction `db`: these receipts are to be covered by the ledger of the process `owner`."""
    await db.execute(insert(receipts_unsealed).values(owner=owner, leaves=leaves))


class Seals:
    """Brings receipts of the process `owner` into its ledger, and proves that they are there."""

    def __init__(self, database: Database, ledger: Ledger, owner: str) -> None:
        self._database = database
        self._ledger = ledger
        self._owner = owner

    async def seal(self) -> int:
        """Cover what was noted, or as much as one entry takes; how many receipts that were. Raises `Unavailable`."""
        c = receipts_unsealed.c
        query = select(c.number, c.leaves).where(c.owner == self._owner).order_by(c.number).limit(NOTES)
        async with self._database.begin() as db:
            notes = (await db.execute(query)).all()
        if not notes:
            return 0
        whole = b"".join(leaves for _, leaves in notes)
        leaves = [(whole[i : i + _ID].decode(), whole[i + _ID : i + _LEAF]) for i in range(0, len(whole), _LEAF)]
        await self._ledger.seal_leaves(leaves)
        async with self._database.begin() as db:
            await db.execute(delete(receipts_unsealed).where(c.number.in_([number for number, _ in notes])))
        return len(leaves)

    async def bundle(self, receipt_id: str) -> bytes:
        """The receipt with all that proves it, for `ledger.verify`.

        Raises `NotFound` where there is none, or none that is covered yet; `Conflict` where it was changed.
        """
        async with self._database.begin() as db:
            text = (await db.execute(select(receipts.c.document).where(receipts.c.id == receipt_id))).scalar()
        return await self._ledger.receipt_bundle(receipt_id, as_written(text or ""))


async def written(database: Database, ids: Sequence[str]) -> dict[str, bytes]:
    """The bytes, as the ledger covers them, of those receipts that are still kept."""
    c = receipts.c
    found: dict[str, bytes] = {}
    for first in range(0, len(ids), _AT_ONCE):
        async with database.begin() as db:
            rows = await db.execute(select(c.id, c.document).where(c.id.in_(ids[first : first + _AT_ONCE])))
            found |= {id_: as_written(text) for id_, text in rows}
    return found


def as_written(text: str) -> bytes:
    """A receipt's bytes as the ledger covers them: without the quality that its caller told later.

    A text that is not written as receipts are (with one key twice, for example) is none of ours: it stays as it is, so
    that nothing that was put into it is lost on the way to its proof.
    """
    data = text.encode()
    if '"quality":' not in text:
        return data
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        return data
    if not isinstance(document, dict) or dumped(document) != data:
        return data
    document.pop("quality", None)
    return dumped(document)
