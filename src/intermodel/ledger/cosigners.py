"""Having this node's checkpoints cosigned by witnesses (C2SP tlog-witness), beside everything else.

Every so often, if the ledger has grown, all witnesses are asked about the same checkpoint; what they sign is kept with
it, and bundles carry it. No entry and no receipt waits for that.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Conflict, IntermodelError, Invalid
from intermodel.ledger.ledger import Ledger
from intermodel.ledger.note import Checkpoint, Line, Note, Verifier, lines
from intermodel.ledger.remote import ASK_S, FOLDER, Answer, Ask, Standings, unexpected
from intermodel.ledger.witness import request

log = logging.getLogger(__name__)

STANDINGS = "witnesses.json"
SLOWEST_S = 3600.0
"""A witness that does not answer is asked this often at least."""
_MOST_ANSWER = 64 * 1024
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class Cosigner:
    """A witness: its key, and where it is asked."""

    verifier: Verifier
    url: str
    private: bool = False

    @property
    def name(self) -> str:
        return str(self.verifier)


class _Contradicted(Conflict):
    """A witness saw another ledger under this name."""


@dataclass(slots=True)
class _Round:
    """What is remembered of a witness from one round to the next."""

    size: int = 0
    text: str = ""
    """Of the checkpoint that it cosigned last."""
    failures: int = 0
    next_at: float = 0


class Cosigners:
    """The witnesses of a ledger. `clock` never goes back; `draw` draws from 0 to 1."""

    def __init__(
        self, ledger: Ledger, cosigners: Sequence[Cosigner], ask: Ask, data: Path, every_s: float,
        clock: Callable[[], float] = time.monotonic, draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._cosigners = cosigners
        self._ask = ask
        self._every_s = every_s
        self._clock = clock
        self._draw = draw
        self._standings = Standings(data / FOLDER / STANDINGS, [one.name for one in cosigners], "the witness")
        self._rounds = {one.name: _Round() for one in cosigners}
        self._remember()

    async def run(self) -> None:
        """Ask, again and again, until cancelled."""
        while True:
            try:
                await self.round()
            except Exception:  # whatever is wrong with one checkpoint, the next may be well
                log.exception("the witnesses could not be asked")
            await asyncio.sleep(self._every_s * (0.9 + 0.2 * self._draw()))

    async def round(self) -> None:
        """Have the newest checkpoint cosigned by all who have not, and whose turn it is."""
        note = self._ledger.checkpoint()
        text, now = Note.parse(note).text, self._clock()
        due = [one for one in self._cosigners if self._is_due(self._rounds[one.name], text, now)]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._cosigned(one, note), name=f"ask {one.verifier.name}") for one in due]
        given = {one: line for one, task in zip(due, asked, strict=True) if (line := task.result()) is not None}
        if not given:
            return
        try:
            verifiers = [one.verifier for one in self._cosigners]
            await asyncio.to_thread(self._ledger.cosign, note, given.values(), verifiers)
        except (OSError, IntermodelError) as error:
            why = error.message if isinstance(error, IntermodelError) else f"{error.strerror or error}."
            for one in given:
                await self._failed(one, f"Its cosignature cannot be kept: {why}")
        else:
            for one in given:
                past = self._rounds[one.name]
                past.failures, past.next_at, past.text = 0, 0, text
                await asyncio.to_thread(self._standings.well, one.name, past.size)

    @staticmethod
    def _is_due(past: _Round, text: str, now: float) -> bool:
        return past.text != text and now >= past.next_at

    async def _cosigned(self, one: Cosigner, note: bytes) -> Line | None:
        """The witness's signature line under the checkpoint; None where it gave none, and why is noted."""
        try:
            async with asyncio.timeout(ASK_S):
                line = await self._line(one, note)
        except (IntermodelError, TimeoutError) as error:
            trouble = error.message if isinstance(error, IntermodelError) else "It did not answer in time."
            await self._failed(one, trouble, fork=isinstance(error, _Contradicted))
            return None
        self._rounds[one.name].size = Checkpoint.parse(Note.parse(note).text).size
        return line

    async def _failed(self, one: Cosigner, trouble: str, *, fork: bool = False) -> None:
        """Tell of it, and ask later, and later each time."""
        past = self._rounds[one.name]
        past.failures += 1
        pause = min(SLOWEST_S, self._every_s * 2.0 ** min(past.failures - 1, 20))
        past.next_at = self._clock() + pause * (0.5 + 0.5 * self._draw())
        await asyncio.to_thread(self._standings.ill, one.name, trouble, fork=fork)

    async def _line(self, one: Cosigner, note: bytes) -> Line:
        past, size = self._rounds[one.name], Checkpoint.parse(Note.parse(note).text).size
        answer = await self._post(one, past.size if past.size <= size else 0, note)
        told = _told(answer)
        if told is not None and told != past.size and told <= size:
            past.size = told
            answer = await self._post(one, told, note)
            told = _told(answer)
        if told is not None and told > size:
            raise _Contradicted(
                f"It cosigned {told} entries of this ledger, which has {size}: entries were lost, or somebody else "
                "writes under its key."
            )
        if told is not None or answer.status == 422:
            raise _Contradicted(
                f"It cosigned another tree of {past.size if told is None else told} entries under this ledger's key."
            )
        if answer.status != 200:
            raise unexpected(answer)
        return _line_by(one.verifier, note, answer.body)

    async def _post(self, one: Cosigner, old: int, note: bytes) -> Answer:
        size = Checkpoint.parse(Note.parse(note).text).size
        proof = self._ledger.log.consistency(old, size) if old else []
        return await self._ask(
            one.url, "/add-checkpoint", request(old, proof, note), private=one.private, most=_MOST_ANSWER
        )

    def _remember(self) -> None:
        """What the witnesses cosigned before this start."""
        note = self._ledger.cosigned()
        for one in self._cosigners if note is not None else ():
            assert note is not None
            if any((line.name, line.key_id) == (one.verifier.name, one.verifier.id) for line in note.lines):
                past = self._rounds[one.name]
                past.text, past.size = note.text, Checkpoint.parse(note.text).size


def _told(answer: Answer) -> int | None:
    """The size of the tree that the witness cosigned last, where it says that the proof does not begin there."""
    match = _SIZE.fullmatch(answer.body) if answer.status == 409 else None
    return int(match[1]) if match else None


def _line_by(verifier: Verifier, note: bytes, body: bytes) -> Line:
    """That witness's line of an answer. Raises `Invalid`; lines of others are passed over."""
    text = Note.parse(note).text
    for line in lines(body.decode(errors="replace")):
        if Note(text, (line,)).signed_by([verifier]):
            return line
    raise Invalid("Its answer has no cosignature by the key that the settings name.", code="bad_signature")
