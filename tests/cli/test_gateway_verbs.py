"""deployments, routes, budgets, receipts: the verbs that talk to the node that runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import httpx2
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from intermodel.cli import app
from intermodel.cli.deployments import _state
from intermodel.cli.output import fail
from intermodel.cli.pairs import document_of
from intermodel.cli.receipts import account_of
from intermodel.cli.routes import candidates_of
from intermodel.core import Invalid
from intermodel.settings import Budget, Deployment, Route
from tests.process import Up, intermodel, up

ECHO = '[engines]\nshipped = false\n[deployments.echo]\nprovider = "echo"\n'


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One for all tests of this file: each cleans up what it declares."""
    with up(tmp_path_factory.mktemp("node") / "data", config=ECHO, environ={"GPT_API_KEY": "canary-key"}) as node:
        yield node


def command(*words: str | Path, **environ: str) -> Result:
    """A verb, in this process: it takes a tenth of the time of one of its own."""
    mask = os.umask(0o022)
    try:
        return CliRunner().invoke(app, list(map(str, words)), env=environ)
    finally:
        os.umask(mask)


def verb(node: Up, *words: str | Path, code: int = 0) -> str:
    data = Path(node.said["data"])
    done = command(*words, "--data", data, "--config", data.parent / f"{data.name}.toml")
    assert done.exit_code == code, done.output
    return done.stdout if not code else done.output


def told(node: Up, *arguments: str | Path) -> Any:
    return json.loads(verb(node, *arguments, "--json"))


def ask(node: Up, model: str, headers: dict[str, str] | None = None) -> httpx2.Response:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=headers or node.headers, timeout=20)


def test_deployments_are_set_changed_tried_and_removed(node: Up, tmp_path: Path) -> None:
    made = told(
        node, "deployments", "set", "acme/gpt", "base_url=http://127.0.0.1:9/v1", "model=m", "key_env=GPT_API_KEY"
    )
    assert made["document"] == {"base_url": "http://127.0.0.1:9/v1", "model": "m", "key_env": ["GPT_API_KEY"]}
    changed = told(node, "deployments", "set", "acme/gpt", "model=", "price.input=1.25", "capabilities=chat,tools")
    assert changed["document"]["price"] == {"input": "1.25"}
    assert sorted(changed["document"]["capabilities"]) == ["chat", "tools"]
    assert "model" not in changed["document"]
    failed = verb(node, "deployments", "test", "acme/gpt", code=6)
    assert "acme/gpt" in failed
    file = tmp_path / "echo.toml"
    file.write_text('provider = "echo"\nregion = "eu"\n[price]\noutput = 0.5\n')
    assert "Serving acme/gpt" in verb(node, "deployments", "set", "acme/gpt", "--file", file)
    shown = told(node, "deployments", "show", "acme/gpt")
    assert shown["document"] == {"provider": "echo", "region": "eu", "price": {"output": "0.5"}}
    assert "answered in" in verb(node, "deployments", "test", "acme/gpt")
    listing = verb(node, "deployments")
    assert all(word in listing for word in ("acme/gpt", "run time", "echo", "file"))
    assert "canary-key" not in listing + json.dumps([made, changed, shown]) + node.log.read_text()
    assert "Removed" in verb(node, "deployments", "remove", "acme/gpt")
    assert "There is no deployment" in verb(node, "deployments", "show", "acme/gpt", code=3)


def test_routes_are_set_explained_and_removed(node: Up) -> None:
    verb(
        node, "routes", "set", "fast", "candidates=echo,missing", "weights.echo=2", "order=weighted", "require.regions="
    )
    assert told(node, "routes", "show", "fast")["document"] == {
        "candidates": ["echo", "missing"], "weights": {"echo": 2.0}, "order": "weighted",
    }  # fmt: skip
    assert "echo → missing" in verb(node, "routes")
    explained = verb(node, "routes", "explain", "fast", "--needs", "tools")
    assert "drawn with weight 2" in explained
    assert told(node, "routes", "explain", "fast")["candidates"][0]["address"] == "echo"
    assert "None can answer" not in explained
    assert "Did you mean" in verb(node, "routes", "explain", "fats", code=3)
    assert "has the deployment 'echo'" in verb(node, "deployments", "remove", "echo", code=5)
    verb(node, "routes", "remove", "fast")
    assert "declared in intermodel.toml" in verb(node, "deployments", "remove", "echo", code=5)
    assert told(node, "routes") == []


def test_budgets_bind_tokens_made_for_somebody(node: Up) -> None:
    made = told(node, "tokens", "create", "anna", "--user", "anna", "--organisation", "acme")
    assert (made["user"], made["organisation"], made["admin"]) == ("anna", "acme", False)
    tokens = verb(node, "tokens")
    assert all(word in tokens for word in ("acme", "valid", "admin"))
    verb(node, "budgets", "set", "acme", "dollars=20", "per=month", "organisation=acme")
    changed = told(node, "budgets", "set", "acme", "dollars=0.5")
    assert (changed["who"], changed["per"], changed["ceiling"]["dollars"]) == ("acme", "month", "0.50")
    assert "organisation acme" in verb(node, "budgets")
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert ask(node, "echo", headers).status_code == 200
    data, environ = ("--data", node.said["data"], "--json"), os.environ | {"INTERMODEL_TOKEN": made["token"]}
    plain = intermodel("budgets", "set", "acme", "dollars=9", *data, env=environ)
    assert (plain.returncode, json.loads(plain.stdout)["error"]["code"]) == (4, "admin_needed")
    verb(node, "budgets", "remove", "acme")
    assert told(node, "budgets") == []


@pytest.mark.parametrize("name", ["[/foo]", "[red]a", "x\x1b]0;owned\x07\x1b[2Jy", "a\u202eb\nc:smile:"])
def test_what_callers_wrote_is_no_command_and_no_markup(node: Up, name: str) -> None:
    assert ask(node, name).status_code == 404
    receipt = told(node, "receipts", "list", "--limit", "1")[0]["id"]
    shown = name.encode("unicode_escape").decode()
    for words in (("list",), ("show", receipt)):
        said = verb(node, "receipts", *words)
        assert shown in said
        assert all(c.isprintable() or c == "\n" for c in said)


def test_names_and_reasons_are_no_command_and_no_markup() -> None:
    odd, told = "[/foo]\x1b[2J", StringIO()
    standing = {"phase": "open", "rests_s": 1.0, "reason": odd}
    screen = Console(file=told, width=200)
    screen.print(candidates_of([{"address": odd, "fit": True, "reason": odd}]))
    screen.print(_state({"problem": None, "standing": standing}))
    money = {"spent": "0", "reserved": "0", "wasted": "0"}
    attempt = {"address": odd, "outcome": odd, "code": odd, "dollars": "0", "key": 1}
    receipt = {"id": odd, "at": 0.0, "dollars": money, "model": odd, "outcome": odd, "attempts": [attempt]}
    screen.print(account_of(receipt))
    assert told.getvalue().count("[/foo]\\x1b[2J") == 9
    assert "\x1b" not in told.getvalue()


def test_an_error_is_no_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(Invalid("a\x1b[2Jb\nc [/foo]", hint="d\x07"), as_json=False) == 2
    assert capsys.readouterr().err == "Error: a\\x1b[2Jb\nc [/foo]\nd\\x07\n"


def test_receipts_are_listed_and_shown(node: Up) -> None:
    verb(node, "deployments", "set", "gone", "base_url=http://127.0.0.1:9/v1", "price.input=1")
    verb(node, "routes", "set", "both", "candidates=gone,echo")
    receipt = ask(node, "both").headers["x-intermodel-receipt"]
    shown = verb(node, "receipts", "show", receipt)
    for word in (
        receipt,
        "through a route",
        "gone",
        "upstream_unreachable",
        "echo",
        "░",
        "spent",
        "place 1 of the route",
    ):
        assert word in shown, shown
    assert told(node, "receipts", "show", receipt)["id"] == receipt
    assert told(node, "receipts", "list", "--route", "both", "--since", "5m", "--limit", "1")[0]["id"] == receipt
    assert told(node, "receipts", "list", "--outcome", "lost") == []
    assert receipt in verb(node, "receipts")
    assert "There is no receipt" in verb(node, "receipts", "show", "0" * 26, code=3)
    verb(node, "routes", "remove", "both")
    verb(node, "deployments", "remove", "gone")


def test_no_token_of_a_verb_is_left(node: Up) -> None:
    verb(node, "deployments", "show", "nobody", code=3)
    assert not [t for t in told(node, "tokens") if t["name"].startswith("intermodel command")]


def test_where_no_node_runs_and_what_is_wrong(tmp_path: Path, node: Up) -> None:
    for words in ("deployments", "routes show x", "budgets remove x", "receipts"):
        done = command(*words.split(), "--data", tmp_path / "none")
        assert (done.exit_code, "intermodel up" in done.stderr) == (5, True), words
    elsewhere = command("deployments", "list", "--url", node.said["url"], INTERMODEL_TOKEN=node.token)
    assert (elsewhere.exit_code, "echo" in elsewhere.stdout) == (0, True)
    wrong = command("deployments", "list", "--url", node.said["url"], INTERMODEL_TOKEN="not-a-token-of-it")
    assert wrong.exit_code == 4
    assert command("deployments", "list", "--url", "http://x").exit_code == 2
    assert command("deployments", "list", "--url", "x", INTERMODEL_TOKEN="not-a-token-of-it").exit_code == 2
    gone = command("routes", "list", "--url", "http://127.0.0.1:9", INTERMODEL_TOKEN="not-a-token-of-it")
    assert (gone.exit_code, "cannot be reached" in gone.stderr) == (5, True)
    assert "KEY=VALUE" in verb(node, "deployments", "set", "x", "base_url", code=2)
    assert "Nothing is to be set" in verb(node, "routes", "set", "x", code=2)
    assert "base_ulr" in verb(node, "deployments", "set", "x", "base_ulr=http://x", code=2)
    for words in (
        *(f"deployments {v}" for v in ("list", "show", "set", "remove", "test")),
        *(f"routes {v}" for v in ("list", "show", "set", "remove", "explain")),
        *(f"budgets {v}" for v in ("list", "set", "remove")),
        *(f"receipts {v}" for v in ("list", "show")),
    ):
        assert "Example" in command(*words.split(), "--help").stdout, words


def test_as_a_process_of_its_own(node: Up) -> None:
    done = intermodel("routes", "show", "nothing", "--data", node.said["data"])
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (3, "", False)
    assert "There is no route 'nothing'" in done.stderr


@pytest.mark.slow
def test_what_was_declared_survives_kill_9(tmp_path: Path) -> None:
    with up(tmp_path / "data", config=ECHO) as node:
        for i in range(5):
            document = {"provider": "echo", "region": f"r{i}"}
            answer = httpx2.put(f"{node.said['url']}/api/v1/deployments/kept", json=document, headers=node.headers)
        node.process.send_signal(signal.SIGKILL)
        assert answer.json()["region"] == "r4"
        node.process.wait(10)
        headers = node.headers
    with up(tmp_path / "data", config=ECHO) as again:
        kept = httpx2.get(f"{again.said['url']}/api/v1/deployments/kept", headers=headers).json()
        assert (kept["region"], kept["declared_in"]) == ("r4", "run time")
        assert ask(again, "kept", headers).status_code == 200


@pytest.mark.slow
def test_another_process_on_the_same_database_follows_within_two_seconds(tmp_path: Path) -> None:
    config = f'database = "sqlite:///{tmp_path / "shared.db"}"\n{ECHO}'
    with up(tmp_path / "one", config=config) as one:
        (tmp_path / "two").mkdir()
        shutil.copy(tmp_path / "one" / "secret", tmp_path / "two" / "secret")  # two processes of one node
        with up(tmp_path / "two", config=config) as two:
            assert ask(two, "echo", one.headers).status_code == 200
            document = {"provider": "echo"}
            httpx2.put(f"{one.said['url']}/api/v1/deployments/new", json=document, headers=one.headers)
            until = time.monotonic() + 2.5
            while ask(two, "new", one.headers).status_code != 200:
                assert time.monotonic() < until
                time.sleep(0.05)
            httpx2.delete(f"{two.said['url']}/api/v1/deployments/new", headers=one.headers).raise_for_status()
            until = time.monotonic() + 2.5
            while ask(one, "new", one.headers).status_code == 200:
                assert time.monotonic() < until
                time.sleep(0.05)


@pytest.mark.parametrize(
    ("form", "pairs", "before", "document"),
    [
        (Deployment, ["provider=echo", "private=true"], {}, {"provider": "echo", "private": True}),
        (Deployment, ["provider=echo", "context_length=8192"], {}, {"provider": "echo", "context_length": 8192}),
        (Deployment, ["rate.at_once=2"], {"provider": "echo"}, {"provider": "echo", "rate": {"at_once": 2}}),
        (Deployment, ["region="], {"provider": "echo", "region": "eu"}, {"provider": "echo"}),
        (
            Deployment,
            ["provider=echo", "price.tiers.priority.input=2", "price.tiers.priority.output=4"],
            {},
            {"provider": "echo", "price": {"tiers": {"priority": {"input": "2", "output": "4"}}}},
        ),
        (
            Deployment,
            ["price.tiers.priority="],
            {"provider": "echo", "price": {"input": "1", "tiers": {"priority": {"input": "2", "output": "4"}}}},
            {"provider": "echo", "price": {"input": "1", "tiers": {}}},
        ),
        (Deployment, ["provider=echo", "price.tiers.priority.input=2"], {}, "price.tiers.priority.output"),
        (Deployment, ["base_url=http://a/v1?x=1"], {}, "query"),
        (Deployment, ["provider=echo", "key_env=A, B"], {}, {"provider": "echo", "key_env": ["A", "B"]}),
        (
            Route,
            ["candidates=a,b/c", "weights.gpt-4.1=2"],
            {},
            {"candidates": ["a", "b/c"], "weights": {"gpt-4.1": 2.0}},
        ),
        (Route, ["candidates=a", "require.tier=x"], {}, "require.tier"),
        (Route, ["candidates=a", "weights=2"], {}, "weights"),
        (Budget, ["dollars=0.10"], {}, {"dollars": "0.10"}),
        (Budget, ["dollars=much"], {}, "dollars"),
    ],
)
def test_pairs_become_a_document(form: Any, pairs: list[str], before: dict[str, Any], document: Any) -> None:
    if isinstance(document, str):
        with pytest.raises(Invalid, match=document):
            document_of(form, "x", pairs, None, before)
    else:
        assert document_of(form, "x", pairs, None, before) == document


def test_any_receipt_can_be_shown() -> None:
    """A call that was cut off by a crash has little to tell."""
    money = {"reserved": "0.00", "spent": "0.00", "wasted": "0.00"}
    account_of({"id": "0" * 26, "at": 0.0, "dollars": money})
    attempt = {"address": "a", "seconds": 0.0, "started_ms": 5e9, "first_token_s": 1.0, "dollars": "0.00"}
    account_of({"id": "0" * 26, "at": 0.0, "seconds": 0, "dollars": money, "attempts": [attempt]})
