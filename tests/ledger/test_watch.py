from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import pytest

from intermodel.core import Invalid, NotFound, Refused, Unavailable
from intermodel.ledger import Ledger, Verifier, files, merkle, predicates, statement
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.note import Checkpoint, Line, Note, signed
from intermodel.ledger.strict import from_base64
from intermodel.ledger.watch import MOST_KEPT, MOST_NOTES, Contradiction, Fork, Watch, said
from tests.ledger.conftest import SIGNER, VERIFIER, note


def made(size: int, root: object, name: str = "log", signer: LocalSigner = SIGNER, more: str = "") -> bytes:
    """A checkpoint with a root that nobody has leaves for."""
    text = Checkpoint(name, size, hashlib.sha256(repr(root).encode()).digest(), (more,) if more else ()).text
    return bytes(signed(text, name, signer))


async def stated(ledger: Ledger) -> list[dict[str, object]]:
    entries = await ledger.of_type(predicates.CHECKPOINT)
    return [dict(one.statement.predicate) for one in entries if one.statement is not None]


def proven(watch: Watch, logs: tuple[Log, Log]) -> Contradiction:
    """A fork of two sizes, 7 and 12 entries."""
    for log, count in zip(logs, (2, 7), strict=True):
        log.append([f"{log.folder.name} {i}".encode() for i in range(count)])
    before, other = watch.see(note(logs[0])), watch.verified(note(logs[1]))
    return watch.fork(before, other, logs[1].root(7), logs[1].consistency(7, 12)).found


def test_growth_is_followed(logs: tuple[Log, Log], watch: Watch) -> None:
    log, _ = logs
    assert watch.newest("log") is None
    watch.see(note(log))
    first = note(log)
    log.append([b"a", b"b"])
    watch.see(note(log), log.consistency(5, 7))
    newest = watch.newest("log")
    assert newest is not None
    assert (newest.head.size, newest.note) == (7, note(log))
    watch.see(note(log))  # the same once more
    watch.see(first, log.consistency(5, 7))  # an older one, which fits
    assert watch.newest("log") == newest
    assert Watch(watch.folder).newest("log") == newest
    assert Watch(watch.folder).every() == [newest]
    assert watch.contradictions() == []


async def test_a_fork_of_one_size_is_proven(
    logs: tuple[Log, Log], watch: Watch, caplog: pytest.LogCaptureFixture, ledger: Ledger
) -> None:
    for log, leaf in zip(logs, (b"a", b"b"), strict=True):
        log.append([leaf])
    watch.see(note(logs[0]))
    with caplog.at_level(logging.ERROR), pytest.raises(Fork, match="contradicts itself") as caught:
        watch.see(note(logs[1]))
    assert "contradicts itself" in caplog.text
    with caplog.at_level(logging.ERROR), pytest.raises(Fork) as again:
        watch.see(note(logs[1]))
    assert again.value.found == caught.value.found
    assert len(caplog.records) == 1
    (found,) = watch.contradictions()
    assert found == caught.value.found
    assert (found.before.note, found.other.note, found.proven) == (note(logs[0]), note(logs[1]), True)
    newest = watch.newest("log")
    assert newest is not None
    assert newest.note == note(logs[0])
    told = said(found)
    assert statement.read(statement.dumped(told, 0)).statement.predicate["fork"] is True
    await watch.state(ledger, found)
    assert (await ledger.about(told.subjects[0].digest))[0].statement == told


def test_a_fork_of_two_sizes_is_kept_with_its_proof(
    logs: tuple[Log, Log], watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    found = proven(watch, logs)
    assert watch.contradictions() == [found]
    predicate = said(found).predicate
    assert statement.read(statement.dumped(said(found), 0)).statement.predicate == predicate
    one, other = (Checkpoint.parse(Note.parse(predicate[name].encode()).text) for name in ("other", "note"))
    began, *proof = [from_base64(text, "x") for text in (predicate["began"], *predicate["proof"])]
    assert (began != one.root, merkle.extends(one.size, other.size, began, other.root, proof)) == (True, True)
    with pytest.raises(Invalid):
        watch.fork(found.before, found.other, found.before.head.root, found.proof)
    # whoever changes the proof, or takes it away, leaves a doubt
    data = found.path.read_bytes()
    for changed in (data.rsplit(b"\0", 1)[0], data.rsplit(b"\n", 1)[0]):
        found.path.write_bytes(changed)
        assert [one.proven for one in watch.contradictions()] == [False]
    assert "does not prove it" in caplog.text
    assert watch.fork(found.before, found.other, found.began, found.proof).found == found
    assert watch.contradictions() == [found]


async def test_a_fork_is_stated_once_and_after_a_crash_too(logs: tuple[Log, Log], watch: Watch, ledger: Ledger) -> None:
    found = proven(watch, logs)
    again = Watch(watch.folder)  # the node was killed before it stated anything
    for one in (again, again, Watch(watch.folder)):
        await one.state_all(ledger)
        await one.state(ledger, found)
    (predicate,) = await stated(ledger)
    assert predicate == said(found).predicate


@pytest.mark.parametrize("junk", ['"', "\\", "é"])
async def test_checkpoints_too_long_for_an_entry_are_named(
    logs: tuple[Log, Log], watch: Watch, ledger: Ledger, junk: str
) -> None:
    watch.folder.mkdir()
    for length in (MOST_NOTES // 2 // len(junk.encode()) - 200, 30_000):
        logs_ = (made(9, f"{length} {i}", more=junk * length) for i in range(2))
        one, other = (watch.verified(note) for note in logs_)
        await watch.state(ledger, watch.fork(one, other, b"", ()).found)
    found = proven(watch, logs)
    stranger = Line("someone", b"1234", bytes(40_000))
    big = Note.parse(found.other.note).with_lines([stranger])
    await watch.state(ledger, Contradiction(found.before, watch.verified(bytes(big)), True, found.path, found.began))
    full, short, longer = await stated(ledger)
    assert ("note" in full, "other" in full) == (True, True)
    assert not {"note", "other"} & (short.keys() | longer.keys())
    assert {"root", "other_root", "other_size", "other_digest"} <= short.keys()
    assert longer["other_digest"] == f"sha256:{hashlib.sha256(found.before.note).hexdigest()}"


def test_the_forks_of_one_ledger_do_not_hide_anothers(tmp_path: Path) -> None:
    other = LocalSigner.make()
    watch = Watch(tmp_path / "w", [VERIFIER, Verifier("other", other.public)])
    watch.see(made(5, 0))
    watch.see(made(5, 0, "other", other))
    for i in range(1, MOST_KEPT + 2):
        with pytest.raises(Fork):
            watch.see(made(5, i))
        with pytest.raises(Invalid):
            watch.see(made(5 + i, i), [bytes(32)])
    with pytest.raises(Fork):
        watch.see(made(5, 1, "other", other))
    with pytest.raises(Invalid):
        watch.see(made(6, 1, "other", other), [bytes(32)])
    kept = [(one.other.head.origin, one.proven) for one in watch.contradictions()]
    assert [kept.count((name, is_fork)) for name in ("log", "other") for is_fork in (True, False)] == [
        MOST_KEPT, MOST_KEPT, 1, 1,
    ]  # fmt: skip


async def test_no_more_forks_are_stated_than_are_kept(
    watch: Watch, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("intermodel.ledger.watch.MOST_KEPT", 2)
    watch.see(made(5, 0))
    for i in (1, 2, 3, 1, 2, 3):
        with pytest.raises(Fork) as caught:
            watch.see(made(5, i))
        await watch.state(ledger, caught.value.found)
    assert len(await stated(ledger)) == 2


def test_doubts_end_where_the_ledger_has_grown_beyond_them(logs: tuple[Log, Log], watch: Watch) -> None:
    log, _ = logs
    watch.see(note(log))
    between = []
    for leaf in (b"a", b"b", b"c"):
        log.append([leaf])
        between.append(note(log))
        with pytest.raises(Invalid):
            watch.see(note(log), [bytes(32)])
    assert len(watch.contradictions()) == 3
    watch.see(between[1], log.consistency(5, 7))
    assert [one.other.head.size for one in watch.contradictions()] == [8]


def test_a_doubt_of_the_same_size_as_what_is_proven_then_is_a_fork(logs: tuple[Log, Log], watch: Watch) -> None:
    one, other = logs
    watch.see(note(one))
    one.append([b"a"])
    other.append([b"b"])
    with pytest.raises(Invalid):
        watch.see(note(other), [bytes(32)])
    with pytest.raises(Fork) as caught:
        watch.see(note(one), one.consistency(5, 6))
    assert (caught.value.size, watch.contradictions()[0]) == (5, caught.value.found)


def test_what_is_seen_again_is_synced_again(
    logs: tuple[Log, Log], watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first time the disk may fail between the new name and its sync."""
    synced: list[object] = []

    def failing(folders: object) -> None:
        synced.append(folders)
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(files, "sync", failing)
        for _ in range(2):
            with pytest.raises(OSError, match="Input/output"):
                watch.see(note(logs[0]))
    assert len(synced) == 2


def test_a_proof_that_does_not_hold_is_a_doubt_until_one_does(
    logs: tuple[Log, Log], watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    log, _ = logs
    watch.see(note(log))
    log.append([b"a", b"b"])
    for _ in range(2):  # as anybody can send it, who has seen the ledger's checkpoint
        with caplog.at_level(logging.ERROR), pytest.raises(Invalid) as caught:
            watch.see(note(log), [bytes(32)])
        assert caught.value.code == "bad_proof"
    (found,) = watch.contradictions()
    assert not found.proven
    assert len(caplog.records) == 1
    watch.see(note(log), log.consistency(5, 7))
    assert watch.contradictions() == []


def test_a_fork_that_grew_has_no_proof(logs: tuple[Log, Log], watch: Watch) -> None:
    one, other = logs
    one.append([b"a"])
    other.append([b"b", b"c"])
    watch.see(note(one))
    with pytest.raises(Invalid):
        watch.see(note(other), other.consistency(6, 7))
    assert [found.proven for found in watch.contradictions()] == [False]


def test_whom_nobody_knows_or_who_did_not_sign(logs: tuple[Log, Log], watch: Watch) -> None:
    log, _ = logs
    with pytest.raises(NotFound):
        Watch(watch.folder).see(note(log))
    other = Verifier("log", LocalSigner.make().public)
    with pytest.raises(Refused):
        Watch(watch.folder, [other]).see(note(log))
    Watch(watch.folder, [other, VERIFIER]).verified(note(log))  # it went over from one to the other
    with pytest.raises(Refused):
        watch.see(note(log).replace(b"\n5\n", b"\n6\n"))
    with pytest.raises(Invalid):
        watch.see(b"no note")
    assert watch.newest("log") is None


def test_what_was_seen_and_then_changed_is_never_passed_over(logs: tuple[Log, Log], watch: Watch) -> None:
    log, _ = logs
    watch.see(note(log))
    (path,) = watch.folder.glob("*.note")
    for data in (b"", b"x", note(log)[:-3], note(log).replace(b"log\n", b"lag\n", 1)):
        path.write_bytes(data)
        with pytest.raises(Unavailable, match="was changed"):
            watch.see(note(log))


def test_an_empty_tree_has_one_root(tmp_path: Path, watch: Watch) -> None:
    watch.see(bytes(signed(Checkpoint("log", 0, merkle.EMPTY).text, "log", SIGNER)))
    with pytest.raises(Invalid):
        watch.see(bytes(signed(Checkpoint("log", 0, bytes(32)).text, "log", SIGNER)))
