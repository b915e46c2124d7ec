"""Withdrawals in the ledger and in bundles: what takes which statement back, as somebody sees who was handed a file."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intermodel.core import Conflict, Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Entry, Ledger, Verifier, dsse, statement, verify
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.ledger.withdrawal import NAME, digest_of, fits, named_by, things, withdrawal_of
from tests.ledger.conftest import digest, said

HUB, OLD = LocalSigner.make(), LocalSigner.make()
ALL = ("entry", "by", "aside", "sure")


def back(entry: Entry, reason: str = "wrong") -> Statement:
    assert entry.statement is not None
    return withdrawal_of(entry.digest, entry.statement, reason)


async def shown(ledger: Ledger, indices: list[int], *keys: Verifier) -> dict[int, list[tuple[Any, ...]]]:
    """What takes each entry of a bundle back."""
    report = verify(await ledger.bundle(indices), [ledger.verifier, *keys])
    assert report.intact
    return {
        one.index: [tuple(getattr(by, name) for name in ALL) for by in one.withdrawn]
        for one in report.entries
        if one.withdrawn
    }


async def others(ledger: Ledger, one: Statement, *by: LocalSigner) -> Entry:
    """An entry that somebody else signed."""
    envelope = dsse.seal(statement.dumped(one, 1.0), by)
    return await ledger.record_envelope(envelope, [key.public for key in by])


def test_a_withdrawal_is_about_the_statement_and_about_its_things() -> None:
    one = said(3)
    made = withdrawal_of(digest(9), one, " wrong ")
    assert made.predicate == {"statement": digest(9), "reason": "wrong"}
    assert made.subjects == (Subject(NAME, digest(9)), *one.subjects)
    assert (named_by(made), named_by(one), named_by(None)) == (digest(9), "", "")
    assert things(made) == things(one) == one.subjects
    assert fits(made, digest(9), one)
    assert not fits(made, digest(8), one)
    assert not fits(made, digest(9), said(4)), "it is about another thing"
    for reason in ("", " "):
        with pytest.raises(Invalid, match="needs a reason"):
            withdrawal_of(digest(9), one, reason)


def test_what_is_never_withdrawn() -> None:
    one = withdrawal_of(digest(9), said(3), "wrong")
    with pytest.raises(Conflict, match="A withdrawal is not withdrawn"):
        withdrawal_of(digest(8), one, "right after all")
    forged = Statement((Subject(NAME, digest(8)), *one.subjects), WITHDRAWAL, {"statement": digest(8), "reason": "x"})
    assert not fits(forged, digest(8), one)


@pytest.mark.parametrize(
    "predicate",
    [
        {"statement": digest(1)},
        {"reason": "wrong"},
        {"statement": digest(1), "reason": ""},
        {"statement": digest(1)[7:], "reason": "wrong"},
        {"statement": digest(1), "reason": "wrong", "by": "Ada"},
    ],
)
async def test_its_schema_is_kept(ledger: Ledger, predicate: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="'withdrawal' breaks its schema"):
        await ledger.record(Statement((Subject("thing", digest(1)),), WITHDRAWAL, predicate))


async def test_a_statement_is_named_by_the_bytes_that_were_signed(ledger: Ledger) -> None:
    entry = await ledger.record(said())
    assert entry.digest == digest_of(dsse.parse(entry.envelope).payload)
    await ledger.index()
    assert (await ledger.entry(entry.index)).digest == entry.digest, "read from the disk"


async def test_withdrawals_are_found_by_what_they_take_back(ledger: Ledger) -> None:
    one, other = await ledger.record_all([said(1), said(1, outcome="class II")])
    made = await ledger.record(back(one))
    for _ in range(2):  # before they are indexed, and after
        assert await ledger.withdrawals([one.index]) == [made.index]
        assert await ledger.withdrawals([other.index, made.index]) == []
        assert [entry.index for entry in await ledger.about(one.digest)] == [made.index]
        await ledger.index()


async def test_the_ledger_takes_its_own_word_back_with_whichever_key(ledger: Ledger) -> None:
    one, other = await ledger.record_all([said(1), said(2)])
    await ledger.rotate()
    made = await ledger.record(back(one))
    indices = [one.index, other.index, made.index]
    assert await shown(ledger, indices) == {one.index: [(made.index, f"the ledger {ledger.origin}", False, True)]}
    assert await shown(ledger, [one.index, other.index]) == {}, "a bundle says what is in it"
    key = ledger.keys.current.key.id
    await ledger.rotate()
    await ledger.revoke(key, made.index)
    report = verify(await ledger.bundle(indices), [ledger.verifier])
    assert not any(entry.withdrawn for entry in report.entries), "a revoked key takes nothing back"


async def test_another_signers_word_is_withdrawn_by_that_signer_alone(ledger: Ledger) -> None:
    one = await others(ledger, said(1), OLD)
    made = await others(ledger, back(one), HUB)
    indices = [one.index, made.index]
    hub, old = Verifier("hub.example", HUB.public), Verifier("hub.example", OLD.public)
    assert await shown(ledger, indices, hub, old) == {one.index: [(made.index, "hub.example", False, True)]}
    assert await shown(ledger, indices, hub, Verifier("old.example", OLD.public)) == {}
    assert await shown(ledger, indices, hub) == {}, "nobody vouches for the one who said it"
    aside = await ledger.record(back(one))
    found = await shown(ledger, [one.index, aside.index], old)
    assert found == {one.index: [(aside.index, f"the ledger {ledger.origin}", True, True)]}, "only set aside there"


async def test_what_a_key_takes_back_for_which_nobody_vouches_is_told_as_such(ledger: Ledger) -> None:
    one = await others(ledger, said(1), HUB)
    made = await others(ledger, back(one), HUB)
    report = verify(await ledger.bundle([one.index, made.index]), [ledger.verifier])
    (by,) = report.entries[0].withdrawn
    assert (by.by, by.sure) == (f"the key {HUB.public.id[:16]}", False)
    assert json.loads(json.dumps(report.document()))["entries"][0]["withdrawn"][0]["reason"] == "wrong"
