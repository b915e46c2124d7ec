"""What a run needs of the node that it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol


def token_name(name: str) -> str:
    """What the tokens of a run are called."""
    return f"writer {name}"


def budget_name(name: str) -> str:
    """What its budget is called."""
    return f"writer-{name}"


@dataclass(frozen=True, slots=True)
class Billed:
    """A call as the node has it."""

    receipt: str
    model: str
    input: int
    output: int


class NodeDoor(Protocol):
    """The node, as a run needs it."""

    @property
    def api(self) -> str:
        """Its address up to `/v1`."""
        ...

    async def contexts(self) -> Mapping[str, int]:
        """Tokens of context by model, where they are known."""
        ...

    async def enter(self, name: str, dollars: Decimal | None, spent: Decimal) -> str:
        """A token for the run of that name. Its calls together may cost `dollars` over the whole life of the run
        (None: no ceiling), of which the run knows to have spent `spent`. Raises `OverBudget` where nothing is left."""
        ...

    async def leave(self, name: str, *, finished: bool) -> None:
        """End the token; `finished`: the budget too, and nothing lists either of them any more. What was spent under
        its name stays spent."""
        ...

    async def receipts(self, name: str) -> Sequence[Billed]:
        """All calls on this node of the run of that name that cost anything, with whatever token."""
        ...

    async def cost(self, receipt: str) -> int | None:
        """What a call came to, in nano-dollars; None where nobody knows its price. Raises `NotFound`."""
        ...

    async def digest(self, model: str) -> str:
        """Of the model's file; "" where it is not known."""
        ...

    async def sign(self, name: str, digest: str, said: Mapping[str, Any]) -> bytes:
        """Have the statement `article` signed, and take it along with its proof. Asked for the same one again, the
        node signs nothing, and gives that one."""
        ...
