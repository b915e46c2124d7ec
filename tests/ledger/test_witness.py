from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from intermodel.core import Conflict, Invalid, NotFound, Refused
from intermodel.ledger import Verifier, statement
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.note import COSIGNATURE, Note, lines
from intermodel.ledger.witness import Fork, Watch, Witness, request, said

SIGNER, COSIGNER = LocalSigner.make(), LocalSigner.make()
VERIFIER = Verifier("log", SIGNER.public)


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[tuple[Log, Log]]:
    """Two logs of one name and key, alike for five entries and then not: a fork."""
    made = []
    for name in ("one", "other"):
        log = Log(tmp_path / name, origin="log")
        log.open()
        log.signer = SIGNER
        log.append([b"%d" % i for i in range(5)])
        made.append(log)
    yield made[0], made[1]
    for log in made:
        await log.close()


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    return Watch(tmp_path / "watch", {"log": [VERIFIER]})


def note(log: Log) -> bytes:
    assert log.note is not None
    return bytes(log.note)


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
    assert Watch(watch.folder, {}).newest("log") == newest
    assert watch.forks() == []


def test_a_fork_of_one_size_is_proven(logs: tuple[Log, Log], watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    for log, leaf in zip(logs, (b"a", b"b"), strict=True):
        log.append([leaf])
    watch.see(note(logs[0]))
    with caplog.at_level(logging.ERROR), pytest.raises(Fork, match="contradicts itself") as caught:
        watch.see(note(logs[1]))
    assert caught.value.proven
    assert caught.value.notes == (note(logs[0]), note(logs[1]))
    assert "contradicts itself" in caplog.text
    assert watch.forks() == [caught.value.notes]
    newest = watch.newest("log")
    assert newest is not None
    assert newest.note == note(logs[0])
    found = said(newest, fork_of=note(logs[1]))
    assert statement.read(statement.dumped(found, 0)).statement.predicate["fork"] is True


def test_a_fork_that_grew_cannot_be_proven_consistent(logs: tuple[Log, Log], watch: Watch) -> None:
    one, other = logs
    one.append([b"a"])
    other.append([b"b", b"c"])
    watch.see(note(one))
    with pytest.raises(Fork) as caught:
        watch.see(note(other), other.consistency(6, 7))
    assert not caught.value.proven
    assert len(watch.forks()) == 1


def test_whom_nobody_knows_or_who_did_not_sign(logs: tuple[Log, Log], watch: Watch) -> None:
    log, _ = logs
    with pytest.raises(NotFound):
        Watch(watch.folder, {}).see(note(log))
    other = Verifier("log", LocalSigner.make().public)
    with pytest.raises(Refused):
        Watch(watch.folder, {"log": [other]}).see(note(log))
    with pytest.raises(Refused):
        watch.see(note(log).replace(b"\n5\n", b"\n6\n"))
    with pytest.raises(Invalid):
        watch.see(b"no note")
    assert watch.newest("log") is None


def test_a_witness_cosigns_growth_alone(logs: tuple[Log, Log], watch: Watch) -> None:
    log, other = logs
    witness = Witness(watch, "w.example", COSIGNER, lambda: 1_700_000_000.9)
    verifier = Verifier("w.example", COSIGNER.public, COSIGNATURE)
    answer = witness.add_checkpoint(request(0, [], note(log)))
    cosigned = Note.parse(note(log)).with_lines(lines(answer))
    assert cosigned.signed_by([VERIFIER, verifier]) == {VERIFIER: None, verifier: 1_700_000_000}
    assert witness.add_checkpoint(request(5, [], note(log))) == answer
    log.append([b"a"])
    with pytest.raises(Conflict) as caught:
        witness.add_checkpoint(request(0, [], note(log)))
    assert (caught.value.code, caught.value.hint) == ("old_size", "5")
    witness.add_checkpoint(request(5, log.consistency(5, 6), note(log)))
    other.append([b"b"])
    with pytest.raises(Fork):
        witness.add_checkpoint(request(6, [], note(other)))


@pytest.mark.parametrize(
    "head", [b"", b"old", b"old 05", b"new 5", b"old 5\n####", b"old 99", b"old 0\n" + b"A" * 43 + b"="]
)
def test_what_is_no_request(logs: tuple[Log, Log], watch: Watch, head: bytes) -> None:
    with pytest.raises((Invalid, Conflict)):
        Witness(watch, "w", COSIGNER).add_checkpoint(head + b"\n\n" + note(logs[0]))


def test_a_request_as_the_specification_writes_it(logs: tuple[Log, Log]) -> None:
    assert request(3, [b"\0" * 32], b"note") == b"old 3\n" + b"A" * 43 + b"=\n\nnote"
    assert request(0, [], b"note") == b"old 0\n\nnote"
