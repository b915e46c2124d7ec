"""`intermodel verdict` with a lineage of one's own: no node, no network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from intermodel.cli.verdict import verdict
from intermodel.core import IntermodelError, Invalid, NotFound

FILE = """
nodes:
  - {id: base, licence: llama1}
  - {id: "it[red]", declared: apache-2.0}
  - {id: data, type: dataset, licence: cc-by-4.0}
edges:
  - {from: base, to: "it[red]", how: fine-tune, shipped_as: delta-weights}
  - {from: data, to: "it[red]", how: trained-on}
"""

app = typer.Typer()
app.command()(verdict)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lineage.yaml"
    path.write_text(FILE)
    return path


def ran(*words: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=given)


def error(*words: object) -> IntermodelError:
    done = ran(*words)
    assert isinstance(done.exception, IntermodelError), done.output
    return done.exception


def test_one_thing_as_json(file: Path) -> None:
    told = json.loads(ran("--lineage", file, "--of", "it[red]", "--place", "DE", "--on", "2026-01-01", "--json").stdout)
    assert told["strict"]["outcome"] == "refuse"
    assert told["place"] == "DE"
    assert told["on"] == "2026-01-01"
    assert told["flags"][0]["kind"] == "wider"


def test_all_of_them_as_json(file: Path) -> None:
    told = json.loads(ran("--lineage", file, "--json").stdout)
    assert [one["name"] for one in told] == ["base", "it[red]", "data"]


def test_it_is_read_from_standard_input() -> None:
    assert json.loads(ran("--lineage", "-", "--of", "data", "--json", given=FILE).stdout)["name"] == "data"


def test_for_people(file: Path) -> None:
    done = ran("--lineage", file, "--of", "it[red]")
    assert done.exit_code == 0
    for words in (
        "it[red]: may I use it commercially?", "Strictly read: no. This rests on the text of a licence.",
        "Weights are a derivative of base", "LLaMA License Agreement, sections 1a, 2a.i", "it[red] ← fine-tune ← base",
        "What must I then do?", "If you pass on copies", "It promises more than it may", "Not legal advice.",
    ):  # fmt: skip
        assert words in done.stdout


def test_no_code_reaches_people(file: Path) -> None:
    said = ran("--lineage", file, "--purpose", "redistribute").stdout
    for code in ("keep-notices", "notice_file", "licence-text", "allow-with-duties", "credit + state changes"):
        assert code not in said


def test_what_is_wrong(file: Path) -> None:
    assert isinstance(error("--lineage", file, "--of", "nobody"), NotFound)
    assert isinstance(error("--lineage", file.with_name("absent.yaml")), NotFound)
    assert isinstance(error("--lineage", file.parent), Invalid)
    assert isinstance(error(), Invalid)
    assert isinstance(error("a/b", "--lineage", file), Invalid)
    assert isinstance(error("--lineage", file, "--purpose", "fun"), Invalid)
    assert isinstance(error("--lineage", file, "--place", "Mars"), Invalid)
    assert isinstance(error("--lineage", file, "--on", "soon"), Invalid)
    file.write_bytes(b"\xff\xfe\x00")
    assert isinstance(error("--lineage", file), Invalid)


def test_the_exit_code_can_tell_the_answer(tmp_path: Path) -> None:
    file = tmp_path / "lineage.yaml"
    file.write_text("nodes: [{id: yes_, licence: mit}, {id: no_, licence: llama1}, {id: open_}]\nedges: []\n")
    for name, code in (("yes_", 0), ("no_", 4), ("open_", 1)):
        assert ran("--lineage", file, "--of", name, "--exit-code", "--json").exit_code == code
        assert ran("--lineage", file, "--of", name).exit_code == 0
    assert ran("--lineage", file, "--exit-code").exit_code == 4


def test_the_licences_that_are_known_are_listed() -> None:
    assert "apache-2.0" in ran("--licences").stdout
    listed = {one["id"]: one for one in json.loads(ran("--licences", "--json").stdout)}
    assert listed["mit"] == {"id": "mit", "name": "MIT License", "kind": "software", "spdx": "MIT"}
    assert "openrail" not in listed, "a family of which nothing is known"


def test_one_ban_of_rivals_says_why_it_forbids_this_and_not_that(tmp_path: Path) -> None:
    file = tmp_path / "lineage.yaml"
    file.write_text(
        "nodes: [{id: chat, type: model-service, terms: openai-terms-2023-03}, {id: mine, licence: mit}]\n"
        "edges: [{from: chat, to: mine, how: distil}]\n"
    )
    said = {}
    for purpose in ("serve", "redistribute", "research"):
        told = json.loads(ran("--lineage", file, "--of", "mine", "--purpose", purpose, "--json").stdout)
        said[purpose] = (told["strict"]["outcome"], " ".join(one["words"] for one in told["reasons"]))
    assert said["serve"][0] == "refuse"
    assert "served to others is read as competing with that service" in said["serve"][1]
    for purpose in ("redistribute", "research"):
        assert said[purpose][0] == "allow-with-duties"
        assert "not read as competing with that service" in said[purpose][1]
