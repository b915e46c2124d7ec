from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.ledger import predicates, statement, strict, uri
from tests.ledger.conftest import digest, said


def document(**more: Any) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "x", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://example.com/anything/v1",
        "predicate": {"a": [1, None]},
    } | more


def read(**more: Any) -> statement.Read:
    return statement.read(json.dumps(document(**more)).encode())


def test_there_and_back() -> None:
    data = statement.dumped(said(), 1_700_000_000.123456)
    assert statement.read(data) == statement.Read(said(), 1_700_000_000.123456)


def test_what_others_say_is_opaque_and_kept() -> None:
    found = read()
    assert found == statement.Read(
        Statement((Subject("x", digest(0)),), "https://example.com/anything/v1", {"a": [1, None]}), None
    )
    assert read(more="of a later version").statement == found.statement
    subject = {"uri": "pkg:x", "digest": {"sha256": "0" * 64, "sha512": "ab"}, "annotations": {"n": 1}}
    assert read(subject=[subject]).statement.subjects == (Subject("", digest(0)),)
    without = document()
    del without["predicate"]
    assert statement.read(json.dumps(without).encode()).statement.predicate == {}


@pytest.mark.parametrize(
    "more",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"_type": 1},
        {"subject": []},
        {"subject": {}},
        {"subject": [1]},
        {"subject": [{"name": "x"}]},
        {"subject": [{"name": "x", "digest": {}}]},
        {"subject": [{"name": 7, "digest": {"sha256": "0" * 64}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "0" * 63}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "A" * 64}}]},
        {"subject": [{"name": "x", "digest": {"sha512": "0" * 128}}]},
        {"subject": [{"digest": {"sha256": "0" * 64}, "annotations": 1}]},
        {"subject": [{"digest": {"sha256": "0" * 64}, "annotations": {statement.MADE: "yesterday"}}]},
        {"subject": [{"digest": {"sha256": "0" * 64}, "annotations": {statement.MADE: "2026-01-01T00:00:00"}}]},
        {"predicateType": ""},
        {"predicateType": "no uri"},
        {"predicateType": "a:" + "b" * 500},
        {"predicate": []},
    ],
)
def test_what_is_no_statement(more: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read(**more)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"\xff", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":NaN}', b'{"a":"\\ud800"}',
     b"[" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"9" * 5000 + b"}", b'{"a":1} x'],
)  # fmt: skip
def test_what_is_no_strict_json(data: bytes) -> None:
    with pytest.raises(Invalid):
        strict.json_object(data, "It")


def test_a_key_that_stands_there_twice_is_named() -> None:
    data = json.dumps(document()).encode().replace(b'"predicate":', b'"predicateType": "x:y", "predicate":')
    with pytest.raises(Invalid, match="'predicateType' stands in it twice"):
        statement.read(data)


@pytest.mark.parametrize("name", predicates.NAMES)
def test_schemas_are_schemas_and_describe_every_field(name: str) -> None:
    from jsonschema import Draft202012Validator

    schema = predicates.schema(name)
    Draft202012Validator.check_schema(schema)
    assert (schema["$id"], schema["title"]) == (uri(name), name)
    assert schema["description"]
    assert not [name for name, one in fields_of(schema) if "description" not in one]


def fields_of(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema, at any depth."""
    for word, part in schema.items():
        if word == "properties":
            yield from part.items()
        if word in ("if", "then"):  # these repeat fields, which are described where they stand
            continue
        for one in part.values() if word in ("properties", "$defs") else part if isinstance(part, list) else [part]:
            if isinstance(one, dict):
                yield from fields_of(one)


def test_a_predicate_that_breaks_its_schema() -> None:
    with pytest.raises(Invalid, match="'outcome' is a required property"):
        statement.dumped(Statement((Subject("x", digest(1)),), uri("grade"), {"framework": "mof", "version": "1"}), 0)
    with pytest.raises(Invalid, match=r"at since") as caught:
        predicates.check(uri("key"), {"action": "revoked", "key": "A" * 43 + "=", "since": -1})
    assert caught.value.param == "since"
    with pytest.raises(Invalid):
        predicates.check(uri("key"), {"action": "rotated", "key": "A" * 43 + "="})
    predicates.check("urn:intermodel:grade:v9", {"anything": 1})


def test_what_cannot_be_written() -> None:
    with pytest.raises(Invalid):
        statement.dumped(Statement((), "x:y", {}), 0)
    with pytest.raises(Invalid):
        statement.dumped(Statement((Subject("x", digest(1)),), "x:y", {"a": {1, 2}}), 0)
    with pytest.raises(Invalid):
        statement.dumped(Statement((Subject("x", digest(1)),), "x:y", {"a": "\ud800"}), 0)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=9), values, max_size=4))
def test_any_predicate_there_and_back(predicate: dict[str, Any]) -> None:
    one = Statement((Subject("x", digest(1)),), "https://example.com/p/v1", predicate)
    try:
        data = statement.dumped(one, 12.5)
    except Invalid:
        with pytest.raises((TypeError, UnicodeEncodeError)):
            orjson.dumps(predicate)
        return
    assert statement.read(data) == statement.Read(one, 12.5)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_statement_or_invalid(data: bytes) -> None:
    with pytest.raises(Invalid):
        statement.read(data)


@pytest.mark.parametrize("text", ["AA", "AAA=A", "AAB=", "A A=", "####", "AA==\n"])
def test_base64_in_another_spelling(text: str) -> None:
    with pytest.raises(Invalid):
        strict.from_base64(text, "It")
