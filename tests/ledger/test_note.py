from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.ledger import PublicKey, Verifier
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE, Checkpoint, Line, Note, checked_name, cosigned, lines, signed

HEAD = Checkpoint("example.com/log", 7, b"r" * 32)


@pytest.fixture
def signer() -> LocalSigner:
    return LocalSigner.make()


def test_a_note_is_read_as_it_was_written(signer: LocalSigner) -> None:
    note = signed(HEAD.text, "example.com/log", signer)
    again = Note.parse(bytes(note))
    verifier = Verifier("example.com/log", signer.public)
    assert again == note
    assert again.signed_by([verifier]) == {verifier: None}
    assert Checkpoint.parse(again.text) == HEAD
    assert Verifier.parse(str(verifier)) == verifier


def test_unknown_signatures_are_passed_over_and_false_ones_are_not(signer: LocalSigner) -> None:
    other = LocalSigner.make()
    note = signed(HEAD.text, "log", signer)
    assert note.signed_by([Verifier("log", other.public), Verifier("another", signer.public)]) == {}
    forged = Note(note.text, (Line("log", Verifier("log", other.public).id, note.lines[0].signature),))
    with pytest.raises(Invalid, match="is not by it"):
        forged.signed_by([Verifier("log", other.public)])


def test_cosignatures_tell_when(signer: LocalSigner) -> None:
    witness = LocalSigner.make()
    note = signed(HEAD.text, "log", signer).with_lines([cosigned(HEAD.text, "w.example", witness, 1_700_000_000)])
    verifier = Verifier("w.example", witness.public, COSIGNATURE)
    assert Note.parse(bytes(note)).signed_by([verifier]) == {verifier: 1_700_000_000}
    assert lines(str(note.lines[1])) == (note.lines[1],)
    again = note.with_lines([cosigned(HEAD.text, "w.example", witness, 1_800_000_000)])
    assert again.signed_by([verifier]) == {verifier: 1_800_000_000}
    plain = Verifier("w.example", witness.public)
    assert note.signed_by([plain]) == {}  # of another type, and so another key id


def test_any_bit_changed_is_refused(signer: LocalSigner, flipped: Callable[[bytes], list[bytes]]) -> None:
    witness = LocalSigner.make()
    note = signed(HEAD.text, "log", signer).with_lines([cosigned(HEAD.text, "w", witness, 1_700_000_000)])
    both = [Verifier("log", signer.public), Verifier("w", witness.public, COSIGNATURE)]

    def accepted(data: bytes) -> bool:
        try:
            return len(Note.parse(data).signed_by(both)) == 2
        except Invalid:
            return False

    assert accepted(bytes(note))
    assert not [data for data in flipped(bytes(note)) if accepted(data)]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "text\n", "text\n\n", "text\n\n— name AAAA", "text\n\n— name AAAA\n", "text\n\nname AAAAAAAA\n",
     "a\tb\n\n— n AAAAAAAA\n", "t\n\n— n AAAAAAAA\nx\n", "t\n\n— a+b AAAAAAAA\n", "t\n\n— n AAAAAAB=\n"],
)  # fmt: skip
def test_what_is_no_note(text: str) -> None:
    with pytest.raises(Invalid):
        Note.parse(text.encode())


@pytest.mark.parametrize(
    "text",
    ["log\n7\n", "log\n07\n" + "A" * 43 + "=\n", "log\n-1\n" + "A" * 43 + "=\n", "\n7\n" + "A" * 43 + "=\n",
     "log\n7\nAAAA\n", "log\n7\n" + "A" * 42 + "B=\n", "log\n7\n" + "A" * 43 + "=\n\n",
     "log\n\u0667\n" + "A" * 43 + "=\n"],
)  # fmt: skip
def test_what_is_no_checkpoint(text: str) -> None:
    with pytest.raises(Invalid):
        Checkpoint.parse(text)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_invalid(data: bytes) -> None:
    try:
        note = Note.parse(data)
    except Invalid:
        return
    assert bytes(note) == data


@pytest.mark.parametrize("text", ["", "a+b", "name+00000000+AAAA", "n+zz+AA", "n+530d903a+AekyeRrm56hApGFkyQR4ZCbV"])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(Invalid):
        Verifier.parse(text)


def test_a_key_whose_id_is_anothers(signer: LocalSigner) -> None:
    text = str(Verifier("log", signer.public))
    with pytest.raises(Invalid, match="does not match"):
        Verifier.parse(text.replace("log+", "lag+", 1))
    with pytest.raises(Invalid):
        PublicKey(b"short")


def test_names() -> None:
    assert checked_name("example.com/w1") == "example.com/w1"
    for name in ("", "a b", "a+b", "a\u00a0b", "x" * 256):
        with pytest.raises(Invalid):
            checked_name(name)
