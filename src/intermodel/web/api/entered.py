"""`/api/v1/.../entered`: who had which entry of the ledger made, for admins, and erasing it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from intermodel.ledger import EnteredBy, Who
from intermodel.records.store import Records
from intermodel.web.api.forms import Form
from intermodel.web.api.operation import Asked, Operation


class EnteredEntry(Form):
    """Who had an entry made. That is in no statement, and can be erased."""

    entry: int
    token: str
    """Id of the token."""
    name: str
    """Name of the token."""
    user: str
    at: float
    """When, in seconds since 1970."""


class EnteredState(Form):
    """Entries of which it is known, the newest first."""

    data: list[EnteredEntry]


class Whose(Form):
    """Of whom."""

    by: Annotated[str, Field(min_length=1, max_length=200)]
    """A user, or a token by its id or name."""
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: Annotated[int, Field(ge=0, le=2**53)] | None = None
    """Only entries before this one."""


class Erasing(Form):
    """Of whom."""

    by: Annotated[str, Field(min_length=1, max_length=200)]
    """A user, or a token by its id or name."""


class Erased(Form):
    """How many entries nobody is known to have made any more. The entries themselves stay."""

    erased: int


class EnteredOperations:
    """The operations on who entered what."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._kept = records.ledger.entered

    def operations(self) -> list[Operation]:
        one, all_ = "/records/{name}/entered", "/ledger/entered"
        return [
            Operation("GET", one, self.entered, EnteredState, who="admin", misses=True),
            Operation("GET", all_, self.entered_by, EnteredState, Whose, who="admin"),
            Operation("DELETE", all_, self.erase_entered, Erased, Erasing, who="admin"),
        ]

    async def entered(self, asked: Asked) -> EnteredState:
        """Who had the statements of a record made. No record, passport or bundle says that."""
        found = await self._records.entered(await self._records.of(asked.name))
        return _state(sorted(found.values(), key=lambda one: -one.entry))

    async def entered_by(self, asked: Asked) -> EnteredState:
        """The entries of the ledger that somebody had made."""
        query = asked.query
        return _state(await self._kept.by(query.by, query.limit, query.before))

    async def erase_entered(self, asked: Asked) -> Erased:
        """Erase that somebody had entries made."""
        return Erased(erased=await self._kept.erase(asked.query.by))


def who_asks(asked: Asked) -> Who:
    """Who has an entry made with this request."""
    return Who(asked.caller.token_id, asked.caller.name, asked.caller.user)


def _state(found: Sequence[EnteredBy]) -> EnteredState:
    return EnteredState(
        data=[
            EnteredEntry(entry=one.entry, token=one.who.token, name=one.who.name, user=one.who.user, at=one.at)
            for one in found
        ]
    )
