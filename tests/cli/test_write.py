"""`intermodel write`: what it takes, what it asks, what it says."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from typer.testing import CliRunner, Result

from intermodel.cli import app, evaluating
from intermodel.core import Upstream
from intermodel.writer.evaluate import Fact, Topic, evaluate_all
from intermodel.writer.journal import Journal
from intermodel.writer.state import state_of
from intermodel.writer.values import Brief
from tests.cli.test_gateway_verbs import command
from tests.process import Up, up
from tests.writer.script import EDITED, TOPIC
from tests.writer.test_kill import arguments, config


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    folder = tmp_path_factory.mktemp("node")
    dark = '[deployments.dark]\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "m"\n'
    with up(folder / "data", config=config(folder) + dark) as node:
        yield node


def verb(node: Up, *words: str | Path, code: int = 0) -> Result:
    done = command("write", *words, *arguments(node))
    assert done.exit_code == code, done.output
    return done


def fresh(node: Up, folder: Path, *words: str, code: int = 0) -> Result:
    return verb(node, TOPIC, "--out", folder, "--model", "scripted", "--words", "20", "--yes", *words, code=code)


def test_a_topic_becomes_a_post(node: Up, tmp_path: Path) -> None:
    done = fresh(node, tmp_path / "post")
    assert "About 6 to 27 calls" in done.stderr
    assert "It ends at $1 whatever happens." in done.stderr
    for said in (
        "round 1",
        "4 of 10",
        "9 of 10",
        "The critic accepts it.",
        "researcher",
        "article.md",
        "article.bundle.json",
    ):
        assert said in done.stdout, said
    assert "# What it allows" in (tmp_path / "post" / "article.md").read_text()
    assert done.stdout.splitlines()[-1] == (
        "The post is the draft of round 2, polished by the editor: 9 of 10, the highest score. No problem is known "
        "of either text. The critic has not read the editor's text: the score is of the draft."
    )
    bill = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["all"])
    state = state_of(tmp_path / "post")
    assert f"{state.dollars:f}" in bill


def test_a_run_of_a_terminal_is_on_the_page_of_the_node(node: Up, tmp_path: Path) -> None:
    folder = tmp_path / "post"
    done = fresh(node, folder, "--pause")
    runs = f"{node.said['url']}/api/v1/writer/runs"
    [run] = [one for one in httpx2.get(runs, headers=node.headers).json()["data"] if one["elsewhere"] == str(folder)]
    assert (run["standing"], run["topic"], len(run["rounds"])) == ("waiting", TOPIC, 1)
    assert f"It can be followed at {node.said['url']}/writer/{run['id']}\n" in done.stderr
    page = httpx2.get(f"{node.said['url']}/writer/{run['id']}", headers=node.headers | {"Accept": "text/html"}).text
    assert f"Begun in a terminal, in <code>{folder}</code>" in page
    assert "its folder <code>" in page
    verb(node, "--resume", folder, "--accept-draft")
    again = httpx2.get(f"{runs}/{run['id']}", headers=node.headers).json()
    assert (again["standing"], again["ending"]) == ("finished", "reader")
    assert httpx2.delete(f"{runs}/{run['id']}", headers=node.headers).status_code == 204
    assert (folder / "article.md").is_file()
    assert httpx2.get(f"{runs}/{run['id']}", headers=node.headers).status_code == 404


@pytest.mark.slow
def test_the_page_goes_on_with_a_run_of_a_terminal(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path / "post", "--pause")
    runs = f"{node.said['url']}/api/v1/writer/runs"
    [run] = [
        one for one in httpx2.get(runs, headers=node.headers).json()["data"]
        if one["elsewhere"] == str(tmp_path / "post")
    ]  # fmt: skip
    said = {"round": 1, "action": "accept"}
    assert httpx2.post(f"{runs}/{run['id']}/choice", json=said, headers=node.headers).status_code == 200
    for _ in range(300):
        if (state := httpx2.get(f"{runs}/{run['id']}", headers=node.headers).json())["standing"] == "finished":
            break
        time.sleep(0.1)
    assert (state["standing"], state["ending"], state["trouble"]) == ("finished", "reader", "")
    assert (tmp_path / "post" / "article.bundle.json").is_file()
    assert not [one.name for one in (tmp_path / "post").iterdir() if one.name.startswith(("outcome", "errors"))]


def test_for_scripts_it_is_one_document(node: Up, tmp_path: Path) -> None:
    done = fresh(node, tmp_path, "--json")
    told = json.loads(done.stdout)
    assert (told["standing"], told["ending"], told["error"], told["folder"]) == (
        "finished",
        "accepted",
        None,
        str(tmp_path),
    )
    assert [one["score"] for one in told["rounds"]] == [4, 9]
    none = {"code": 0, "critic": 0}
    assert told["post"] == {
        "round": 2, "score": 9.0, "because": "score", "edited": True, "problems": {"draft": none, "post": none},
    }  # fmt: skip
    again = json.loads(verb(node, "--resume", tmp_path, "--json").stdout)
    assert again["dollars"] == told["dollars"]
    by_out = json.loads(verb(node, TOPIC, "--out", tmp_path, "--json").stdout)
    assert by_out["brief"] == told["brief"]


def test_for_whom_and_in_which_language(node: Up, tmp_path: Path) -> None:
    wishes = ("--language", "de", "--audience", " lawyers  of start-ups ", "--tone", "dry")
    told = json.loads(fresh(node, tmp_path, *wishes, "--json").stdout)
    wanted = ("audience", "tone", "language")
    assert [told["brief"][name] for name in wanted] == ["lawyers of start-ups", "dry", "de"]
    calls = sum(one["calls"] for one in told["spent"].values())
    told = json.loads(verb(node, "--resume", tmp_path, "--tone", "", "--json").stdout)
    assert [told["brief"][name] for name in wanted] == ["lawyers of start-ups", "", "de"]
    assert sum(one["calls"] for one in told["spent"].values()) == calls + 6, "all but what was searched and read"
    assert "language: German" in (tmp_path / "article.md").read_text()


def test_a_bundle_verifies(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path)
    key = json.loads(command("ledger", "keys", "--json", *arguments(node)).stdout)
    vkey = next(value for value in _strings(key) if value.startswith("intermodel/") and value.count("+") >= 2)
    done = command("verify", tmp_path / "article.bundle.json", "--key", vkey)
    assert done.exit_code == 0, done.output


def _strings(told: Any) -> Iterator[str]:
    if isinstance(told, str):
        yield told
    for one in told.values() if isinstance(told, dict) else told if isinstance(told, list) else ():
        yield from _strings(one)


def test_the_reader_decides(node: Up, tmp_path: Path) -> None:
    folder = tmp_path / "post"
    waiting = fresh(node, folder, "--pause")
    assert "--accept-draft" in waiting.stdout
    plan = verb(node, "--resume", folder, "--show-plan").stdout
    assert json.loads(plan)["title"] == "What it allows"
    (tmp_path / "plan.json").write_text(plan)
    told = json.loads(verb(node, "--resume", folder, "--plan", tmp_path / "plan.json", "--json").stdout)
    assert told["standing"] == "waiting"  # it is the same plan
    told = json.loads(verb(node, "--resume", folder, "--revise", "More on Llama.", "--json").stdout)
    assert (told["standing"], told["ending"]) == ("finished", "accepted")
    said = verb(node, "--resume", folder, "--accept-draft", "--stop", code=2).output
    assert "Say one thing" in said
    assert "There is no round" not in verb(node, "--resume", folder, "--accept-draft").output
    assert json.loads((folder / "article.json").read_bytes())["ending"] == "reader"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["", "--out", "x"], 2, "The topic is empty"),
        (["--out", "x"], 2, "The topic is empty"),
        (["y" * 100_000, "--out", "x"], 2, "at most 2,000"),
        (["a\x07b", "--out", "x"], 2, r"\x07"),
        ([TOPIC], 2, "--out DIR"),
        ([TOPIC, "--out", "x", "--resume", "y"], 2, "Give one of them"),
        (["--resume", "nowhere"], 3, "There is no run"),
        ([TOPIC, "--out", "x", "--budget", "-1"], 2, "no amount of dollars"),
        ([TOPIC, "--out", "x", "--budget", "0"], 2, "no amount of dollars"),
        ([TOPIC, "--out", "x", "--budget", "1e9"], 2, "no amount of dollars"),
        ([TOPIC, "--out", "x", "--search", " , "], 2, "names nothing"),
        ([TOPIC, "--out", "x", "--model", "scripted", "--search", "googel"], 2, "no back end"),
        ([TOPIC, "--out", "x"], 2, "Which model is to write?"),
        ([TOPIC, "--out", "x", "--model", "scriptd"], 3, "scriptd"),
        ([TOPIC, "--out", "x", "--model", "scripted", "--critic-model", "nobody"], 3, "nobody"),
        (["--resume", "nowhere", "--revise", "x"], 3, "There is no run"),
        (["--resume", "nowhere", "--show-plan"], 3, "There is no run"),
        ([TOPIC, "--evaluate", "--out", "x"], 2, "Leave out the topic"),
        (["--evaluate", "--out", "x", "--stop"], 2, "Leave out the topic"),
        ([TOPIC, "--topics", "own.json", "--out", "x"], 2, "--topics is for --evaluate"),
        (
            ["--evaluate", "--topics", "own.json", "--out", "x", "--model", "scripted"],
            2,
            "The topics in own.json cannot be read",
        ),
        ([TOPIC, "--out", "x", "--rounds", "6"], 2, "less than or equal to 5"),
        ([TOPIC, "--out", "x", "--accept", "nan"], 2, "accept"),
        ([TOPIC, "--out", "x", "--model", "scripted", "--language", "x" * 61], 2, "at most 60 are taken"),
        ([TOPIC, "--out", "x", "--model", "scripted", "--tone", "a\x07"], 2, "The tone holds a character"),
    ],
)
def test_what_is_asked_wrongly(
    node: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = verb(node, *words, code=code)
    assert said in " ".join(done.output.replace("│", " ").split())
    assert list(tmp_path.iterdir()) == []


def test_another_topic_in_the_same_folder(node: Up, tmp_path: Path) -> None:
    fresh(node, tmp_path)
    said = verb(node, "Something else", "--out", tmp_path, code=5).output
    assert "another topic" in said
    assert json.loads((tmp_path / "article.json").read_bytes())["best"]["draft"] == EDITED


def test_a_price_that_nobody_knows(node: Up, tmp_path: Path) -> None:
    said = fresh(node, tmp_path / "x", "--writer-model", "dark", code=1).output
    assert "Nobody knows what 'dark' costs" in said
    assert "--budget none" in said
    assert not (tmp_path / "x").exists()


def test_it_asks_before_it_begins(node: Up, tmp_path: Path) -> None:
    words = ["write", TOPIC, "--out", str(tmp_path / "x"), "--model", "scripted", *arguments(node)]
    done = subprocess.run(
        ["script", "-qec", " ".join(["intermodel", *(f"'{word}'" for word in words)]), "/dev/null"],
        input="n\n", capture_output=True, text=True, timeout=60, check=False,
        env={"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin", "HOME": str(tmp_path), "TERM": "xterm"},
    )  # fmt: skip
    assert "Begin? [y/N]" in done.stdout
    assert "Nothing was begun." in done.stdout
    assert not (tmp_path / "x").exists()


def test_a_failure_is_told_and_can_be_gone_on_with(node: Up, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    config_file = Path(arguments(node)[3])
    other = tmp_path / "other.toml"
    other.write_text(config_file.read_text().replace("documents", "nothing"))
    (config_file.parent / "nothing").mkdir(exist_ok=True)
    words = ["write", TOPIC, "--out", str(tmp_path / "x"), "--model", "scripted", "--words", "20", "--json", "--yes"]
    done = command(*words, "--data", arguments(node)[1], "--config", other)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["standing"], told["error"]["code"]) == (3, "failed", "no_sources")
    assert json.loads((tmp_path / "x" / "article.json").read_bytes())["standing"] == "failed"
    assert json.loads(verb(node, "--resume", tmp_path / "x", "--json").stdout)["ending"] == "accepted"


def test_without_the_extra(node: Up, tmp_path: Path) -> None:
    block = "import sys; sys.modules['pydantic_ai'] = None; from intermodel.cli import app; app()"
    words = ["write", TOPIC, "--out", str(tmp_path / "x"), *arguments(node)]
    done = subprocess.run(
        [sys.executable, "-c", block, *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 5
    assert "pip install 'intermodel[writer]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_needs_no_extra() -> None:
    block = (
        "import sys\nfor name in ('pydantic_ai', 'openai', 'trafilatura', 'httpx2'):\n"
        "    sys.modules[name] = None\nfrom intermodel.cli import app\napp()"
    )
    done = subprocess.run(
        [sys.executable, "-c", block, "write", "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "--accept-draft" in done.stdout


def test_no_node(tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["write", TOPIC, "--out", str(tmp_path / "x"), "--data", str(tmp_path / "none"), "--config", "/dev/null"]
    )
    assert done.exit_code == 5
    assert "intermodel up" in done.output


def test_a_journal_that_is_damaged(node: Up, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.begin(Brief(TOPIC, "scripted"))
    for number in range(300):
        journal.tell("page", what=f"{number} " + "x" * 200, why="")
    journal.close()
    file = tmp_path / "journal.sqlite3"
    data = bytearray(file.read_bytes())
    data[4096 * 8 : -4096] = b"\x5a" * (len(data) - 4096 * 9)
    file.write_bytes(data)
    for words in (["--show-plan"], ["--stop"], []):
        said = verb(node, "--resume", tmp_path, *words, code=2)
        assert not said.exception or isinstance(said.exception, SystemExit)
        assert "The journal of the run cannot be used" in said.output


def test_topics_of_ones_own_are_written_and_what_went_wrong_is_shown_safely(node: Up, tmp_path: Path) -> None:
    fact = {"id": "f", "text": "It is so.", "any": [["commercial"]]}
    file = tmp_path / "own.json"
    file.write_text(json.dumps([{"id": "own", "topic": TOPIC, "facts": [fact]}]))
    words = ("--evaluate", "--topics", file, "--yes", "--model", "scripted", "--words", "20", "--out", tmp_path / "e")
    told = verb(node, *words)
    assert "own" in told.stdout
    assert (tmp_path / "e" / "own" / "article.md").is_file()
    file.write_text(json.dumps([{"id": "../own", "topic": TOPIC, "facts": [fact]}]))
    assert "is no id of a topic" in verb(node, *words, code=2).output
    nothing = {"id": "own", "topic": "Nothing \x9b31m", "facts": [fact]}  # a topic that is refused
    file.write_text(json.dumps([nothing]))
    assert "no text" in verb(node, *words[:-1], tmp_path / "f").stdout


def test_why_a_topic_failed_gives_no_commands_to_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def fails(_topic: Topic) -> Any:
        raise Upstream("It said \x1b]0;owned\x07.")

    topic = Topic("own", TOPIC, (Fact("f", "It is so.", (("x",),)),))
    evaluating.show(asyncio.run(evaluate_all(fails, [topic])), tmp_path)
    said = capsys.readouterr().out
    assert "owned" in said
    assert not {"\x1b", "\x07"} & set(said)


@pytest.mark.slow
def test_the_topics_that_ship_are_written_and_judged(node: Up, tmp_path: Path) -> None:
    words = (
        "--evaluate", "--out", tmp_path / "e", "--model", "scripted", "--words", "20", "--rounds", "2", "--json",
        "--yes",
    )  # fmt: skip
    told = json.loads(verb(node, *words).stdout)
    assert len(told["lines"]) == 10
    assert all(one["rounds"] for one in told["lines"])
    assert told["every"]["calls"] > told["one"]["calls"] > 0
    assert sorted(file.name for file in (tmp_path / "e").glob("evaluation.*")) == [
        "evaluation.json", "evaluation.md", "evaluation.svg",
    ]  # fmt: skip
    again = json.loads(verb(node, *words).stdout)
    assert again["lines"] == told["lines"]
