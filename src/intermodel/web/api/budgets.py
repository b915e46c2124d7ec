"""`/api/v1/budgets`: what may be spent, what was, and changing that while the node runs."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from intermodel.accounts import Budgets as Ceilings
from intermodel.accounts import Standing
from intermodel.core import Conflict, Invalid, NotFound
from intermodel.governance import Caller
from intermodel.settings import NAME, Budget
from intermodel.web.api.deployments import MOST, DeclaredIn
from intermodel.web.api.forms import Amount, Form, Line, Listing
from intermodel.web.api.operation import Asked, Made, Operation


class BudgetForm(Form):
    """As `[budgets.NAME]` in intermodel.toml. With no token, user or organisation named it binds the whole node."""

    model_config = ConfigDict(regex_engine="python-re")

    dollars: Annotated[str, Field(pattern=r"^(?=.*[1-9])[0-9]{1,9}(\.[0-9]{1,9})?\Z")]
    """The ceiling, in US dollars, as a decimal: "12.50"."""
    per: Literal["day", "month", "all"] = "month"
    """When it begins anew (UTC); `all`: never."""
    token: Line | None = None
    """The id or name of one token."""
    user: Line | None = None
    """All tokens of one user."""
    organisation: Line | None = None
    """All tokens of one organisation."""


class BudgetState(Form):
    """One budget in its current day, month or whole life."""

    name: str
    declared_in: DeclaredIn
    subject: Literal["node", "token", "user", "organisation"]
    """What it binds."""
    who: str
    """Whose; empty for the whole node."""
    per: Literal["day", "month", "all"]
    ceiling: Amount
    spent: Amount
    held: Amount
    """Set aside for calls in progress, or ahead of the next ones."""
    left: Amount
    """Neither spent nor held."""
    begins_anew: datetime | None

    @classmethod
    def of(cls, standing: Standing) -> BudgetState:
        return cls(
            name=standing.name,
            declared_in="file" if standing.declared else "run time",
            subject=standing.subject,
            who=standing.who,
            per=standing.period,
            ceiling=Amount.of(standing.ceiling),
            spent=Amount.of(standing.spent),
            held=Amount.of(standing.held),
            left=Amount.of(max(0, standing.ceiling - standing.spent - standing.held)),
            begins_anew=standing.anew,
        )


class Budgets:
    def __init__(self, budgets: Ceilings) -> None:
        self._budgets = budgets

    def operations(self) -> list[Operation]:
        one = "/budgets/{name}"
        return [
            Operation("GET", "/budgets", self.all, Listing[BudgetState]),
            Operation("GET", one, self.get, BudgetState, misses=True),
            Operation("PUT", one, self.put, BudgetState, takes=BudgetForm, who="admin", makes=True, clashes=True),
            Operation("DELETE", one, self.delete, who="admin", misses=True, clashes=True),
        ]

    async def all(self, asked: Asked) -> Listing[BudgetState]:
        """List the budgets. A plain token sees those of its own, its user and its organisation."""
        return Listing(data=list((await self._seen(asked.caller)).values()))

    async def get(self, asked: Asked) -> BudgetState:
        """Tell one budget."""
        found = (await self._seen(asked.caller)).get(asked.name)
        if found is None:
            raise NotFound(f"There is no budget '{asked.name[:200]}'.", hint="GET /api/v1/budgets lists them.")
        return found

    async def put(self, asked: Asked) -> BudgetState | Made:
        """Make a budget, or change one that was made while the node runs. What was spent under its name stays spent."""
        if not re.fullmatch(NAME, asked.name) or len(asked.name) > 200:
            raise Invalid(f"'{asked.name[:200]}' is no name.", hint="Write NAME or owner/NAME.", param="name")
        before = await self._seen(asked.caller)
        if asked.name not in before and len(before) >= MOST:
            raise Conflict(f"There are {MOST} budgets, as many as a node takes.", hint="Remove one.")
        await self._budgets.define(asked.name, _budget(asked.body))
        state = (await self._seen(asked.caller))[asked.name]
        return state if asked.name in before else Made(state)

    async def delete(self, asked: Asked) -> None:
        """End a budget that was made while the node runs."""
        await self._budgets.remove(asked.name)

    async def _seen(self, caller: Caller) -> dict[str, BudgetState]:
        return {s.name: BudgetState.of(s) for s in await self._budgets.all() if caller.admin or _is_of(s, caller)}


def _budget(form: BudgetForm) -> Budget:
    subjects = [subject for subject in ("token", "user", "organisation") if getattr(form, subject)]
    if len(subjects) > 1:
        raise Invalid(
            f"A budget binds one of them: {' and '.join(subjects)} are named.", hint="Make two.", param=subjects[1]
        )
    return Budget.model_validate(form.model_dump(exclude_none=True))


def _is_of(standing: Standing, caller: Caller) -> bool:
    """Whether a plain token may see it: the whole node's is not its affair."""
    whose = {
        "token": (caller.token_id, caller.name),
        "user": (caller.user,),
        "organisation": (caller.organisation,),
    }
    return standing.who in whose.get(standing.subject, ())
