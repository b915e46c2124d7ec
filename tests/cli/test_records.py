"""show, records, verdict, search, verify: a person tells of things, asks, and checks the proof without the node."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from intermodel.cli import app
from tests.process import Up, up

SHIPPED = "[engines]\nshipped = true\n"
LINEAGE = """
told_by: a paper
url: https://example.org/paper
nodes:
  - {id: vicuna, type: model, declared: apache-2.0, date: 2023-03-30}
  - {id: llama, type: model, made_by: Meta, licence: llama1}
edges:
  - {from: llama, to: vicuna, how: fine-tune, shipped_as: delta-weights}
"""
SERVICE = """
address: vendor/service
told_by: A Vendor
date: 2023-03-14
terms: openai-terms-2023-03
what: {kind: service, modalities: [text]}
disclosure: {told: {hardware: {presence: closed, source: section 2}}}
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("records")
    with up(folder / "data", config=SHIPPED) as node:
        for name, text in (("lineage", LINEAGE), ("service", SERVICE)):
            (folder / f"{name}.yaml").write_text(text)
            verb(node, "records", "put", folder / f"{name}.yaml")
        verb(node, "records", "sign", "intermodel/pebble")
        yield node


def command(*words: str | Path, **more: Any) -> Result:
    mask = os.umask(0o022)
    try:
        return CliRunner().invoke(app, list(map(str, words)), **more)
    finally:
        os.umask(mask)


def verb(node: Up, *words: str | Path, code: int = 0, **more: Any) -> str:
    data = Path(node.said["data"])
    done = command(*words, "--data", data, "--config", data.parent / f"{data.name}.toml", **more)
    assert done.exit_code == code, done.output
    return done.stdout if not code else done.output


def test_show_answers_every_question(node: Up) -> None:
    said = verb(node, "show", "vicuna")
    for words in (
        "What is it?", "From what was it made?", "How open is it?", "May I", "What must I then do?", "Who says so?",
        "What is unknown?", "told by a paper", "https://example.org/paper", "fine-tune", "llama",
    ):  # fmt: skip
        assert words in said, words
    assert "use it commercially?" in said
    passport = json.loads(verb(node, "show", "vicuna", "--json"))
    assert passport["verdicts"][0]["strict"]["outcome"] == "refuse"
    assert "not disclosed" in verb(node, "show", "vendor/service", "--place", "DE", "--full")


def test_show_of_the_model_that_ships(node: Up) -> None:
    said = verb(node, "show", "intermodel/pebble")
    assert "Class I - Open Science Model" in said
    assert "read from the file pebble-q8_0.gguf" in said
    assert "nothing that is asked here" in said


def test_what_is_not_known_is_not_found(node: Up) -> None:
    assert "records put" in verb(node, "show", "nobody", code=3)
    assert "no code of a country" in verb(node, "show", "vicuna", "--place", "ZZ", code=2)


def test_the_bundle_is_checked_without_the_node(node: Up, tmp_path: Path) -> None:
    bundle = tmp_path / "vicuna.json"
    verb(node, "records", "bundle", "vicuna", "-o", bundle)
    checked = command("verify", bundle, "--json")
    report = json.loads(checked.stdout)
    assert report["intact"]
    bundle.write_bytes(bundle.read_bytes().replace(b'"proof":["', b'"proof":["A', 1))
    assert command("verify", bundle).exit_code != 0
    assert json.loads(verb(node, "records", "bundle", "vicuna"))["type"].startswith("urn:intermodel:bundle")


def test_other_verbs_read_the_same_record(node: Up) -> None:
    verdict = json.loads(verb(node, "verdict", "vicuna", "--purpose", "commercial", "--place", "DE", "--json"))
    assert "refuse" in json.dumps(verdict)
    assert json.loads(verb(node, "records", "get", "vendor/service"))["what"]["kind"]["value"] == "service"
    assert json.loads(verb(node, "bom", "export", "intermodel/pebble"))["bomFormat"] == "CycloneDX"
    found = json.loads(verb(node, "search", "pebble", "--json"))
    assert [hit["address"] for hit in found["data"]] == ["intermodel/pebble"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("address: [", "neither YAML nor JSON in line"),
        ("address: x\nlicence: mit\nlicence: llama2\n", "in line 3, the key 'licence' stands a second time"),
        ("- a\n- b\n", "no mapping"),
        ("what: {kind: service}\n", "does not say of which thing"),
        ("address: x\nlicnece: mit\n", "Did you mean 'licence'"),
        ("address: x\nwhat: {kind: toaster}\n", "toaster"),
        ("nodes: [{id: a}, {id: a}]\nedges: []\n", "Two nodes"),
    ],
)
def test_a_file_with_a_mistake_is_told_and_nothing_is_recorded(node: Up, tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "told.yaml"
    file.write_text(text)
    assert words in " ".join(verb(node, "records", "put", file, code=2).split())
    assert "x" not in {hit["address"] for hit in json.loads(verb(node, "search", "--json"))["data"]}


def test_a_card_goes_with_one_thing_and_standard_input_is_read(node: Up, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("---\nlicense: mit\n---\n# Mine\n")
    verb(node, "records", "put", "-", "--as", "mine", "--card", card, input="what: {kind: weights}\n")
    assert json.loads(verb(node, "records", "get", "mine"))["licence"]["value"] == "mit"
    lineage = tmp_path / "lineage.yaml"
    lineage.write_text(LINEAGE)
    verb(node, "records", "put", lineage, "--card", card, code=2)


def test_what_is_to_be_taken_is_sent_as_it_is_spelled(node: Up) -> None:
    twice = '{"payload": "e30=", "payload": "e30=", "payloadType": "x", "signatures": []}'
    assert "stands in it twice" in " ".join(verb(node, "records", "take", "-", input=twice, code=2).split())
    assert "neither a bundle nor" in " ".join(verb(node, "records", "take", "-", input="{}", code=2).split())


def test_every_verb_has_help() -> None:
    from intermodel.cli.main import VERBS

    for name in VERBS:
        assert command(name, "--help").exit_code == 0, name


def test_what_is_new_is_said_and_what_may_be_a_slip(node: Up, tmp_path: Path) -> None:
    file, card = tmp_path / "told.yaml", tmp_path / "bad.md"
    file.write_text("address: slips\nlicence: mitt\nwhat: {kind: weights}\n")
    card.write_text("---\nlicense: [mit\n---\n# Mine\n")
    data = Path(node.said["data"])
    options = ("--data", data, "--config", data.parent / f"{data.name}.toml")
    done = command("records", "put", file, "--card", card, *options)
    assert done.exit_code == 0
    assert "slips: 3 new statements (entries " in done.stdout
    assert "did you mean mit?" in done.stderr
    assert "slips: The head of its card is broken" in done.stderr
    assert "slips: nothing new, 3 statements before" in verb(node, "records", "put", file)
    assert "nothing new, " in verb(node, "records", "sign", "intermodel/pebble")
    assert "did you mean mit?" in verb(node, "show", "slips")
    assert "allow, duties, refuse, unknown" in verb(node, "search", "--licence", "no", code=2)
