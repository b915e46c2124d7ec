"""A receipt in OpenTelemetry's words: spans, and what is measured, after the conventions for generative AI.

https://github.com/open-telemetry/semantic-conventions-genai (development, as of v1.42). The call is one SERVER span;
each attempt below it is one CLIENT span, as seen by the client of the model that this node is. The call's own
attributes are ours (`intermodel.*`), so that a sum over `gen_ai.usage.*` counts every token once.

Ids are made of the receipt's: a batch that is sent twice is the same batch. Only `telemetry` loads this file, for it
needs the packages of the extra `otel`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import orjson
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from intermodel import __version__
from intermodel.gateway.receipt import Heard
from intermodel.settings import Deployment

Receipt = Mapping[str, Any]
Attributes = dict[str, Any]

_SCOPE = InstrumentationScope("intermodel", __version__)
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header-field-values"""
_SAMPLED = 1
_DIGITS = {digit: value for value, digit in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_OPERATIONS = {
    "chat/completions": "chat", "messages": "chat", "responses": "chat", "completions": "text_completion",
    "embeddings": "embeddings", "images/generations": "generate_content", "audio/speech": "generate_content",
    "audio/transcriptions": "generate_content",
}  # fmt: skip
_HOSTS = {
    "api.openai.com": "openai", "api.mistral.ai": "mistral_ai", "api.groq.com": "groq", "api.deepseek.com": "deepseek",
    "api.x.ai": "x_ai", "api.perplexity.ai": "perplexity", "api.cohere.com": "cohere", "api.cohere.ai": "cohere",
    "api.moonshot.ai": "moonshot_ai",
}  # fmt: skip
_PROVIDERS = {"gemini": "gcp.gemini"}
_PARTS = {
    "gen_ai.usage.cache_read.input_tokens": "cached_input", "gen_ai.usage.cache_creation.input_tokens": "cache_write",
    "gen_ai.usage.reasoning.output_tokens": "reasoning", "gen_ai.usage.audio.input_tokens": "audio_input",
    "gen_ai.usage.image.input_tokens": "image_input", "gen_ai.usage.audio.output_tokens": "audio_output",
}  # fmt: skip
_OWN_FAULT = frozenset({"failed", "broken", "lost"})
"""Outcomes that are errors of a span; a refused request is its caller's fault."""
CODES = 64
"""So many kinds of error are told apart in metrics; others become `_OTHER`, as an upstream may name any number."""

_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Spans:
    """Turns receipts into what a collector takes (OTLP, protobuf), and keeps the metrics of this process."""

    def __init__(self, service: str, node: str, *, content: bool) -> None:
        """`content`: also send the prompts and answers that receipts hold."""
        names = {"service.name": service, "service.version": __version__, "service.instance.id": node}
        self._resource = Resource(names)
        self._content = content
        self._codes: set[str] = set()
        self._reader = InMemoryMetricReader()
        meter = MeterProvider([self._reader], self._resource, shutdown_on_exit=False).get_meter(
            "intermodel", __version__
        )
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of an attempt.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", "Tokens read and made.", explicit_bucket_boundaries_advisory=_TOKENS
        )
        self._chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "From the request to the first chunk of a stream.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first = meter.create_histogram(
            "gen_ai.server.time_to_first_token",
            "s",
            "From the call of this node to its first token, over all attempts.",
            explicit_bucket_boundaries_advisory=_FIRST,
        )

    def traces(self, heard: Sequence[Heard]) -> bytes:
        """The spans of some calls, without those whose callers trace and said that theirs is not sampled."""
        spans = [span for one in heard for span in self.spans(one)]
        return bytes(encode_spans(spans).SerializeToString()) if spans else b""

    def metrics(self) -> bytes:
        """All that was measured since the start; b"" before the first receipt."""
        data = self._reader.get_metrics_data()
        return bytes(encode_metrics(data).SerializeToString()) if data is not None else b""

    def spans(self, heard: Heard) -> list[ReadableSpan]:
        """The call, and below it its attempts."""
        receipt = heard.receipt
        parent = _parent(receipt)
        if parent is not None and not parent.trace_flags & _SAMPLED:
            return []
        trace = parent.trace_id if parent is not None else _number(receipt["id"])
        context = _context(trace, receipt["id"], 0)
        began, length = float(receipt.get("at") or 0), float(receipt.get("seconds") or 0)
        call = self._span(
            f"{_operation(receipt)} {receipt.get('model', '')}",
            context,
            parent,
            SpanKind.SERVER,
            self._of_call(receipt),
            (began, length),
            _status(receipt.get("outcome", ""), ""),
        )
        attempts = receipt.get("attempts") or ()
        return [call, *(self._attempt(heard, context, number, note) for number, note in enumerate(attempts, 1))]

    def measure(self, heard: Heard) -> None:
        """Count a call in the metrics."""
        receipt, attempts = heard.receipt, heard.receipt.get("attempts") or ()
        for note in attempts:
            told = _place(heard, note)
            failed = self._error(note)
            self._duration.record(note.get("seconds") or 0, told | ({"error.type": failed} if failed else {}))
            if receipt.get("stream") and note.get("first_token_s") is not None:
                self._chunk.record(note["first_token_s"], told)
        if (last := _answering(receipt)) is not None:
            told = _place(heard, last)
            usage = receipt.get("usage") or {}
            if usage and not usage.get("estimated"):
                for kind in ("input", "output"):
                    self._tokens.record(usage.get(kind, 0), told | {"gen_ai.token.type": kind})
            if last.get("first_token_s") is not None:
                self._first.record(last.get("started_ms", 0) / 1000 + last["first_token_s"], told)

    def _attempt(self, heard: Heard, call: SpanContext, number: int, note: Receipt) -> ReadableSpan:
        receipt = heard.receipt
        attributes = _place(heard, note)
        attributes |= {
            "gen_ai.request.stream": bool(receipt.get("stream")),
            "intermodel.deployment": note.get("address", ""),
            "intermodel.outcome": note.get("outcome", ""),
            "intermodel.hedge": bool(note.get("hedge")),
            "intermodel.resumed": bool(note.get("resumed")),
        }
        if (cost := note.get("cost", 0)) is not None:
            attributes["intermodel.cost_dollars"] = cost / 1e9
        if failed := _code(note):
            attributes["error.type"] = failed
        if receipt.get("stream") and note.get("first_token_s") is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = note["first_token_s"]
        if note is _answering(receipt):
            attributes |= _usage(receipt)
        began = float(receipt.get("at") or 0) + float(note.get("started_ms") or 0) / 1000
        return self._span(
            f"{_operation(receipt)} {attributes['gen_ai.request.model']}",
            _context(call.trace_id, receipt["id"], number),
            call,
            SpanKind.CLIENT,
            attributes,
            (began, float(note.get("seconds") or 0)),
            _status(note.get("outcome", ""), failed),
        )

    def _of_call(self, receipt: Receipt) -> Attributes:
        caller = receipt.get("caller") or {}
        attributes: Attributes = {
            "intermodel.receipt": receipt["id"],
            "intermodel.model": receipt.get("model", ""),
            "intermodel.route": receipt.get("route", ""),
            "intermodel.answered": receipt.get("answered", ""),
            "intermodel.outcome": receipt.get("outcome", ""),
            "intermodel.attempts": len(receipt.get("attempts") or ()),
            "intermodel.token": caller.get("token", ""),
            "intermodel.organisation": caller.get("organisation", ""),
        }
        if (spent := receipt.get("spent", 0)) is not None:  # what nobody knows is not told, and not 0
            attributes["intermodel.cost_dollars"] = spent / 1e9
        if receipt.get("outcome") in _OWN_FAULT:
            attributes["error.type"] = next(filter(None, map(_code, reversed(receipt.get("attempts") or ()))), "_OTHER")
        if self._content and receipt.get("content") is not None:
            attributes["intermodel.content"] = orjson.dumps(receipt["content"], default=str).decode()
        return {key: value for key, value in attributes.items() if value != ""}

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        lasted: tuple[float, float],
        status: Status,
    ) -> ReadableSpan:
        """`lasted`: from when (Unix seconds), and how long."""
        began = int(lasted[0] * 1e9)
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes,
            kind=kind,
            status=status,
            start_time=began,
            end_time=began + int(lasted[1] * 1e9),
            instrumentation_scope=_SCOPE,
        )

    def _error(self, note: Receipt) -> str:
        """What an attempt failed with, as metrics tell it."""
        code = _code(note)
        if code and code not in self._codes:
            if len(self._codes) >= CODES:
                return "_OTHER"
            self._codes.add(code)
        return code


def _place(heard: Heard, note: Receipt) -> Attributes:
    """Who was asked for what in an attempt, and where."""
    address = note.get("address", "")
    deployment = heard.deployments.get(address)
    model = (deployment.model if deployment is not None else "") or address
    host, port = _server(deployment)
    attributes: Attributes = {
        "gen_ai.operation.name": _operation(heard.receipt),
        "gen_ai.provider.name": _provider(deployment, host),
        "gen_ai.request.model": model,
    }
    if note.get("outcome") == "ok":
        attributes["gen_ai.response.model"] = model
    return attributes | ({"server.address": host, "server.port": port} if host else {})


def _server(deployment: Deployment | None) -> tuple[str, int]:
    parts = urlsplit(deployment.base_url if deployment is not None else "")
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _provider(deployment: Deployment | None, host: str) -> str:
    if deployment is None:
        return "llama.cpp"
    if host.endswith(".openai.azure.com"):
        return "azure.ai.openai"
    return _HOSTS.get(host) or _PROVIDERS.get(deployment.provider, deployment.provider)


def _operation(receipt: Receipt) -> str:
    kind = str(receipt.get("kind", ""))
    return _OPERATIONS.get(kind, kind)


def _usage(receipt: Receipt) -> Attributes:
    usage = receipt.get("usage") or {}
    if not usage or usage.get("estimated"):
        return {}
    whole = {"gen_ai.usage.input_tokens": usage.get("input", 0), "gen_ai.usage.output_tokens": usage.get("output", 0)}
    return whole | {name: usage[part] for name, part in _PARTS.items() if usage.get(part)}


def _answering(receipt: Receipt) -> Receipt | None:
    """The attempt whose answer the caller was given, the last one of that address."""
    found: Iterator[Receipt] = (
        note
        for note in reversed(receipt.get("attempts") or ())
        if note.get("address") == receipt.get("answered") and note.get("outcome") not in ("failed", "lost")
        if note.get("outcome") != "refused" or note.get("first_token_s") is not None  # ended by this node
    )
    return next(found, None)


def _code(note: Receipt) -> str:
    """What an attempt failed with: the status that was answered, else the error's code."""
    if note.get("outcome") not in ("failed", "broken"):
        return ""
    return str(note.get("status") or note.get("code") or note["outcome"])


def _status(outcome: str, said: str) -> Status:
    return Status(StatusCode.ERROR, said or outcome) if outcome in _OWN_FAULT else Status()


def _parent(receipt: Receipt) -> SpanContext | None:
    """The span of the caller's that this call belongs to, if it sent one."""
    match = _TRACEPARENT.fullmatch(receipt.get("trace") or "")
    if match is None or not (int(match[1], 16) and int(match[2], 16)):
        return None
    return SpanContext(int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(int(match[3], 16)))


def _context(trace: int, receipt_id: str, number: int) -> SpanContext:
    digest = hashlib.blake2b(f"{receipt_id}/{number}".encode(), digest_size=8).digest()
    return SpanContext(trace, int.from_bytes(digest) or 1, is_remote=False, trace_flags=TraceFlags(_SAMPLED))


def _number(receipt_id: str) -> int:
    """A receipt's id as the 128 bits that it writes."""
    number = 0
    for digit in receipt_id:
        number = number * 32 + _DIGITS.get(digit, 0)
    return number & (2**128 - 1) or 1
