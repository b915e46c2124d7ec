"""The keys of a followed ledger, learned from what it publishes: rotations, revocations, and what is not believed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from intermodel.core import Invalid, Refused
from intermodel.ledger import Ledger, Verifier, open_ledger
from intermodel.ledger.bundle import Bundle
from intermodel.ledger.examine import examine
from intermodel.ledger.history import PUBLISHED, Histories, History
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.peers import STANDINGS, Peer, Peers
from intermodel.ledger.remote import FOLDER, Answer, Standing, read_standings
from intermodel.ledger.standing import outside
from intermodel.settings import Ledger as Options
from intermodel.storage import Database
from tests.ledger.conftest import said

URL = "http://log.example"


class Site:
    """What another node publishes, as a web server gives it; `without` are files that it does not have."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.without: set[str] = set()

    async def __call__(self, url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        self.asked.append(path)
        file = self.folder / path[1:]
        if path in self.without or not file.is_file():
            return Answer(404, "text/plain", b"")
        return Answer(200, "application/octet-stream", file.read_bytes())


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Ledger]:
    """The ledger of another node."""
    folder = tmp_path / "other"
    folder.mkdir()
    database = Database("", default=folder / "test.db")
    await database.open()
    async with open_ledger(folder, database) as opened:
        yield opened
    await database.close()


@pytest.fixture
def site(other: Ledger) -> Site:
    return Site(other.log.folder)


@pytest.fixture
def named(other: Ledger) -> Verifier:
    """Its first key, as the settings have it."""
    return other.verifier


@pytest.fixture
def peers(tmp_path: Path, ledger: Ledger, site: Site, named: Verifier) -> Peers:
    return Peers(ledger, [Peer((named,), URL)], site, tmp_path, 300)


async def looked(peers: Peers, other: Ledger) -> Standing:
    await other.log.settle()
    await peers.round()
    return read_standings(peers.watch.folder / STANDINGS)[other.origin]


async def test_a_rotation_is_learned_and_what_comes_after_it_is_followed(
    other: Ledger, site: Site, peers: Peers, named: Verifier, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []
    peers.listeners.append(lambda: told.append("more"))
    await other.record(said())
    assert (await looked(peers, other)).size == 2
    assert told == ["more"], "it is asked once how its keys are"
    for count in (1, 2):
        await other.rotate()
        await other.record(said(count))
        standing = await looked(peers, other)
        assert (standing.size, standing.trouble) == (other.log.size, "")
    history = peers.histories.get(other.origin)
    assert history is not None
    assert history.ring == other.keys
    assert told == ["more"] * 3
    assert f"went over to the key {other.verifier}" in caplog.text
    site.asked.clear()
    await looked(peers, other)
    assert f"/{PUBLISHED}" not in site.asked, "only where something changed"
    again = Histories(tmp_path / FOLDER, [named]).get(other.origin)
    assert again == history, "it is known after a restart, too"
    found = outside(tmp_path, Options(watch=({"keys": [f"{named}"], "url": URL},)))
    assert found.histories[other.origin] == history


async def test_a_revoked_key_and_one_that_was_left_sign_nothing_any_more(
    other: Ledger, site: Site, peers: Peers, named: Verifier, tmp_path: Path
) -> None:
    await other.record(said())
    await looked(peers, other)
    shutil.copytree(other.log.folder.parent, tmp_path / "thief")  # with the key
    await other.rotate()
    await other.revoke(named.key.id, 1)
    assert (await looked(peers, other)).trouble == ""
    history = peers.histories.get(other.origin)
    assert history is not None
    assert [one.revoked_from for one in history.ring.periods] == [1, None]
    database = Database("", default=tmp_path / "thief.db")
    await database.open()
    async with open_ledger(tmp_path / "thief", database) as thief:
        await thief.record_all([said(number) for number in range(9)])
        await thief.log.settle()
        site.folder = thief.log.folder
        standing = await looked(peers, other)
    await database.close()
    assert "names other changes of its keys" in standing.trouble or "another history" in standing.trouble
    assert peers.watch.newest(other.origin).head.size == other.log.size  # type: ignore[union-attr]


async def test_where_it_is_not_published_the_named_keys_count(other: Ledger, site: Site, peers: Peers) -> None:
    site.without.add(f"/{PUBLISHED}")
    await other.record(said())
    assert (await looked(peers, other)).trouble == ""
    await other.rotate()
    assert "is not signed by a key" in (await looked(peers, other)).trouble
    site.without.clear()
    assert (await looked(peers, other)).trouble == "", "the rotation is signed by the key that was named"


async def test_what_is_not_believed(other: Ledger, named: Verifier, tmp_path: Path) -> None:
    await other.record(said())
    await other.rotate()
    await other.revoke(named.key.id, 1)
    data = (other.log.folder / PUBLISHED).read_bytes()
    whole = Bundle.parse(data)
    assert History.of(data, [named]).ring == other.keys
    stranger = Verifier(other.origin, LocalSigner.make().public)
    with pytest.raises(Refused, match="no key that you named"):
        History.of(data, [stranger])
    with pytest.raises(Refused, match="one is kept back"):
        History.of(bytes(Bundle(whole.note, whole.keys[:-1], ())), [named])
    with pytest.raises(Invalid):
        History.of(data[:-1], [named])
    for place in range(0, len(data), 97):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((Invalid, Refused)):
            History.of(bytes(changed), [named])


async def test_another_history_than_before_is_refused(other: Ledger, named: Verifier, tmp_path: Path) -> None:
    shutil.copytree(other.log.folder.parent, tmp_path / "fork")
    histories = Histories(tmp_path / "kept", [named])
    old = (other.log.folder / PUBLISHED).read_bytes()
    await other.rotate()
    new = (other.log.folder / PUBLISHED).read_bytes()
    assert histories.learn(other.origin, new)
    assert not histories.learn(other.origin, new)
    assert not histories.learn(other.origin, old), "an older copy is no contradiction"
    database = Database("", default=tmp_path / "fork.db")
    await database.open()
    async with open_ledger(tmp_path / "fork", database) as fork:
        await fork.rotate()
        with pytest.raises(Refused, match="another history"):
            histories.learn(other.origin, (fork.log.folder / PUBLISHED).read_bytes())
    await database.close()
    assert histories.get(other.origin) == History.of(new, [named])


async def test_a_changed_byte_of_what_is_published_is_found(ledger: Ledger, database: Database, tmp_path: Path) -> None:
    await ledger.rotate()
    await ledger.log.settle()
    path = tmp_path / "ledger" / PUBLISHED
    assert not await examine(tmp_path, database)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    (found,) = await examine(tmp_path, database)
    assert found.where == str(path)
    assert "made anew" in found.mend
