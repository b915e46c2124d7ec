"""What `intermodel doctor` finds, without the command around it."""

from __future__ import annotations

from pathlib import Path

from intermodel.doctor import Level, examine
from intermodel.ledger import open_ledger
from intermodel.settings import Settings
from intermodel.storage import Database, DataFolder


async def test_a_damaged_witness_does_not_hide_a_damaged_ledger(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.prepare()
    database = Database("", default=folder.sqlite)
    await database.open()
    async with open_ledger(folder.path, database):
        pass
    await database.close()
    (folder.path / "ledger-witness").mkdir()
    (folder.path / "ledger-witness" / "verifier").write_text("junk")
    checkpoint = folder.path / "ledger" / "checkpoint"
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n1\n", b"\n2\n", 1))
    found = {one.check: one for one in await examine(Settings(data=folder.path, port=0), tmp_path / "none.toml")}
    assert [found[name].level for name in ("database", "witness", "ledger")] == [Level.GOOD, Level.BAD, Level.BAD]
    assert "witness's name and key" in found["witness"].found
