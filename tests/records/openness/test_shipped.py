"""The model that ships, by its own disclosure."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

import pytest

from intermodel.records.disclosure import Disclosure, Presence
from intermodel.records.openness import grades
from intermodel.records.openness.read import disclosure

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "src/intermodel/models"


@pytest.fixture(scope="module")
def pebble() -> Disclosure:
    return disclosure(MODELS / "pebble.disclosure.yaml")


def test_its_grades(pebble: Disclosure) -> None:
    found = {grade.framework: grade for grade in grades(pebble)}
    assert found["mof"].outcome == "Class I - Open Science Model"
    assert found["osaid"].outcome == "passed"
    assert found["plain"].outcome == "open source"
    # no paper in an archive, none reviewed by peers; no package of its own, no public API
    assert found["osai"].raised_by == ("Preprint (closed now)", "Peer-reviewed paper (closed now)")
    assert found["oucg"].raised_by == (
        "Preprint (closed now)",
        "Peer-reviewed paper (closed now)",
        "API (closed now)",
        "Package (partial now)",
    )
    assert (found["osai"].score, found["oucg"].score, found["fmti"].score) == (10 / 12, 10.5, 39)


def test_every_answer_is_there(pebble: Disclosure) -> None:
    unknown = [ground.what for grade in grades(pebble) for ground in grade.facts if ground.holds is None]
    assert unknown == []


def test_everything_that_it_points_to_is_in_the_repository(pebble: Disclosure) -> None:
    named = {one.url for one in pebble.components.values()} | {one.source for one in pebble.components.values()}
    named |= {one.source for one in pebble.told.values()}
    named |= {source for name, source in pebble.indicator_sources.items() if pebble.indicators[name]}
    assert [path for path in sorted(named - {""}) if not (ROOT / path).is_file()] == []
    for key, one in pebble.components.items():
        assert one.presence is Presence.CLOSED or one.url, key


def test_the_intermediate_state_is_one_of_the_run() -> None:
    """The digest of all tensors in order of their names, as `recipes.pebble.state` takes it."""
    content = (ROOT / "recipes/pebble/checkpoints/state-046.safetensors").read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    tensors = {name: one for name, one in json.loads(content[8 : 8 + size]).items() if name != "__metadata__"}
    digest = hashlib.sha256()
    for name, one in sorted(tensors.items()):
        kind = {"F32": "torch.float32", "I64": "torch.int64"}[one["dtype"]]
        digest.update(f"{name} {tuple(one['shape'])} {kind}\0".encode())
        first, last = one["data_offsets"]
        digest.update(content[8 + size + first : 8 + size + last])
    manifest = json.loads((MODELS / "pebble" / "manifest.json").read_text("utf-8"))
    assert digest.hexdigest() == manifest["segments"][45]["end"]
