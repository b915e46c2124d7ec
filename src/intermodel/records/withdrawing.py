"""Statements that this node takes back, or sets aside where they are another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from intermodel.core import Invalid, NotFound
from intermodel.core.statements import Statement
from intermodel.ledger import Entry, Ledger
from intermodel.ledger.withdrawal import named_by, things, withdrawable, withdrawal_of
from intermodel.records.predicates import withheld
from intermodel.records.said import Said


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What was taken back: the `new` entries that say so, and the entries that they take back. `aside` are those of
    others, which are set aside here; `again` those that count again: what was withdrawn had superseded them."""

    new: tuple[int, ...]
    withdrawn: tuple[int, ...]
    aside: tuple[int, ...]
    again: tuple[int, ...] = ()


async def withdraw(ledger: Ledger, indices: Sequence[int], reason: str) -> Withdrawal:
    """Take back these entries of the ledger, all of them or none; what was taken back before is not taken back again.

    Mail addresses and telephone numbers in the reason are left out, as a ledger forgets nothing. Raises `NotFound`,
    `Conflict` for what is never withdrawn, `Invalid` for an entry that holds no statement, or without a reason.
    """
    entries = [await ledger.entry(index) for index in indices]
    said = [withdrawal_of(one.digest, _statement(one), _clean(reason)) for one in entries]
    before = {named_by(one.statement) for one in await _withdrawals(ledger, indices)}
    fresh = [(one, statement) for one, statement in zip(entries, said, strict=True) if one.digest not in before]
    made = await ledger.record_all([statement for _, statement in fresh]) if fresh else []
    others = tuple(one.index for one, _ in fresh if one.signer not in ledger.keys.keys)
    return Withdrawal(tuple(one.index for one in made), tuple(one.index for one, _ in fresh), others)


async def named(ledger: Ledger, indices: Sequence[int]) -> tuple[str, ...]:
    """The things that these entries are about. Raises `NotFound`, and `Invalid` for one that holds no statement."""
    entries = [await ledger.entry(index) for index in indices]
    return tuple(dict.fromkeys(subject.name for one in entries for subject in things(_statement(one))))


def standing(statements: Sequence[Said], address: str) -> list[int]:
    """What of a record this node itself said of the thing under its name, and did not take back. Raises `NotFound`."""
    mine = [
        one
        for one in statements
        if one.own and not one.withdrawn and address in one.about and withdrawable(one.predicate_type)
    ]
    if not mine:
        raise NotFound(
            f"This node has said nothing of '{address[:200]}' that stands.",
            hint="What another signer said is set aside by the number of its entry: `intermodel show` has it.",
            code="nothing_to_withdraw",
        )
    return sorted(one.index for one in mine)


async def _withdrawals(ledger: Ledger, indices: Sequence[int]) -> list[Entry]:
    """Those by this node itself that count."""
    found = [await ledger.entry(index) for index in await ledger.withdrawals(indices)]
    return [one for one in found if ledger.keys.signs(one.signer, one.index)]


def _statement(entry: Entry) -> Statement:
    if entry.statement is None:
        raise Invalid(
            f"Entry {entry.index} holds no statement that can be read, so there is nothing to take back.",
            code="no_statement",
        )
    return entry.statement


def _clean(reason: str) -> str:
    return str(withheld({"note": reason})["note"])
