"""The verbs `ledger` and `verify`, as somebody uses them who was handed a file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from intermodel.cli import ledger as verbs
from intermodel.cli.verify import verify
from intermodel.core import Conflict, IntermodelError, Invalid, NotFound
from intermodel.ledger import Verifier, open_ledger
from intermodel.ledger.keys import LocalSigner
from intermodel.storage import Database, DataFolder
from tests.ledger.conftest import digest, said

APP = typer.Typer()
APP.add_typer(verbs.app, name="ledger")
APP.command()(verify)


def call(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(APP, [*map(str, arguments)])


def fails(*arguments: str | int | Path) -> IntermodelError:
    result = call(*arguments)
    assert isinstance(result.exception, IntermodelError), result.output
    return result.exception


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with a ledger of four entries."""
    import asyncio

    async def work() -> None:
        folder = DataFolder(tmp_path / "data")
        folder.prepare()
        folder.secret()
        database = Database("", default=folder.sqlite)
        await database.open()
        async with open_ledger(folder.path, database) as ledger:
            await ledger.record_all([said(i) for i in range(3)])
        await database.close()

    asyncio.run(work())
    return tmp_path / "data"


def test_from_export_to_verification(data: Path, tmp_path: Path) -> None:
    told = json.loads(call("ledger", "keys", "--data", data, "--json").stdout)
    key = told["keys"][0]["verifier"]
    (tmp_path / "checkpoint").write_bytes(call("ledger", "checkpoint", "--data", data).stdout_bytes)
    assert call("ledger", "rotate", "--reason", "yearly", "--data", data).exit_code == 0
    bundle = tmp_path / "bundle.json"
    assert (
        call("ledger", "export", 1, 4, "--since", tmp_path / "checkpoint", "-o", bundle, "--data", data).exit_code == 0
    )
    done = call("verify", bundle, "--key", key)
    assert done.exit_code == 0, done.output
    assert "Everything holds" in done.output
    report = json.loads(call("verify", bundle, "--key", key, "--json").stdout)
    assert (report["good"], report["entries"][0]["index"]) == (True, 1)
    pem = tmp_path / "key.pem"
    pem.write_bytes(Verifier.parse(key).key.pem)
    assert call("verify", bundle, "--key", pem).exit_code == 0
    other = tmp_path / "other.pem"
    other.write_bytes(LocalSigner.make().public.pem)
    assert call("verify", bundle, "--key", key, "--key", other).exit_code == 0
    assert call("verify", bundle, "--key", pem, "--key", other).exit_code == 1  # which of them is the ledger's?
    unnamed = call("verify", bundle)
    assert (unnamed.exit_code, "not all of it could be checked" in unnamed.output) == (1, True)
    bundle.write_bytes(bundle.read_bytes().replace(b'"index":1', b'"index":2', 1))
    broken = call("verify", bundle, "--key", key)
    assert (broken.exit_code, "It does not hold" in broken.output) == (1, True)


def test_reading(data: Path, tmp_path: Path) -> None:
    shown = json.loads(call("ledger", "show", 2, "--data", data, "--json").stdout)
    assert shown["statement"]["subject"][0]["digest"]["sha256"] == f"{1:064x}"
    assert "urn:intermodel:grade:v1" in call("ledger", "show", 2, "--data", data).output
    (about,) = json.loads(call("ledger", "about", digest(1), "--data", data, "--json").stdout)
    assert about == shown
    assert "urn:intermodel:grade:v1" in call("ledger", "about", digest(1), "--data", data).output
    assert "nothing" in call("ledger", "about", digest(77), "--data", data).output
    assert call("ledger", "prove", 2, "--data", data).stdout.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")
    assert isinstance(fails("ledger", "show", 99, "--data", data), NotFound)
    assert isinstance(fails("ledger", "about", "x", "--data", data), Invalid)
    assert isinstance(fails("ledger", "checkpoint", "--data", tmp_path / "none"), NotFound)
    assert not (tmp_path / "none").exists()
    assert isinstance(fails("ledger", "export", 1, "--since", tmp_path / "none", "--data", data), Invalid)


def test_writing_not_beside_a_node(data: Path) -> None:
    with DataFolder(data).held():
        assert isinstance(fails("ledger", "rotate", "--data", data), Conflict)
        assert isinstance(fails("ledger", "reindex", "--data", data), Conflict)
        assert call("ledger", "checkpoint", "--data", data).exit_code == 0
    assert "Indexed 4" in call("ledger", "reindex", "--data", data).output


def test_revoking(data: Path) -> None:
    first = json.loads(call("ledger", "keys", "--data", data, "--json").stdout)["keys"][0]["id"]
    assert isinstance(fails("ledger", "revoke", first, "--since", 2, "--data", data), Conflict)
    call("ledger", "rotate", "--data", data)
    assert call("ledger", "revoke", first, "--since", 2, "--data", data).exit_code == 0
    keys = json.loads(call("ledger", "keys", "--data", data, "--json").stdout)["keys"]
    assert [(one["revoked_from"], one["to"]) for one in keys] == [(2, 4), (None, None)]
    assert "revoked from entry 2 on" in call("ledger", "keys", "--data", data).output


def test_what_is_no_bundle_or_key(data: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(b"nonsense")
    assert isinstance(fails("verify", bundle), Invalid)
    assert isinstance(fails("verify", tmp_path / "none"), Invalid)
    call("ledger", "export", 1, "-o", bundle, "--data", data)
    assert isinstance(fails("verify", bundle, "--key", "a+b+c"), Invalid)
    assert isinstance(fails("verify", bundle, "--key", tmp_path / "none"), Invalid)
    assert isinstance(fails("verify", bundle, "--witness", "x"), Invalid)


def test_openssl_verifies_an_envelope(data: Path, tmp_path: Path) -> None:
    """With tools that are not ours: the signature over the pre-authentication encoding, by `openssl pkeyutl`."""
    import base64

    told = json.loads(call("ledger", "keys", "--data", data, "--json").stdout)
    (tmp_path / "key.pem").write_bytes(Verifier.parse(told["keys"][0]["verifier"]).key.pem)
    envelope = json.loads(json.loads(call("ledger", "show", 2, "--data", data, "--json").stdout)["envelope"])
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    (tmp_path / "pae").write_bytes(f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload)
    (tmp_path / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    try:
        done = subprocess.run(
            ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "key.pem", "-rawin", "-in", "pae", "-sigfile", "sig"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_rotation_tells_from_where_on_and_whom_to_tell(data: Path) -> None:
    said = call("ledger", "rotate", "--data", data).stdout
    entry, key = json.loads(call("ledger", "keys", "--data", data, "--json").stdout)["keys"]
    assert (entry["to"], key["from"]) == (4, 5)
    assert "A new key signs from entry 5 on. Entry 4 says so" in said
    assert key["verifier"] in said
    for who in ("witnesses", "follows this ledger", "trusted_signers"):
        assert who in said
    assert f"from entry {key['from']} to now" in call("ledger", "keys", "--data", data).stdout
