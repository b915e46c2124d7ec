"""`/api/v1/tokens`: who may call this node."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from intermodel.core import Conflict, NotFound
from intermodel.governance import Token
from intermodel.governance import Tokens as Kept
from intermodel.governance.tokens import ENVIRONMENT_ID
from intermodel.settings import WHOLE
from intermodel.web.api.forms import Form, Line, Listing
from intermodel.web.api.operation import Asked, Made, Operation

MOST = 10_000
"""Valid tokens of one node, as far as this API makes them."""
_TEN_YEARS_S = 10 * 366 * 24 * 3600


class TokenForm(Form):
    """A token to make."""

    name: Line
    """What it is for; shown in lists."""
    expires_in: Annotated[int, Field(ge=60, le=_TEN_YEARS_S), WHOLE] | None = None
    """Seconds until it ends. Null: never."""
    user: Line | None = None
    """Whose it is: budgets and limits may name them."""
    organisation: Line | None = None
    admin: bool = False
    """Whether it may change the node."""


class TokenState(Form):
    """What is known of a token; the token itself is not."""

    id: str
    name: str
    state: Literal["valid", "ended", "revoked"]
    created: datetime
    expires: datetime | None
    revoked: datetime | None
    user: str
    organisation: str
    admin: bool


class NewToken(TokenState):
    """A token that was just made."""

    token: str
    """Its text, shown this once."""


class TokensQuery(Form):
    """How many."""

    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


class EndQuery(Form):
    """How it ends."""

    forget: bool = False
    """Leave no trace of it in the list, also where it ended before."""


class Tokens:
    def __init__(self, tokens: Kept) -> None:
        self._tokens = tokens

    def operations(self) -> list[Operation]:
        return [
            Operation("GET", "/tokens", self.all, Listing[TokenState], query=TokensQuery),
            Operation("POST", "/tokens", self.post, NewToken, takes=TokenForm, who="admin", makes=True, clashes=True),
            Operation("DELETE", "/tokens/{id}", self.delete, query=EndQuery, who="admin", misses=True, clashes=True),
        ]

    async def all(self, asked: Asked) -> Listing[TokenState]:
        """List tokens, newest first, ended ones too. A plain token sees itself."""
        seen = [t for t in await self._tokens.all() if asked.caller.admin or t.id == asked.caller.token_id]
        return Listing(data=[TokenState(**_told(token)) for token in seen[: asked.query.limit]])

    async def post(self, asked: Asked) -> Made:
        """Make a token. Its text is in this answer and never shown again."""
        form: TokenForm = asked.body
        now = datetime.now(UTC)
        if sum(token.valid(now) for token in await self._tokens.all()) >= MOST:
            raise Conflict(f"There are {MOST} valid tokens, as many as a node takes.", hint="Revoke some.")
        token, text = await self._tokens.create(
            form.name,
            lasts=timedelta(seconds=form.expires_in) if form.expires_in else None,
            user=form.user or "",
            organisation=form.organisation or "",
            admin=form.admin,
        )
        return Made(NewToken(**_told(token), token=text))

    async def delete(self, asked: Asked) -> None:
        """End a token, by its id. Every process of the node refuses it within two seconds."""
        forget = asked.query.forget
        if asked.name not in {token.id for token in await self._tokens.all() if forget or token.revoked is None}:
            raise NotFound(
                f"There is no token with the id '{asked.name[:200]}'.", hint="Is it spelt as the list has it?"
            )
        if asked.name == ENVIRONMENT_ID:
            raise Conflict(
                "This token is the one that INTERMODEL_TOKEN holds.", hint="Unset it and start the node again."
            )
        await (self._tokens.forget if forget else self._tokens.revoke)(asked.name)


def _told(token: Token) -> dict[str, object]:
    state = "revoked" if token.revoked else "valid" if token.valid(datetime.now(UTC)) else "ended"
    names = ("id", "name", "created", "expires", "revoked", "user", "organisation", "admin")
    return {name: getattr(token, name) for name in names} | {"state": state}
