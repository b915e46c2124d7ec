"""The command line as a person uses it: processes, exit codes, what is printed."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import time
from pathlib import Path

import httpx2
import pytest

from tests.engines import tiny
from tests.process import intermodel, up

ECHO = '[engines]\nshipped = false\n[deployments.echo]\nprovider = "echo"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "intermodel.toml"
    path.write_text(ECHO)
    return path


def test_up_says_where_it_is_in_one_line_and_ends_on_ctrl_c(tmp_path: Path) -> None:
    with up(tmp_path / "data", config=ECHO, first=True) as node:
        assert set(node.said) == {"url", "api", "page", "data", "token"}
        assert node.said["url"].startswith("http://127.0.0.1:")
        assert [m["id"] for m in httpx2.get(f"{node.api}/models", headers=node.headers).json()["data"]] == ["echo"]
        assert node.stop() == 0
        assert node.process.stdout is not None
        assert node.process.stdout.read() == ""
    with up(tmp_path / "data", config=ECHO) as again:
        assert "token" not in again.said
        assert httpx2.get(f"{again.api}/models", headers=node.headers).status_code == 200
        assert again.stop(signal.SIGTERM) == 0
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert node.token.encode() not in kept


@pytest.mark.slow
def test_the_environment_gives_the_token(tmp_path: Path) -> None:
    with up(tmp_path / "data", config=ECHO, environ={"INTERMODEL_TOKEN": "open-sesame-now"}) as node:
        assert "token" not in node.said
        assert httpx2.get(f"{node.api}/models", headers=node.headers).status_code == 200


def test_a_port_in_use(tmp_path: Path, config: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = intermodel("up", "--port", port, "--data", tmp_path / "data", "--config", config)
    assert done.returncode == 5
    assert port in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
def test_two_nodes_on_one_folder(tmp_path: Path, config: Path) -> None:
    with up(tmp_path / "data", config=ECHO) as node:
        done = intermodel("up", "--port", "0", "--data", tmp_path / "data", "--config", config, "--json")
        assert done.returncode == 5
        error = json.loads(done.stdout)["error"]
        assert error["code"] == "data_folder_in_use"
        assert str(node.process.pid) in error["message"]
        assert httpx2.get(f"{node.api}/models", headers=node.headers).status_code == 200


def test_an_unknown_setting(tmp_path: Path) -> None:
    config = tmp_path / "intermodel.toml"
    config.write_text("prot = 1")
    done = intermodel("up", "--config", config, "--data", tmp_path / "data")
    assert done.returncode == 2
    assert "Did you mean 'port'?" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_data_folder_that_cannot_be_written(tmp_path: Path, config: Path) -> None:
    (tmp_path / "file").write_text("")
    done = intermodel("up", "--config", config, "--data", tmp_path / "file" / "data", "--port", "0")
    assert done.returncode == 5
    assert "--data" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_chat_asks_the_node_that_runs_and_leaves_no_token(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    missing = intermodel("chat", "hello", "-m", "echo", *where)
    assert (missing.returncode, "intermodel up" in missing.stderr) == (5, True)
    with up(tmp_path / "data", config=ECHO):
        done = intermodel("chat", "hello there", "-m", "echo", *where)
        assert (done.returncode, done.stdout.strip()) == (0, "hello there")
        done = intermodel("chat", "-", "-m", "echo", "--json", *where, input="from a pipe")
        assert json.loads(done.stdout)["answer"] == "from a pipe"
        done = intermodel("chat", "x", "-m", "ecko", *where)
        assert (done.returncode, "Did you mean echo" in done.stderr) == (3, True)
        listed = json.loads(intermodel("tokens", "--json", *where).stdout)
    assert [t["name"] for t in listed] == ["first start"]


def test_tokens_are_made_listed_and_revoked_while_a_node_runs(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    with up(tmp_path / "data", config=ECHO) as node:
        made = json.loads(intermodel("tokens", "create", "billing", "--json", *where).stdout)
        headers = {"Authorization": f"Bearer {made['token']}"}
        assert httpx2.get(f"{node.api}/models", headers=headers).status_code == 200
        assert intermodel("tokens", "revoke", "billing", *where).returncode == 0
        time.sleep(2.2)
        assert httpx2.get(f"{node.api}/models", headers=headers).status_code == 401
    assert intermodel("tokens", "revoke", "nobody", *where).returncode == 3
    assert intermodel("tokens", "create", "x", "--expires", "soon", *where).returncode == 2
    assert "billing" in intermodel("tokens", *where).stdout


@pytest.mark.slow
def test_models_are_added_and_removed_while_a_node_runs(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    file = tiny.write(tmp_path / "my tiny.gguf")
    with up(tmp_path / "data", config=ECHO) as node:
        added = json.loads(intermodel("models", "add", file, "--json", *where).stdout)
        assert added["address"] == "local/my-tiny"
        body = {"model": "local/my-tiny", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 4}
        answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=60)
        assert answer.status_code == 200, answer.text
        assert intermodel("models", "remove", "local/my-tiny", *where).returncode == 0
        time.sleep(2.2)
        answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=60)
        assert answer.json()["error"]["code"] == "model_not_found"
    assert intermodel("models", "remove", "local/my-tiny", *where).returncode == 3
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"")
    done = intermodel("models", "add", bad, *where)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    listed = json.loads(intermodel("models", "--json", *where).stdout)
    assert [m["address"] for m in listed] == ["echo"]


def test_doctor_finds_what_is_wrong_and_says_how_to_mend_it(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    file = tiny.write(tmp_path / "tiny.gguf")
    assert intermodel("models", "add", file, "--link", *where).returncode == 0
    assert intermodel("tokens", "create", "x", *where).returncode == 0
    well = intermodel("doctor", "--json", *where)
    assert {f["level"] for f in json.loads(well.stdout)} == {"good"}, well.stdout
    assert well.returncode == 0
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    (tmp_path / "data" / "secret").chmod(0o644)
    (tmp_path / "data").chmod(0o755)
    ill = intermodel("doctor", "--json", *where)
    found = {f["check"]: f for f in json.loads(ill.stdout)}
    assert ill.returncode == 1
    assert found["model local/tiny"]["level"] == "bad"
    assert "changed" in found["model local/tiny"]["found"]
    assert "chmod 600" in found["node key"]["mend"]
    assert "chmod 700" in found["data folder"]["mend"]
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o755


@pytest.mark.slow
def test_what_would_be_back_is_not_removed(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    (tmp_path / "empty.toml").write_text("")
    shipping = ("--data", tmp_path / "data", "--config", tmp_path / "empty.toml")
    ships = intermodel("models", "remove", "intermodel/pebble", *shipping)
    assert (ships.returncode, "shipped = false" in ships.stderr) == (5, True)
    (tmp_path / "data" / "models").mkdir(parents=True, exist_ok=True)
    file = tiny.write(tmp_path / "data" / "models" / "dropped.gguf")
    with up(tmp_path / "data", config=ECHO) as node:
        until = time.monotonic() + 20
        while httpx2.get(f"{node.api}/models/local/dropped", headers=node.headers).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        watched = intermodel("models", "remove", "local/dropped", *where)
    assert (watched.returncode, str(file) in watched.stderr) == (5, True)


@pytest.mark.slow
def test_doctor_misses_a_lost_key_and_names_the_settings_it_read(tmp_path: Path, config: Path) -> None:
    where = ("--data", tmp_path / "data", "--config", config)
    assert intermodel("tokens", "create", "x", *where).returncode == 0
    (tmp_path / "data" / "secret").unlink()
    found = {f["check"]: f for f in json.loads(intermodel("doctor", "--json", *where).stdout)}
    assert found["node key"]["level"] == "bad"
    assert str(config) in found["settings"]["found"]


@pytest.mark.slow
def test_help_has_examples_and_errors_have_no_traceback() -> None:
    for verb in (("up",), ("chat",), ("models", "add"), ("tokens", "create"), ("doctor",), ("version",)):
        done = intermodel(*verb, "--help")
        assert done.returncode == 0
        assert "Example" in done.stdout, verb
    assert intermodel("nonsense").returncode == 2
    assert json.loads(intermodel("version", "--json").stdout)["intermodel"]
    assert intermodel("--version").stdout.strip() == json.loads(intermodel("version", "--json").stdout)["intermodel"]


def test_the_shell_can_complete_verbs() -> None:
    asked = {"_INTERMODEL_COMPLETE": "complete_bash", "COMP_WORDS": "intermodel mo", "COMP_CWORD": "1"}
    assert intermodel(env=os.environ | asked).stdout.split() == ["models"]
