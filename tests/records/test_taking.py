"""Statements of others: taken over from whom this node trusts, and what changes for what was made of a thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from intermodel.core import Invalid, Refused
from intermodel.engines import Library
from intermodel.ledger import open_ledger
from intermodel.records.catalogue import Catalogue, Query
from intermodel.records.store import Records
from intermodel.records.told import Told
from intermodel.records.trusted import Trusted
from intermodel.storage import Blobs, Database

THING = {"what": {"parameters": 7}, "licence": "apache-2.0"}


@asynccontextmanager
async def opened(folder: Path, trusted: Sequence[str] = ()) -> AsyncIterator[Records]:
    folder.mkdir(exist_ok=True)
    database = Database("", default=folder / "test.db")
    await database.open()
    async with open_ledger(folder, database) as ledger:
        blobs = Blobs(folder / "blobs")
        records = Records(
            ledger, Library(database, blobs), blobs, Catalogue(database), trusted=Trusted.of(trusted)
        )  # fmt: skip
        yield records
        await records.close()
    await database.close()


async def test_what_a_trusted_signer_says_counts_and_is_taken_once(tmp_path: Path) -> None:
    async with opened(tmp_path / "theirs") as theirs:
        bundle = await theirs.bundle(await theirs.put("acme/thing", Told.of(THING)))
        key = str(theirs.ledger.verifier)
    async with opened(tmp_path / "ours", [key]) as ours:
        made = await ours.take(bundle)
        assert len(made) == 2
        record = await ours.of("acme/thing")
        assert record.what.parameters is not None
        assert (record.what.parameters.value, record.what.parameters.source) == (7, "statement:1")
        assert [hit.address for hit in (await ours.search(Query(text="thing"))).hits] == ["acme/thing"]
        assert await ours.take(bundle) == []
        envelope = made[0].envelope
        assert await ours.take(envelope) == []


async def test_what_a_stranger_signed_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path / "theirs") as theirs:
        bundle = await theirs.bundle(await theirs.put("acme/thing", Told.of(THING)))
    async with opened(tmp_path / "ours") as ours:
        before = ours.ledger.log.size
        with pytest.raises(Refused, match="signer whom this node trusts"):
            await ours.take(bundle)
        for broken in (b"", b"{}", b"[1]", b'{"payload": 1}', orjson.dumps(orjson.loads(bundle) | {"entries": 3})):
            with pytest.raises(Invalid):
                await ours.take(broken)
        assert ours.ledger.log.size == before


async def test_a_parents_new_licence_reaches_the_catalogues_verdict_on_its_children(tmp_path: Path) -> None:
    lineage = {
        "nodes": [{"id": "acme/child"}, {"id": "acme/parent"}],
        "edges": [{"parent": "acme/parent", "child": "acme/child", "how": "fine-tune"}],
    }
    async with opened(tmp_path / "ours") as ours:
        await ours.put("acme/parent", Told.of({"licence": "apache-2.0"}))
        await ours.put("acme/child", Told.of({"licence": "apache-2.0", "lineage": lineage}))
        await asyncio.gather(*ours._later)
        before = (await ours.search(Query(text="child"))).hits[0].licence
        await ours.put("acme/parent", Told.of({"licence": "cc-by-nc-4.0"}))
        await asyncio.gather(*ours._later)
        assert (before, (await ours.search(Query(text="child"))).hits[0].licence) == ("duties", "refuse")
