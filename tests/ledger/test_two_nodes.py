"""Nodes that witness and follow each other, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.ledger import Entry, Ledger, Verifier
from intermodel.ledger.witness import FOLDER, open_witness, request
from intermodel.settings import Ledger as Options
from intermodel.settings import Records
from intermodel.storage import DataFolder
from tests.evidence import begin
from tests.ledger.conftest import said
from tests.ledger.test_cli import call
from tests.process import Up, intermodel, up
from tests.support import Running, running, settings_for


def until(what: Callable[[], Any], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def begun(data: Path, *numbers: int) -> Verifier:
    """A ledger with some entries in a data folder; the key that signs it."""
    return begin(data, *map(said, numbers))


def ledger_of(node: Running) -> Ledger:
    return node.node.ledger


def recorded(node: Running, number: int) -> Entry:
    return asyncio.run_coroutine_threadsafe(ledger_of(node).record(said(number)), node.loop).result(10)


def asking(data: Path, witness: Verifier, url: str, **more: Any) -> Any:
    """Settings of a node whose ledger that witness is asked to cosign."""
    options = Options(witnesses=[{"key": f"{witness}", "url": f"{url}/witness"}], witness_s=0.2, **more)
    return settings_for(data, ledger=options)


def status(data: Path, config: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(call("ledger", "status", "--data", data, "--config", config, "--json").stdout)
    return document


def config(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / f"{name}.toml"
    path.write_text(text)
    return path


def free_port() -> int:
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_one_node_witnesses_another(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    key = begun(a, 1, 2)
    DataFolder(b).prepare()
    witness = open_witness(b, [key]).verifier
    with (
        running(settings_for(b, ledger=Options(witness_for=(f"{key}",)))) as other,
        running(asking(a, witness, other.url)) as node,
    ):
        made = recorded(node, 3)
        until(lambda: (note := ledger_of(node).cosigned()) and note.text.split("\n")[1] == "4")
        text = config(tmp_path, "asks", f'[[ledger.witnesses]]\nkey = "{witness}"\nurl = "{other.url}/witness"\n')
        told = status(a, text)
        assert (told["cosigned_size"], told["witnesses"][f"{witness}"]["trouble"]) == (4, "")
        assert call("ledger", "status", "--data", a, "--config", text).exit_code == 0
        bundle = tmp_path / "bundle.json"
        assert call("ledger", "export", made.index, "-o", bundle, "--data", a).exit_code == 0
    # all are gone: what is left is a file, and two keys
    done = call("verify", bundle, "--key", f"{key}", "--witness", f"{witness}")
    assert (done.exit_code, "Everything holds" in done.output) == (0, True), done.output
    stranger = Verifier("w.example", witness.key, witness.kind)
    assert call("verify", bundle, "--key", f"{key}", "--witness", f"{stranger}").exit_code == 1


@contextlib.contextmanager
def witnessing(tmp_path: Path, port: int, key: Verifier) -> Iterator[Up]:
    options = f'[ledger]\nwitness_for = ["{key}"]\n[engines]\nshipped = false\n'
    with up(tmp_path / "b", "--port", str(port), config=options) as node:
        yield node


@pytest.mark.slow
def test_a_witness_that_is_killed_remembers_and_tells_of_a_fork(tmp_path: Path) -> None:
    a, fork, port = tmp_path / "a", tmp_path / "fork", free_port()
    key = begun(a, 1)
    shutil.copytree(a, fork)  # as somebody would who copied the key with the ledger
    with witnessing(tmp_path, port, key) as other:
        told = status(tmp_path / "b", tmp_path / "b.toml")
        witness = Verifier.parse(told["witness"])
        url = other.said["url"]
        with running(asking(a, witness, url)) as node:
            recorded(node, 2)
            until(lambda: (note := ledger_of(node).cosigned()) and note.text.split("\n")[1] == "3")
            other.process.kill()
            other.process.wait(10)
            recorded(node, 3)
            text = config(tmp_path, "asks", f'[[ledger.witnesses]]\nkey = "{witness}"\nurl = "{url}/witness"\n')
            until(lambda: "reached" in status(a, text)["witnesses"][f"{witness}"]["trouble"])
            with witnessing(tmp_path, port, key):
                until(lambda: status(a, text)["cosigned_size"] == 4)
    begun(fork, 20, 30)
    with witnessing(tmp_path, port, key), running(asking(fork, witness, url)):
        until(lambda: status(fork, text)["witnesses"][f"{witness}"]["fork"])
        assert call("ledger", "status", "--data", fork, "--config", text).exit_code == 1
        (found,) = status(tmp_path / "b", tmp_path / "b.toml")["contradictions"]
        assert found["proven"]
    assert f"the ledger {key.name} contradicts itself" in (tmp_path / "b.log").read_text()
    looked = intermodel("doctor", "--data", tmp_path / "b", "--config", tmp_path / "b.toml")
    assert (looked.returncode, "contradicts itself" in looked.stdout) == (1, True), looked.stdout
    looked = intermodel("doctor", "--data", fork, "--config", text)
    assert "cosigned another tree" in looked.stdout


def test_one_node_follows_another_that_publishes(tmp_path: Path) -> None:
    a, b, fork = tmp_path / "a", tmp_path / "b", tmp_path / "fork"
    key = begun(a, 1)
    shutil.copytree(a, fork)
    with running(settings_for(a, ledger=Options(publish=True))) as node:
        followed = Options(watch=[{"keys": f"{key}", "url": f"{node.url}/ledger"}], watch_s=0.2)
        text = config(tmp_path, "b", f'[[ledger.watch]]\nkeys = "{key}"\nurl = "{node.url}/ledger"\n')
        with running(settings_for(b, ledger=followed)):
            until(lambda: status(b, text)["followed"][key.name]["size"] == 2)
            recorded(node, 2)
            until(lambda: status(b, text)["followed"][key.name]["size"] == 3)
    begun(fork, 10, 20, 30)
    with running(settings_for(fork, ledger=Options(publish=True))) as node:
        followed = Options(watch=[{"keys": f"{key}", "url": f"{node.url}/ledger"}], watch_s=0.2)
        with running(settings_for(b, ledger=followed)) as follower:
            until(lambda: status(b, text)["contradictions"])
            until(lambda: ledger_of(follower).log.size == 2)  # and says so in its own ledger
    shown = call("ledger", "status", "--data", b, "--config", text)
    assert (shown.exit_code, "contradicts itself" in shown.output) == (1, True)


def test_what_the_witness_answers(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    key = begun(a, 1, 2)
    note = call("ledger", "checkpoint", "--data", a).stdout_bytes
    with (
        running(settings_for(b, ledger=Options(witness_for=(f"{key}",)))) as node,
        httpx2.Client(base_url=node.url) as client,
    ):

        def post(body: bytes) -> httpx2.Response:
            return client.post("/witness/add-checkpoint", content=body)

        assert post(b"hello").status_code == 400
        assert post(b"x" * 100_000).status_code == 413
        assert post(request(4, [], note)).status_code == 400
        assert post(request(0, [], note.replace(b"\n3\n", b"\n4\n"))).status_code == 403
        assert post(request(0, [], note.replace(key.name.encode(), b"other"))).status_code == 404
        assert post(request(0, [bytes(32)], note)).status_code == 422
        done = post(request(0, [], note))
        assert (done.status_code, done.text[0], done.text[-1]) == (200, "—", "\n")
        refused = post(request(0, [], note))
        assert (refused.status_code, refused.text) == (409, "3\n")
        assert refused.headers["content-type"] == "text/x.tlog.size"
        assert client.get("/witness/add-checkpoint").status_code == 405
        statuses = [post(b"hello").status_code for _ in range(40)]
        assert statuses[-1] == 429
        assert client.get("/ledger/checkpoint").status_code == 404  # nobody asked for it to be published
    with running(settings_for(a)) as node:
        assert httpx2.post(f"{node.url}/witness/add-checkpoint", content=b"").status_code in (404, 405)
    assert not (a / FOLDER).exists()


def test_what_is_published_and_what_is_not(tmp_path: Path) -> None:
    a = tmp_path / "a"
    begun(a, *range(300))
    with (
        running(settings_for(a, ledger=Options(publish=True))) as node,
        httpx2.Client(base_url=f"{node.url}/ledger/") as client,
    ):
        assert client.get("checkpoint").content == (a / "ledger/checkpoint").read_bytes()
        assert client.get("keys").content == (a / "ledger/keys").read_bytes()
        for path in ("tile/0/000", "tile/entries/000", "tile/0/001.p/45", "tile/1/000.p/1"):
            assert client.get(path).content == (a / "ledger" / path).read_bytes()
        for path in (
            "pending",
            "key-entries",
            "tile/0/000.p/256",
            "tile/0/%2e%2e/%2e%2e/pending",
            "tile/0",
            "tile/64/000",
            f"tile/0/{'x000/' * 7}000",
            f"tile/0/{'x000/' * 1000}000",
        ):
            assert client.get(path).status_code == 404, path


def test_a_node_learns_that_a_signer_whom_it_follows_has_another_key(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    key = begun(a, 1)
    with running(settings_for(a, ledger=Options(publish=True))) as node:
        told = {"what": {"parameters": 7}}
        followed = Options(watch=[{"keys": f"{key}", "url": f"{node.url}/ledger"}], watch_s=0.2)
        trusting = settings_for(b, ledger=followed, records=Records(trusted_signers=(f"{key}",)))
        text = config(tmp_path, "b", f'[[ledger.watch]]\nkeys = "{key}"\nurl = "{node.url}/ledger"\n')
        with running(trusting) as other:
            asyncio.run_coroutine_threadsafe(ledger_of(node).rotate(), node.loop).result(10)
            api(node, "PUT", "/records/thing", told)
            bundle = api(node, "GET", "/records/thing/bundle").content
            until(lambda: len(other.node.records.trusted.verifiers) == 2)
            taken = httpx2.post(f"{other.url}/api/v1/records", content=bundle, headers=other.headers, timeout=30)
            assert (taken.status_code, taken.json()["left_out"]) == (200, [])
            (one,) = api(other, "GET", "/records/thing").json()["statements"]
            assert (one["counts"], one["signed_by"], one["key_learned"]) == (True, key.name, True)
            with httpx2.Client(base_url=other.url, headers={"Accept": "text/html"}, timeout=30) as client:
                client.post("/signin", data={"token": other.token})
                assert "this node learned that by itself" in client.get("/records/thing").text
            shown = call("ledger", "status", "--data", b, "--config", text)
            assert "went over to another key, as its entry 2 says" in shown.output
            (old, new) = status(b, text)["followed"][key.name]["keys"]
            assert (old["named"], new["named"], new["from"]) == (True, False, 3)
            revoke = ledger_of(node).revoke(old["id"], 0)
            asyncio.run_coroutine_threadsafe(revoke, node.loop).result(10)
            until(lambda: other.node.records.trusted.revoked)
            assert "took back what its key" in call("ledger", "status", "--data", b, "--config", text).output
        with running(trusting) as other:
            assert other.node.records.trusted.revoked, "it is known from the start on"


def api(node: Running, method: str, path: str, document: Any = None) -> httpx2.Response:
    answer = httpx2.request(method, f"{node.url}/api/v1{path}", json=document, headers=node.headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer
