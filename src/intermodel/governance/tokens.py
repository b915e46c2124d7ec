"""Bearer tokens: `im_<id>_<256 random bits><checksum>`, kept as HMAC-SHA256 under the node's own key.

The checksum (CRC-32) lets a secret scanner tell a real token from a look-alike without asking anyone.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
import time
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Row, delete, insert, or_, select, update

from intermodel.core import Conflict, NotFound, Unauthenticated
from intermodel.storage import Database
from intermodel.storage.tables import tokens

_FORM = re.compile(r"im_([0-9a-f]{12})_([0-9a-f]{64})([0-9a-f]{8})")

ENVIRONMENT_ID = "environment"
"""The id of the token given as INTERMODEL_TOKEN."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the token's id and name, whose it is ("" where nobody said), and whether it may change the node."""

    token_id: str
    name: str
    user: str = ""
    organisation: str = ""
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token; the token itself is not."""

    id: str
    name: str
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    user: str = ""
    organisation: str = ""
    admin: bool = False

    @property
    def caller(self) -> Caller:
        return Caller(self.id, self.name, self.user, self.organisation, self.admin)

    def valid(self, now: datetime) -> bool:
        return self.revoked is None and (self.expires is None or now < self.expires)


class Tokens:
    """Makes, checks, lists and revokes tokens.

    Answers are remembered for `REMEMBERED_S`, so a revoked token works that much longer in a running node.
    """

    REMEMBERED_S = 2.0
    _REMEMBERED = 4096

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._secret = secret
        self._seen: OrderedDict[bytes, tuple[float, Caller | None]] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[Caller | None]] = {}

    async def create(
        self,
        name: str,
        *,
        lasts: timedelta | None = None,
        user: str = "",
        organisation: str = "",
        admin: bool = False,
    ) -> tuple[Token, str]:
        """A new token and its text, which is not kept and cannot be shown again.

        `user` and `organisation` say whose budgets and limits it comes under; `admin` tokens may change the node.
        """
        token_id = secrets.token_hex(6)
        random = secrets.token_hex(32)
        text = f"im_{token_id}_{random}{_checksum(token_id, random)}"
        now = datetime.now(UTC)
        token = Token(token_id, name, now, now + lasts if lasts else None, None, user, organisation, admin)
        await self._store(token, self._hash(text))
        return token, text

    async def accept(self, text: str | None) -> None:
        """Make `text` (INTERMODEL_TOKEN) the one token of the environment; None ends the one before it.

        A text that is a valid token of this node already stays what it is. Raises `Conflict` for one that has ended.
        """
        keyed_hash = self._hash(text.strip()) if text else ""
        async with self._database.begin() as db:
            await db.execute(delete(tokens).where(tokens.c.id == ENVIRONMENT_ID, tokens.c.hash != keyed_hash))
            known = (await db.execute(select(tokens).where(tokens.c.hash == keyed_hash))).one_or_none()
        self._seen.clear()
        if known is not None and not _token(known).valid(datetime.now(UTC)):
            raise Conflict(
                "INTERMODEL_TOKEN holds a token of this node that was revoked or has expired.",
                hint="Unset it, or set it to another.",
                code="token_ended",
            )
        if text and known is None:
            await self._store(
                Token(ENVIRONMENT_ID, "INTERMODEL_TOKEN", datetime.now(UTC), None, None, admin=True), keyed_hash
            )

    async def verify(self, text: str) -> Caller:
        """Whose token this is. Raises `Unauthenticated`, alike for unknown, ended and revoked ones."""
        now = time.monotonic()
        digest = hashlib.blake2b(text.encode(errors="surrogateescape"), digest_size=16, key=self._secret).digest()
        remembered = self._seen.get(digest)
        if remembered is None or now - remembered[0] > self.REMEMBERED_S:
            remembered = now, await self._look_up_once(digest, text)
            self._seen[digest] = remembered
            self._seen.move_to_end(digest)
            if len(self._seen) > self._REMEMBERED:
                self._seen.popitem(last=False)
        if remembered[1] is None:
            raise Unauthenticated(
                "This token is not valid on this node.",
                hint="Make one with `intermodel tokens create NAME` on the node's machine.",
            )
        return remembered[1]

    async def caller(self, token_id: str) -> Caller:
        """The caller of a token known by its id (a signed-in page). Raises `Unauthenticated` if it has ended."""
        async with self._database.begin() as db:
            row = (await db.execute(select(tokens).where(tokens.c.id == token_id))).one_or_none()
        if row is None or not _token(row).valid(datetime.now(UTC)):
            raise Unauthenticated("This sign-in has ended.", hint="Sign in again.")
        return _token(row).caller

    async def all(self) -> list[Token]:
        """Every token, newest first, ended ones too."""
        async with self._database.begin() as db:
            rows = await db.execute(select(tokens).order_by(tokens.c.created.desc()))
            return [_token(row) for row in rows]

    async def owner(self) -> Token | None:
        """The oldest valid admin token, in whose name the node's own sign-in link acts."""
        now = datetime.now(UTC)
        return next((t for t in reversed(await self.all()) if t.admin and t.valid(now) and t.expires is None), None)

    async def forget(self, token_id: str) -> None:
        """End a token and leave no trace of it: for those that a command made for itself."""
        async with self._database.begin() as db:
            await db.execute(delete(tokens).where(tokens.c.id == token_id))
        self._seen.clear()

    async def revoke(self, which: str) -> Token:
        """End the token with this id or name. Raises `NotFound`."""
        now = datetime.now(UTC)
        async with self._database.begin() as db:
            where = or_(tokens.c.id == which, tokens.c.name == which)
            rows = (await db.execute(select(tokens).where(where, tokens.c.revoked.is_(None)))).all()
            if len(rows) != 1:
                raise NotFound(
                    f"{len(rows) or 'No'} tokens answer to '{which}'.",
                    hint="`intermodel tokens` lists them; give the id of one that is valid.",
                )
            await db.execute(update(tokens).where(tokens.c.id == rows[0].id).values(revoked=now))
        self._seen.clear()
        return _token(rows[0])

    async def _store(self, token: Token, keyed_hash: str) -> None:
        async with self._database.begin() as db:
            await db.execute(
                insert(tokens).values(
                    id=token.id,
                    hash=keyed_hash,
                    name=token.name,
                    created=token.created,
                    expires=token.expires,
                    user=token.user,
                    organisation=token.organisation,
                    admin=token.admin,
                )
            )
        self._seen.clear()

    async def _look_up_once(self, digest: bytes, text: str) -> Caller | None:
        """What `_look_up` says; callers who ask at the same time share one query."""
        asked = self._asked.get(digest)
        if asked is None:
            asked = self._asked[digest] = asyncio.create_task(self._look_up(text))
            asked.add_done_callback(lambda _: self._asked.pop(digest))
        return await asyncio.shield(asked)

    async def _look_up(self, text: str) -> Caller | None:
        if _FORM.fullmatch(text) and not well_formed(text):
            return None  # a typing error or a guess: not worth a query
        async with self._database.begin() as db:
            row = (await db.execute(select(tokens).where(tokens.c.hash == self._hash(text)))).one_or_none()
        token = None if row is None else _token(row)
        return token.caller if token is not None and token.valid(datetime.now(UTC)) else None

    def _hash(self, text: str) -> str:
        return hmac.new(self._secret, text.encode(errors="surrogateescape"), hashlib.sha256).hexdigest()


def well_formed(text: str) -> bool:
    """Whether `text` has the form and the checksum of a token of any node."""
    match = _FORM.fullmatch(text)
    return match is not None and _checksum(match[1], match[2]) == match[3]


def _checksum(token_id: str, random: str) -> str:
    return f"{zlib.crc32(f'{token_id}_{random}'.encode()):08x}"


def _token(row: Row[tuple[object, ...]]) -> Token:
    expires, revoked = row.expires, row.revoked
    ended = revoked and _utc(revoked)
    whose = row.user, row.organisation, row.admin
    return Token(row.id, row.name, _utc(row.created), expires and _utc(expires), ended, *whose)


def _utc(when: datetime) -> datetime:
    """SQLite gives back times without a zone; all of ours are UTC."""
    return when if when.tzinfo else when.replace(tzinfo=UTC)
