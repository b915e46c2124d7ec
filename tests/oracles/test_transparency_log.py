"""Vectors that others published for logs, notes, envelopes and signatures (../shared/oracles/transparency-log)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.ledger import PublicKey, Verifier, dsse, merkle
from intermodel.ledger import statement as statements
from intermodel.ledger.note import Checkpoint, Note

FOLDER = Path(__file__).parents[2].parent / "shared" / "oracles" / "transparency-log"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"the oracles are not here: {FOLDER}")

CT_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
"""The leaves of RFC 6962's reference tree (transparency-dev/merkle, testonly)."""


def files(kind: str) -> list[Any]:
    found = sorted((FOLDER / "rfc6962" / kind).rglob("*.json")) if FOLDER.is_dir() else []
    return [pytest.param(path, id=f"{path.parent.name}/{path.stem}") for path in found]


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


def hashes_of(document: dict[str, Any]) -> list[bytes]:
    return [decoded(one) for one in document["proof"] or []]


def vectors() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / "c2sp_dsse_vectors.yaml").read_text())
    return found


@pytest.mark.parametrize("path", files("inclusion"))
def test_inclusion_proofs(path: Path) -> None:
    case = json.loads(path.read_text())
    root, leaf = decoded(case["root"]), decoded(case["leafHash"])
    found = merkle.includes(case["leafIdx"], case["treeSize"], leaf, hashes_of(case), root)
    assert found is not case["wantErr"]


@pytest.mark.parametrize("path", files("consistency"))
def test_consistency_proofs(path: Path) -> None:
    case = json.loads(path.read_text())
    roots = decoded(case["root1"]), decoded(case["root2"])
    assert merkle.extends(case["size1"], case["size2"], *roots, hashes_of(case)) is not case["wantErr"]


def test_known_roots() -> None:
    known = vectors()["rfc6962_known_roots"]
    leaves = [merkle.leaf_hash(leaf) for leaf in CT_LEAVES]
    assert merkle.root_of(leaves[:1]) == decoded(known["size_1"])
    assert merkle.root_of(leaves) == decoded(known["size_8"])


def test_ed25519_of_wycheproof() -> None:
    groups = json.loads((FOLDER / "wycheproof" / "ed25519_test.json").read_text())["testGroups"]
    wrong, count = [], 0
    for group in groups:
        key = PublicKey(bytes.fromhex(group["publicKey"]["pk"]))
        assert PublicKey.from_pem(group["publicKeyPem"].encode()) == key
        for case in group["tests"]:
            count += 1
            if key.verifies(bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"])) is not (case["result"] == "valid"):
                wrong.append(case["tcId"])
    assert (wrong, count) == ([], 151)


def test_signed_note() -> None:
    case = vectors()["signed_note"]
    verifier = Verifier.parse(case["vkey"])
    assert str(verifier) == case["vkey"]
    note = Note.parse(case["note"].encode())
    assert bytes(note) == case["note"].encode()
    assert list(note.signed_by([verifier])) == [verifier]


def test_signed_note_with_any_byte_changed() -> None:
    case = vectors()["signed_note"]
    verifier, note = Verifier.parse(case["vkey"]), case["note"].encode()

    def accepted(data: bytes) -> bool:
        try:
            return bool(Note.parse(data).signed_by([verifier]))
        except Invalid:
            return False

    assert accepted(note)
    assert not [i for i in range(len(note)) for bit in range(8) if accepted(changed(note, i, bit))]


def test_checkpoint_form() -> None:
    case = vectors()["checkpoint"]
    note = Note.parse(case["note"].encode())
    head = Checkpoint.parse(note.text)
    assert (head.origin, head.size, len(head.root)) == (case["origin"], case["size"], 32)
    assert head.text == note.text


@dataclass(frozen=True)
class EcKey:
    """ECDSA, which only these vectors use."""

    key: ec.EllipticCurvePublicKey
    hash: hashes.HashAlgorithm
    id: str = "ec"

    def verifies(self, signature: bytes, data: bytes) -> bool:
        try:
            self.key.verify(signature, data, ec.ECDSA(self.hash))
        except InvalidSignature:
            return False
        return True


def test_dsse_protocol_vector() -> None:
    case = vectors()["dsse"]
    assert dsse.pae(case["payload_type"], case["payload"].encode()) == case["pae"].encode()
    numbers = ec.EllipticCurvePublicNumbers(**case["ecdsa_p256_public"], curve=ec.SECP256R1())
    raw = base64.b64decode(case["sig_b64"])  # r and s, one after the other; `cryptography` takes DER
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    signature = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    envelope = dsse.Envelope(case["payload_type"], case["payload"].encode(), (dsse.Signature("", signature),))
    assert dsse.verified(envelope, {"ec": EcKey(numbers.public_key(), hashes.SHA256())}) == {"ec"}


def model_signatures() -> list[Any]:
    return [pytest.param(path, id=path.parent.name) for path in sorted((FOLDER / "model-signing").glob("*/model.sig"))]


@pytest.mark.parametrize("path", model_signatures())
def test_signatures_of_openssf_model_signing(path: Path) -> None:
    bundle = json.loads(path.read_text())
    material = bundle["verificationMaterial"]
    key: object
    if chain := material.get("x509CertificateChain"):
        key = x509.load_der_x509_certificate(base64.b64decode(chain["certificates"][0]["rawBytes"])).public_key()
    else:
        key = serialization.load_pem_public_key(base64.b64decode(material["publicKey"]["rawBytes"]))
    assert isinstance(key, ec.EllipticCurvePublicKey)
    envelope = json.dumps(bundle["dsseEnvelope"]).encode()
    opened = dsse.opened(envelope, {"ec": EcKey(key, hashes.SHA384())})
    said = statements.read(opened.payload).statement
    assert said.predicate_type == "https://model_signing/signature/v1.0"
    assert said.predicate["resources"]
    data = base64.b64decode(bundle["dsseEnvelope"]["payload"])
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(data.replace(b"signme", b"signus")).decode()
    with pytest.raises(Invalid):
        dsse.opened(json.dumps(bundle["dsseEnvelope"]).encode(), {"ec": EcKey(key, hashes.SHA384())})


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_vectors_with_a_bit_changed_prove_nothing(data: st.DataObject) -> None:
    case = json.loads((FOLDER / "rfc6962" / "consistency" / "2" / "happy-path.json").read_text())
    proof = hashes_of(case)
    i, byte, bit = (data.draw(st.integers(0, most)) for most in (len(proof) - 1, 31, 7))
    proof[i] = changed(proof[i], byte, bit)
    roots = decoded(case["root1"]), decoded(case["root2"])
    assert not merkle.extends(case["size1"], case["size2"], *roots, proof)


def changed(data: bytes, place: int, bit: int) -> bytes:
    return data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :]
