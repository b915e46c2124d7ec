"""Documents that mean harm or are wrong: a clear `Invalid` with the place, never a traceback, never a long wait."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intermodel.core import Invalid
from intermodel.records.bom import Described, checked, cyclonedx, from_cyclonedx, parsed, spdx3, written
from intermodel.records.bom.text import MOST_BYTES
from intermodel.records.facts import Fact, WhatItIs
from tests.records.bom.samples import AT, FULL
from tests.records.bom.test_foreign import MODEL, bom

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "no JSON object"),
        (b"<?xml version='1.0'?><bom/>", "not as XML"),
        (b"[]", "it is no object"),
        (b'{"a": 1, "a": 2}', "the key 'a' stands twice"),
        (b'{"a": NaN}', "NaN is no JSON number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "no JSON object"),
        (b'{"a": "\xff"}', "no UTF-8"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested more than 64 deep"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "nested more than 64 deep"),
        (b" " * (MOST_BYTES + 1), "are read"),
    ],
)
def test_what_is_no_document(raw: bytes, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        parsed(raw)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "no CycloneDX"),
        (bom(version="1.4"), "CycloneDX 1.4 is not read"),
        (bom(), "describes no model"),
        (bom({"type": "library", "name": "x"}), "describes no model"),
        (bom(metadata=[]), "/metadata is not an object"),
        ({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": {}}, "/components is not an array"),
        (bom(3), "/components/0 is not an object"),  # type: ignore[arg-type]
        (bom(MODEL | {"name": 3}), "/components/0/name is not a text"),
        (bom(MODEL | {"name": "x" * 300_000}), "300,000 characters"),
        (bom(MODEL | {"hashes": [{"alg": "MD5", "content": "zz"}]}), "/components/0/hashes/0/content is not a hash"),
        (bom(MODEL | {"bom-ref": "a"}, MODEL | {"bom-ref": "a"}), "'a' stands twice, the second time at /components/1"),
        (bom(MODEL | {"modelCard": "good"}), "/components/0/modelCard is not an object"),
        (bom(MODEL, dependencies=[{"ref": "a", "dependsOn": "b"}]), "/dependencies/0/dependsOn is not an array"),
        (bom(MODEL | {"licenses": [{"license": {"id": ["MIT"]}}]}), "/components/0/licenses/0/license/id"),
        (bom(MODEL | {"name": "\ud800"}), "/components/0/name is not a text: it holds half a character"),
        (bom(*[MODEL] * 20_001), "more than 20,000 components"),
    ],
)
def test_what_is_wrong_in_a_document(document: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid, match=said):
        from_cyclonedx(document)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("made-from", "no JSON"),
        ("made-from", '{"parent": "x"}'),
        ("made-from", '{"how": "fine-tune"}'),
        ("made-from", '{"parent": 3, "how": "fine-tune"}'),
        ("made-from", "[" * 100_000),
        ("fact.parameters", "many"),
        ("fact.parameters", "-1"),
        ("fact.parameters", "9" * 100_000),
        ("component.datasets", '{"presence": "sure"}'),
        ("told.compute", "[]"),
        ("told.compute", '{"text": "\\ud800"}'),
        ("access.weights", "sure"),
        ("node.history", '{"licence": "MIT", "until": "x"}'),
    ],
)
def test_what_is_wrong_in_our_own_properties(name: str, value: str) -> None:
    component = MODEL | {"properties": [{"name": f"intermodel:{name}", "value": value}]}
    with pytest.raises(Invalid, match="/components/0/properties/0/value is not"):
        from_cyclonedx(bom(component))


def test_circles_end() -> None:
    things = [MODEL | {"name": name, "bom-ref": name} for name in "abc"]
    ties = [{"ref": one, "dependsOn": list("abc")} for one in "abc"]
    found = from_cyclonedx(bom(*things, dependencies=ties))
    assert len(found.graph.edges) == 6
    assert len(list(found.graph.ancestors("a"))) == 2


def test_many_ties_are_refused_soon() -> None:
    things = [MODEL | {"name": str(number), "bom-ref": str(number)} for number in range(1_000)]
    names = [str(number) for number in range(1_000)]
    document = bom(*things, dependencies=[{"ref": name, "dependsOn": names} for name in names])
    before = time.monotonic()
    with pytest.raises(Invalid, match="more than 100,000 dependencies"):
        from_cyclonedx(document)
    assert time.monotonic() - before < 30


_LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
_ANY = st.recursive(_LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner))


def _spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(spot for key, one in inner for spot in _spots(one, (*path, key)))]


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_part_replaced_by_anything(data: st.DataObject) -> None:
    document = json.loads(written(cyclonedx(FULL, AT)))
    *way, last = data.draw(st.sampled_from(_spots(document)[1:]))
    place = document
    for key in way:
        place = place[key]
    place[last] = data.draw(_ANY)
    for work in (from_cyclonedx, checked):
        with contextlib.suppress(Invalid):
            work(document)


def test_half_a_character_in_a_record_is_written_as_a_mark() -> None:
    record = Described("a", what=WhatItIs(tokenizer=Fact("x\ud800", "card:")))
    for document in (cyclonedx(record, AT), spdx3(record, AT)):
        assert '"x?"' in written(document).decode()
