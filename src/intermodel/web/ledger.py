"""What this node's ledger is to other nodes: files to read (C2SP tlog-tiles), and a witness (C2SP tlog-witness).

Neither asks for a token: what is published is for everybody, and a witness's request is authenticated by the signature
of the ledger that it is about.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from intermodel.core import Conflict, Invalid, NotFound, Unavailable
from intermodel.core.errors import Limited
from intermodel.ledger import Ledger
from intermodel.ledger.history import PUBLISHED
from intermodel.ledger.log import CHECKPOINT
from intermodel.ledger.watch import Fork
from intermodel.ledger.witness import LARGEST_REQUEST, Witness
from intermodel.web.http import read_body

log = logging.getLogger(__name__)

WITNESS_PATH = "/witness/add-checkpoint"
BURST = 30
"""Requests to the witness from one address at once; then one a second."""
ADDRESSES = 4096
AT_ONCE = 8
"""Requests that the witness works on at once; more are told to come again."""
_TILE = re.compile(r"(?:[0-9]|[1-5][0-9]|6[0-3]|entries)/(?:x[0-9]{3}/){0,6}[0-9]{3}(?:\.p/[1-9][0-9]{0,2})?")
_TEXT = "text/plain; charset=utf-8"
_FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
_SAFE = {"X-Content-Type-Options": "nosniff"}


def ledger_routes(ledger: Ledger, witness: Witness | None, *, publish: bool) -> list[Route]:
    """The paths, as far as the settings open them."""
    published, witnessing = Published(ledger.log.folder), Witnessing(witness, ledger) if witness else None
    return [
        *([Route(WITNESS_PATH, witnessing.add_checkpoint, methods=["POST"])] if witnessing else []),
        *(
            [
                Route("/ledger/checkpoint", published.checkpoint, methods=["GET"]),
                Route("/ledger/keys", published.keys, methods=["GET"]),
                Route("/ledger/tile/{path:path}", published.tile, methods=["GET"]),
            ]
            if publish
            else []
        ),
    ]


class Published:
    """The ledger's folder, without what is not for others."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def checkpoint(self, _request: Request) -> Response:
        """The newest checkpoint whose tiles are there."""
        data = await asyncio.to_thread(_read, self._folder / CHECKPOINT)
        return Response(data, media_type=_TEXT, headers=_SAFE | {"Cache-Control": "no-cache"})

    async def keys(self, _request: Request) -> Response:
        """What the ledger says of its keys, with the proof."""
        data = await asyncio.to_thread(_read, self._folder / PUBLISHED)
        return Response(data, media_type="application/json", headers=_SAFE | {"Cache-Control": "no-cache"})

    async def tile(self, request: Request) -> Response:
        """A tile of hashes or a bundle of entries. None of them ever changes."""
        path = request.path_params["path"]
        if not _TILE.fullmatch(path):
            raise _nothing()
        data = await asyncio.to_thread(_read, self._folder / "tile" / path)
        return Response(data, media_type="application/octet-stream", headers=_SAFE | _FOREVER)


class Witnessing:
    """The witness's one verb over HTTP."""

    def __init__(self, witness: Witness, ledger: Ledger, clock: Callable[[], float] = time.monotonic) -> None:
        self._witness = witness
        self._ledger = ledger
        self._rates = Rates(clock)
        self._at_work = 0

    async def add_checkpoint(self, request: Request) -> Response:
        """Statuses as the specification has them; what stands in the body of a refusal is for people."""
        self._rates.count(request.client.host if request.client else "")
        body = await read_body(request.scope, request.receive, LARGEST_REQUEST)
        if self._at_work >= AT_ONCE:
            raise Unavailable("The witness has much to do.", hint="Ask again in a moment.", code="overloaded")
        self._at_work += 1
        try:
            line = await asyncio.to_thread(self._witness.add_checkpoint, body)
        except Fork as fork:
            await self._witness.watch.state(self._ledger, fork.found)
            return _sized(str(fork.size))
        except Conflict as error:
            return _sized(error.hint)
        except Invalid as error:
            if error.code != "bad_proof":
                raise
            return Response(f"{error.message}\n", 422, media_type=_TEXT, headers=_SAFE)
        except OSError as error:
            log.error("a checkpoint that was seen cannot be kept, and so not cosigned: %s", error)
            raise Unavailable("The witness cannot keep what it saw.", code="ledger_unusable") from None
        finally:
            self._at_work -= 1
        return Response(line, media_type=_TEXT, headers=_SAFE)


class Rates:
    """So many requests from one address: `BURST` at once, then one a second. Addresses that are quiet are forgotten."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._free_at: OrderedDict[str, float] = OrderedDict()
        """When each address has all of `BURST` again."""

    def count(self, address: str) -> None:
        """Raises `Limited`."""
        now = self._clock()
        free_at = max(now, self._free_at.pop(address, now)) + 1
        if free_at > now + BURST:
            self._free_at[address] = free_at - 1
            raise Limited(
                "This address asks the witness too often.", hint="Ask about each checkpoint once.", retry_after_s=1
            )
        self._free_at[address] = free_at
        if len(self._free_at) > ADDRESSES:
            self._free_at.popitem(last=False)


def _sized(size: str) -> Response:
    """The size of the tree that the witness cosigned last. Its media type has no parameters."""
    return Response(f"{size}\n", 409, headers=_SAFE | {"Content-Type": "text/x.tlog.size"})


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise _nothing() from None
    except OSError as error:
        log.error("the ledger cannot be read: %s", error)
        raise Unavailable("The ledger cannot be read.", code="ledger_unusable") from None


def _nothing() -> NotFound:
    return NotFound("The ledger has no such file.", hint="https://c2sp.org/tlog-tiles says which there are.")
