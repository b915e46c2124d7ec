"""`intermodel grade`, as a program and as a person read it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from intermodel.cli.grade import grade
from intermodel.core import NotFound

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble.disclosure.yaml"
INDEX = "project: {{name: {name}}}\nopencode: {{class: {word}}}\n"

app = typer.Typer()
app.command()(grade)


@pytest.fixture
def entries(tmp_path: Path) -> list[str]:
    for name, word in (("low", "closed"), ("high", "open"), ("same", "open")):
        (tmp_path / f"{name}.yaml").write_text(INDEX.format(name=name, word=word))
    return [str(tmp_path / f"{name}.yaml") for name in ("low", "high", "same")]


def test_all_frameworks_of_our_own_form() -> None:
    done = CliRunner().invoke(app, [str(PEBBLE), "--json"])
    assert done.exit_code == 0
    found = {one["framework"]: one for one in json.loads(done.stdout)}
    assert list(found) == ["mof", "osai", "oucg", "osaid", "fmti", "plain"]
    assert found["mof"]["parts"] == {"class_1": 100, "class_2": 100, "class_3": 100}
    assert found["osaid"]["outcome"] == "passed"
    assert found["mof"]["facts"][0] == {
        "what": "Datasets: included (Apache-2.0)",
        "holds": True,
        "source": "recipes/pebble/DATA.md",
    }


def test_one_framework_for_people() -> None:
    done = CliRunner().invoke(app, ["--framework", "osai", str(PEBBLE)])
    assert done.exit_code == 0
    assert "0.83 of 1" in done.stdout
    assert "would be raised by" in done.stdout
    assert "Peer-reviewed paper (closed now)" in done.stdout


def test_entries_of_an_index_are_ranked_with_ties(entries: list[str]) -> None:
    done = CliRunner().invoke(app, ["-f", "oucg", "--json", *entries])
    assert [(one["name"], one["rank"]) for one in json.loads(done.stdout)] == [("low", 3), ("high", 1), ("same", 1)]
    shown = CliRunner().invoke(app, ["-f", "oucg", *entries]).stdout
    assert shown.index("high") < shown.index("same") < shown.index("low")


def test_a_bad_file_among_others_spoils_none_of_them(entries: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("project: {name: bad}\nopencode: {class: perhaps}\n")
    done = CliRunner().invoke(app, ["-f", "oucg", "--json", entries[0], str(bad), entries[1]])
    assert done.exit_code == 2
    *graded, failed = json.loads(done.stdout)
    assert [one["name"] for one in graded] == ["low", "high"]
    assert "line 2, 'opencode.class': 'perhaps' is none of open" in failed["error"]["message"]
    people = CliRunner().invoke(app, ["-f", "oucg", entries[0], str(bad)])
    assert people.exit_code == 2
    assert "perhaps" in people.stderr
    assert "low" in people.stdout


def test_a_single_file_that_is_not_there() -> None:
    done = CliRunner().invoke(app, ["-f", "mof", "/nowhere.yml"])
    assert isinstance(done.exception, NotFound)


def test_an_unknown_framework_is_wrong_usage() -> None:
    assert CliRunner().invoke(app, ["-f", "vibes", str(PEBBLE)]).exit_code == 2
