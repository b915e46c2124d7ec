"""Decoding of bodies that a server compressed although it was asked not to (RFC 9110, 8.4)."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable

from intermodel.providers.reply import Broken

READ_BYTES = 256 * 1024
"""Most bytes of one read, however well they were compressed."""

_BY_ITSELF = zlib.MAX_WBITS | 32  # gzip or zlib, told by their first bytes
_BARE = -zlib.MAX_WBITS


class Inflater:
    """Reads a body through gzip or deflate, piece by piece."""

    def __init__(self, coding: str, read: Callable[[], Awaitable[bytes]]) -> None:
        self._coding = coding.strip().lower()
        self._read = read
        self._inner = zlib.decompressobj(_BY_ITSELF)
        self._rest = b""
        self._has_begun = False

    async def read(self) -> bytes:
        """The next bytes, at most `READ_BYTES`; b"" at the end. Raises `Broken` for what cannot be decoded."""
        if self._coding not in ("gzip", "x-gzip", "deflate"):
            raise Broken(f"it compressed its answer as {self._coding[:40]!r}, which was not asked for")
        if not self._has_begun and not await self._begin():
            return b""
        while self._rest or await self._more():
            if decoded := self._decode():
                return decoded
        if self._inner.eof:
            return b""
        if decoded := self._decode():  # zlib may hold back a little when it was told to stop
            return decoded
        raise Broken("its compressed answer is cut short")

    async def _begin(self) -> bool:
        """Tell zlib's format from bare deflate, which some servers send under the same name. False: no body."""
        while len(self._rest) < 2:
            if not (data := await self._read()):
                break
            self._rest += data
        self._has_begun = bool(self._rest)
        if self._coding == "deflate" and not (
            len(self._rest) > 1 and self._rest[0] & 15 == 8 and int.from_bytes(self._rest[:2], "big") % 31 == 0
        ):
            self._inner = zlib.decompressobj(_BARE)
        return self._has_begun

    async def _more(self) -> bool:
        self._rest = await self._read()
        return bool(self._rest)

    def _decode(self) -> bytes:
        """What the rest holds, as far as one read goes."""
        if self._inner.eof:  # another member follows (RFC 1952, 2.2)
            self._inner = zlib.decompressobj(_BY_ITSELF)
        try:
            decoded = self._inner.decompress(self._rest, READ_BYTES)
        except zlib.error as error:
            raise Broken(f"its answer cannot be decompressed ({error})") from None
        self._rest = self._inner.unconsumed_tail or self._inner.unused_data
        return decoded
