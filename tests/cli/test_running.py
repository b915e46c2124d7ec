"""The verbs find the settings of the node that runs, and never write into another database than it reads."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import httpx2
import pytest

from intermodel.cli.running import _which, check_database, note, noted
from intermodel.core import Conflict
from intermodel.settings import Settings
from intermodel.storage import DataFolder
from tests.process import intermodel, up

ECHO = '[engines]\nshipped = false\n[deployments.echo]\nprovider = "echo"\n'


@pytest.mark.slow
def test_verbs_use_the_database_of_the_node_that_runs(tmp_path: Path) -> None:
    data, database = tmp_path / "data", tmp_path / "elsewhere.db"
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    (elsewhere / "intermodel.toml").write_text("port = 1\n")
    with up(data, config=f'database = "sqlite:///{database}"\n{ECHO}') as node:
        made = intermodel("tokens", "create", "billing", "--json", "--data", data, cwd=elsewhere)
        headers = {"Authorization": f"Bearer {json.loads(made.stdout)['token']}"}
        assert httpx2.get(f"{node.api}/models", headers=headers).status_code == 200
        listed = intermodel("deployments", "list", "--data", data, cwd=elsewhere)
        assert (listed.returncode, "echo" in listed.stdout) == (0, True)
        doctor = json.loads(intermodel("doctor", "--json", "--data", data, cwd=elsewhere).stdout)
        assert f"{tmp_path / 'data.toml'} (deployments: 1, routes: 0)" in [finding["found"] for finding in doctor]
        other = intermodel("tokens", "--json", "--data", data, "--config", elsewhere / "intermodel.toml")
        error = json.loads(other.stdout)["error"]
        assert (other.returncode, error["code"]) == (5, "other_database")
        assert str(tmp_path / "data.toml") in error["hint"]
        environ = os.environ | {"INTERMODEL_CONFIG": str(elsewhere / "intermodel.toml")}
        assert intermodel("tokens", "--data", data, env=environ).returncode == 5
        kept = data / "running.json"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert "elsewhere.db" not in kept.read_text()
    assert not (data / "intermodel.db").exists(), "no verb made one of its own"


def test_a_node_without_a_file_is_not_met_with_one(tmp_path: Path) -> None:
    folder, data = tmp_path / "cwd", tmp_path / "data"
    folder.mkdir()
    (folder / "intermodel.toml").write_text(f'database = "sqlite:///{tmp_path / "other.db"}"\n')
    with up(data, config=""):
        note(Settings(data=data), None)
        done = intermodel("tokens", "--data", data, cwd=folder)
    assert (done.returncode, "first start" in done.stdout) == (0, True)
    assert not (tmp_path / "other.db").exists()


def test_nothing_is_noted_of_a_node_that_is_gone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database="postgresql://app:canary@db.example.org/node")
    folder = DataFolder(tmp_path)
    folder.prepare()
    note(settings, tmp_path / "intermodel.toml")
    assert "canary" not in (tmp_path / "running.json").read_text()
    assert noted(folder) is None
    check_database(Settings(data=tmp_path), folder)
    with folder.held():
        assert noted(folder) is None, "it does not listen yet"
        folder.announce("http://127.0.0.1:1")
        found = noted(folder)
        assert found is not None
        assert found.config == str(tmp_path / "intermodel.toml")
        check_database(settings, folder)
        with pytest.raises(Conflict, match="another database"):
            check_database(Settings(data=tmp_path), folder)
        (tmp_path / "running.json").write_text('{"config": 1')
        assert noted(folder) is None


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("", "sqlite:////data/intermodel.db", True),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db", True),
        ("sqlite:///a.db", "sqlite:///b.db", False),
        ("postgresql://app:x@h/node", "postgres://admin:y@h/node", True),
        ("postgresql://h/node", "postgresql://h/other", False),
        ("postgresql://h:5432/node", "postgresql://i:5432/node", False),
        ("", "postgresql://h/node", False),
    ],
)
def test_which_urls_name_one_database(one: str, other: str, same: bool) -> None:
    folder = DataFolder(Path("/data"))
    assert (_which(one, folder) == _which(other, folder)) is same
