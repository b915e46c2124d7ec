"""`intermodel card` as a person or a script meets it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from intermodel.cli.card import app
from intermodel.core import Invalid, NotFound
from intermodel.records.files import read

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble"


def test_a_card_in_order(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(PEBBLE)])
    assert done.exit_code == 0
    assert "The head is in order." in done.output
    assert "Not disclosed: architecture" in done.output
    said = json.loads(CliRunner().invoke(app, ["check", str(PEBBLE / "README.md"), "--json"]).output)
    assert said["ok"] is True
    assert "hardware" in said["missing"]
    assert "training_method" not in said["missing"]


def test_a_broken_card_fails_and_says_where(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("---\nlicense: mit\nlicense: \x1b[31mmit\n---\n")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert done.exit_code == 2
    assert "line 3" in done.output
    assert "\x1b" not in done.output
    path.write_text("---\nlicense: {a: b}\n---\n")
    done = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert done.exit_code == 2
    assert json.loads(done.output)["problems"]


def test_show() -> None:
    said = json.loads(CliRunner().invoke(app, ["show", str(PEBBLE), "--json"]).output)
    assert said["fields"]["license"] == "apache-2.0"
    assert said["what"]["languages"] == {"value": ["en"], "source": "card:language"}
    assert said["told"]["training_method"]["source"] == "card:How it was made"
    done = CliRunner().invoke(app, ["show", str(PEBBLE)])
    assert done.exit_code == 0
    assert "not disclosed" in done.output


def test_what_is_no_card(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_bytes(b"\xff")
    for path, error in ((tmp_path, Invalid), (tmp_path / "gone", NotFound)):
        done = CliRunner().invoke(app, ["show", str(path)])
        assert isinstance(done.exception, error)


def test_a_licence_that_nobody_knows_is_pointed_out_and_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text("---\nlicense: mitt\n---\n# Mine\n")
    done = CliRunner().invoke(app, ["check", str(path)])
    assert (done.exit_code, "did you mean mit?" in done.output) == (0, True)
    said = json.loads(CliRunner().invoke(app, ["check", str(path), "--json"]).output)
    assert said["ok"] is True
    assert len(said["cautions"]) == 1


def test_the_facts_of_a_file_alone(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]}}).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(12))
    said = json.loads(CliRunner().invoke(app, ["facts", str(path), "--json"]).output)
    assert said["what"]["parameters"] == 6
    assert said["sources"]["parameters"] == "file:model.safetensors"
    shown = CliRunner().invoke(app, ["facts", str(path)])
    assert shown.exit_code == 0
    assert "safetensors" in shown.output
    assert isinstance(CliRunner().invoke(app, ["facts", str(tmp_path / "none")]).exception, NotFound)
    assert read(str(path)) == read(path)
