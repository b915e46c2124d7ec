"""What happens in one call, written down as it happens; at its end this is the receipt."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from intermodel.accounts import Admission, AttemptNote, Payer, Price, Reservation
from intermodel.accounts.energy import Energy, Measure
from intermodel.core import Call, Fault, IntermodelError, Unavailable, Upstream, Usage
from intermodel.gateway.asking import Asked
from intermodel.gateway.choose import Candidate, Target
from intermodel.gateway.content import Content
from intermodel.governance import Caller
from intermodel.settings import Route

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def told_code(code: str) -> str:
    """An error's code, where it is a word: an upstream may put anything there, a prompt too."""
    return code if not code or _CODE.fullmatch(code) else "upstream_error"


_OF_THE_CALL = frozenset({Fault.WRONG, Fault.TOO_LONG, Fault.FILTERED, Fault.UNSUPPORTED})


def is_refusal(error: IntermodelError) -> bool:
    """Whether a place gave no answer because of what was asked, or of a rule of this node, and is not to blame."""
    if isinstance(error, Upstream):
        return error.fault in _OF_THE_CALL or error.code == "deployment_limited"
    return not isinstance(error, Unavailable)


@dataclass(slots=True)
class Attempt:
    """One try at one place. Times are seconds; `cost` is in nano-dollars, and estimated where nothing was reported."""

    target: Target
    key: int
    began: float
    after_s: float
    listed: Price | None = None
    """Of its deployment, at all service tiers; None where nobody knows it."""
    tier: str = ""
    """The service tier that the call asks for; once it is over, that at which it was served. "" is the usual one."""
    price: Price | None = None
    """What bounds its cost; once it is over, the price of what it was served at. None where nobody knows it."""
    call: Call | None = None
    """As it was made here; None where it is the account's own."""
    reservation: Reservation | None = None
    worst: int = 0
    """The most that it can cost, as a budget was asked for it."""
    seconds: float = 0.0
    first_token_s: float | None = None
    outcome: str = "running"
    code: str = ""
    status: int | None = None
    said: str = ""
    usage: Usage | None = None
    cost: int | None = 0
    """None: nobody knows."""
    admission: Admission | None = None
    measure: Measure | None = None
    energy: Energy | None = None
    """What it used, where that was measured."""
    asking: asyncio.Task[Asked] | None = None
    """The work itself, where it goes on when the caller leaves."""
    host: str = ""
    """Of the server that was asked; empty on this machine."""
    hedge: bool = False
    resumed: bool = False
    begun: bool = False
    """Whether its upstream was asked, so that it may cost something."""
    closed: bool = False
    """Whether it is paid and accounted for; that is done once."""

    @property
    def elapsed(self) -> float:
        """Seconds since it began; once it is over, how long it took."""
        return self.seconds or time.monotonic() - self.began

    def failed(self, error: IntermodelError) -> None:
        """It gave no answer: `failed` where its place is at fault, `refused` where the call is, or this node."""
        self.outcome = "refused" if not self.begun or is_refusal(error) else "failed"
        self.code = error.code
        self.status = error.status if isinstance(error, Upstream) else None
        self.said = error.message

    def told(self) -> AttemptNote:
        """As receipts tell it. What an upstream said is left out: it may quote the prompt."""
        note: AttemptNote = {
            "address": self.target.address,
            "key": self.key,
            "started_ms": self.after_s * 1000,
            "seconds": self.seconds,
            "first_token_s": self.first_token_s,
            "outcome": self.outcome,
            "code": told_code(self.code) or None,
            "status": self.status,
            "cost": self.cost,
        }
        if self.hedge:
            note["hedge"] = True
        if self.resumed:
            note["resumed"] = True
        if self.tier:
            note["tier"] = self.tier
        return note


class Costs(NamedTuple):
    """What a call came to over all attempts, in nano-dollars. None: nobody knows of one of them."""

    spent: int | None
    at_least: int
    """What is known of it."""
    wasted: int | None
    """Of it, what was paid for attempts that gave the caller nothing."""


@dataclass(slots=True)
class Account:
    """One call, from the moment it was taken on."""

    id: str
    call: Call
    caller: Caller
    payer: Payer
    settle: Callable[[Account, str, IntermodelError | None], Awaitable[None]]
    at: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)
    route: Route | None = None
    candidates: Sequence[Candidate] = ()
    likely: int = 0
    """Tokens for which the call counts against rate limits until it is known how many they were."""
    attempts: list[Attempt] = field(default_factory=list)
    outcome: str = ""
    code: str = ""
    answered: Attempt | None = None
    cached: str = ""
    """The receipt of the call whose answer was given again."""
    admission: Admission | None = None
    draining: int = 0
    """How many attempts are still read, for the bill, after the caller has left."""
    findings: Counter[str] | None = None
    """What guards found, by kind; None where none looks."""
    content: Content | None = None
    """What was asked and answered, where receipts keep it."""

    def begin(self, target: Target, key: int, listed: Price | None) -> Attempt:
        """A further attempt, which begins now, at a deployment of that price."""
        now = time.monotonic()
        attempt = Attempt(target, key, now, now - self.started, listed)
        self.attempts.append(attempt)
        return attempt

    def costs(self) -> Costs:
        """What it came to."""
        spent = wasted = 0
        known = waste_known = True
        for attempt in self.attempts:
            in_vain = attempt.outcome in ("failed", "refused", "lost") and attempt is not self.answered
            if attempt.cost is None:
                known, waste_known = False, waste_known and not in_vain
            else:
                spent += attempt.cost
                wasted += attempt.cost if in_vain else 0
        return Costs(spent if known else None, spent, wasted if waste_known else None)

    @property
    def reserved(self) -> int:
        """Nano-dollars that were set aside, over all attempts."""
        reserved = 0
        for attempt in self.attempts:
            if attempt.reservation is not None:
                reserved += attempt.reservation.amount
        return reserved

    @property
    def tokens(self) -> int:
        """Read and made, over all attempts."""
        tokens = 0
        for attempt in self.attempts:
            if attempt.usage is not None:
                tokens += attempt.usage.input + attempt.usage.output
        return tokens

    def told(self) -> dict[str, Any]:
        """What callers are told of a call that failed."""
        return {"receipt": self.id, "attempts": [attempt.told() for attempt in self.attempts]}

    def gives(self, piece: bytes) -> None:
        """A piece of the answer goes to the caller."""
        if self.content is not None and piece:
            self.content.add(piece)

    async def over(self, outcome: str, error: IntermodelError | None = None) -> None:
        """End the call: it is counted, and its receipt written."""
        await self.settle(self, outcome, error)
