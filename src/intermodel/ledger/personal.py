"""Personal data beside the ledger: a salted hash goes into a statement, the plain value lies where it can be erased."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable

from sqlalchemy import delete, insert, select, text

from intermodel.storage import Database
from intermodel.storage.tables import personal

SALT_BYTES = 16
_PURPOSE = b"intermodel personal value v1\0"


def hash_of(value: str, salt: bytes) -> str:
    """SHA-256 over the purpose, the salt (16 bytes, for this value alone) and the value in UTF-8; in hexadecimal.

    Whoever has the value and not the salt cannot tell whether the hash is of it: the salt is as secret as the value.
    """
    return hashlib.sha256(_PURPOSE + salt + value.encode()).hexdigest()


class Personal:
    """Values of which only the hash is said. Two hashes of one value do not look alike."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def keep(self, value: str) -> str:
        """Keep a value (a name, an address); what to put into a statement instead."""
        salt = secrets.token_bytes(SALT_BYTES)
        made = hash_of(value, salt)
        async with self._database.begin() as db:
            await db.execute(insert(personal).values(hash=made, salt=salt, value=value, at=round(self._clock() * 1e6)))
        return made

    async def reveal(self, hash_: str) -> str | None:
        """The value behind a hash; None where it was erased, never was here, or was changed since."""
        async with self._database.begin() as db:
            row = (await db.execute(select(personal).where(personal.c.hash == hash_))).first()
        if row is None or not hmac.compare_digest(hash_of(row.value, row.salt), hash_):
            return None
        return str(row.value)

    async def erase(self, *hashes: str) -> int:
        """Forget values, salts and all; how many there were. The entries stay, and say nothing of anybody any more."""
        return await self._delete(personal.c.hash.in_(hashes))

    async def erase_value(self, value: str) -> int:
        """The same for all that was kept of one value."""
        return await self._delete(personal.c.value == value)

    async def changed(self) -> list[str]:
        """The hashes whose rows are not what they were."""
        async with self._database.begin() as db:
            rows = (await db.execute(select(personal))).all()
        return [row.hash for row in rows if hash_of(row.value, row.salt) != row.hash]

    async def _delete(self, condition: object) -> int:
        async with self._database.begin() as db:
            if self._database.dialect == "sqlite":  # or the bytes would stay in the file's free pages
                await db.execute(text("PRAGMA secure_delete=ON"))
            return int((await db.execute(delete(personal).where(condition))).rowcount)  # type: ignore[arg-type]
