from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from intermodel.core import Conflict, Invalid, NotFound, Unavailable
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Ledger, dsse, examine, open_ledger, reading, statement, tiles, uri, verify
from intermodel.ledger.bundle import read_tlog_proof
from intermodel.ledger.keys import KeyFolder, LocalSigner
from intermodel.ledger.merkle import includes, leaf_hash
from intermodel.ledger.note import COSIGNATURE, Checkpoint, Note, Verifier, cosigned, signed
from intermodel.storage import Database
from intermodel.storage.tables import ledger_entries
from tests.ledger.conftest import digest, said


async def test_the_first_start_makes_a_key_and_says_so(ledger: Ledger, tmp_path: Path) -> None:
    first = await ledger.entry(0)
    assert first.statement is not None
    assert first.statement.predicate["action"] == "added"
    assert first.statement.subjects[0].digest == f"sha256:{first.signer}"
    assert (tmp_path / "ledger-keys" / f"{first.signer}.pem").stat().st_mode & 0o077 == 0
    assert ledger.origin.startswith("intermodel/")


async def test_what_is_recorded_is_found_by_digest_and_type(ledger: Ledger, tmp_path: Path, database: Database) -> None:
    one, two = await ledger.record(said(1)), await ledger.record(said(2))
    both = await ledger.record(
        Statement(
            (Subject("a", digest(1)), Subject("b", digest(2)), Subject("a", digest(1))), "https://x.example/v1", {}
        )
    )
    assert await ledger.about(digest(1)) == [one, both]
    assert await ledger.about(digest(2)) == [two, both]
    assert await ledger.about(digest(3)) == []
    assert await ledger.of_type(uri("grade")) == [one, two]
    assert await ledger.entry(both.index) == both
    assert dsse.parse(one.envelope).payload == statement.dumped(said(1), one.at)
    beside = reading(tmp_path, database)
    assert await beside.about(digest(1)) == [one, both]
    assert await reading(tmp_path).about(digest(2)) == [two, both]
    with pytest.raises(Unavailable, match="for reading only"):
        await beside.record(said(1))


async def test_it_is_the_same_after_a_restart(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        made = [await ledger.record(said(i)) for i in range(5)]
        old = ledger.checkpoint()
    async with open_ledger(tmp_path, database) as again:
        assert again.checkpoint() == old
        assert [await again.entry(one.index) for one in made] == made
        assert await again.about(digest(3)) == [made[3]]
        await again.record(said(9))
        assert verify(await again.bundle([1], earlier=[old]), [again.verifier]).good


async def test_bad_statements_leave_nothing(ledger: Ledger) -> None:
    size = ledger.log.size
    with pytest.raises(Invalid):
        await ledger.record(Statement((Subject("x", digest(1)),), uri("grade"), {"framework": "mof"}))
    with pytest.raises(Invalid):
        await ledger.record_all([said(1), Statement((), uri("grade"), {})])
    with pytest.raises(Invalid, match="too large"):
        await ledger.record(said(1, raised_by=["x" * 2000] * 30))
    assert ledger.log.size == size


async def test_many_at_once(ledger: Ledger) -> None:
    found = await asyncio.gather(*(ledger.record(said(i % 7)) for i in range(700)))
    assert [one.index for one in found] == list(range(1, 701))
    assert len(await ledger.about(digest(3))) == 100
    assert verify(await ledger.bundle([1, 350, 700]), [ledger.verifier]).good


async def test_others_statements_keep_their_signers(ledger: Ledger) -> None:
    peer, second, stranger = LocalSigner.make(), LocalSigner.make(), LocalSigner.make()
    envelope = dsse.seal(statement.dumped(said(5), 1000.5), [peer, second])
    made = await ledger.record_envelope(envelope, [peer.public, second.public], threshold=2)
    assert (made.envelope, made.signer, made.at) == (envelope, peer.public.id, 1000.5)
    assert await ledger.about(digest(5)) == [made]
    bundle = await ledger.bundle([made.index])
    assert verify(bundle, [ledger.verifier, peer.public]).good
    unknown = verify(bundle, [ledger.verifier])
    assert (unknown.good, unknown.intact) == (False, True)
    with pytest.raises(Invalid):
        await ledger.record_envelope(envelope, [stranger.public])
    with pytest.raises(Invalid, match="do not know"):
        await ledger.record_envelope(envelope, [peer.public])
    with pytest.raises(Invalid):
        await ledger.record_envelope(dsse.seal(b"{}", [peer]), [peer.public])


async def test_receipts_share_one_signature(ledger: Ledger) -> None:
    receipts = [(f"{i:026d}", json.dumps({"call": i}).encode()) for i in range(300)]
    made = await ledger.seal(receipts[:200])
    await ledger.seal(receipts[200:])
    assert ledger.log.size == 3
    assert await ledger.last_sealed() == receipts[-1][0]
    for number in (0, 1, 77, 199, 200, 299):
        report = verify(await ledger.receipt_bundle(*receipts[number]), [ledger.verifier])
        assert report.good, report.checks
    assert made.statement is not None
    assert made.statement.predicate["count"] == 200
    with pytest.raises(Conflict, match="was changed"):
        await ledger.receipt_bundle(receipts[5][0], b"another")
    with pytest.raises(NotFound):
        await ledger.receipt_bundle("1" * 26, b"x")


async def test_proofs_for_tools_of_others(ledger: Ledger) -> None:
    made = [await ledger.record(said(i)) for i in range(5)][2]
    text = ledger.proof(made.index)
    assert text.startswith(b"c2sp.org/tlog-proof@v1\nindex 3\n")
    index, proof, note = read_tlog_proof(text)
    assert note.signed_by([ledger.verifier])
    head = Checkpoint.parse(note.text)
    assert includes(index, head.size, leaf_hash(made.envelope), proof, head.root)
    assert read_tlog_proof(text.replace(b"index", b"extra AAAA\nindex", 1))[0] == 3
    for bad in (
        b"",
        b"c2sp.org/tlog-proof@v1\n\n",
        text.replace(b"index 3", b"index 03"),
        text.replace(b"@v1", b"@v2"),
    ):
        with pytest.raises(Invalid):
            read_tlog_proof(bad)


async def test_a_witness_on_this_ledger(ledger: Ledger) -> None:
    witness = LocalSigner.make()
    verifier = Verifier("w.example", witness.public, COSIGNATURE)
    one = await ledger.record(said(1))
    note = ledger.checkpoint()
    line = cosigned(Note.parse(note).text, "w.example", witness, 1_700_000_000)
    two = await ledger.record(said(2))
    assert ledger.cosign(note, [line], [verifier]).startswith(note)
    report = verify(await ledger.bundle([one.index]), [ledger.verifier], [verifier])
    assert (report.good, report.cosigned) == (True, {"w.example": 1_700_000_000})
    assert not verify(await ledger.bundle([two.index]), [ledger.verifier], [verifier]).good
    with pytest.raises(Invalid):
        ledger.cosign(note, [line], [])
    with pytest.raises(Invalid):
        ledger.cosign(ledger.checkpoint(), [line], [verifier])  # a cosignature on another checkpoint
    with pytest.raises(Invalid):
        ledger.cosign(note.replace(b"\n2\n", b"\n3\n", 1), [line], [verifier])


async def test_only_lines_of_witnesses_are_kept(ledger: Ledger) -> None:
    witness, stranger = LocalSigner.make(), LocalSigner.make()
    verifier = Verifier("w.example", witness.public, COSIGNATURE)
    await ledger.record(said(1))
    note = Note.parse(ledger.checkpoint())
    good = cosigned(note.text, "w.example", witness, 1_700_000_000)
    others = cosigned(note.text, "s.example", stranger, 1_700_000_000)
    own = note.lines[0]._replace(signature=b"\0" * 64)
    kept = ledger.cosign(bytes(note), [own, own._replace(name="w.example"), good, others], [verifier, ledger.verifier])
    assert Note.parse(kept).lines == (*note.lines, good)
    assert verify(await ledger.bundle([1]), [ledger.verifier], [verifier]).good
    with pytest.raises(Invalid, match="is not by it"):
        ledger.cosign(bytes(note), [good._replace(signature=bytes(72))], [verifier])
    with pytest.raises(Invalid, match="None of the witnesses"):
        ledger.cosign(bytes(note), [others], [verifier])
    path = ledger.log.folder / "cosigned"
    path.write_bytes(bytes(Note(note.text, (own, good))))  # as an earlier version could leave it
    assert verify(await ledger.bundle([1]), [ledger.verifier]).good


async def test_entries_about_keys_that_were_noted_wrong(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        old = ledger.keys.current.key
        await ledger.rotate()
        await ledger.revoke(old.id, 1)
    noted = tmp_path / "ledger" / "key-entries"
    for wrong in ("0\n1\n", "0\n1\n-1\n", "0\n1\n2\n99\n", "2\n"):
        noted.write_text(wrong)
        async with open_ledger(tmp_path, database) as ledger:
            assert noted.read_text() == "0\n1\n2\n"
            assert not ledger.keys.signs(old.id, 1)
            await ledger.record(said(1))


async def test_an_entry_and_its_tile_changed_together(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.record_all([said(i) for i in range(600)])
    bundle, tile = (tmp_path / "ledger" / tiles.path(kind, 1) for kind in ("entries", 0))
    entries, hashes = tiles.unbundle(bundle.read_bytes()), bytearray(tile.read_bytes())
    entries[5] = entries[6]
    hashes[5 * 32 : 6 * 32] = leaf_hash(entries[6])
    bundle.write_bytes(tiles.bundle(entries))
    tile.write_bytes(hashes)
    async with open_ledger(tmp_path, database) as ledger:
        assert (await ledger.entry(3)).index == 3
        for number in (261, 300):
            with pytest.raises(Unavailable, match="tile above"):
                await ledger.entry(number)


async def test_the_index_is_made_anew(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        made = await ledger.record_all([said(i) for i in range(20)])
    async with database.begin() as db:
        await db.execute(delete(ledger_entries).where(ledger_entries.c.entry > 10))
        await db.execute(delete(ledger_entries).where(ledger_entries.c.entry == 3))
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.reindex()
        assert await ledger.about(digest(15)) == [made[15]]
    async with database.begin() as db:
        assert len((await db.execute(select(ledger_entries))).all()) == 21


async def test_a_caller_who_gives_up_harms_nobody(ledger: Ledger) -> None:
    for i in range(20):
        task = asyncio.create_task(ledger.about(digest(i)))
        await ledger.record(said(i))
        task.cancel()
    assert len(await ledger.about(digest(7))) == 1


async def test_a_ledger_that_is_behind_its_database(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.record(said(1))
    (tmp_path / "ledger").rename(tmp_path / "gone")
    with pytest.raises(Unavailable, match="a hole"):
        async with open_ledger(tmp_path, database):
            pass
    with pytest.raises(NotFound):
        reading(tmp_path)


async def test_a_database_that_is_gone_stops_no_record(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> int:
        raise Unavailable("The database is gone.")

    with monkeypatch.context() as patched:
        patched.setattr("intermodel.ledger.index.Index.put", fail)
        made = await ledger.record(said(1))
        await asyncio.sleep(0.4)
        assert "falls behind" in caplog.text
        assert await ledger.entry(made.index) == made
        with pytest.raises(Unavailable):
            await ledger.about(digest(1))
    assert await ledger.about(digest(1)) == [made]


async def test_two_ledgers_are_not_taken_for_each_other(ledger: Ledger, tmp_path: Path) -> None:
    database = Database("", default=tmp_path / "other.db")
    await database.open()
    async with open_ledger(tmp_path / "other", database) as other:
        made = await other.record(said(1))
        bundle = await other.bundle([made.index])
        report = verify(bundle, [ledger.verifier])
        assert (report.good, report.intact) == (False, False)
        with pytest.raises(Conflict):
            await ledger.bundle([0], earlier=[other.checkpoint()])
    await database.close()


async def test_an_idle_ledger_of_before_there_was_the_list_of_keys(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        made = await ledger.record(said(1))
        await ledger.rotate()
        trusted, origin = ledger.verifier, ledger.origin
        head = Checkpoint.parse(Note.parse(ledger.checkpoint()).text)
        signer = KeyFolder(tmp_path / "ledger-keys").load(trusted.key.id)
    witness = LocalSigner.make()
    old = signed(Checkpoint(head.origin, head.size, head.root).text, origin, signer)
    line = cosigned(old.text, "w.example", witness, 1_700_000_000)
    (tmp_path / "ledger" / "checkpoint").write_bytes(bytes(old))
    (tmp_path / "ledger" / "cosigned").write_bytes(bytes(old.with_lines([line])))
    assert not verify(await reading(tmp_path).bundle([made.index]), [trusted]).good
    async with open_ledger(tmp_path, database) as ledger:
        bundle = await ledger.bundle([made.index], earlier=[bytes(old)])
        report = verify(bundle, [trusted])
        assert report.good, report
        assert (report.size, report.root) == (head.size, head.root)
        note = ledger.checkpoint()
    assert (tmp_path / "ledger" / "checkpoint").read_bytes() == note
    assert verify(await reading(tmp_path).bundle([made.index]), [trusted]).good
    assert await examine(tmp_path, database) == []
    async with open_ledger(tmp_path, database) as ledger:
        assert ledger.checkpoint() == note  # signed once


async def test_consistency_with_a_checkpoint_that_no_witness_has_cosigned_yet(ledger: Ledger) -> None:
    witness = LocalSigner.make()
    verifier = Verifier("w.example", witness.public, COSIGNATURE)
    note = Note.parse(ledger.checkpoint())
    ledger.cosign(bytes(note), [cosigned(note.text, "w.example", witness, 1)], [verifier])
    await ledger.record(said(1))
    later = ledger.checkpoint()
    report = verify(await ledger.bundle([0], earlier=[later]), [ledger.verifier])
    assert (report.good, report.size) == (True, 2)
    assert verify(await ledger.bundle([0]), [ledger.verifier], [verifier]).good
