from __future__ import annotations

from pathlib import Path

import pytest

from intermodel.core import Conflict, Invalid, Unavailable
from intermodel.ledger import Verifier
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.note import COSIGNATURE, Note, lines
from intermodel.ledger.watch import Fork, Watch
from intermodel.ledger.witness import FOLDER, Witness, open_witness, request, verifier_of
from tests.ledger.conftest import VERIFIER, note

COSIGNER = LocalSigner.make()


def test_a_witness_cosigns_growth_alone(logs: tuple[Log, Log], watch: Watch) -> None:
    log, other = logs
    witness = Witness(watch, "w.example", COSIGNER, lambda: 1_700_000_000.9)
    verifier = Verifier("w.example", COSIGNER.public, COSIGNATURE)
    assert witness.verifier == verifier
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


def test_a_request_as_the_specification_writes_it() -> None:
    assert request(3, [b"\0" * 32], b"note") == b"old 3\n" + b"A" * 43 + b"=\n\nnote"
    assert request(0, [], b"note") == b"old 0\n\nnote"


def test_a_witness_keeps_its_key_where_it_keeps_what_it_saw(tmp_path: Path) -> None:
    assert verifier_of(tmp_path) is None
    made = open_witness(tmp_path, [VERIFIER], "a passphrase")
    assert open_witness(tmp_path, [VERIFIER], "a passphrase").verifier == made.verifier == verifier_of(tmp_path)
    (key,) = (tmp_path / FOLDER).glob("*.pem")
    assert (key.stat().st_mode & 0o777, b"ENCRYPTED" in key.read_bytes()) == (0o600, True)
    with pytest.raises(Unavailable):
        open_witness(tmp_path, [VERIFIER], "another")
    key.unlink()
    with pytest.raises(Unavailable):
        open_witness(tmp_path, [VERIFIER], "a passphrase")
    (tmp_path / FOLDER / "verifier").write_text("no key")
    with pytest.raises(Unavailable):
        verifier_of(tmp_path)
