"""Entries with all that proves them, in one file, and checking it without a node, a network or a clock. Pure.

A bundle is one JSON object in the spelling of `orjson.dumps`, so that no byte of it can be changed unnoticed:
`checkpoint` a signed note; `keys` and `entries`, each `{index, envelope, proof}` with the envelope's bytes and the
hashes of its inclusion proof in base64; `earlier` checkpoints with consistency proofs; `receipts` with their place in a
group. `as_tlog_proof` gives the proof of one entry in the form that tools of others read (C2SP tlog-proof).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from intermodel.core import Invalid, Refused
from intermodel.core.statements import Statement
from intermodel.ledger import dsse, keyring, merkle, predicates, strict
from intermodel.ledger import statement as statements
from intermodel.ledger.keyring import Keyring
from intermodel.ledger.keys import PublicKey
from intermodel.ledger.note import ED25519, Checkpoint, Note, Verifier
from intermodel.ledger.statement import Read
from intermodel.ledger.strict import closed, from_base64, to_base64
from intermodel.ledger.withdrawal import Withdrawn, digest_of, fits, named_by

TYPE = "urn:intermodel:bundle:v1"
LARGEST = 64 * 1024**2


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry's bytes, its place, and its inclusion proof."""

    index: int
    envelope: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Earlier:
    """A checkpoint given out before, and the proof that the tree only grew since."""

    note: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ReceiptProof:
    """A receipt's bytes, its place in the group that the entry covers, and its inclusion proof there."""

    entry: int
    place: int
    receipt: bytes
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    note: bytes
    keys: tuple[Proven, ...]
    entries: tuple[Proven, ...]
    earlier: tuple[Earlier, ...] = ()
    receipts: tuple[ReceiptProof, ...] = ()

    def __bytes__(self) -> bytes:
        return orjson.dumps(
            {
                "type": TYPE,
                "checkpoint": self.note.decode(),
                "keys": [_proven(one) for one in self.keys],
                "entries": [_proven(one) for one in self.entries],
                "earlier": [{"checkpoint": one.note.decode(), "proof": _proof(one.proof)} for one in self.earlier],
                "receipts": [
                    {
                        "entry": one.entry,
                        "place": one.place,
                        "receipt": to_base64(one.receipt),
                        "proof": _proof(one.proof),
                    }
                    for one in self.receipts
                ],
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Bundle:
        """Raises `Invalid` for anything that `bytes` of a bundle could not be."""
        if len(data) > LARGEST:
            raise Invalid(f"The bundle has {len(data):,} bytes; {LARGEST:,} are read.", code="bundle_too_large")
        document = strict.json_object(data, "The bundle")
        if document.get("type") != TYPE:
            raise Invalid(f"That is no bundle of a ledger: its 'type' is not {TYPE}.", code="not_a_bundle")
        closed(document, {"type", "checkpoint", "keys", "entries", "earlier", "receipts"}, "The bundle")
        found = cls(
            strict.field(document, "checkpoint", str, "The bundle").encode(),
            tuple(_read_proven(one) for one in strict.field(document, "keys", list, "The bundle")),
            tuple(_read_proven(one) for one in strict.field(document, "entries", list, "The bundle")),
            tuple(_read_earlier(one) for one in strict.field(document, "earlier", list, "The bundle")),
            tuple(_read_receipt(one) for one in strict.field(document, "receipts", list, "The bundle")),
        )
        if bytes(found) != data:
            raise Invalid("The bundle is not spelled as a bundle is.", code="not_a_bundle")
        return found


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `holds` is None where nobody can say from what was given."""

    what: str
    holds: bool | None
    found: str

    def document(self) -> dict[str, Any]:
        return {"what": self.what, "holds": self.holds, "found": self.found}


@dataclass(frozen=True, slots=True)
class Shown:
    """An entry of a bundle. `signers` are key ids; `statement` is None where it is no statement that can be read.

    `digest` is that of the bytes that were signed; `withdrawn` is what the bundle holds that takes the statement back.
    """

    index: int
    statement: Statement | None
    signers: tuple[str, ...]
    at: float | None
    digest: str = ""
    withdrawn: tuple[Withdrawn, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What was checked and what was found. `good`: every check holds, and a key that was given vouches for it."""

    checks: tuple[Check, ...]
    origin: str = ""
    size: int = 0
    root: bytes = b""
    entries: tuple[Shown, ...] = ()
    cosigned: dict[str, int] = field(default_factory=dict)
    """When each witness that was given saw this checkpoint, in seconds since 1970, by name."""

    @property
    def intact(self) -> bool:
        """Whether nothing in it contradicts itself; anybody can make such a bundle, with a key of theirs."""
        return all(check.holds is not False for check in self.checks)

    @property
    def good(self) -> bool:
        return bool(self.checks) and all(check.holds for check in self.checks)

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "good": self.good,
            "intact": self.intact,
            "checkpoint": {"origin": self.origin, "size": self.size, "root": self.root.hex()},
            "checks": [check.document() for check in self.checks],
            "entries": [
                {
                    "index": one.index,
                    "signers": list(one.signers),
                    "at": one.at,
                    "digest": one.digest,
                    "statement": one.statement.document() if one.statement else None,
                    "withdrawn": [asdict(by) for by in one.withdrawn],
                }
                for one in self.entries
            ],
            "cosigned": self.cosigned,
        }


def verify(
    bundle: bytes, keys: Iterable[PublicKey | Verifier] = (), witnesses: Iterable[Verifier] = (), *,
    ledger: PublicKey | None = None,
) -> Report:  # fmt: skip
    """Check a bundle: signatures, statements, inclusion, consistency, the keys' own history, cosignatures.

    `keys` are those that the reader trusts. One under a name vouches for the ledger of that name, at any time, and for
    no other: whose statements are trusted could else write a ledger in another's name. Every key vouches for the
    statements that it signed, under whatever name. `ledger` is the key of this very ledger, where the reader knows it
    without its name. `witnesses` are those whose cosignature is demanded. Raises `Invalid` for what is no bundle.

    That a statement was withdrawn is told (`Shown.withdrawn`) and is no fault of the bundle, which shows both.
    """
    return verify_parsed(Bundle.parse(bundle), keys, witnesses, ledger=ledger)


def verify_parsed(
    bundle: Bundle, keys: Iterable[PublicKey | Verifier] = (), witnesses: Iterable[Verifier] = (), *,
    ledger: PublicKey | None = None, read: Callable[[bytes], Read] = statements.read,
) -> Report:  # fmt: skip
    """The same of a bundle that was read, or was just made. `read` gives the statement of signed bytes, once they were
    held against the schema: whoever has done that for these very bytes need not do it again."""
    try:
        return _Verification(bundle, tuple(keys), ledger, tuple(witnesses), read).report()
    except Invalid as error:
        return Report((Check("bundle", False, error.message),))


def verified_keys(bundle: Bundle, keys: Iterable[Verifier]) -> Keyring:
    """The whole history of a ledger's keys, as a bundle has it, if one of these is its. Raises `Invalid`, `Refused`."""
    verification = _Verification(bundle, tuple(keys), None, (), statements.read)
    ring, checks = verification.keys()
    if wrong := next((check for check in checks if not check.holds), None):
        raise Refused(f"Its {wrong.what} does not hold: {wrong.found}.", code="keys_do_not_hold")
    return ring


class _Verification:
    """One bundle, looked at once."""

    def __init__(
        self, bundle: Bundle, keys: Sequence[PublicKey | Verifier], ledger: PublicKey | None,
        witnesses: Sequence[Verifier], read: Callable[[bytes], Read],
    ) -> None:  # fmt: skip
        self._bundle = bundle
        self._read = read
        self._witnesses = witnesses
        self._note = Note.parse(bundle.note)
        self._head = Checkpoint.parse(self._note.text)
        self._checks: list[Check] = []
        own = [one.key for one in keys if isinstance(one, Verifier) and self._names_the_ledger(one)]
        self._vouching = {one.id for one in (*own, *([ledger] if ledger else []))}
        self._trusted = {one.id: one for one in (*map(_public, keys), *([ledger] if ledger else []))}
        self._names = {one.key.id: one.name for one in keys if isinstance(one, Verifier)}
        self._claimed: dict[int, frozenset[str]] = {}
        """Whose signatures the entries claim to have, by their places."""

    def report(self) -> Report:
        ring, _ = self.keys()
        shown = self._taken_back([self._entry(one, ring) for one in self._bundle.entries], ring)
        for earlier in self._bundle.earlier:
            self._earlier(earlier, ring)
        by_index = {one.index: one for one in shown}
        for receipt in self._bundle.receipts:
            self._receipt(receipt, by_index.get(receipt.entry))
        if not shown:
            self._say("entries", None, "there are none")
        cosigned, head = self._cosigned(), self._head
        return Report(tuple(self._checks), head.origin, head.size, head.root, shown, cosigned)

    def _say(self, what: str, holds: bool | None, found: str) -> None:
        self._checks.append(Check(what, holds, found))

    def _names_the_ledger(self, key: Verifier) -> bool:
        return key.kind == ED25519 and key.name == self._head.origin

    def keys(self) -> tuple[Keyring, Sequence[Check]]:
        """The history of the ledger's keys, which the bundle brings along, and whether the reader trusts it."""
        ring = self._history()
        vouched = sorted(self._vouching & ring.keys.keys())
        if vouched:
            self._say("trust", True, f"a key that you named is the ledger's: {vouched[0]}")
        elif nameless := sorted(self._trusted.keys() & ring.keys.keys()):
            found = f"you named the key {nameless[0]}, and not as the one of the ledger {self._head.origin}"
            self._say("trust", False, found)
        elif self._trusted:
            self._say("trust", False, f"no key that you named is the ledger's, which is {ring.current.key.id}")
        else:
            self._say("trust", None, f"you named no key; the ledger's is {ring.current.key.id}")
        if ring.origin != self._head.origin:
            raise Invalid(f"The keys are of the ledger {ring.origin}, and the checkpoint is another's.")
        signed = self._signed(self._note, self._head, ring)
        self._say("checkpoint", signed, f"{self._head.origin}, {self._head.size} entries, {self._by(signed)}")
        self._whole()
        return ring, self._checks

    def _whole(self) -> None:
        """Whether the bundle keeps back no change of the keys, such as a revocation."""
        keys, head = self._bundle.keys, self._head
        whole = keyring.is_whole([merkle.leaf_hash(one.envelope) for one in keys], head.extensions)
        found = {
            True: "the one change of them that the checkpoint covers is here"
            if len(keys) == 1
            else f"all {len(keys)} changes of them that the checkpoint covers are here",
            False: "the changes of them are not those that the checkpoint covers: one is kept back",
            None: "the checkpoint does not say which changes of them there are: one may be kept back",
        }
        self._say("keys", whole, found[whole])

    def _history(self) -> Keyring:
        ring: Keyring | None = None
        for one in self._bundle.keys:
            if not self._included(one):
                raise Invalid(f"Entry {one.index}, which is about a key, is not in the tree of the checkpoint.")
            envelope = dsse.parse(one.envelope)
            statement = statements.read(envelope.payload).statement
            if statement.predicate_type != predicates.KEY:
                raise Invalid(f"Entry {one.index} stands among the keys and is not about one.")
            if ring is None:
                if one.index != 0:
                    raise Invalid("The history of the ledger's keys does not begin with entry 0.")
                ring = keyring.first(statement, keyring.self_signed(envelope, statement))
                continue
            new = keyring.key_of(statement)
            ring = ring.after(one.index, statement, dsse.verified(envelope, {**ring.keys, new.id: new}))
        if ring is None:
            raise Invalid("The bundle does not say by which keys the ledger was signed.")
        return ring

    def _entry(self, one: Proven, ring: Keyring) -> Shown:
        what = f"entry {one.index}"
        included = self._included(one)
        where = f"the tree of {self._head.size} entries"
        self._say(
            f"{what}: inclusion", included, f"it is in {where}" if included else f"the proof does not lead to {where}"
        )
        try:
            envelope = dsse.parse(one.envelope)
            signers = dsse.verified(envelope, {**self._trusted, **ring.keys})
        except Invalid as error:
            self._say(f"{what}: signature", False, error.message)
            return Shown(one.index, None, (), None)
        self._claimed[one.index] = frozenset(signature.keyid for signature in envelope.signatures)
        self._say(f"{what}: signature", *self._judged(one.index, signers, ring))
        digest = digest_of(envelope.payload)
        try:
            read = self._read(envelope.payload)
        except Invalid as error:
            self._say(f"{what}: statement", False, error.message)
            return Shown(one.index, None, tuple(sorted(signers)), None, digest)
        kind = read.statement.predicate_type
        known = "its schema holds" if predicates.known(kind) else "opaque: of a type that is not read here"
        self._say(f"{what}: statement", True, f"{kind}, {known}")
        return Shown(one.index, read.statement, tuple(sorted(signers)), read.at, digest)

    def _taken_back(self, shown: Sequence[Shown], ring: Keyring) -> tuple[Shown, ...]:
        """The entries, each with those that take it back."""
        by_digest: dict[str, list[Shown]] = {}
        for one in shown:
            if digest := named_by(one.statement):
                by_digest.setdefault(digest, []).append(one)
        if not by_digest:
            return tuple(shown)
        return tuple(
            replace(one, withdrawn=tuple(filter(None, (self._withdrawn(by, one, ring) for by in some))))
            if (some := by_digest.get(one.digest))
            else one
            for one in shown
        )

    def _withdrawn(self, by: Shown, one: Shown, ring: Keyring) -> Withdrawn | None:
        """What the one says of the other, if it may: as the same signer, whichever key it has, or as the ledger in
        which both are."""
        if by.statement is None or one.statement is None or not fits(by.statement, one.digest, one.statement):
            return None
        reason, at = str(by.statement.predicate["reason"]), by.at or 0.0
        if any(ring.signs(key, by.index) for key in by.signers):
            aside = not ring.keys.keys() & {*one.signers}
            return Withdrawn(by.index, f"the ledger {ring.origin}", at, reason, aside)
        if whose := sorted(self._whose(by) & self._whose(one)):
            return Withdrawn(by.index, whose[0], at, reason)
        if not by.signers and (claimed := sorted((self._claimed[by.index] & self._claimed[one.index]) - {""})):
            return Withdrawn(by.index, f"the key {claimed[0][:16]}", at, reason, sure=False)
        return None

    def _whose(self, one: Shown) -> set[str]:
        """Those who signed it and whom the reader named: keys under one name are one signer's."""
        return {self._names.get(key, f"the key {key[:16]}") for key in one.signers if key in self._trusted}

    def _judged(self, index: int, signers: frozenset[str], ring: Keyring) -> tuple[bool | None, str]:
        if not signers:
            return None, "it is signed by a key that is neither the ledger's nor named by you"
        own = signers & ring.keys.keys()
        if good := [one for one in sorted(own) if ring.signs(one, index)]:
            return True, f"by the ledger's key {good[0]}"
        if own:
            return False, f"by the ledger's key {min(own)}, which was not in force there, or is revoked"
        return True, f"by {min(signers)}, which you named"

    def _earlier(self, earlier: Earlier, ring: Keyring) -> None:
        note = Note.parse(earlier.note)
        old = Checkpoint.parse(note.text)
        what = f"checkpoint of {old.size}"
        signed = old.origin == self._head.origin and self._signed(note, old, ring)
        self._say(f"{what}: signature", signed, self._by(signed))
        holds = merkle.extends(old.size, self._head.size, old.root, self._head.root, earlier.proof)
        self._say(f"{what}: consistency", holds, "the tree only grew since" if holds else "the tree is another: a fork")

    def _receipt(self, one: ReceiptProof, entry: Shown | None) -> None:
        what = f"receipt {one.place} of entry {one.entry}"
        said = entry.statement if entry else None
        if said is None or said.predicate_type != predicates.RECEIPTS:
            self._say(what, False, "that entry is not here, or is about no receipts")
            return
        root, count = bytes.fromhex(said.predicate["root"]), said.predicate["count"]
        holds = merkle.includes(one.place, count, merkle.leaf_hash(one.receipt), one.proof, root)
        self._say(what, holds, f"one of {count}" if holds else "the proof does not lead to the entry's root")

    def _cosigned(self) -> dict[str, int]:
        found = {one.name: at or 0 for one, at in self._note.signed_by(self._witnesses).items()}
        for witness in self._witnesses:
            seen = witness.name in found
            self._say(f"witness {witness.name}", seen, "it cosigned" if seen else "it did not cosign this checkpoint")
        return found

    def _included(self, one: Proven) -> bool:
        leaf = merkle.leaf_hash(one.envelope)
        return merkle.includes(one.index, self._head.size, leaf, one.proof, self._head.root)

    @staticmethod
    def _signed(note: Note, head: Checkpoint, ring: Keyring) -> bool:
        return bool(note.signed_by(Verifier(head.origin, key) for key in ring.heads(head.size)))

    @staticmethod
    def _by(signed: bool) -> str:
        return "signed by the ledger's key" if signed else "not signed by a key of the ledger that was in force"


def as_tlog_proof(index: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The proof of one entry as C2SP tlog-proof writes it (https://c2sp.org/tlog-proof)."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(to_base64, proof), "", ""]
    return "\n".join(lines).encode() + note


def read_tlog_proof(data: bytes) -> tuple[int, tuple[bytes, ...], Note]:
    """Index, proof and note of a C2SP tlog-proof, not verified. Raises `Invalid`."""
    head, blank, note = data.partition(b"\n\n")
    lines = head.decode(errors="replace").split("\n")
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    name, _, number = lines[1].partition(" ") if len(lines) > 1 else ("", "", "")
    if not blank or lines[0] != "c2sp.org/tlog-proof@v1" or name != "index" or len(lines) > 65:
        raise Invalid("That is no tlog-proof.", code="not_a_proof")
    if not (number.isascii() and number.isdecimal() and str(int(number)) == number):
        raise Invalid("The index of the tlog-proof is no number.", code="not_a_proof")
    return int(number), tuple(from_base64(line, "A hash of the proof") for line in lines[2:]), Note.parse(note)


def _public(key: PublicKey | Verifier) -> PublicKey:
    return key.key if isinstance(key, Verifier) else key


def _proof(hashes: Iterable[bytes]) -> list[str]:
    return [to_base64(one) for one in hashes]


def _proven(one: Proven) -> dict[str, Any]:
    return {"index": one.index, "envelope": to_base64(one.envelope), "proof": _proof(one.proof)}


def _read_hashes(document: dict[str, Any]) -> tuple[bytes, ...]:
    found = strict.field(document, "proof", list, "A proof of the bundle")
    if len(found) > 64 or not all(isinstance(one, str) for one in found):
        raise Invalid("A proof of the bundle is no list of up to 64 hashes.", code="not_a_bundle")
    return tuple(from_base64(one, "A hash of the bundle") for one in found)


def _read_place(document: dict[str, Any], name: str) -> int:
    found: int = strict.field(document, name, int, "The bundle")
    if not 0 <= found < 2**53:
        raise Invalid(f"The bundle: '{name}' is no place in a log.", code="not_a_bundle")
    return found


def _object(document: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise Invalid(f"{what} is not an object.", code="not_a_bundle")
    closed(document, names, what)
    return document


def _read_proven(document: Any) -> Proven:
    what = "An entry of the bundle"
    found = _object(document, {"index", "envelope", "proof"}, what)
    envelope = from_base64(strict.field(found, "envelope", str, what), "An envelope of the bundle")
    return Proven(_read_place(found, "index"), envelope, _read_hashes(found))


def _read_earlier(document: Any) -> Earlier:
    what = "An earlier checkpoint of the bundle"
    found = _object(document, {"checkpoint", "proof"}, what)
    return Earlier(strict.field(found, "checkpoint", str, what).encode(), _read_hashes(found))


def _read_receipt(document: Any) -> ReceiptProof:
    what = "A receipt of the bundle"
    found = _object(document, {"entry", "place", "receipt", "proof"}, what)
    return ReceiptProof(
        _read_place(found, "entry"),
        _read_place(found, "place"),
        from_base64(strict.field(found, "receipt", str, what), "A receipt of the bundle"),
        _read_hashes(found),
    )
