"""Statements of others: taken over from whom this node trusts, and what changes for what was made of a thing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from intermodel.core import Invalid, Refused
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.ledger import Verifier, dsse, open_ledger, statement
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.strict import to_base64
from intermodel.records.catalogue import Catalogue, Query
from intermodel.records.predicates import LINEAGE, WHAT
from intermodel.records.record import identity
from intermodel.records.store import Records
from intermodel.records.taking import Taken
from intermodel.records.told import Told
from intermodel.records.trusted import Trusted
from intermodel.records.verdict import Purpose
from intermodel.storage import Blobs, Database

HUB, STRANGER = LocalSigner.make(), LocalSigner.make()
KEY = str(Verifier("hub.example", HUB.public))
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
        made = (await ours.take(bundle)).entries
        assert len(made) == 2
        record = await ours.of("acme/thing")
        assert record.what.parameters is not None
        assert (record.what.parameters.value, record.what.parameters.source) == (7, "statement:1")
        assert [hit.address for hit in (await ours.search(Query(text="thing"))).hits] == ["acme/thing"]
        assert await ours.take(bundle) == Taken([])
        envelope = made[0].envelope
        assert await ours.take(envelope) == Taken([])
        spaced = orjson.dumps(orjson.loads(envelope), option=orjson.OPT_INDENT_2)
        assert await ours.take(spaced) == Taken([]), "nobody signed an envelope's spacing"


async def test_of_a_bundle_that_was_changed_nothing_is_taken(tmp_path: Path) -> None:
    async with opened(tmp_path / "theirs") as theirs:
        bundle = orjson.loads(await theirs.bundle(await theirs.put("acme/thing", Told.of(THING))))
        key = str(theirs.ledger.verifier)
    envelope = bundle["entries"][0]["envelope"]
    bundle["entries"][0]["envelope"] = envelope[:200] + ("A" if envelope[200] != "A" else "B") + envelope[201:]
    async with opened(tmp_path / "ours", [key]) as ours:
        before = ours.ledger.log.size
        with pytest.raises(Invalid, match="The bundle does not hold"):
            await ours.take(orjson.dumps(bundle))
        assert ours.ledger.log.size == before


async def test_what_a_later_key_signed_is_told_with_the_key(tmp_path: Path) -> None:
    async with opened(tmp_path / "theirs") as theirs:
        await theirs.put("acme/thing", Told.of(THING))
        old = str(theirs.ledger.verifier)
        await theirs.ledger.rotate()
        new = str(theirs.ledger.verifier)
        bundle = await theirs.bundle(await theirs.put("acme/thing", Told.of({"what": {"parameters": 8}})))
    async with opened(tmp_path / "ours", [old]) as ours:
        taken = await ours.take(bundle)
        assert taken.left_out == (
            f"1 by a key that is not in records.trusted_signers: {new}. It is a later key of the same ledger.",
        )
    async with opened(tmp_path / "later", [old, new]) as ours:
        assert (await ours.take(bundle)).left_out == ()
        assert (await ours.of("acme/thing")).what.parameters.value == 8  # type: ignore[union-attr]


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


def said(kind: str, predicate: dict[str, Any], by: Sequence[LocalSigner], at: float = 1.0, **more: str) -> bytes:
    """What signers say of acme/thing, in an envelope."""
    made = Statement((Subject("acme/thing", identity("acme/thing")),), kind, predicate)
    return dsse.seal(statement.dumped(made, at), by, **more)


def licensed(licence: str) -> dict[str, Any]:
    return {"nodes": [{"id": "acme/thing", "licence": licence}], "edges": []}


async def answered(records: Records) -> str:
    found = await records.verdict("acme/thing", Purpose.COMMERCIAL)
    return str(found["strict"]["outcome"])


async def held(folder: Path, envelopes: Sequence[bytes]) -> bytes:
    """A bundle of another node's, that holds these."""
    async with opened(folder) as theirs:
        keys = [HUB.public, STRANGER.public]
        made = [await theirs.ledger.record_envelope(one, keys) for one in envelopes]
        return await theirs.ledger.bundle([one.index for one in made])


@pytest.mark.parametrize("order", [(0, 1), (1, 0), (0, 1, 0), (1, 0, 1)])
async def test_an_older_word_supersedes_no_newer_one_in_whichever_order_they_come(
    tmp_path: Path, order: Sequence[int]
) -> None:
    words = [said(LINEAGE, licensed(one), [HUB], at) for one, at in (("mit", 1.0), ("cc-by-nc-4.0", 2e9))]
    async with opened(tmp_path / "ours", [KEY]) as ours:
        for one in order:
            await ours.take(words[one])
        assert await answered(ours) == "refuse"
        newest = [one.at for one in (await ours.of("acme/thing")).statements if not one.superseded]
        assert newest == [2e9]


async def test_one_word_in_a_bundle_under_two_spellings_is_taken_once(tmp_path: Path) -> None:
    word = said(LINEAGE, licensed("mit"), [HUB])
    bundle = await held(tmp_path / "theirs", [word, orjson.dumps(orjson.loads(word), option=orjson.OPT_INDENT_2)])
    async with opened(tmp_path / "ours", [KEY]) as ours:
        assert len((await ours.take(bundle)).entries) == 1


async def test_what_a_stranger_signed_too_is_left_out_and_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    good, other = said(LINEAGE, licensed("mit"), [HUB]), said(WHAT, {"facts": {"parameters": 7}}, [HUB, STRANGER])
    async with opened(tmp_path / "ours", [KEY]) as ours:
        taken = await ours.take(await held(tmp_path / "theirs", [other, good]))
        assert [one.envelope for one in taken.entries] == [good]
        assert [words.partition(" has")[0] for words in taken.left_out] == ["A word of hub.example on 'acme/thing'"]
        assert [hit.address for hit in (await ours.search(Query())).hits] == ["acme/thing"]
        before = ours.ledger.log.size
        with pytest.raises(Invalid, match="names no key known here"):
            await ours.take(other)
        assert ours.ledger.log.size == before


async def test_nothing_is_taken_where_one_of_them_cannot_be(tmp_path: Path) -> None:
    good = said(LINEAGE, licensed("mit"), [HUB])
    thing = Statement((Subject("acme/thing", identity("acme/thing")),), WHAT, {"facts": {"parameters": 7}})
    broken = dsse.seal(statement.dumped(thing, 1.0).replace(b"parameters", b"parametres"), [HUB])
    bundle = orjson.loads(await held(tmp_path / "theirs", [good]))
    bundle["entries"].append(bundle["entries"][0] | {"envelope": to_base64(broken)})
    async with opened(tmp_path / "ours", [KEY]) as ours:
        before = ours.ledger.log.size
        with pytest.raises(Invalid, match="parametres"):
            await ours.take(broken)
        with pytest.raises(Invalid, match="The bundle does not hold, so nothing of it was taken: entry 1: inclusion"):
            await ours.take(orjson.dumps(bundle))
        assert ours.ledger.log.size == before


async def test_what_was_signed_as_something_else_is_no_statement(tmp_path: Path) -> None:
    other = said(LINEAGE, licensed("mit"), [HUB], payload_type="application/x-other")
    async with opened(tmp_path / "ours", [KEY]) as ours:
        with pytest.raises(Refused):
            await ours.take(other)
        with pytest.raises(Invalid, match="holds no statement"):
            await ours.ledger.record_envelope(other, [HUB.public])
