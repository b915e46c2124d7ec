"""Following a ledger by the files that it publishes. They are read here as a web server would give them."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest

from intermodel.core import Upstream
from intermodel.ledger import Ledger, Verifier, merkle, predicates
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.log import Log
from intermodel.ledger.note import Checkpoint, Note, signed
from intermodel.ledger.peers import STANDINGS, Peer, Peers
from intermodel.ledger.remote import FOLDER, Answer, Standing, read_standings
from intermodel.ledger.strict import to_base64
from tests.ledger.conftest import SIGNER, VERIFIER


class Site:
    """A folder on the web. `asked` are the paths that were; it answers `instead` where that is set."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.instead: dict[str, Answer] = {}

    async def __call__(self, url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        assert (url, body, private) == ("http://log.example", None, False)
        self.asked.append(path)
        if path in self.instead:
            return self.instead[path]
        file = self.folder / path[1:]
        if not file.is_file():
            return Answer(404, "text/plain", b"<nothing\n here>")
        data = file.read_bytes()
        assert len(data) <= most
        return Answer(200, "application/octet-stream", data)


@pytest.fixture
async def log(tmp_path: Path) -> Log:
    log = Log(tmp_path / "log", origin="log")
    log.open()
    log.signer = SIGNER
    return log


@pytest.fixture
def site(log: Log) -> Site:
    return Site(log.folder)


@pytest.fixture
def peers(tmp_path: Path, ledger: Ledger, site: Site) -> Peers:
    return Peers(ledger, [Peer((VERIFIER,), "http://log.example")], site, tmp_path, 300)


async def grow(log: Log, count: int, what: str = "entry") -> None:
    log.append([f"{what} {log.size + i}".encode() for i in range(count)])
    await log.settle()


async def looked(peers: Peers) -> Standing:
    await peers.round()
    return read_standings(peers.watch.folder / STANDINGS)["log"]


async def test_growth_is_proven_by_tiles(log: Log, site: Site, peers: Peers) -> None:
    await grow(log, 1)
    assert (await looked(peers)).size == 1
    draw = random.Random(7)
    for _ in range(40):
        await grow(log, draw.choice([1, 2, 3, 60, 255, 256, 257, 1000]))
        site.asked.clear()
        standing = await looked(peers)
        assert (standing.size, standing.trouble) == (log.size, "")
        assert len(site.asked) < 20, site.asked
    assert log.size > 2 * 256
    newest = peers.watch.newest("log")
    assert newest is not None
    assert newest.head.root == log.root(log.size)


async def test_partial_tiles_that_are_gone_are_taken_from_full_ones(log: Log, site: Site, peers: Peers) -> None:
    await grow(log, 250)
    await looked(peers)
    await grow(log, 3)
    checkpoint = (log.folder / "checkpoint").read_bytes()
    await grow(log, 100)
    assert not (log.folder / "tile/0/000.p").exists()
    site.instead["/checkpoint"] = Answer(200, "text/plain", checkpoint)  # read just before it grew
    standing = await looked(peers)
    assert (standing.size, standing.trouble) == (253, "")
    assert "/tile/0/000" in site.asked


async def test_a_fork_is_proven_by_its_own_tiles(
    log: Log, site: Site, peers: Peers, tmp_path: Path, ledger: Ledger
) -> None:
    await grow(log, 300)
    shutil.copytree(log.folder, tmp_path / "other")
    await grow(log, 10)
    await looked(peers)
    other = Log(tmp_path / "other", origin="log")
    other.open()
    other.signer = SIGNER
    await grow(other, 300, "another")
    site.folder = other.folder
    for _ in range(2):
        standing = await looked(peers)
        assert (standing.fork, standing.size) == (True, 310)
    (found,) = peers.watch.contradictions()
    assert (found.proven, found.before.head.size, found.other.head.size) == (True, 310, 600)
    (entry,) = await ledger.of_type(predicates.CHECKPOINT)  # told once
    assert entry.statement is not None
    assert entry.statement.predicate["note"] == found.other.note.decode()
    assert merkle.extends(310, 600, found.began, found.other.head.root, found.proof)  # to whoever reads it
    assert entry.statement.predicate["began"] == to_base64(found.began)
    await other.close()


async def test_tiles_that_do_not_go_with_the_checkpoint_prove_nothing(log: Log, site: Site, peers: Peers) -> None:
    await grow(log, 300)
    await looked(peers)
    await grow(log, 300)
    for path in ("/tile/0/001", "/tile/0/002.p/88", "/tile/1/000.p/2"):
        data = bytearray((log.folder / path[1:]).read_bytes())
        data[0] ^= 1
        site.instead = {path: Answer(200, "", bytes(data))}
        site.asked.clear()
        standing = await looked(peers)
        assert (standing.trouble, standing.fork) == ("Its tiles do not go with its checkpoint.", False)
        assert path in site.asked
    site.instead = {"/tile/0/002.p/88": Answer(200, "", b"short")}
    assert "too short" in (await looked(peers)).trouble
    assert peers.watch.contradictions() == []
    site.instead = {}
    assert (await looked(peers)).trouble == ""


async def test_what_is_no_checkpoint_of_it(log: Log, site: Site, peers: Peers) -> None:
    await grow(log, 3)
    site.instead["/checkpoint"] = Answer(503, "text/html", b"<h1>busy\x00</h1>")
    assert (await looked(peers)).trouble == "It answered 503: <h1>busy?</h1>."
    site.instead["/checkpoint"] = Answer(200, "", b"hello")
    assert "no signed note" in (await looked(peers)).trouble
    stranger = LocalSigner.make()
    text = Note.parse((log.folder / "checkpoint").read_bytes()).text
    site.instead["/checkpoint"] = Answer(200, "", bytes(signed(text, "log", stranger)))
    assert "not signed" in (await looked(peers)).trouble
    other = Checkpoint("other", 3, bytes(32)).text
    site.instead["/checkpoint"] = Answer(200, "", bytes(signed(other, "other", SIGNER)))
    assert "other is not followed" in (await looked(peers)).trouble
    site.instead = {}
    assert (await looked(peers)).size == 3


async def test_entries_that_were_taken_back(log: Log, site: Site, peers: Peers) -> None:
    await grow(log, 5)
    old = (log.folder / "checkpoint").read_bytes()
    await grow(log, 5)
    await looked(peers)
    site.instead["/checkpoint"] = Answer(200, "", old)
    standing = await looked(peers)
    assert "shows 5 entries, and showed 10" in standing.trouble
    assert (standing.size, standing.fork) == (10, False)


async def test_one_that_is_gone_does_not_keep_the_others(tmp_path: Path, ledger: Ledger, log: Log) -> None:
    async def ask(url: str, path: str, body: bytes | None, *, private: bool, most: int) -> Answer:
        if "gone" in url:
            raise Upstream("It could not be reached.")
        return await Site(log.folder)(url, path, body, private=private, most=most)

    await grow(log, 2)
    gone = Verifier("gone", LocalSigner.make().public)
    some = [Peer((gone,), "http://gone.example"), Peer((VERIFIER,), "http://log.example")]
    peers = Peers(ledger, some, ask, tmp_path, 0.01)
    task = asyncio.create_task(peers.run())
    path = tmp_path / FOLDER / STANDINGS
    for _ in range(1000):
        standings = read_standings(path)
        if standings.get("log", Standing()).size == 2 and standings["gone"].trouble:
            break
        await asyncio.sleep(0.01)
    else:
        pytest.fail("it did not come to that")
    task.cancel()
    again = Peers(ledger, some, ask, tmp_path, 300)
    assert again.watch.newest("log") is not None
    await asyncio.wait({task})
