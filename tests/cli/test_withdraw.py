"""records withdraw, entered and forget: a person takes back what was told, and sees who told it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_records import command, verb
from tests.process import Up, up


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("withdraw") / "data") as node:
        yield node


def put(node: Up, folder: Path, name: str, text: str) -> list[int]:
    (folder / "told.yaml").write_text(f"address: {name}\n{text}\n")
    (made,) = json.loads(verb(node, "records", "put", folder / "told.yaml", "--json"))
    return list(made["new"])


def verify(node: Up, bundle: Path, key: str) -> str:
    done = command("verify", bundle, "--key", key)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_withdrawn_shown_verified_and_told_anew(node: Up, tmp_path: Path) -> None:
    (first,) = put(node, tmp_path, "acme/thing", "what: {parameters: 7}")
    (second,) = put(node, tmp_path, "acme/thing", "what: {parameters: 8}")
    told = verb(node, "records", "withdraw", str(second), "--reason", "measured wrong")
    assert f"Withdrawn: entry {second}." in told
    assert f"count again, for what superseded them is withdrawn: entry {first}." in told
    told = verb(node, "records", "withdraw", str(second), "--reason", "measured wrong")
    assert "Nothing new: it was withdrawn before." in told
    shown = verb(node, "show", "acme/thing")
    assert f"statement {second}: what, this node's own word, withdrawn" in shown
    assert "withdrawn by this node on 2" in shown
    assert "measured wrong" in shown
    bundle = tmp_path / "bundle.json"
    verb(node, "records", "bundle", "acme/thing", "-o", bundle)
    key = json.loads(verb(node, "ledger", "keys", "--json"))["keys"][0]["verifier"]
    told = verify(node, bundle, key)
    assert f"! entry {second}: withdrawn: by the ledger intermodel/" in told
    assert "measured wrong (entry " in told
    assert "Everything holds." in told
    exported = tmp_path / "exported.json"
    verb(node, "ledger", "export", str(second), "-o", exported)
    assert f"! entry {second}: withdrawn" in verify(node, exported, key)
    made = json.loads(verb(node, "records", "withdraw", "acme/thing", "--reason", "all of it", "--json"))
    assert made["withdrawn"] == [first]
    assert put(node, tmp_path, "acme/thing", "what: {parameters: 7}")


def test_what_cannot_be_withdrawn_says_why(node: Up, tmp_path: Path) -> None:
    (one,) = put(node, tmp_path, "acme/other", "what: {parameters: 7}")
    (by,) = json.loads(verb(node, "records", "withdraw", str(one), "--reason", "a slip", "--json"))["new"]
    told = verb(node, "records", "withdraw", str(by), "--reason", "no slip", code=5)
    assert "A withdrawal is not withdrawn." in told
    assert "Tell the statement anew" in told
    assert "said nothing of 'acme/other'" in verb(node, "records", "withdraw", "acme/other", "--reason", "x", code=3)
    verb(node, "records", "withdraw", "nobody/knows", "--reason", "x", code=3)
    verb(node, "records", "withdraw", str(99_999), "--reason", "x", code=3)
    verb(node, "records", "withdraw", str(one), "--reason", "", code=2)


def test_who_told_it_is_listed_and_forgotten(node: Up, tmp_path: Path) -> None:
    (one,) = put(node, tmp_path, "acme/told", "what: {parameters: 7}")
    name = f"intermodel command of {getpass.getuser()}"
    (found,) = json.loads(verb(node, "records", "entered", "acme/told", "--json"))
    assert (found["entry"], found["name"]) == (one, name)
    assert name in verb(node, "records", "entered", "acme/told")
    assert one in {told["entry"] for told in json.loads(verb(node, "records", "entered", "--by", name, "--json"))}
    assert "Give an address, or --by" in verb(node, "records", "entered", code=2)
    assert json.loads(verb(node, "records", "forget", name, "--json"))["erased"] >= 1
    assert "Nothing is known" in verb(node, "records", "entered", "acme/told")
    assert "of 0 entries" in verb(node, "records", "forget", name)
