"""Answers of an upstream that speaks another protocol, in the chat form."""

from __future__ import annotations

from typing import Any

import orjson

from intermodel.core import Upstream
from intermodel.protocols import Outbound
from intermodel.protocols.chat import ChatEncoder
from intermodel.protocols.sse import events_of
from intermodel.providers.answer import EVENTS, JSON, Answer

ANSWER_BYTES = 64 * 1024**2
"""Largest answer that is held in memory when it is not streamed."""


class Translated:
    """`source`, which speaks `dialect`, as an answer to the chat request `asked`. Each read is translated by itself."""

    def __init__(self, source: Answer, dialect: Outbound, asked: dict[str, Any]) -> None:
        self._source = source
        self._dialect = dialect
        self._decoder = dialect.decoder()
        self._encoder = ChatEncoder(asked, None)
        self._ended = False
        self._broken: Upstream | None = None
        self.media_type = source.media_type

    async def read(self) -> bytes:
        if self._ended:
            return b""
        return await (self._events() if self.media_type == EVENTS else self._whole())

    async def close(self) -> None:
        await self._source.close()

    async def _events(self) -> bytes:
        if self._broken is not None:
            raise self._broken
        while data := await self._source.read():
            if given := self._given(data):
                return given
        self._ended = True
        return self._encoder.feed(self._decoder.end()) + self._encoder.end()

    def _given(self, data: bytes) -> bytes:
        """What `data` says; what comes before an error in it is given first, and the error raised at the next read."""
        given = b""
        for event in events_of(data):
            try:
                given += self._encoder.feed(self._decoder.feed(event))
            except Upstream as error:
                if not given:
                    raise
                self._broken = error
                break
        return given

    async def _whole(self) -> bytes:
        self._ended = True
        answer = await object_in(self._source)
        return orjson.dumps(self._dialect.answer_to_chat(answer))


async def object_in(source: Answer) -> dict[str, Any]:
    """The JSON object that is the whole of an answer. Raises `Upstream` for anything else."""
    body = b""
    while data := await source.read():
        body = body + data if body else data
        if len(body) > ANSWER_BYTES:
            raise Upstream(f"The answer is longer than {ANSWER_BYTES // 1024**2} MiB.", code="upstream_too_large")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = None
    if source.media_type != JSON or not isinstance(found, dict):
        raise Upstream("The upstream's answer is not a JSON object.", code="upstream_protocol")
    return found
