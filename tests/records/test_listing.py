"""The catalogue follows the ledger: through crashes, a signer who is trusted no more, and an older node's rows."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from intermodel.core import Unavailable
from intermodel.records import listed as entries
from intermodel.records import listing
from intermodel.records.catalogue import Query
from intermodel.records.predicates import LINEAGE
from intermodel.records.record import Record
from intermodel.records.store import Records
from intermodel.records.told import Told
from tests.records.test_taking import HUB, KEY, licensed, opened, said


async def listed(records: Records) -> dict[str, str]:
    """The verdict that the catalogue knows, by address."""
    return {hit.address: hit.licence for hit in (await records.search(Query())).hits}


async def begun(records: Records) -> dict[str, str]:
    """The same after the background work of a start."""
    await records.sign_all()
    await records._listing.follow()
    return await listed(records)


def made_of(parent: str) -> Told:
    return Told.of({"licence": "apache-2.0", "lineage": {"edges": [{"parent": parent, "how": "fine-tune"}]}})


async def test_a_parents_new_licence_reaches_the_catalogues_verdict_on_its_children(tmp_path: Path) -> None:
    lineage = {
        "nodes": [{"id": "acme/child"}, {"id": "acme/parent"}],
        "edges": [{"parent": "acme/parent", "child": "acme/child", "how": "fine-tune"}],
    }
    async with opened(tmp_path / "ours") as ours:
        await ours.put("acme/parent", Told.of({"licence": "apache-2.0"}))
        await ours.put("acme/child", Told.of({"licence": "apache-2.0", "lineage": lineage}))
        await ours._listing.follow()
        before = (await ours.search(Query(text="child"))).hits[0].licence
        await ours.put("acme/parent", Told.of({"licence": "cc-by-nc-4.0"}))
        await ours._listing.follow()
        assert (before, (await ours.search(Query(text="child"))).hits[0].licence) == ("duties", "refuse")


async def test_what_a_killed_node_recorded_and_did_not_list_is_listed_by_the_next(tmp_path: Path) -> None:
    async with opened(tmp_path / "ours") as ours:
        await ours.put("acme/child", made_of("acme/parent"))
        await ours._listing.follow()

        async def killed(_address: str) -> Record:
            raise asyncio.CancelledError

        ours._listing.now = killed  # type: ignore[method-assign,assignment]
        with pytest.raises(asyncio.CancelledError):
            await ours.put("acme/parent", Told.of({"licence": "cc-by-nc-4.0"}))
        assert await listed(ours) == {"acme/child": ""}
    async with opened(tmp_path / "ours") as ours:
        assert await begun(ours) == {"acme/child": "refuse", "acme/parent": "refuse"}


async def test_the_word_of_a_signer_who_is_trusted_no_more_leaves_the_catalogue(tmp_path: Path) -> None:
    async with opened(tmp_path / "ours", [KEY]) as ours:
        await ours.take(said(LINEAGE, licensed("mit"), [HUB]))
        assert await begun(ours) == {"acme/thing": "duties"}
    async with opened(tmp_path / "ours") as ours:
        assert await begun(ours) == {"acme/thing": ""}
    async with opened(tmp_path / "ours", [KEY]) as ours:
        assert await begun(ours) == {"acme/thing": "duties"}


async def test_rows_of_a_node_that_kept_no_ancestors_are_listed_anew(tmp_path: Path) -> None:
    async with opened(tmp_path / "ours") as ours:
        await ours.put("acme/parent", Told.of({"licence": "apache-2.0"}))
        await ours.put("acme/child", made_of("acme/parent"))
        await ours._listing.follow()
        async with ours._catalogue._database.begin() as db:  # as migration 0006 finds them
            await db.execute(text("DELETE FROM catalogue_ancestors"))
            await db.execute(text("DELETE FROM catalogue_listed"))
            for number, document in (await db.execute(text("SELECT number, document FROM catalogue_records"))).all():
                kept = {name: value for name, value in orjson.loads(document).items() if name != "ancestors"}
                new = {"number": number, "document": orjson.dumps(kept).decode()}
                await db.execute(text("UPDATE catalogue_records SET document = :document WHERE number = :number"), new)
    async with opened(tmp_path / "ours") as ours:
        await begun(ours)
        await ours.put("acme/parent", Told.of({"licence": "cc-by-nc-4.0"}))
        await ours._listing.follow()
        assert await listed(ours) == {"acme/child": "refuse", "acme/parent": "refuse"}


async def test_it_goes_on_where_it_was_and_only_what_is_new_is_read(tmp_path: Path) -> None:
    async with opened(tmp_path / "ours") as ours:
        await ours.put("acme/thing", Told.of({"licence": "mit"}))
        await ours.put("acme/child", made_of("acme/thing"))
        await ours._listing.follow()
    async with opened(tmp_path / "ours") as ours:
        read: list[str] = []
        of = ours._listing._of

        async def counted(address: str) -> Any:
            read.append(address)
            return await of(address)

        ours._listing._of = counted
        await begun(ours)
        assert read == []
        await ours.put("acme/thing", Told.of({"licence": "mit"}))
        await ours._listing.follow()
        assert read == ["acme/thing"], "what is told again changes nothing for what was made of it"


async def test_a_thing_that_cannot_be_listed_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_of = entries.entry_of

    def failing(record: Any, today: Any) -> Any:
        if record.address == "acme/bad":
            raise Unavailable("The disk is full.")
        return entry_of(record, today)

    async with opened(tmp_path / "ours") as ours:
        monkeypatch.setattr(listing, "entry_of", failing)
        for name in ("acme/bad", "acme/good"):
            await ours.put(name, Told.of({"licence": "mit"}))
        await ours._listing.follow()
        assert await listed(ours) == {"acme/good": "duties"}
    monkeypatch.undo()
    async with opened(tmp_path / "ours") as ours:
        assert await begun(ours) == {"acme/bad": "duties", "acme/good": "duties"}, "the next start tries again"
