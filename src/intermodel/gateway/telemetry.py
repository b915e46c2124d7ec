"""Receipts on their way to an OpenTelemetry collector (OTLP over HTTP): off the path of calls, bounded, best effort.

A receipt is put into a queue as soon as it is in the database; one task takes batches from it, has them encoded in a
thread, and posts them with the node's own client, so that the collector's address is checked as every other. While the
collector is gone the batch is tried again, ever more slowly, and receipts for which the queue has no room are dropped
and counted. Calls never wait for any of this.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter

from intermodel.core import IntermodelError, Invalid, Upstream
from intermodel.gateway.receipt import Heard
from intermodel.providers import Http
from intermodel.providers.http import Origin
from intermodel.settings import Deployment
from intermodel.settings import Telemetry as Settings

if TYPE_CHECKING:
    from intermodel.gateway.spans import Spans

log = logging.getLogger(__name__)

EVERY_S = 2.0
"""How long a receipt waits for company."""
METRICS_S = 15.0
SLOWEST_S = 60.0
"""How long between two tries, at most, while the collector is gone."""
BATCH = 512
QUEUE = 16_384
"""Receipts that wait for the collector."""
LAST_S = 3.0
"""How long the end of the node waits for what is still to be sent."""
_TYPE = "application/x-protobuf"
_AGAIN = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same batch may be sent again (OTLP specification, "Retryable Response Codes")."""

Declared = Callable[[], Mapping[str, Deployment]]
Listener = Callable[[dict[str, Any]], None]


class Telemetry:
    """What goes to one collector. `hear` takes receipts, `run` sends them, and `finish` what is left at the end."""

    def __init__(
        self,
        settings: Settings,
        headers: Mapping[str, str],
        http: Http,
        spans: Spans,
        declared: Declared,
        registry: CollectorRegistry,
    ) -> None:
        """`declared` tells the deployments of this moment."""
        self._origin = Origin(settings.endpoint, settings.private)
        self._headers = {**headers, "Content-Type": _TYPE}
        self._http = http
        self._spans = spans
        self._declared = declared
        self._queue: deque[Heard] = deque()
        self._measured = float("-inf")
        self._ending = asyncio.Event()
        self._sent = Counter("intermodel_telemetry_sent", "Receipts sent to the collector.", registry=registry)
        self._dropped = Counter(
            "intermodel_telemetry_dropped",
            "Receipts of which the collector did not learn: it was gone for long (queue), or refused them (refused).",
            ["reason"],
            registry=registry,
        )

    def hear(self, receipt: Mapping[str, Any]) -> None:
        """A receipt was written. Never waits."""
        if len(self._queue) >= QUEUE:
            self._dropped.labels("queue").inc()
            return
        declared = self._declared()
        asked = {note.get("address", "") for note in receipt.get("attempts") or ()}
        self._queue.append(Heard(receipt, {name: declared[name] for name in asked if name in declared}))

    async def run(self) -> None:
        """Send what comes, until `finish` is called."""
        pause = EVERY_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause if len(self._queue) < BATCH or pause > EVERY_S else 0):
                    await self._ending.wait()
            if self._ending.is_set():
                return
            try:
                await self._turn()
            except IntermodelError as error:
                if pause == EVERY_S:
                    log.warning("telemetry waits: %s", error.message)
                pause = min(SLOWEST_S, pause * 2)
            except Exception:  # nothing that is wrong with one batch may end the task
                log.exception("telemetry could not be sent")
                pause = SLOWEST_S
            else:
                pause = EVERY_S

    async def finish(self, task: asyncio.Task[None]) -> None:
        """End `task`, in which `run` is, and send what is left, as far as that can be done in a moment.

        What it sends just now is not broken off, else the collector would have the same batch twice.
        """
        self._measured = float("-inf")
        self._ending.set()
        with contextlib.suppress(IntermodelError, TimeoutError):
            async with asyncio.timeout(LAST_S):
                await task
                while self._queue:
                    await self._turn()

    async def _turn(self) -> None:
        """One batch, and the metrics if it is time. Raises `Upstream` where the collector is gone; nothing is lost."""
        batch = [self._queue[i] for i in range(min(BATCH, len(self._queue)))]
        if batch:
            taken = await self._post("/v1/traces", await asyncio.to_thread(self._spans.traces, batch))
            for _ in batch:
                self._queue.popleft()
            await asyncio.to_thread(self._measure, batch)
            (self._sent if taken else self._dropped.labels("refused")).inc(len(batch))
        if time.monotonic() - self._measured >= METRICS_S:
            await self._post("/v1/metrics", await asyncio.to_thread(self._spans.metrics))
            self._measured = time.monotonic()

    def _measure(self, batch: list[Heard]) -> None:
        for heard in batch:
            self._spans.measure(heard)

    async def _post(self, path: str, body: bytes) -> bool:
        """Whether the collector took it; False where it never will. Raises `Upstream` where it may later."""
        if not body:
            return True
        response = await self._http.post(
            self._origin, path, body, headers=self._headers, silence_s=10, name="the telemetry collector"
        )
        try:
            await response.error_body()
        finally:
            await response.close()
        if response.status in _AGAIN:
            raise Upstream(f"The telemetry collector answered {response.status}.")
        if response.status >= 300:
            log.warning("the telemetry collector refused a batch", extra={"status": response.status, "path": path})
        return response.status < 300


@contextlib.asynccontextmanager
async def telling(
    settings: Settings,
    headers: Mapping[str, str],
    http: Http,
    node: str,
    declared: Declared,
    registry: CollectorRegistry,
) -> AsyncIterator[Listener | None]:
    """What is to hear every receipt, so that the collector learns of it; None where there is no collector.

    `node` tells this node from others. Raises `Invalid` where the packages are missing.
    """
    if not settings.endpoint:
        yield None
        return
    telemetry = Telemetry(settings, headers, http, _spans(settings, node), declared, registry)
    task = asyncio.create_task(telemetry.run(), name="telemetry")
    try:
        yield telemetry.hear
    finally:
        await telemetry.finish(task)


def _spans(settings: Settings, node: str) -> Spans:
    try:
        from intermodel.gateway.spans import Spans
    except ModuleNotFoundError as error:
        raise Invalid(
            f"[telemetry] needs a package that is not installed: {error.name}.",
            hint="pip install 'intermodel[otel]'",
            code="invalid_setting",
        ) from None
    return Spans(settings.service, node, content=settings.content)
