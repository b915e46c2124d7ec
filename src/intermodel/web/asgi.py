"""An exchange as an ASGI application sees it (https://asgi.readthedocs.io/en/latest/specs/www.html)."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from intermodel.web.wire import Wire

_OURS = frozenset({b"transfer-encoding", b"connection"})
"""Fields that the server writes; what an application says there, it does not pass on."""


class Asgi:
    """`receive` and `send` of one exchange."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._start: MutableMapping[str, Any] | None = None
        self._told_all = False
        self._is_mute = wire.scope["method"] == "HEAD"
        self._owed: int | None = None
        """How much of the body is still to come, where its length was said."""

    async def receive(self) -> MutableMapping[str, Any]:
        wire = self._wire
        while not (wire.is_lost or wire.is_done or wire.size or (wire.is_whole and not self._told_all)):
            await wire.more()
        if wire.is_lost or wire.is_done:
            return {"type": "http.disconnect"}
        self._told_all = wire.is_whole
        return {"type": "http.request", "body": wire.taken(), "more_body": not wire.is_whole}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._start = message  # it waits for the first piece of the body
            return
        body, is_more = message.get("body", b""), message.get("more_body", False)
        if self._start is not None:
            start, self._start = self._start, None
            self._begin(start["status"], start.get("headers", ()), None if is_more else len(body))
        if self._owed is not None:
            self._owed -= len(body)
            if self._owed < 0 or (self._owed and not is_more):
                raise RuntimeError("The body is not as long as its head says.")
        if not self._is_mute:
            await self._wire.write(body)
        if not is_more:
            self._wire.finish()

    def _begin(self, status: int, headers: Any, length: int | None) -> None:
        given = [(bytes(name).lower(), bytes(value)) for name, value in headers]
        fields = [field for field in given if field[0] not in _OURS]
        self._wire.is_last |= any(name == b"connection" and b"close" in value.lower() for name, value in given)
        said = dict(fields).get(b"content-length")
        if self._is_mute or status in (204, 304):
            self._is_mute = True
            self._wire.start(status, fields, None)
        elif said is not None:
            self._owed = int(said)
            self._wire.start(status, fields, None)
        elif length is not None:
            self._wire.start(status, fields, (b"content-length", b"%d" % length))
        else:
            self._wire.start_open(status, fields)
