from __future__ import annotations

import asyncio
import hashlib
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from intermodel.core import Conflict, Invalid, Unavailable
from intermodel.ledger import Ledger, PublicKey, Verifier, open_ledger, uri, verify
from intermodel.ledger.keys import CommandSigner, KeyFolder, LocalSigner
from intermodel.settings import Ledger as Options
from intermodel.storage import Database
from tests.ledger.conftest import said

SIGNER = """
import base64, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(sys.argv[1]))
if sys.argv[2] == "public":
    print(base64.b64encode(key.public_key().public_bytes_raw()).decode())
else:
    print(base64.b64encode(key.sign(sys.stdin.buffer.read())).decode())
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    path = tmp_path / "signer.py"
    path.write_text(SIGNER)
    return f"{sys.executable} {path} {'07' * 32}"


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    made = folder.make()
    path = tmp_path / "keys" / f"{made.public.id}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert folder.ids() == [made.public.id]
    assert folder.load(made.public.id).public == made.public
    path.chmod(0o644)
    with pytest.raises(Unavailable, match="Other users can read"):
        folder.load(made.public.id)


def test_a_passphrase(tmp_path: Path) -> None:
    made = KeyFolder(tmp_path, "correct horse").make()
    assert b"ENCRYPTED" in (tmp_path / f"{made.public.id}.pem").read_bytes()
    assert KeyFolder(tmp_path, "correct horse").load(made.public.id).public == made.public
    for wrong in ("", "wrong"):
        with pytest.raises(Unavailable, match="does not open"):
            KeyFolder(tmp_path, wrong).load(made.public.id)


def test_a_key_that_is_gone_or_damaged_or_anothers(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    made, other = folder.make(), folder.make()
    path = tmp_path / f"{made.public.id}.pem"
    path.write_bytes((tmp_path / f"{other.public.id}.pem").read_bytes())
    with pytest.raises(Unavailable, match="holds another key"):
        folder.load(made.public.id)
    path.write_bytes(b"nonsense")
    with pytest.raises(Unavailable, match="does not open"):
        folder.load(made.public.id)
    path.unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        folder.load(made.public.id)


def test_the_id_is_what_openssl_prints(tmp_path: Path) -> None:
    key = LocalSigner.make().public
    (tmp_path / "key.pem").write_bytes(key.pem)
    assert PublicKey.from_pem(key.pem) == key
    try:
        der = subprocess.run(
            ["openssl", "pkey", "-pubin", "-in", tmp_path / "key.pem", "-outform", "DER"],
            capture_output=True,
            check=True,
        ).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert hashlib.sha256(der).hexdigest() == key.id


def test_what_is_no_pem() -> None:
    with pytest.raises(Invalid):
        PublicKey.from_pem(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")


async def test_an_external_signer(tmp_path: Path, database: Database, command: str) -> None:
    async with open_ledger(tmp_path, database, Options(signer=command)) as ledger:
        made = await ledger.record(said())
        assert made.signer == CommandSigner(command).public.id
        assert verify(await ledger.bundle([made.index]), [ledger.verifier]).good
    assert not list((tmp_path / "ledger-keys").glob("*.pem"))
    with pytest.raises(Conflict, match="external signer's key"):
        async with open_ledger(tmp_path, database, Options(signer=command.replace("07", "08"))):
            pass


async def test_from_an_external_signer_to_another_and_to_a_local_key(
    tmp_path: Path, database: Database, command: str
) -> None:
    second = command.replace("07", "08")
    async with open_ledger(tmp_path, database, Options(signer=command)) as ledger:
        await ledger.rotate("a new card", CommandSigner(second))
        await ledger.record(said())
    async with open_ledger(tmp_path, database, Options(signer=second)) as ledger:
        await ledger.rotate()
        await ledger.record(said())
    async with open_ledger(tmp_path, database) as ledger:
        await ledger.record(said())
        assert verify(await ledger.bundle(range(6)), ledger=CommandSigner(command).public).good


def test_an_external_signer_that_fails(tmp_path: Path, command: str) -> None:
    with pytest.raises(Unavailable, match="external signer failed"):
        CommandSigner("/nonexistent/signer")
    with pytest.raises(Invalid):
        CommandSigner("echo no-key")
    with pytest.raises(Invalid):
        CommandSigner("")
    signer = CommandSigner(command)
    signer._command = ["echo", "AAAA"]
    with pytest.raises(Unavailable, match="gave no signature"):
        signer.sign(b"x")


async def test_rotation_and_revocation(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        first, before = ledger.keys.current.key, await ledger.record(said(1))
        old = ledger.checkpoint()
        rotated = await ledger.rotate("yearly")
        after = await ledger.record(said(2))
        second = ledger.keys.current.key
        assert (before.signer, after.signer) == (first.id, second.id) != (second.id, first.id)
        for key in (first, second):
            report = verify(await ledger.bundle([before.index, after.index, rotated.index], earlier=[old]), ledger=key)
            assert report.good, report.checks
        await ledger.revoke(first.id, before.index, "stolen")
        report = verify(await ledger.bundle([before.index, after.index]), ledger=second)
        assert [check.what for check in report.checks if check.holds is False] == [f"entry {before.index}: signature"]
        assert not verify(await ledger.bundle([after.index], earlier=[old]), ledger=second).good
        for key_id in (second.id, "0" * 64):
            with pytest.raises(Conflict):
                await ledger.revoke(key_id, 0)
        periods = ledger.keys.periods
    async with open_ledger(tmp_path, database) as again:
        assert again.keys.periods == periods
        assert (await again.record(said(3))).signer == second.id
        (tmp_path / "ledger" / "key-entries").unlink()
    async with open_ledger(tmp_path, database) as again:
        assert again.keys.periods == periods
        assert [one.index for one in await again.of_type(uri("key"))] == [0, rotated.index, rotated.index + 2]


async def test_a_second_revocation_gives_nothing_back(ledger: Ledger) -> None:
    await ledger.record_all([said(i) for i in range(5)])
    old = ledger.keys.current.key
    await ledger.rotate()
    for since, kept in ((4, 4), (0, 0), (100, 0)):
        await ledger.revoke(old.id, since)
        assert ledger.keys.periods[0].revoked_from == kept
    assert not ledger.keys.signs(old.id, 3)


async def test_keys_are_changed_by_nothing_else(ledger: Ledger) -> None:
    from intermodel.core import IntermodelError
    from intermodel.ledger import dsse, keyring, statement

    other = LocalSigner.make()
    with pytest.raises(IntermodelError):
        await ledger.record(keyring.said(other.public, "added", origin="x"))
    foreign = dsse.seal(statement.dumped(keyring.said(other.public, "added", origin="x"), 0), [other])
    with pytest.raises(Invalid):
        await ledger.record_envelope(foreign, [other.public])
    assert isinstance(ledger.verifier, Verifier)


async def test_one_who_gives_up_rotating_leaves_no_half_of_it(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        for _ in range(5):
            task = asyncio.create_task(ledger.rotate())
            await asyncio.sleep(0.002)
            task.cancel()
            await ledger.record(said(1))
        assert verify(await ledger.bundle(range(ledger.log.size)), [ledger.verifier]).good
    async with open_ledger(tmp_path, database) as again:
        assert verify(await again.bundle(range(again.log.size)), [again.verifier]).good


async def test_many_record_while_the_key_changes(tmp_path: Path, database: Database) -> None:
    async with open_ledger(tmp_path, database) as ledger:
        found = await asyncio.gather(*(ledger.rotate() if i % 50 == 25 else ledger.record(said(i)) for i in range(200)))
        assert sorted(one.index for one in found) == list(range(1, 201))
        assert verify(await ledger.bundle(range(201)), [ledger.verifier]).good
