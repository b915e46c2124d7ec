"""`intermodel write`: what it does not overwrite, what it asks before it spends, what it says to do next."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import Result

from intermodel.writer.journal import Journal
from intermodel.writer.state import state_of
from intermodel.writer.values import Brief
from tests.cli.test_gateway_verbs import command
from tests.process import COMMAND, Up, up
from tests.writer.script import BETTER, TOPIC, entry
from tests.writer.test_kill import arguments, config

FREE = '[deployments.free]\nprovider = "echo"\nscript = "{script}"\nprice = {{input = 0, output = 0}}\n'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("node")
    settings = config(folder, writer=[entry("writer", BETTER)])
    with up(folder / "data", config=settings + FREE.format(script=folder / "script.json")) as node:
        yield node


def verb(node: Up, *words: str | Path, code: int = 0) -> Result:
    done = command("write", *words, *arguments(node))
    assert done.exit_code == code, done.output
    return done


def fresh(node: Up, folder: Path, *words: str, code: int = 0, model: str = "scripted") -> Result:
    return verb(node, TOPIC, "--out", folder, "--model", model, "--words", "20", *words, code=code)


@pytest.mark.parametrize("name", ["article.md", "article.html", "article.json", "article.bundle.json", "scores.svg"])
def test_files_of_others_are_not_overwritten(node: Up, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    said = fresh(node, tmp_path, "--yes", code=5).output
    assert name in said
    assert "another folder with --out" in said
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [(name, "mine")]


def test_nothing_is_spent_where_nobody_can_be_asked(node: Up, tmp_path: Path) -> None:
    said = fresh(node, tmp_path / "x", code=2).stderr
    assert "About 6 to 27 calls" in said
    assert "It ends at $1" in said
    assert "Say --yes" in said
    assert not (tmp_path / "x").exists()
    said = verb(node, "--evaluate", "--out", tmp_path / "e", "--model", "scripted", code=2).stderr
    assert "Say --yes" in said
    assert not (tmp_path / "e").exists()


def test_what_is_free_needs_no_yes(node: Up, tmp_path: Path) -> None:
    done = fresh(node, tmp_path, model="free")
    assert "It costs nothing" in done.stderr
    assert state_of(tmp_path).standing == "finished"


def test_an_empty_note_is_none(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path, "--pause", model="free")
    for note in ("", " \n"):
        assert "The note is empty" in verb(node, "--resume", tmp_path, "--revise", note, code=2).output


def test_no_draft_yet(node: Up, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text(Path(arguments(node)[3]).read_text().replace("documents", "nothing"))
    (Path(arguments(node)[3]).parent / "nothing").mkdir(exist_ok=True)
    words: list[str | Path] = ["write", TOPIC, "--out", tmp_path / "x", "--model", "free", "--data", arguments(node)[1]]
    assert command(*words, "--config", other).exit_code == 3
    for wish in ("--stop", "--accept-draft"):
        said = verb(node, "--resume", tmp_path / "x", wish, code=5).output
        assert "There is no draft yet" in said
        assert "plan" not in said


def test_a_back_end_that_is_none_is_told_before_what_it_costs(
    node: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BRAVE_API_KEY", raising=False)
    for name, told in (("google", "'google' is no back end"), ("brave", "export BRAVE_API_KEY=... and try again")):
        said = fresh(node, tmp_path / "x", "--search", name, code=2).output
        assert told in said
        assert "About" not in said
        assert "start the node again" not in said
    assert not (tmp_path / "x").exists()


def test_a_budget_that_reaches_no_draft(node: Up, tmp_path: Path) -> None:
    said = " ".join(fresh(node, tmp_path / "x", "--yes", "--budget", "0.01", code=1).output.split())
    assert "A budget of $0.01 does not reach a draft: it takes $0.0" in said
    assert "Give it more: --budget " in said
    assert not (tmp_path / "x").exists()


def plain(text: str) -> str:
    return " ".join(text.split())


def test_a_budget_that_runs_out_says_once_how_to_go_on(node: Up, tmp_path: Path) -> None:
    done = fresh(node, tmp_path / "late", "--yes", "--budget", "0.262", "--accept", "10")
    said = plain(done.output)
    assert state_of(tmp_path / "late").ending == "budget"
    assert said.count(f"--resume {tmp_path / 'late'} --budget MORE") == 1
    assert (said.count("Round 2 was not finished"), said.count("does not reach:")) == (1, 1)
    assert "max_tokens" not in said
    done = fresh(node, tmp_path / "soon", "--yes", "--budget", "0.06", code=1)
    said = plain(done.output)
    why = plain(state_of(tmp_path / "soon").why)
    assert (said.count(f"--resume {tmp_path / 'soon'} --budget MORE"), said.count(why)) == (1, 1)
    assert "max_tokens" not in said + state_of(tmp_path / "soon").hint


def test_the_command_that_goes_on_can_be_pasted(node: Up, tmp_path: Path) -> None:
    folder = tmp_path / "my post's"
    made = [*COMMAND, "write", TOPIC, "--out", str(folder), "--model", "free", "--words", "20", "--pause"]
    bare = {name: value for name, value in os.environ.items() if name != "PATH"} | {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [*made, *arguments(node)], capture_output=True, text=True, timeout=60, check=True, env=bare, cwd=tmp_path
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("It waits for you"))
    said = line.partition("--stop: ")[2]
    assert shlex.split(said)[1:] == [
        "write", "--resume", str(folder), "--accept-draft", "--data", arguments(node)[1], "--config",
        arguments(node)[3],
    ]  # fmt: skip
    pasted = subprocess.run(said, shell=True, capture_output=True, text=True, timeout=60, check=False, env=bare)
    assert pasted.returncode == 0, pasted.stderr
    assert state_of(folder).ending == "reader"


def test_what_is_to_be_done_is_told_for_the_same_node(node: Up, tmp_path: Path) -> None:
    here = shlex.join(arguments(node))
    fresh(node, tmp_path / "my post", "--rounds", "1", model="free")
    again = f"intermodel write --resume {shlex.quote(str(tmp_path / 'my post'))}"
    said = verb(node, "--resume", tmp_path / "my post", "--revise", "Shorter.", code=5).output
    assert f"Allow one more: {again} --rounds 2 {here}" in plain(said)
    (tmp_path / "plan.json").write_text("{}")
    said = verb(node, "--resume", tmp_path / "my post", "--plan", tmp_path / "plan.json", code=2).output
    assert f"{again} --show-plan {here}" in plain(said)
    with closing(Journal(tmp_path)) as journal:
        journal.begin(Brief(TOPIC, "free"))
    for wish in ("--show-plan", "--stop"):
        said = verb(node, "--resume", tmp_path, wish, code=5).output
        assert f"Go on first: intermodel write --resume {tmp_path} {here}" in plain(said)


def test_an_evaluation_that_was_changed_by_hand_is_kept(node: Up, tmp_path: Path) -> None:
    fact = {"id": "f", "text": "It is so.", "any": [["commercial"]]}
    (tmp_path / "own.json").write_text(json.dumps([{"id": "own", "topic": TOPIC, "facts": [fact]}]))
    words = (
        "--evaluate",
        "--topics",
        tmp_path / "own.json",
        "--model",
        "free",
        "--words",
        "20",
        "--out",
        tmp_path / "e",
    )
    verb(node, *words)
    assert "evaluation.edited" not in verb(node, *words).stderr
    (tmp_path / "e" / "evaluation.md").write_text("mine")
    assert "what it was is kept as evaluation.edited.md" in plain(verb(node, *words).stderr)
    assert (tmp_path / "e" / "evaluation.edited.md").read_text() == "mine"
    noted = json.loads((tmp_path / "e" / ".evaluation").read_bytes())
    assert len(noted) == len(set(noted)), "what is written again is noted once"


def test_a_program_on_the_path_goes_by_its_name() -> None:
    found = str(Path(sys.executable).parent)
    code = "import sys; sys.argv[0] = sys.argv[1]; from intermodel.cli.playing import program; print(program())"

    def told(path: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, COMMAND[0]], capture_output=True, text=True, check=True, timeout=60,
            env=os.environ | {"PATH": path},
        )  # fmt: skip
        return done.stdout.strip()

    assert told(found) == "intermodel"
    assert told("/nowhere") == COMMAND[0]


def test_a_post_that_was_changed_is_not_the_one_that_was_signed(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path / "x", model="free")
    keys = json.loads(command("ledger", "keys", "--json", *arguments(node)).stdout)
    vkey = next(value for value in _strings(keys) if value.startswith("intermodel/") and value.count("+") >= 2)
    bundle, post = tmp_path / "x" / "article.bundle.json", tmp_path / "x" / "article.md"
    words = ("verify", bundle, "--key", vkey)
    done = command(*words)
    assert (done.exit_code, "article.md beside it is the one that was signed" in done.output) == (0, True)
    assert "article.md, sha256:" in done.output
    post.write_text(post.read_text() + "And more.\n")
    done = command(*words)
    assert (done.exit_code, "article.md beside it is NOT the one that was signed" in done.output) == (1, True)
    assert "Everything holds" not in done.output
    told = json.loads(command(*words, "--json").stdout)
    assert told["good"] is False
    alone = shutil.copy(bundle, tmp_path / "alone.json")
    done = command("verify", alone, "--key", vkey)
    assert (done.exit_code, "beside it" in done.output) == (0, False)


def _strings(told: object) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    for one in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from _strings(one)


def test_a_post_that_was_edited_by_hand_is_kept_and_told(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path, "--pause", model="free")
    (tmp_path / "article.md").write_text("my own words")
    done = verb(node, "--resume", tmp_path, "--accept-draft")
    assert "article.edited.md" in done.stderr
    assert (tmp_path / "article.edited.md").read_text() == "my own words"
