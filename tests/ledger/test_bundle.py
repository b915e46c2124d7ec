"""Bundles: everything that they prove, and that they prove nothing once a byte of them was changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.ledger import Ledger, PublicKey, Verifier, dsse, keyring, merkle, verify
from intermodel.ledger import statement as statements
from intermodel.ledger.bundle import Bundle, Proven, verify_parsed
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE, Checkpoint, Note, cosigned, signed
from tests.ledger.conftest import said

WITNESS = LocalSigner.make()
VERIFIER = Verifier("w.example", WITNESS.public, COSIGNATURE)


@pytest.fixture
async def bundle(ledger: Ledger) -> bytes:
    """With all that a bundle may hold: entries of two keys, an earlier checkpoint, a receipt, a cosignature."""
    await ledger.record_all([said(i) for i in range(5)])
    earlier = ledger.checkpoint()
    await ledger.rotate()
    receipts = [(f"{i:026d}", b"receipt %d" % i) for i in range(5)]
    sealed = await ledger.seal(receipts)
    note = ledger.checkpoint()
    ledger.cosign(note, [cosigned(Note.parse(note).text, "w.example", WITNESS, 1_700_000_000)], [VERIFIER])
    whole = Bundle.parse(await ledger.bundle([2, sealed.index], earlier=[earlier]))
    receipt = Bundle.parse(await ledger.receipt_bundle(*receipts[3]))
    return bytes(Bundle(whole.note, whole.keys, whole.entries, whole.earlier, receipt.receipts))


async def test_what_was_held_against_its_schema_is_not_held_against_it_again(ledger: Ledger, bundle: bytes) -> None:
    read: list[bytes] = []

    def known(payload: bytes) -> statements.Read:
        read.append(payload)
        return statements.read(payload)

    parsed = Bundle.parse(bundle)
    report = verify_parsed(parsed, [ledger.verifier], [VERIFIER], read=known)
    assert report == verify(bundle, [ledger.verifier], [VERIFIER])
    assert len(read) == len(parsed.entries), "each once, and the ledger's own keys are read anew"


def good(bundle: bytes, key: PublicKey) -> bool:
    try:
        return verify(bundle, [], [VERIFIER], ledger=key).good
    except Invalid:
        return False


async def test_it_says_what_it_checked(ledger: Ledger, bundle: bytes) -> None:
    report = verify(bundle, [ledger.verifier], [VERIFIER])
    assert report.good
    assert [check.what for check in report.checks] == [
        "trust", "checkpoint", "keys", "entry 2: inclusion", "entry 2: signature", "entry 2: statement",
        "entry 7: inclusion", "entry 7: signature", "entry 7: statement",
        "checkpoint of 6: signature", "checkpoint of 6: consistency",
        "receipt 3 of entry 7", "witness w.example",
    ]  # fmt: skip
    document = report.document()
    assert document["entries"][0]["statement"]["predicateType"] == "urn:intermodel:grade:v1"
    assert json.dumps(document)


async def test_a_byte_changed_is_refused(
    ledger: Ledger, bundle: bytes, flipped: Callable[[bytes], list[bytes]]
) -> None:
    key = ledger.keys.periods[0].key
    assert good(bundle, key)
    assert not [i for i, data in enumerate(flipped(bundle)[::7]) if good(data, key)]  # all of them: below


@pytest.mark.slow
@pytest.mark.timeout(600)  # some 60,000 bundles
async def test_any_bit_changed_is_refused(ledger: Ledger, bundle: bytes) -> None:
    key = ledger.keys.periods[0].key
    for i in range(len(bundle)):
        for bit in range(8):
            assert not good(bundle[:i] + bytes([bundle[i] ^ (1 << bit)]) + bundle[i + 1 :], key), (i, bit)


async def test_without_a_key_nobody_vouches(bundle: bytes) -> None:
    report = verify(bundle)
    assert (report.good, report.intact) == (False, True)
    other = verify(bundle, [LocalSigner.make().public])
    assert (other.good, other.intact) == (False, False)


async def test_parts_of_another_place(ledger: Ledger, bundle: bytes) -> None:
    whole = Bundle.parse(bundle)
    key = ledger.keys.periods[0].key
    first, second = whole.entries

    def swapped(**parts: Any) -> bytes:
        kept: dict[str, Any] = {
            "note": whole.note, "keys": whole.keys, "entries": whole.entries, "earlier": whole.earlier,
            "receipts": whole.receipts,
        }  # fmt: skip
        return bytes(Bundle(**(kept | parts)))

    assert good(swapped(), key)
    moved = type(first)(second.index, first.envelope, first.proof)
    for parts in (
        {"keys": ()},
        {"keys": whole.keys[:1]},
        {"keys": whole.keys[1:]},
        {"keys": (*whole.keys, first)},
        {"keys": (*whole.keys, whole.keys[1])},
        {"entries": ()},
        {"entries": (moved, second)},
        {"entries": (first,)},
        {"note": whole.earlier[0].note},
    ):
        assert not good(swapped(**parts), key), parts


async def test_a_revocation_cannot_be_kept_back(ledger: Ledger) -> None:
    await ledger.record_all([said(i) for i in range(5)])
    old = ledger.keys.current.key
    await ledger.rotate()
    await ledger.revoke(old.id, 2)
    data = await ledger.bundle([3])
    whole = Bundle.parse(data)
    assert not verify(data, [ledger.verifier]).good
    assert verify(await ledger.bundle([1]), [ledger.verifier]).good
    cut = verify(bytes(Bundle(whole.note, whole.keys[:2], whole.entries)), [ledger.verifier])
    assert [check.what for check in cut.checks if check.holds is False] == ["keys"]


async def test_a_checkpoint_that_lists_no_keys_leaves_it_open(ledger: Ledger) -> None:
    whole = Bundle.parse(await ledger.bundle([0]))
    head, signer = Checkpoint.parse(Note.parse(whole.note).text), ledger.log.signer
    assert signer is not None
    assert head.extensions == (keyring.listed([merkle.leaf_hash(whole.keys[0].envelope)]),)
    note = signed(Checkpoint(head.origin, head.size, head.root).text, head.origin, signer)
    report = verify(bytes(Bundle(bytes(note), whole.keys, whole.entries)), [ledger.verifier])
    assert (report.good, report.intact) == (False, True)
    assert [check.what for check in report.checks if check.holds is None] == ["keys"]


async def test_one_whose_statements_are_trusted_makes_no_ledger_in_anothers_name(ledger: Ledger) -> None:
    alice = LocalSigner.make()
    first = keyring.said(alice.public, "added", origin=ledger.origin)
    leaves = [dsse.seal(statements.dumped(one, 1.0), [alice]) for one in (first, said(7))]
    hashes = [merkle.leaf_hash(one) for one in leaves]
    head = Checkpoint(ledger.origin, 2, merkle.root_of(hashes), (keyring.listed(hashes[:1]),))
    note = bytes(signed(head.text, ledger.origin, alice))
    entries = tuple(Proven(i, leaves[i], (hashes[1 - i],)) for i in range(2))
    forged = bytes(Bundle(note, entries[:1], entries[1:]))
    assert verify(forged, ledger=alice.public).good  # who says that this is the ledger's key
    for key in (
        alice.public,
        Verifier("alice", alice.public),
        Verifier(ledger.origin, alice.public, COSIGNATURE),
    ):
        report = verify(forged, [ledger.verifier, key])
        assert [check.what for check in report.checks if not check.holds] == ["trust"]


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b'{"type":"urn:intermodel:bundle:v1"}', b'{"type":"urn:intermodel:bundle:v2"}',
     b'{"type":"urn:intermodel:bundle:v1","checkpoint":"","keys":[],"entries":[],"earlier":[],"receipts":[1]}',
     b'{"type":"urn:intermodel:bundle:v1","checkpoint":"","keys":[{"index":99999999999999999999,"envelope":"","proof":[]}],'
     b'"entries":[],"earlier":[],"receipts":[]}',
     b'{"type":"urn:intermodel:bundle:v1","checkpoint":"","keys":[],"entries":[],"earlier":[],"receipts":[], "x":1}'],
)  # fmt: skip
def test_what_is_no_bundle(data: bytes) -> None:
    with pytest.raises(Invalid):
        verify(data)


def test_a_bundle_with_no_note_is_a_report_not_a_traceback() -> None:
    data = b'{"type":"urn:intermodel:bundle:v1","checkpoint":"","keys":[],"entries":[],"earlier":[],"receipts":[]}'
    report = verify(data)
    assert not report.intact


@given(st.binary(max_size=200))
def test_any_bytes_are_no_bundle(data: bytes) -> None:
    with pytest.raises(Invalid):
        verify(data)
