"""Signed notes, the checkpoints of a log, and witnesses' cosignatures on them.

Sources: C2SP signed-note, tlog-checkpoint, tlog-cosignature (Ed25519, type 0x04).
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from intermodel.core import Invalid
from intermodel.ledger.keys import PublicKey, Signer
from intermodel.ledger.merkle import HASH_BYTES
from intermodel.ledger.strict import from_base64, to_base64

ED25519 = 0x01
COSIGNATURE = 0x04
MOST_SIGNATURES = 64
LARGEST_NOTE = 64 * 1024
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_VKEY = re.compile(r"(.+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")
_MOST_SECONDS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Verifier:
    """A key under a name: a log's own (`ED25519`), or a witness's (`COSIGNATURE`)."""

    name: str
    key: PublicKey
    kind: int = ED25519

    @property
    def id(self) -> bytes:
        """Its 4 bytes in a signature line, which tell it apart and prove nothing."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.key.raw).digest()[:4]

    def __str__(self) -> str:
        """As a vkey: `name+id+base64(type || key)`."""
        return f"{self.name}+{self.id.hex()}+{to_base64(bytes([self.kind]) + self.key.raw)}"

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """A vkey. Raises `Invalid`."""
        match = _VKEY.fullmatch(text.strip())
        data = from_base64(match[3], "The key") if match else b""
        if match is None or len(data) != 33 or data[0] not in (ED25519, COSIGNATURE) or not _name_ok(match[1]):
            raise Invalid("The key is no Ed25519 key in the form name+id+base64.", code="not_a_key")
        found = cls(match[1], PublicKey(data[1:]), data[0])
        if found.id.hex() != match[2]:
            raise Invalid(f"The key's id does not match the key: {match[2]}.", code="not_a_key")
        return found


class Line(NamedTuple):
    """A signature line: who it says signed, and its bytes."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"— {self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note that was read, not one that was verified. `text` ends in a newline."""

    text: str
    lines: tuple[Line, ...]

    def __bytes__(self) -> bytes:
        return f"{self.text}\n{''.join(map(str, self.lines))}".encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Raises `Invalid` where the bytes are no signed note, to the letter."""
        try:
            whole = data.decode() if len(data) <= LARGEST_NOTE else ""
        except UnicodeDecodeError:
            whole = ""
        text, blank, tail = whole.rpartition("\n\n")
        rows = tail.split("\n")
        if not blank or not text or rows[-1] != "" or any(c < " " and c != "\n" for c in whole):
            raise Invalid("That is no signed note.", code="not_a_note")
        if not 0 < len(rows) - 1 <= MOST_SIGNATURES:
            raise Invalid(f"The note has {len(rows) - 1} signatures; 1 to {MOST_SIGNATURES} are read.")
        return cls(text + "\n", tuple(_line(row) for row in rows[:-1]))

    def signed_by(self, verifiers: Iterable[Verifier]) -> dict[Verifier, int | None]:
        """Those who signed it, and when, as far as a witness says so (seconds since 1970).

        Lines of others are passed over. Raises `Invalid` where a line names one of the verifiers and is not by it.
        """
        by_id = {(one.name, one.id): one for one in verifiers}
        found: dict[Verifier, int | None] = {}
        for line in self.lines:
            if verifier := by_id.get((line.name, line.key_id)):
                found[verifier] = self._check(verifier, line.signature)
        return found

    def _check(self, verifier: Verifier, signature: bytes) -> int | None:
        if verifier.kind == COSIGNATURE:
            at = int.from_bytes(signature[:8], "big") if len(signature) == 72 else _MOST_SECONDS + 1
            good = at <= _MOST_SECONDS and verifier.key.verifies(signature[8:], _cosigned(self.text, at))
        else:
            at, good = None, verifier.key.verifies(signature, self.text.encode())
        if not good:
            raise Invalid(f"The signature of {verifier.name} under the note is not by it.", code="bad_signature")
        return at

    def with_lines(self, lines: Iterable[Line]) -> Note:
        """With further signatures; one by a key that signed before takes its place. None of them is verified here."""
        kept = {(one.name, one.key_id): one for one in (*self.lines, *lines)}
        return replace(self, lines=tuple(kept.values()))


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log's tree: what a log signs."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((self.origin, str(self.size), to_base64(self.root), *self.extensions, ""))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """From a note's text. Raises `Invalid`."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() != "" or not all(lines) or not _NUMBER.fullmatch(lines[1]):
            raise Invalid("The note is no checkpoint of a log.", code="not_a_checkpoint")
        root = from_base64(lines[2], "The root of a checkpoint")
        if len(root) != HASH_BYTES:
            raise Invalid("The root of a checkpoint has 32 bytes.", code="not_a_checkpoint")
        return cls(lines[0], int(lines[1]), root, tuple(lines[3:]))


def signed(text: str, name: str, signer: Signer) -> Note:
    """A note with a signature of type Ed25519."""
    return Note(text, (Line(name, Verifier(name, signer.public).id, signer.sign(text.encode())),))


def cosigned(text: str, name: str, signer: Signer, at: int) -> Line:
    """A witness's cosignature on a checkpoint's text, made at that second."""
    signature = struct.pack(">Q", at) + signer.sign(_cosigned(text, at))
    return Line(name, Verifier(name, signer.public, COSIGNATURE).id, signature)


def lines(text: str) -> tuple[Line, ...]:
    """Signature lines that stand alone, as a witness answers. Raises `Invalid`."""
    rows = text.split("\n")
    if len(text) > LARGEST_NOTE or rows.pop() != "" or not 0 < len(rows) <= MOST_SIGNATURES:
        raise Invalid("Those are no signature lines.", code="not_a_note")
    return tuple(_line(row) for row in rows)


def checked_name(name: str) -> str:
    """The name, if it can stand in a signature line. Raises `Invalid`."""
    if not _name_ok(name):
        raise Invalid("A key's name has no spaces, no '+', and up to 255 characters.", param="name")
    return name


def _name_ok(name: str) -> bool:
    return bool(name) and len(name) <= 255 and "+" not in name and name.isprintable() and not re.search(r"\s", name)


def _cosigned(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _line(row: str) -> Line:
    dash, _, rest = row.partition(" ")
    name, _, encoded = rest.partition(" ")
    data = from_base64(encoded, "A signature of the note")
    if dash != "—" or not _name_ok(name) or len(data) < 5:
        raise Invalid("A line under the note is no signature.", code="not_a_note")
    return Line(name, data[:4], data[4:])
