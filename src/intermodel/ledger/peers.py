"""Following other ledgers where they are published (C2SP tlog-tiles): each grew out of what it showed before, or not.

The proof of consistency is made here, of the tiles that the ledger publishes. Tiles that go with its new checkpoint,
and say another thing of the old tree than its old checkpoint did, prove a fork. What it says of its keys is asked for
where its checkpoint names a change of them that is not known here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from intermodel.core import IntermodelError, Invalid, Upstream
from intermodel.ledger import keyring, merkle, tiles
from intermodel.ledger.history import LARGEST, PUBLISHED, Histories
from intermodel.ledger.ledger import Ledger
from intermodel.ledger.note import LARGEST_NOTE, Checkpoint, Note, Verifier
from intermodel.ledger.remote import ASK_S, FOLDER, Answer, Ask, Standings, unexpected
from intermodel.ledger.watch import Fork, Seen, Watch

log = logging.getLogger(__name__)

STANDINGS = "peers.json"
AT_ONCE = 8
"""So many ledgers are looked at beside each other."""
_MOST_TILES = 256
"""So many tiles are fetched for one proof; one of the largest tree takes fewer."""
_GONE = frozenset({403, 404, 410})
_MOST_BYTES = tiles.WIDTH * merkle.HASH_BYTES
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Peer:
    """A ledger that is followed: its keys, all of one name, and where it is published."""

    verifiers: tuple[Verifier, ...]
    url: str
    private: bool = False

    @property
    def origin(self) -> str:
        return self.verifiers[0].name


class _Missing(Exception):
    """A tile that a proof needs and that is not here yet."""

    def __init__(self, level: int, index: int) -> None:
        super().__init__(level, index)
        self.place = level, index


class Peers:
    """The ledgers that this node follows; forks go into its own `ledger`. `draw` draws from 0 to 1."""

    def __init__(
        self, ledger: Ledger, peers: Sequence[Peer], ask: Ask, data: Path, every_s: float,
        draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        verifiers = [key for one in peers for key in one.verifiers]
        self.histories = Histories(data / FOLDER, verifiers)
        """What they say of their keys."""
        self.listeners: list[Callable[[], None]] = []
        """Whom to tell that more was learned of them."""
        self.watch = Watch(data / FOLDER, verifiers, self.histories)
        self._ledger = ledger
        self._peers = peers
        self._ask = ask
        self._every_s = every_s
        self._draw = draw
        self._standings = Standings(data / FOLDER / STANDINGS, [one.origin for one in peers], "the ledger")
        self._room = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Look, again and again, until cancelled; and state what was met and could not be stated."""
        while True:
            try:
                await self.watch.state_all(self._ledger)
                await self.round()
            except Exception:  # the next look may go better
                log.exception("other ledgers could not be looked at")
            await asyncio.sleep(self._every_s * (0.9 + 0.2 * self._draw()))

    async def round(self) -> None:
        """Look at each of them."""
        async with asyncio.TaskGroup() as group:
            for one in self._peers:
                group.create_task(self._look(one), name=f"look at {one.origin}")

    async def _look(self, one: Peer) -> None:
        try:
            async with self._room, asyncio.timeout(ASK_S):
                seen = await self._seen(one)
        except Fork as fork:
            await asyncio.to_thread(self._standings.ill, one.origin, fork.message, fork=True)
            await self.watch.state(self._ledger, fork.found)
        except IntermodelError as error:
            await asyncio.to_thread(self._standings.ill, one.origin, error.message)
        except TimeoutError:
            await asyncio.to_thread(self._standings.ill, one.origin, "It did not answer in time.")
        except OSError as error:
            await asyncio.to_thread(
                self._standings.ill, one.origin, f"What it showed cannot be kept: {error.strerror}."
            )
        else:
            await asyncio.to_thread(self._standings.well, one.origin, seen.head.size)

    async def _seen(self, one: Peer) -> Seen:
        """Its checkpoint, once it is known to go with what it showed before."""
        answer = await self._ask(one.url, "/checkpoint", None, private=one.private, most=LARGEST_NOTE)
        if answer.status != 200:
            raise unexpected(answer)
        await self._learn(one, answer.body)
        seen = self.watch.verified(answer.body)
        if seen.head.origin != one.origin:
            raise Invalid(f"The checkpoint there is one of {seen.head.origin}.", code="ledger_unknown")
        before = await asyncio.to_thread(self.watch.newest, one.origin)
        proof: list[bytes] = []
        if before is not None and seen.head.size < before.head.size:
            raise Upstream(
                f"It shows {seen.head.size} entries, and showed {before.head.size} before: an old copy, or some were "
                "taken back."
            )
        if before is not None and 0 < before.head.size < seen.head.size:
            proof = await self._proof(one, before, seen)
        return await asyncio.to_thread(self.watch.see, seen.note, proof)

    async def _learn(self, one: Peer, note: bytes) -> None:
        """Ask what it says of its keys, where its checkpoint names other changes of them than are known. Where it does
        not publish that, the keys that were named count."""
        head, known = Checkpoint.parse(Note.parse(note).text), self.histories.get(one.origin)
        if not keyring.names_keys(head.extensions) or (known is not None and known.goes_with(head)):
            return
        answer = await self._ask(one.url, f"/{PUBLISHED}", None, private=one.private, most=LARGEST)
        if answer.status in _GONE:
            return
        if answer.status != 200:
            raise unexpected(answer)
        if await asyncio.to_thread(self.histories.learn, one.origin, answer.body):
            for tell in self.listeners:
                tell()

    async def _proof(self, one: Peer, before: Seen, seen: Seen) -> list[bytes]:
        """The proof of consistency, of tiles that go with the new checkpoint. Raises `Fork`, `Upstream`."""
        first, second = before.head.size, seen.head.size
        tree = _Tree(self._ask, one, second)
        proof = await tree.of(lambda node: merkle.consistency_proof(first, second, node))
        if merkle.extends(first, second, before.head.root, seen.head.root, proof):
            return proof
        began = await tree.of(lambda node: merkle.root(first, node))
        if merkle.extends(first, second, began, seen.head.root, proof):
            raise await asyncio.to_thread(self.watch.fork, before, seen, began, proof)
        raise Upstream("Its tiles do not go with its checkpoint.")


class _Tree:
    """Another ledger's tree of one size, of tiles that are fetched as they are needed. They are verified by nobody."""

    def __init__(self, ask: Ask, peer: Peer, size: int) -> None:
        self._ask = ask
        self._peer = peer
        self._size = size
        self._tiles: dict[tuple[int, int], bytes] = {}

    async def of(self, work: Callable[[merkle.Node], _T]) -> _T:
        """What `work` makes of the tree's nodes: it is begun anew with each tile that was missing."""
        while True:
            try:
                return work(lambda level, index: tiles.node(self._tile, level, index))
            except _Missing as missing:
                if len(self._tiles) >= _MOST_TILES:
                    raise Upstream("Its tree takes more tiles than it can have.") from None
                self._tiles[missing.place] = await self._fetched(*missing.place)

    def _tile(self, level: int, index: int) -> bytes:
        if (level, index) not in self._tiles:
            raise _Missing(level, index)
        return self._tiles[level, index]

    async def _fetched(self, level: int, index: int) -> bytes:
        """A tile, as wide as it is in the tree; where that form is gone, the full one has it all (C2SP tlog-tiles)."""
        width = min(tiles.WIDTH, (self._size >> 8 * level) - index * tiles.WIDTH)
        answer = await self._get(tiles.path(level, index, width))
        if answer.status in _GONE and width < tiles.WIDTH:
            answer = await self._get(tiles.path(level, index))
        if answer.status != 200:
            raise unexpected(answer)
        if len(answer.body) < width * merkle.HASH_BYTES:
            raise Upstream("A tile of it is too short.")
        return answer.body[: width * merkle.HASH_BYTES]

    async def _get(self, path: str) -> Answer:
        return await self._ask(self._peer.url, f"/{path}", None, private=self._peer.private, most=_MOST_BYTES)
