"""What is said of one thing itself, by its files, its card and statements; and of all from which it was made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from intermodel.core import Digest, NotFound
from intermodel.engines import Library, Model
from intermodel.records.compose import own_lineage
from intermodel.records.evidence import Evidence
from intermodel.records.held import card_beside, read_card, read_model, sha256
from intermodel.records.lineage import Graph
from intermodel.records.predicates import CARD
from intermodel.records.record import CardText, Held, identity
from intermodel.records.said import Said, counted, newest_count
from intermodel.storage import Blobs

MOST_ANCESTORS = 400
"""Things whose own statements are read for one record; a lineage that is larger says so."""
FILES_REMEMBERED = 256
MOST_IN_VAIN = 2
"""So often it is looked beside what was told of a thing for what was told of its parents, and nothing found there."""
_BREATH = 8
"""Things that are looked at in one go, so that calls which stream through this thread go on."""


@dataclass(frozen=True, slots=True)
class Thing:
    """What is said of one thing itself."""

    address: str
    held: Held | None
    card: CardText | None
    said: Sequence[Said]
    problems: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether anything is said of it, by whomever."""
        return bool(self.held or self.card or self.said)

    @property
    def speaks(self) -> bool:
        """Whether something is said of it in its own name that counts: what its descendants say of it then does not."""
        return bool(self.held or self.card or any(one.counts for one in self.said))

    def lineage(self) -> Graph:
        return own_lineage(self.address, self.held, self.card, self.said)


class Things:
    """Reads them from this machine and from the ledger. A file is known by its digest, so it is read once."""

    def __init__(self, evidence: Evidence, library: Library, blobs: Blobs) -> None:
        self._evidence = evidence
        self._library = library
        self._blobs = blobs
        self._read: dict[str, Held] = {}

    async def models(self) -> dict[str, Model]:
        """The models of this machine, by address."""
        return {model.address: model for model in await self._library.all()}

    async def of(self, address: str, models: Mapping[str, Model]) -> Thing:
        """What is said of a thing itself."""
        model = models.get(address)
        held = await self.held(model) if model else None
        beside = await asyncio.to_thread(card_beside, model.path) if model else None
        said = await self._about(address, held)
        if beside is not None:
            return Thing(address, held, read_card(beside, "card:README.md", address), said)
        told = [one for one in counted(newest_count(said, address)) if one.predicate_type == CARD]
        card, problems = await asyncio.to_thread(self._told_card, address, told) if told else (None, ())
        return Thing(address, held, card, said, problems)

    async def said(self, address: str) -> Sequence[Said]:
        """The statements about a thing, with what became of each."""
        model = (await self.models()).get(address)
        return newest_count(await self._about(address, await self.held(model) if model else None), address)

    async def _about(self, address: str, held: Held | None) -> Sequence[Said]:
        return await self._evidence.about(address, [identity(address), *([held.digest] if held else [])])

    async def held(self, model: Model) -> Held:
        """What the file of a model says."""
        key = f"{model.address} {model.digest} {model.path.name}"
        found = self._read.get(key)
        if found is None:
            found = await asyncio.to_thread(read_model, model)
            if len(self._read) >= FILES_REMEMBERED:
                self._read.clear()
            self._read[key] = found
        return found

    async def ancestors(
        self, address: str, own: Graph, models: Mapping[str, Model]
    ) -> tuple[dict[str, Graph], list[Said], tuple[str, ...]]:
        """The own lineage of all from which a thing was made, as far as they say something of themselves, the nearest
        first; the statements that it rests on; what was not looked up."""
        found: dict[str, Graph] = {}
        around: list[Said] = []
        seen = {address}
        near = list(dict.fromkeys(edge.parent for edge in own.edges))
        told_at, in_vain = 0, 0
        while near := [name for name in near if name not in seen]:
            further: dict[str, None] = {}
            digests = _digests(near[:MOST_ANCESTORS], models)
            if told_at and in_vain < MOST_IN_VAIN and not self._evidence.knows(digests):
                in_vain += not await self._evidence.expect_beside(digests, told_at)
            else:
                await self._evidence.expect(digests)
            for name in near:
                if len(seen) > MOST_ANCESTORS:
                    far = f"The lineage holds more than {MOST_ANCESTORS} things: the farthest were not looked up"
                    return found, around, (far,)
                seen.add(name)
                thing = await self.of(name, models)
                told_at = min((one.index for one in thing.said), default=0)
                if thing.speaks:
                    found[name] = lineage = thing.lineage()
                    around += [one for one in newest_count(thing.said, name) if one.counts]
                    further |= dict.fromkeys(edge.parent for edge in lineage.edges)
                if not len(seen) % _BREATH:
                    await asyncio.sleep(0)
            near = list(further)
        return found, around, ()

    def _told_card(self, address: str, told: Sequence[Said]) -> tuple[CardText | None, tuple[str, ...]]:
        """The card of the first of these statements, and that others name another one; blocks."""
        first, *others = told
        digest = Digest(first.predicate["digest"])
        differ = tuple(
            f"Statement {one.index} ({one.whose}) names another card, {one.predicate['digest']}"
            for one in others
            if one.predicate["digest"] != digest and one.rank != first.rank
        )
        try:
            data = self._blobs.find(digest).read_bytes()
        except (NotFound, OSError):
            return None, (f"Statement {first.index} names a card, {digest}, whose text is not here.", *differ)
        if sha256(data) != digest:
            return None, (f"The text kept for the card of statement {first.index} is not what was signed.", *differ)
        try:
            return read_card(data.decode(), first.source, address), differ
        except UnicodeDecodeError:
            return None, (f"The card that statement {first.index} names is no text.", *differ)


def _digests(names: Iterable[str], models: Mapping[str, Model]) -> list[str]:
    """By which something may be said of these: that of the name, and that of the file of a model of this machine."""
    return [
        digest for name in names for digest in (identity(name), *([str(models[name].digest)] if name in models else []))
    ]
