"""`/api/v1/ledger`: have a statement signed, and take along an entry with its proof."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from intermodel.core import NotFound
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Entry, Ledger, uri
from intermodel.ledger.withdrawal import named_by
from intermodel.web.api.entered import who_asks
from intermodel.web.api.forms import Form, Line
from intermodel.web.api.operation import Asked, Made, Operation, Raw

_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


class SubjectForm(Form):
    """What a statement is about."""

    name: Line
    """For people."""
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class StatementForm(Form):
    """A statement to sign. What the node says of its own accord (receipts, keys, records) is not signed on demand."""

    subject: SubjectForm
    predicate: Literal["article"]
    """Its kind; docs/record/ledger.md lists the fields of each."""
    said: dict[str, Any]
    """The fields."""


class SignedState(Form):
    """Where the statement stands now."""

    index: int
    signer: str
    """Id of the key that signed it."""
    at: float
    """When, in seconds since 1970."""


class EntryBundle(BaseModel):
    """An entry with its proofs, for `intermodel verify`."""

    model_config = ConfigDict(extra="allow")


class Statements:
    """The operations on the node's ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._signing = asyncio.Lock()

    def operations(self) -> list[Operation]:
        post, bundle = "/ledger/statements", "/ledger/{index}/bundle"
        return [
            Operation("POST", post, self.sign, SignedState, takes=StatementForm, who="admin", makes=True),
            Operation("GET", bundle, self.bundle, EntryBundle, who="admin", misses=True),
        ]

    async def sign(self, asked: Asked) -> Made:
        """Sign a statement and add it to the ledger, for good. It is durable once this answers. Asked for the same
        statement again, it adds nothing, and tells where that stands."""
        form: StatementForm = asked.body
        subject = Subject(form.subject.name, form.subject.digest)
        statement = Statement((subject,), uri(form.predicate), form.said)
        async with self._signing:
            if (made := await self._signed(statement)) is None:
                made = await self._ledger.record(statement)
                await self._ledger.entered.keep([made.index], who_asks(asked))
        return Made(SignedState(index=made.index, signer=made.signer, at=made.at))

    async def _signed(self, statement: Statement) -> Entry | None:
        """The entry with exactly this statement, by the key that signs now, which was not withdrawn since."""
        signer, ring = self._ledger.keys.current.key.id, self._ledger.keys
        about = await self._ledger.about(statement.subjects[0].digest)
        gone = {named_by(one.statement) for one in about if ring.signs(one.signer, one.index)}
        mine = (one for one in about if one.statement == statement and one.signer == signer)
        return next((one for one in mine if one.digest not in gone), None)

    async def bundle(self, asked: Asked) -> Raw:
        """Take along an entry of the ledger with all that proves it, and with what takes it back."""
        if not _INDEX.fullmatch(asked.name) or int(asked.name) >= self._ledger.log.size:
            raise NotFound(f"The ledger has no entry {asked.name[:40]}.", hint=f"It has {self._ledger.log.size}.")
        index = int(asked.name)
        return Raw(await self._ledger.bundle([index, *await self._ledger.withdrawals([index])]), "application/json")
