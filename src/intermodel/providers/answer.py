"""What a provider gives back: bytes in OpenAI's form, read piece by piece."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Protocol

JSON = "application/json"
EVENTS = "text/event-stream"


class Answer(Protocol):
    """One answer on its way. `media_type` is `application/json` (one body) or `text/event-stream`."""

    media_type: str

    async def read(self) -> bytes:
        """The next bytes as they come, or b"" at the end. Raises `Upstream` if the answer breaks off."""

    async def close(self) -> None:
        """Stop the work upstream, wherever it stands. May be called twice, and before the end."""


class Generated:
    """An answer made by an async generator; `close` runs the generator's `finally`, started or not."""

    def __init__(self, media_type: str, pieces: AsyncGenerator[bytes, None], source: Answer | None = None) -> None:
        self.media_type = media_type
        self._pieces = pieces
        self._source = source

    async def read(self) -> bytes:
        async for piece in self._pieces:
            if piece:
                return piece
        return b""

    async def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # the generator may be running in a cancelled task
            await self._pieces.aclose()
        if self._source is not None:
            await self._source.close()
