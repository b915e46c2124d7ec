from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from intermodel.core import Invalid
from intermodel.ledger import dsse
from intermodel.ledger.keys import LocalSigner

A, B, C = (LocalSigner.make() for _ in range(3))
KEYS = {one.public.id: one.public for one in (A, B, C)}


def test_the_payload_is_what_was_signed() -> None:
    envelope = dsse.seal(b'{"a": 1}', [A])
    assert dsse.opened(envelope, KEYS).payload == b'{"a": 1}'
    assert set(json.loads(envelope)) == {"payloadType", "payload", "signatures"}


def test_a_number_of_distinct_keys_is_demanded() -> None:
    envelope = dsse.seal(b"x", [A, B])
    assert dsse.opened(envelope, KEYS, 2).payload == b"x"
    with pytest.raises(Invalid, match="signed by 2 of the 3"):
        dsse.opened(envelope, KEYS, 3)
    with pytest.raises(Invalid, match="signed by 1 of the 3"):
        dsse.opened(dsse.seal(b"x", [A, A]), KEYS, 2)
    twice = json.loads(dsse.seal(b"x", [A, A]))
    twice["signatures"][1]["keyid"] = ""
    with pytest.raises(Invalid, match="signed by 1 of the 3"):
        dsse.opened(json.dumps(twice).encode(), KEYS, 2)
    with pytest.raises(Invalid):
        dsse.opened(envelope, KEYS, 0)


def test_key_ids_are_hints() -> None:
    document = json.loads(dsse.seal(b"x", [A]))
    del document["signatures"][0]["keyid"]
    assert dsse.verified(dsse.parse(json.dumps(document).encode()), KEYS) == {A.public.id}
    document["signatures"][0]["keyid"] = B.public.id
    with pytest.raises(Invalid, match="is not by it"):
        dsse.opened(json.dumps(document).encode(), KEYS)


def test_unknown_signers_do_not_count() -> None:
    with pytest.raises(Invalid, match="signed by 0 of the 1"):
        dsse.opened(dsse.seal(b"x", [A]), {B.public.id: B.public})


def test_any_byte_changed_is_refused(flipped: Callable[[bytes], list[bytes]]) -> None:
    envelope = dsse.seal(b'{"_type": "https://in-toto.io/Statement/v1"}', [A])

    def accepted(data: bytes) -> bool:
        try:
            dsse.opened(data, KEYS)
        except Invalid:
            return False
        return True

    assert accepted(envelope)
    assert not [data for data in flipped(envelope) if accepted(data)]
    bits = [
        envelope[:i] + bytes([envelope[i] ^ (1 << bit)]) + envelope[i + 1 :]
        for i in range(len(envelope))
        for bit in range(8)
    ]
    assert not [data for data in bits if accepted(data)]


def test_url_safe_base64_is_read_too() -> None:
    payload = bytes(range(256))
    document = json.loads(dsse.seal(payload, [A]))
    document["payload"] = base64.urlsafe_b64encode(payload).decode()
    assert dsse.opened(json.dumps(document).encode(), KEYS).payload == payload


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.pop("payload"),
        lambda d: d.pop("payloadType"),
        lambda d: d.update(signatures=[]),
        lambda d: d.update(signatures={}),
        lambda d: d.update(signatures=["x"]),
        lambda d: d.update(signatures=d["signatures"] * 17),
        lambda d: d.update(payload=7),
        lambda d: d.update(payload="a"),
        lambda d: d.update(more=1),
        lambda d: d["signatures"][0].update(keyid=7),
        lambda d: d["signatures"][0].update(cert="x"),
        lambda d: d["signatures"][0].update(sig="####"),
        lambda d: d["signatures"][0].pop("sig"),
    ],
)
def test_what_is_no_envelope(change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(dsse.seal(b"x", [A]))
    change(document)
    with pytest.raises(Invalid):
        dsse.parse(json.dumps(document).encode())
