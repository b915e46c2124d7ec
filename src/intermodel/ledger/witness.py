"""Cosigning the checkpoints of other ledgers (C2SP tlog-witness, `add-checkpoint`; the HTTP around it is not here).

A witness cosigns a checkpoint only where the tree grew out of the one that it cosigned before. What it saw is on disk
before it answers. Its key lies in one folder with what it saw: who loses the one loses the other, and a witness that
has forgotten must not go on under its name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from intermodel.core import Invalid, Unavailable
from intermodel.ledger import files
from intermodel.ledger.keys import KeyFolder, Signer
from intermodel.ledger.note import COSIGNATURE, LARGEST_NOTE, Checkpoint, Note, Verifier, cosigned
from intermodel.ledger.strict import from_base64, to_base64
from intermodel.ledger.watch import Watch

FOLDER = "ledger-witness"
MOST_PROOF = 63
"""Lines of a proof, by the specification."""
LARGEST_REQUEST = LARGEST_NOTE + 64 * (MOST_PROOF + 1)
_VERIFIER = "verifier"
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Witness:
    """Cosigns the checkpoints of the ledgers that it watches, under a name and with a key of its own."""

    def __init__(self, watch: Watch, name: str, signer: Signer, clock: Callable[[], float] = time.time) -> None:
        self.watch = watch
        self._name = name
        self._signer = signer
        self._clock = clock

    @property
    def verifier(self) -> Verifier:
        """What others need to verify its cosignatures."""
        return Verifier(self._name, self._signer.public, COSIGNATURE)

    def add_checkpoint(self, body: bytes) -> str:
        """The answer to a request: a signature line. Blocks.

        Raises what `Watch.see` raises, and `Invalid` for a body that is none.
        """
        head, blank, note = body.partition(b"\n\n")
        lines = head.decode(errors="replace").split("\n")
        match = _OLD.fullmatch(lines[0])
        if match is None or not blank or len(lines) - 1 > MOST_PROOF:
            raise Invalid("That is no request to a witness.", code="not_a_request")
        proof = [from_base64(line, "A hash of the proof") for line in lines[1:]]
        old = int(match[1])
        text = Note.parse(note).text
        if old > Checkpoint.parse(text).size:
            raise Invalid("The old tree is larger than the new one.", code="not_a_request")
        self.watch.see(note, proof, old)
        return str(cosigned(text, self._name, self._signer, int(self._clock())))


def open_witness(data: Path, ledgers: Iterable[Verifier], passphrase: str = "") -> Witness:
    """The witness in a data folder, which the caller holds; made on first use, with a key of its own. Blocks.

    Raises `Unavailable` where its key is not there any more, or does not open.
    """
    folder = data / FOLDER
    keys, verifier = KeyFolder(folder, passphrase), verifier_of(data)
    if verifier is None:
        signer = keys.make()
        verifier = Verifier(f"intermodel-witness/{signer.public.id[:32]}", signer.public, COSIGNATURE)
        files.write(folder / _VERIFIER, f"{verifier}\n".encode())
        files.sync([folder, data])
    return Witness(Watch(folder, ledgers), verifier.name, keys.load(verifier.key.id))


def verifier_of(data: Path) -> Verifier | None:
    """What others need to verify the cosignatures of a data folder's witness; None where it has none.

    Raises `Unavailable` where it was changed.
    """
    path = data / FOLDER / _VERIFIER
    try:
        return Verifier.parse(path.read_text())
    except FileNotFoundError:
        return None
    except (Invalid, OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"The witness's name and key cannot be read: {path}: {error}",
            hint="Restore the folder from a backup.",
            code="key_damaged",
        ) from None


def request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """What to ask a witness, which saw the tree of size `old` last, to cosign a checkpoint."""
    return "\n".join([f"old {old}", *map(to_base64, proof), "", ""]).encode() + note
