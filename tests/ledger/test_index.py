"""What the database keeps of the ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import pytest

from intermodel.core import NotFound
from intermodel.ledger import Personal, examine, open_ledger, uri, verify
from intermodel.ledger.index import Index, Row, Sealed
from intermodel.storage import Database
from tests.ledger.conftest import digest, said
from tests.storage.conftest import database, postgres

__all__ = ["database", "postgres"]


def row(entry: int, *digests: str) -> Row:
    return Row(entry, 1_700_000_000_123_456, "k" * 64, "x:y", digests)


async def test_entries(database: Database) -> None:
    index = Index(database, "a")
    assert await index.size() == 0
    rows = [row(0, digest(1)), row(1), row(2, digest(1), digest(2))]
    await index.put(rows)
    await index.put(rows[1:])  # once more harms nothing
    assert await index.size() == 3
    assert await index.about(digest(1)) == [0, 2]
    assert await index.of_type("x:y") == [0, 1, 2]
    assert await index.rows(0, 10) == {one.entry: one for one in rows}
    await index.clear()
    assert await index.size() == 0
    assert await index.about(digest(1)) == []


async def test_the_newest_that_are_like_that(database: Database) -> None:
    index, other = Index(database, "a"), Index(database, "b")
    day = 86_400 * 10**6
    await other.put([Row(entry, day, "z" * 64, "a:other", (digest(1),)) for entry in range(20)])
    await index.put([
        Row(entry, (entry // 2) * day, "kl"[entry % 2] * 64, f"t:{entry % 3}", (digest(entry % 4), digest(9)))
        for entry in range(12)
    ])  # fmt: skip
    assert await index.newest(12, 3) == [11, 10, 9]
    assert await index.newest(9, 3, low=7) == [8, 7]
    assert await index.newest(12, 9, predicate_type="t:1") == [10, 7, 4, 1]
    assert await index.newest(12, 9, signer="l" * 64, low=6) == [11, 9, 7]
    assert await index.newest(12, 9, digest=digest(3)) == [11, 7, 3]
    assert await index.newest(11, 1, digest=digest(3)) == [7]
    assert await index.newest(12, 9, digest=digest(9), predicate_type="t:1", signer="k" * 64) == [10, 4]
    assert await index.newest(12, 9, predicate_type="a:other") == []
    assert await index.types(9) == ["t:0", "t:1", "t:2"]
    assert await index.types(2) == ["t:0", "t:1"]
    assert await Index(database, "c").types(2) == []
    assert await index.by_day(7) == {3: 1, 4: 2, 5: 2}
    assert await index.by_day(0) == {1: 2, 2: 2, 3: 2, 4: 2, 5: 2}, "0 is no time"


async def test_groups_of_receipts(database: Database) -> None:
    index = Index(database, "a")
    assert await index.last_sealed() == ""
    one = Sealed.of(3, ("b" * 26, "a" * 26), (b"1" * 32, b"\0" * 32))
    two = Sealed.of(4, ("ab", "c" * 26), (b"3" * 32, b"4" * 32))
    await index.seal(one)
    await index.seal(two)
    assert await index.groups() == [one, two]
    assert (await index.group(3), await index.group(5)) == (one, None)
    assert await Index(database, "b").group(3) is None
    assert await index.sealed("a" * 26) == (one, 1)
    assert await index.sealed("ab") == (two, 0)
    assert await index.last_sealed() == "c" * 26
    assert await index.covered(["ab", "bb", "a" * 26]) == {"ab", "a" * 26}
    assert await index.covered([]) == set()
    with pytest.raises(NotFound):
        await index.sealed("bb")


async def test_a_whole_ledger(database: Database, tmp_path: Path) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        made = await ledger.record_all([said(i % 3) for i in range(30)])
        await ledger.seal([(f"{i:026d}", b"x") for i in range(5)])
        assert [one.index for one in await ledger.about(digest(1))] == [one.index for one in made[1::3]]
        assert len(await ledger.of_type(uri("grade"))) == 30
        assert verify(await ledger.receipt_bundle(f"{2:026d}", b"x"), [ledger.verifier]).good
        kept = await Personal(database).keep("Ada")
        assert await Personal(database).reveal(kept) == "Ada"
        assert await Personal(database).erase(kept) == 1
    assert await examine(tmp_path, database) == []
