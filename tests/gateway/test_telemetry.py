"""Spans and metrics of calls, as a collector receives them over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client import CollectorRegistry
from pydantic import ValidationError

from intermodel.core import Invalid
from intermodel.gateway import telemetry as sending
from intermodel.gateway.receipt import Heard
from intermodel.gateway.spans import CODES, Spans
from intermodel.gateway.telemetry import Telemetry
from intermodel.node import build
from intermodel.providers import Http
from intermodel.settings import Deployment, Receipts, Route
from intermodel.settings import Telemetry as Table
from intermodel.settings.load import telemetry_headers
from tests.support import Running, running, settings_for
from tests.upstream import Upstream

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CALL = {"model": "reliable", "messages": [{"role": "user", "content": "a secret prompt"}], "stream": True}


@dataclass
class Collector:
    """What was received; `statuses` are answered in turn, then 200, each after `slow_s`."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    slow_s: float = 0

    def take(self, path: str, body: bytes) -> None:
        self.bodies.append(body)
        if path == "/v1/traces":
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(plain(resource.resource.attributes))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        else:
            for found in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.metrics |= {m.name: m for scope in found.scope_metrics for m in scope.metrics}

    def named(self, name: str) -> dict[str, Any]:
        (span,) = [span for span in self.spans if span.name == name]
        return plain(span.attributes)


def plain(attributes: Any) -> dict[str, Any]:
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


@pytest.fixture(autouse=True)
def _sent_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was heard is sent when the node ends."""
    monkeypatch.setattr(sending, "EVERY_S", 3600.0)
    monkeypatch.setattr(sending, "LAST_S", 60.0)


@pytest.fixture
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status = found.statuses.pop(0) if found.statuses else 200
            found.headers.append({key.lower(): value for key, value in self.headers.items()})
            if status == 200:
                found.take(self.path, body)
            time.sleep(found.slow_s)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@contextlib.contextmanager
def node_with(
    folder: Path, upstream: Upstream, endpoint: str, *, kept: bool = False, **table: Any
) -> Iterator[Running]:
    deployments = {
        "gone": Deployment(base_url=f"{upstream.url}/v1", model="status-503"),
        "good": Deployment(base_url=f"{upstream.url}/v1", model="upstream-name"),
    }
    routes = {"reliable": Route(candidates=("gone", "good"))}
    telemetry = Table(endpoint=endpoint, **table)
    more: dict[str, Any] = {"telemetry": telemetry, "receipts": Receipts(store_content=kept)}
    with running(settings_for(folder / "data", deployments=deployments, routes=routes, **more)) as node:
        yield node


def ask(node: Running, body: dict[str, Any], **headers: str) -> httpx2.Response:
    return httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers | headers, timeout=20)


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_call_is_a_span_with_its_attempts_below(
    tmp_path: Path, upstream_server: Upstream, collector: Collector
) -> None:
    with node_with(tmp_path, upstream_server, collector.url, service="gate") as node:
        answer = ask(node, CALL, traceparent=PARENT)
    assert answer.status_code == 200
    call, failed, answered = sorted(
        collector.spans, key=lambda s: (s.kind != Span.SPAN_KIND_SERVER, s.start_time_unix_nano)
    )
    assert (call.name, failed.name, answered.name) == ("chat reliable", "chat status-503", "chat upstream-name")
    assert call.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert call.parent_span_id.hex() == "00f067aa0ba902b7"
    assert [failed.parent_span_id, answered.parent_span_id] == [call.span_id] * 2
    assert failed.kind == answered.kind == Span.SPAN_KIND_CLIENT
    assert call.start_time_unix_nano <= failed.start_time_unix_nano < failed.end_time_unix_nano
    assert failed.end_time_unix_nano <= answered.start_time_unix_nano < answered.end_time_unix_nano
    assert answered.end_time_unix_nano <= call.end_time_unix_nano + 1_000_000
    told, port = plain(answered.attributes), int(upstream_server.url.rpartition(":")[2])
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert told["gen_ai.request.model"] == told["gen_ai.response.model"] == "upstream-name"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (3, 2)
    assert (told["server.address"], told["server.port"]) == ("127.0.0.1", port)
    assert told["gen_ai.request.stream"] is True
    assert 0 < told["gen_ai.response.time_to_first_chunk"] < 10
    assert "error.type" not in told
    assert plain(failed.attributes)["error.type"] == "503"
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert call.status.code == Status.STATUS_CODE_UNSET
    about = plain(call.attributes)
    assert about["intermodel.receipt"] == answer.headers["x-intermodel-receipt"]
    assert (about["intermodel.answered"], about["intermodel.attempts"]) == ("good", 2)
    assert not any(key.startswith("gen_ai.usage") for key in about), "a sum over spans counts each token once"
    assert collector.resources[0]["service.name"] == "gate"


def test_metrics_are_of_the_conventions(tmp_path: Path, upstream_server: Upstream, collector: Collector) -> None:
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
    points = {
        name: {tuple(sorted(plain(p.attributes).items())): p for p in metric.histogram.data_points}
        for name, metric in collector.metrics.items()
    }
    assert set(points) == {
        "gen_ai.client.operation.duration",
        "gen_ai.client.token.usage",
        "gen_ai.client.operation.time_to_first_chunk",
        "gen_ai.server.time_to_first_token",
    }
    assert {dict(key).get("error.type") for key in points["gen_ai.client.operation.duration"]} == {None, "503"}
    tokens = {dict(key)["gen_ai.token.type"]: p.sum for key, p in points["gen_ai.client.token.usage"].items()}
    assert tokens == {"input": 3, "output": 2}
    assert collector.metrics["gen_ai.client.token.usage"].unit == "{token}"
    (first,) = points["gen_ai.server.time_to_first_token"].values()
    assert first.explicit_bounds[0] == 0.001


def test_nothing_of_what_is_said_leaves_the_node(
    tmp_path: Path, upstream_server: Upstream, collector: Collector
) -> None:
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
    assert len(collector.bodies) >= 2
    assert not any(b"secret" in body for body in collector.bodies)


@pytest.mark.parametrize(("kept", "content"), [(True, False), (False, True), (True, True)])
def test_what_is_said_leaves_the_node_only_where_it_is_kept_and_may(
    tmp_path: Path, upstream_server: Upstream, collector: Collector, kept: bool, content: bool
) -> None:
    with node_with(tmp_path, upstream_server, collector.url, kept=kept, content=content) as node:
        ask(node, CALL)
    assert any(b"secret" in body for body in collector.bodies) == (kept and content)


def test_without_a_traceparent_a_call_is_a_trace_of_its_own(
    tmp_path: Path, upstream_server: Upstream, collector: Collector
) -> None:
    with node_with(tmp_path, upstream_server, collector.url) as node:
        for odd in ("", "nonsense", PARENT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32), f"ff{PARENT[2:]}"):
            ask(node, CALL, **({"traceparent": odd} if odd else {}))
        ask(node, CALL, traceparent=f"{PARENT[:-2]}00")
    calls = [span for span in collector.spans if span.kind == Span.SPAN_KIND_SERVER]
    assert len(calls) == 4, "whoever says that the trace is not sampled is believed"
    assert not any(span.parent_span_id for span in calls)
    assert len({span.trace_id for span in calls}) == 4


def test_headers_come_from_a_variable(tmp_path: Path, upstream_server: Upstream, collector: Collector) -> None:
    table = Table(endpoint=collector.url, headers_env="COLLECTOR_HEADERS")
    assert telemetry_headers(table, {"COLLECTOR_HEADERS": "api-key=a%20b, x=1"}) == {"api-key": "a b", "x": "1"}
    for wrong in ({}, {"COLLECTOR_HEADERS": "no sign"}, {"COLLECTOR_HEADERS": "x=a%0ab"}):
        with pytest.raises(Invalid):
            telemetry_headers(table, wrong)
    assert telemetry_headers(Table(), {}) == {}


def test_a_batch_is_sent_again_when_the_collector_is_back(
    tmp_path: Path, upstream_server: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "EVERY_S", 0.05)
    collector.statuses = [503, 429]
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
        until(lambda: bool(collector.spans))
        metrics = node.node.gateway.metrics.registry
        until(lambda: metrics.get_sample_value("intermodel_telemetry_sent_total") == 1)
    assert len(collector.spans) == 3
    assert not collector.statuses


def test_a_batch_that_is_under_way_when_the_node_ends_is_sent_once(
    tmp_path: Path, upstream_server: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "EVERY_S", 0.05)
    collector.slow_s = 0.5
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
        until(lambda: bool(collector.spans))
    assert len(collector.spans) == 3
    assert collector.metrics


def test_a_collector_that_does_not_answer_does_not_hold_the_node(
    tmp_path: Path, upstream_server: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "LAST_S", 0.1)
    collector.slow_s = 2
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert len(collector.spans) == 3


def test_what_the_collector_refuses_is_dropped_and_counted(
    tmp_path: Path, upstream_server: Upstream, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "EVERY_S", 0.05)
    collector.statuses = [400]
    with node_with(tmp_path, upstream_server, collector.url) as node:
        ask(node, CALL)
        dropped = node.node.gateway.metrics.registry.get_sample_value
        until(lambda: dropped("intermodel_telemetry_dropped_total", {"reason": "refused"}) == 1)
        assert ask(node, CALL).status_code == 200


def test_calls_go_on_while_the_collector_is_gone(
    tmp_path: Path, upstream_server: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "QUEUE", 2)
    with node_with(tmp_path, upstream_server, "http://127.0.0.1:9") as node:
        began = time.monotonic()
        for _ in range(4):
            assert ask(node, CALL | {"model": "good"}).status_code == 200
        assert time.monotonic() - began < 20
        metrics = node.node.gateway.metrics.registry
        until(lambda: metrics.get_sample_value("intermodel_telemetry_dropped_total", {"reason": "queue"}) == 2)


@pytest.mark.parametrize("endpoint", ["collector:4318", "http://user:pass@collector", "http://169.254.169.254"])
async def test_the_address_is_checked(tmp_path: Path, endpoint: str) -> None:
    with pytest.raises((ValidationError, Invalid)):
        async with build(settings_for(tmp_path / "data", telemetry=Table(endpoint=endpoint))):
            pass


def heard(**given: Any) -> Heard:
    attempt = {"address": "a/b", "started_ms": 0.0, "seconds": 1.0, "first_token_s": 0.5, "outcome": "ok"} | given
    receipt = {"id": "01M7WAXV3RVAWFW4WTE7WTAQ5D", "at": 1000.0, "seconds": 1.0, "kind": "chat/completions"}
    outcome = attempt["outcome"]
    known = {"a/b": Deployment(base_url="https://api.mistral.ai/v1", model="large")}
    return Heard(receipt | {"attempts": [attempt], "answered": "a/b", "outcome": outcome, "stream": True}, known)


def test_an_upstream_cannot_fill_the_metrics() -> None:
    spans = Spans("s", "n", content=False)
    for number in range(CODES + 50):
        spans.measure(heard(outcome="failed", code=f"made-up-{number}"))
    sent = ExportMetricsServiceRequest.FromString(spans.metrics())
    (metric,) = [m for s in sent.resource_metrics[0].scope_metrics for m in s.metrics if m.name.endswith("duration")]
    kinds = [plain(point.attributes)["error.type"] for point in metric.histogram.data_points]
    assert len(kinds) == CODES + 1
    assert "_OTHER" in kinds


def test_a_receipt_without_much_is_a_span_all_the_same() -> None:
    spans = Spans("s", "n", content=False)
    lost = Heard({"id": "01M7WAXV3RVAWFW4WTE7WTAQ5D", "outcome": "lost"}, {})
    spans.measure(lost)
    (span,) = spans.spans(lost)
    assert span.status.status_code.name == "ERROR"
    assert spans.spans(heard())[1].attributes == spans.spans(heard())[1].attributes
    assert spans.traces([heard()]) == spans.traces([heard()]), "sent twice, it is the same"
    assert (spans.spans(heard())[1].attributes or {})["gen_ai.provider.name"] == "mistral_ai"


def test_content_is_sent_only_where_it_is_asked_for() -> None:
    kept = heard()
    kept.receipt["content"] = {"request": {"messages": ["a secret"]}}  # type: ignore[index]
    assert b"a secret" not in Spans("s", "n", content=False).traces([kept])
    (call, _) = Spans("s", "n", content=True).spans(kept)
    assert json.loads(str((call.attributes or {})["intermodel.content"])) == {"request": {"messages": ["a secret"]}}


async def test_a_batch_that_cannot_be_encoded_does_not_end_the_rest(collector: Collector) -> None:
    http = Http()
    telemetry = Telemetry(
        Table(endpoint=collector.url), {}, http, Spans("s", "n", content=False), dict, CollectorRegistry()
    )
    telemetry.hear(dict(heard().receipt))
    await telemetry.finish(asyncio.create_task(telemetry.run()))
    await http.close()
    assert [span.name for span in collector.spans] == ["chat ", "chat a/b"]
