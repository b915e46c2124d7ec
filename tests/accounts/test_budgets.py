import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from intermodel.accounts import Payer, new_id
from intermodel.accounts.budgets import shown
from intermodel.core import Conflict, NotFound, OverBudget
from intermodel.storage import Database
from tests.accounts.conftest import ADA, DOLLAR, accounts, books, budget, call, over

BOB = Payer("ba9876543210", "other", "bob", "lovelace")
MONTH = datetime.now(UTC).strftime("%Y-%m")


async def test_nothing_is_reserved_where_no_budget_binds(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"bob": budget(user="bob")}) as opened:
        assert await opened.budgets.reserve(ADA, DOLLAR, call()) is None
        assert await opened.budgets.reserve(BOB, DOLLAR, call(BOB)) is not None


async def test_what_was_spent_reaches_the_database_with_its_receipt(database: Database, tmp_path: Path) -> None:
    known = call()
    async with accounts(database, tmp_path, {"node": budget("1")}) as opened:
        reservation = await opened.budgets.reserve(ADA, DOLLAR // 2, known)
        assert reservation is not None
        assert reservation.amount == DOLLAR // 2
        reservation.settle(DOLLAR // 4)
        await opened.receipts.record(over(known, DOLLAR // 4))
        found = await opened.receipts.find(known["id"])
        assert found["budgets"] == [{"budget": "node", "window": MONTH, "nano": DOLLAR // 4}]
        assert (await books(database))["node", MONTH][0] == DOLLAR // 4
        (standing,) = await opened.budgets.all()
        assert standing.spent == DOLLAR // 4
    assert await books(database) == {("node", MONTH): (DOLLAR // 4, 0)}


async def test_a_ceiling_refuses_and_says_so(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"small": budget("0.5")}) as opened:
        with pytest.raises(OverBudget, match=r"'small' does not reach: \$0.50 of \$0.50 are left.* \$0.500000001") as e:
            await opened.budgets.reserve(ADA, DOLLAR // 2 + 1, call())
        assert "anew" in e.value.hint
        assert e.value.code == "over_budget"
        reservation = await opened.budgets.reserve(ADA, DOLLAR // 2, call())
        assert reservation is not None
        with pytest.raises(OverBudget, match=r"\$0.00 of"):
            await opened.budgets.reserve(ADA, 1, call())
        reservation.release()
        reservation.release()
        assert await opened.budgets.reserve(ADA, DOLLAR // 2, call())


async def test_a_higher_ceiling_holds_for_the_very_next_call(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {}) as opened:
        await opened.budgets.define("small", budget("0.5"))
        with pytest.raises(OverBudget):
            await opened.budgets.reserve(ADA, DOLLAR, call())
        await opened.budgets.define("small", budget("2"))
        assert await opened.budgets.reserve(ADA, DOLLAR, call())


async def test_all_budgets_that_bind_must_admit_a_call_or_none_is_charged(database: Database, tmp_path: Path) -> None:
    both = {"wide": budget("10"), "narrow": budget("1", user="ada"), "bobs": budget("0.1", user="bob")}
    async with accounts(database, tmp_path, both) as opened:
        with pytest.raises(OverBudget, match="narrow"):
            await opened.budgets.reserve(ADA, 2 * DOLLAR, call())
        assert await opened.budgets.reserve(BOB, DOLLAR // 10, call(BOB))
        ten = [await opened.budgets.reserve(ADA, DOLLAR // 10, call()) for _ in range(10)]
        assert all(ten)
        held = {s.name: s.held for s in await opened.budgets.all()}
        assert held["wide"] >= DOLLAR + DOLLAR // 10
        assert held["narrow"] == DOLLAR


async def test_part_of_what_is_wanted(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1"), "b": budget("0.7", user="ada")}) as opened:
        reservation = await opened.budgets.reserve(ADA, 2 * DOLLAR, call(), at_least=DOLLAR // 2)
        assert reservation is not None
        assert reservation.amount == 7 * DOLLAR // 10
        with pytest.raises(OverBudget, match="'b'"):
            await opened.budgets.reserve(ADA, DOLLAR, call(), at_least=1)
        assert not await reservation.grow(1)
        assert reservation.amount == 7 * DOLLAR // 10


async def test_a_reservation_grows_as_far_as_the_ceiling(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        reservation = await opened.budgets.reserve(ADA, DOLLAR // 2, call())
        assert reservation is not None
        assert await reservation.grow(DOLLAR // 4)
        assert not await reservation.grow(DOLLAR // 2)
        assert await reservation.grow(DOLLAR // 4)
        assert reservation.amount == DOLLAR
        reservation.settle(0)
        with pytest.raises(RuntimeError, match="once"):
            reservation.settle(1)


async def test_a_call_that_cost_more_is_recorded_as_it_was(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        known, other = call(), call()
        reservation = await opened.budgets.reserve(ADA, DOLLAR // 2, known)
        beside = await opened.budgets.reserve(ADA, DOLLAR // 4, other)
        assert reservation is not None
        assert beside is not None
        reservation.settle(2 * DOLLAR)
        with pytest.raises(OverBudget):
            await opened.budgets.reserve(ADA, 1, call())
        await opened.receipts.record(over(known, 2 * DOLLAR))
        await opened.receipts.find(known["id"])
        spent, leased = (await books(database))["a", MONTH]
        assert spent == 2 * DOLLAR
        assert leased >= DOLLAR // 4, "what the other call reserved is still its own"
        beside.settle(DOLLAR // 4)
        await opened.receipts.record(over(other, DOLLAR // 4))
    assert await books(database) == {("a", MONTH): (2 * DOLLAR + DOLLAR // 4, 0)}


async def test_attempts_of_one_call_make_one_charge(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        known = call()
        for spent in (0, DOLLAR // 10, DOLLAR // 5):
            reservation = await opened.budgets.reserve(ADA, DOLLAR // 2, known)
            assert reservation is not None
            reservation.settle(spent)
        await opened.receipts.record(over(known))
        found = await opened.receipts.find(known["id"])
        assert found["budgets"] == [{"budget": "a", "window": MONTH, "nano": 3 * DOLLAR // 10}]


async def test_what_nobody_settled_counts_as_spent(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        known = call()
        assert await opened.budgets.reserve(ADA, DOLLAR // 2, known)
        await opened.receipts.record(over(known))
        await opened.receipts.find(known["id"])
    assert await books(database) == {("a", MONTH): (DOLLAR // 2, 0)}


async def test_a_call_settles_in_the_window_in_which_it_was_reserved(database: Database, tmp_path: Path) -> None:
    now = [datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC).timestamp()]
    async with accounts(database, tmp_path, {"d": budget("1", per="day")}, clock=lambda: now[0]) as opened:
        late = call()
        reservation = await opened.budgets.reserve(ADA, DOLLAR, late)
        assert reservation is not None
        now[0] += 1
        early = call()
        second = await opened.budgets.reserve(ADA, DOLLAR, early)
        assert second is not None
        reservation.settle(DOLLAR // 2)
        second.settle(DOLLAR // 4)
        for known in (late, early):
            await opened.receipts.record(over(known))
            await opened.receipts.find(known["id"])
        found = await books(database)
        assert (found["d", "2026-01-31"][0], found["d", "2026-02-01"][0]) == (DOLLAR // 2, DOLLAR // 4)
    assert {leased for _, leased in (await books(database)).values()} == {0}


async def test_a_window_of_the_past_is_kept_as_long_as_a_call_needs_it(database: Database, tmp_path: Path) -> None:
    now = [datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()]
    async with accounts(database, tmp_path, {"d": budget("1", per="day")}, clock=lambda: now[0]) as opened:
        known, dear = call(), call()
        free = await opened.budgets.reserve(ADA, 0, known)
        costs = await opened.budgets.reserve(ADA, 0, dear)
        assert free is not None
        assert costs is not None
        free.settle(0)
        now[0] += 86_400
        await opened.budgets.reserve(ADA, DOLLAR, call())
        await opened.budgets.slices.give_back()
        costs.settle(DOLLAR // 2)
        await opened.budgets.slices.give_back()
        for one in (known, dear):
            await opened.receipts.record(over(one))
            await opened.receipts.find(one["id"])
        assert (await books(database))["d", "2026-01-31"] == (DOLLAR // 2, 0)


async def test_what_costs_nothing_is_let_in_where_nothing_is_left(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        reservation = await opened.budgets.reserve(ADA, DOLLAR, call())
        assert reservation is not None
        reservation.settle(2 * DOLLAR)
        assert await opened.budgets.reserve(ADA, 0, call())
        with pytest.raises(OverBudget):
            await opened.budgets.reserve(ADA, 1, call())


async def test_calls_at_once_never_exceed_the_ceiling(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1"), "u": budget("0.5", user="ada")}) as opened:
        admitted = 0
        out = 0

        async def one(payer: Payer) -> None:
            nonlocal admitted, out
            known = call(payer)
            try:
                reservation = await opened.budgets.reserve(payer, DOLLAR // 50, known)
            except OverBudget:
                return
            assert reservation is not None
            out += 1
            assert out <= 50
            await asyncio.sleep(0.01)
            out -= 1
            admitted += 1
            reservation.settle(DOLLAR // 50)
            await opened.receipts.record(over(known, DOLLAR // 50))

        async with asyncio.TaskGroup() as group:
            for number in range(200):
                group.create_task(one(ADA if number % 2 else BOB))
        assert admitted == 50
    found = await books(database)
    assert found["a", MONTH] == (DOLLAR, 0)
    assert found["u", MONTH][0] <= DOLLAR // 2


@pytest.mark.slow
async def test_a_slice_that_lies_idle_goes_to_another_process(database: Database, tmp_path: Path) -> None:
    budgets = {"a": budget("1")}
    async with accounts(database, tmp_path / "1", budgets) as one, accounts(database, tmp_path / "2", budgets) as two:
        held = await one.budgets.reserve(ADA, DOLLAR // 2, call())
        assert held is not None
        began = time.monotonic()
        with pytest.raises(OverBudget):
            await two.budgets.reserve(ADA, DOLLAR // 2 + 1, call())
        waited = time.monotonic()
        with pytest.raises(OverBudget):
            await two.budgets.reserve(ADA, DOLLAR // 2 + 1, call())
        assert time.monotonic() - waited < 1 < waited - began, "nobody waits after one that waited in vain"
        await asyncio.sleep(1.1)
        asked = asyncio.create_task(two.budgets.reserve(ADA, DOLLAR, call()))
        await asyncio.sleep(0.2)
        held.release()
        assert await asked, "waited for what flows back"


async def test_budgets_made_while_the_node_runs(database: Database, tmp_path: Path) -> None:
    async with (
        accounts(database, tmp_path / "1", {"file": budget("5")}) as one,
        accounts(database, tmp_path / "2") as two,
    ):
        two.budgets.REFRESH_S = 0.1
        await one.budgets.define("made", budget("0.5", user="ada"))
        with pytest.raises(OverBudget, match="made"):
            await one.budgets.reserve(ADA, DOLLAR, call())
        await one.budgets.define("made", budget("2", user="ada", per="all"))
        assert await one.budgets.reserve(ADA, DOLLAR, call())
        assert [(s.name, s.declared, s.ceiling) for s in await one.budgets.all()] == [
            ("file", True, 5 * DOLLAR),
            ("made", False, 2 * DOLLAR),
        ]
        await asyncio.sleep(0.8)
        with pytest.raises(OverBudget, match="made"):
            await two.budgets.reserve(ADA, 3 * DOLLAR, call())
        with pytest.raises(Conflict, match="settings"):
            await one.budgets.define("file", budget("9"))
        with pytest.raises(Conflict, match="settings"):
            await one.budgets.remove("file")
        await one.budgets.remove("made")
        with pytest.raises(NotFound, match="no budget 'made'"):
            await one.budgets.remove("made")
        assert await one.budgets.reserve(ADA, 3 * DOLLAR, call())


async def test_a_reserve_that_is_cancelled_leaves_nothing(database: Database, tmp_path: Path) -> None:
    async with accounts(database, tmp_path, {"a": budget("1")}) as opened:
        for delay in range(20):
            task = asyncio.create_task(opened.budgets.reserve(ADA, DOLLAR, call()))
            await asyncio.sleep(delay / 5000)
            task.cancel()
            for result in await asyncio.gather(task, return_exceptions=True):
                if result is not None and not isinstance(result, BaseException):
                    result.release()
        assert await opened.budgets.reserve(ADA, DOLLAR, call())


def test_dollars_as_people_write_them() -> None:
    assert [shown(n) for n in (0, 1, DOLLAR, 12_345_600_000)] == ["0.00", "0.000000001", "1.00", "12.3456"]


def test_ids_sort_by_time() -> None:
    ids = []
    for _ in range(5):
        ids.append(new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {len(i) for i in ids} == {26}
