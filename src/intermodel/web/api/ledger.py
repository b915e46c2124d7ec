"""`/api/v1/ledger`: have a statement signed, and take along an entry with its proof."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from intermodel.core import NotFound
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Ledger, uri
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

    def operations(self) -> list[Operation]:
        post, bundle = "/ledger/statements", "/ledger/{index}/bundle"
        return [
            Operation("POST", post, self.sign, SignedState, takes=StatementForm, who="admin", makes=True),
            Operation("GET", bundle, self.bundle, EntryBundle, who="admin", misses=True),
        ]

    async def sign(self, asked: Asked) -> Made:
        """Sign a statement and add it to the ledger, for good. It is durable once this answers."""
        form: StatementForm = asked.body
        subject = Subject(form.subject.name, form.subject.digest)
        made = await self._ledger.record(Statement((subject,), uri(form.predicate), form.said))
        return Made(SignedState(index=made.index, signer=made.signer, at=made.at))

    async def bundle(self, asked: Asked) -> Raw:
        """Take along an entry of the ledger with all that proves it."""
        if not _INDEX.fullmatch(asked.name) or int(asked.name) >= self._ledger.log.size:
            raise NotFound(f"The ledger has no entry {asked.name[:40]}.", hint=f"It has {self._ledger.log.size}.")
        return Raw(await self._ledger.bundle([int(asked.name)]), "application/json")
