from __future__ import annotations

import logging
from pathlib import Path

import pytest

from intermodel.core import Invalid, NotFound, Refused, Unavailable
from intermodel.ledger import Ledger, Verifier, statement
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.watch import Fork, Watch, record, said
from tests.ledger.conftest import SIGNER, VERIFIER, note


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
    assert caught.value.is_new
    assert "contradicts itself" in caplog.text
    with caplog.at_level(logging.ERROR), pytest.raises(Fork) as again:
        watch.see(note(logs[1]))
    assert not again.value.is_new
    assert len(caplog.records) == 1
    (found,) = watch.contradictions()
    assert found == caught.value.found
    assert (found.before.note, found.other.note, found.proven) == (note(logs[0]), note(logs[1]), True)
    newest = watch.newest("log")
    assert newest is not None
    assert newest.note == note(logs[0])
    stated = said(found)
    assert statement.read(statement.dumped(stated, 0)).statement.predicate["fork"] is True
    await record(ledger, found)
    assert (await ledger.about(stated.subjects[0].digest))[0].statement == stated


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
    from intermodel.ledger import merkle
    from intermodel.ledger.note import Checkpoint, signed

    watch.see(bytes(signed(Checkpoint("log", 0, merkle.EMPTY).text, "log", SIGNER)))
    with pytest.raises(Invalid):
        watch.see(bytes(signed(Checkpoint("log", 0, bytes(32)).text, "log", SIGNER)))
