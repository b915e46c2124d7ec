"""Budgets: how far each is used, when it begins anew; for admins, the forms that make, change and remove one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from intermodel.accounts import Budgets as Ceilings
from intermodel.accounts import Payer, Standing
from intermodel.accounts.budgets import shown
from intermodel.accounts.windows import Terms
from intermodel.core import Conflict, IntermodelError, Invalid
from intermodel.gateway.registry import checked
from intermodel.governance import Caller
from intermodel.settings import Budget
from intermodel.web.auth import Auth
from intermodel.web.errors import status_of
from intermodel.web.pages.forms import Form, read_form
from intermodel.web.pages.render import page, redirect

_FORM_BYTES = 16 * 1024
SUBJECTS = {"node": "the whole node", "token": "one token", "user": "one user", "organisation": "one organisation"}
PERIODS = {"day": "each day", "month": "each month", "all": "never"}


@dataclass(frozen=True, slots=True)
class Draft:
    """The form as someone filled it in, and what is wrong with it."""

    name: str = ""
    subject: str = "node"
    who: str = ""
    dollars: str = ""
    per: str = "month"
    editing: bool = False
    error: IntermodelError | None = None

    def document(self) -> dict[str, Any]:
        """As `[budgets.NAME]`. Raises `Invalid` where it says that someone is bound and not who."""
        if self.subject not in SUBJECTS:
            raise Invalid(f"'{self.subject[:40]}' is nobody.", hint="Choose whom the budget binds.", param="subject")
        if self.subject == "node" and self.who:
            raise Invalid("The whole node is nobody's.", hint="Leave it empty, or choose whom to bind.", param="who")
        if self.subject != "node" and not self.who:
            raise Invalid(f"Say which {self.subject}.", hint="Write its name.", param="who")
        bound = {} if self.subject == "node" else {self.subject: self.who}
        return bound | {"dollars": self.dollars, "per": self.per}


@dataclass(frozen=True, slots=True)
class Used:
    """A budget, and how much of it is used, in percent."""

    budget: Standing
    spent: float
    held: float
    draft: Draft

    @property
    def left(self) -> int:
        """Nano-dollars."""
        return max(0, self.budget.ceiling - self.budget.spent - self.budget.held)


class Budgets:
    def __init__(self, budgets: Ceilings, auth: Auth) -> None:
        self._budgets = budgets
        self._auth = auth

    async def show(self, request: Request, caller: Caller) -> Response:
        """Every budget for an admin; for others those of their token, user and organisation."""
        return await self._page(request, caller, Draft())

    async def change(self, request: Request, _caller: Caller) -> Response:
        """Make, change or remove a budget."""
        admin = await self._auth.admin(request.scope)
        form = await read_form(request, _FORM_BYTES)
        if form.text("do") == "remove":
            await self._budgets.remove(form.text("name"))
            return redirect(request.scope, "/budgets")
        draft = _draft(form)
        try:
            await self._save(draft)
        except (Invalid, Conflict) as error:
            if draft.editing and not isinstance(error, Invalid):
                raise  # it stands in the settings: there is no form to go back to
            failed = Draft(draft.name, draft.subject, draft.who, draft.dollars, draft.per, draft.editing, error)
            return await self._page(request, admin, failed, status_of(error))
        return redirect(request.scope, "/budgets")

    async def _save(self, draft: Draft) -> None:
        budget = checked(Budget, draft.name, draft.document())
        if not draft.editing and any(one.name == draft.name for one in await self._budgets.all()):
            raise Conflict(f"There is a budget '{draft.name}' already.", hint="Change it, or choose another name.")
        await self._budgets.define(draft.name, budget)

    async def _page(self, request: Request, caller: Caller, draft: Draft, status: int = 200) -> Response:
        payer = Payer(caller.token_id, caller.name, caller.user, caller.organisation)
        seen = [one for one in await self._budgets.all() if caller.admin or _is_of(one, payer)]
        used = sorted((_used(one, draft) for one in seen), key=lambda one: -(one.spent + one.held))
        return page(
            request.scope,
            "budgets.html",
            caller,
            status=status,
            budgets=used,
            draft=Draft() if draft.editing else draft,
            subjects=SUBJECTS,
            periods=PERIODS,
            now=time.time(),
        )


def _draft(form: Form) -> Draft:
    name, subject, who, dollars, per = (form.text(f).strip() for f in ("name", "subject", "who", "dollars", "per"))
    return Draft(name, subject, who, dollars, per, editing=form.text("do") == "change")


def _used(budget: Standing, draft: Draft) -> Used:
    """`draft` is what stands in its form, if that was sent and refused."""
    spent = min(100.0, 100 * budget.spent / budget.ceiling)
    held = min(100.0 - spent, 100 * budget.held / budget.ceiling)
    own = Draft(budget.name, budget.subject, budget.who, shown(budget.ceiling), budget.period, editing=True)
    mine = draft.editing and draft.name == budget.name
    return Used(budget, round(spent, 2), round(held, 2), draft if mine else own)


def _is_of(one: Standing, payer: Payer) -> bool:
    """Whether it is the payer's affair: the whole node's is not."""
    terms = Terms(one.name, one.subject, one.who, one.ceiling, one.period, one.declared)
    return one.subject != "node" and terms.binds(payer)
