"""The extension point for judging answers, and the two judges that ship.

A route names its scorers; what they say of whole answers, from 0 to 1, is a deployment's measured quality, by which the
order `best` goes. People and applications judge through `POST /api/v1/receipts/ID/quality`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from intermodel.core import Call, Invalid, Kind, Upstream
from intermodel.protocols import Chunk, inbound, is_read, outbound
from intermodel.settings.installed import installed

GROUP = "intermodel.scorers"


class Scorer(Protocol):
    """A judge of answers. Extension point, entry points `intermodel.scorers`."""

    def score(self, asked: Mapping[str, Any], message: Mapping[str, Any], finish: str) -> float | None:
        """How good an answer is, from 0 to 1; None where this judge has nothing to say of it.

        `asked` is the request and `message` the answer's message, both in chat form; `finish` is its finish reason.
        Called in a thread, after the caller has the answer.
        """


def load() -> dict[str, Scorer]:
    """The scorers that are installed, by name."""
    return {name: point.load()() for name, point in installed(GROUP).items()}


class Finished:
    """1 for an answer that came to its end by itself, 0 for one that was cut at a limit or held back by a filter."""

    def score(self, asked: Mapping[str, Any], message: Mapping[str, Any], finish: str) -> float | None:
        return 1.0 if finish in ("stop", "tool_calls", "function_call") else 0.0


class KeepsSchema:
    """Whether an answer obeys the JSON schema that was asked for; nothing where none was."""

    def score(self, asked: Mapping[str, Any], message: Mapping[str, Any], finish: str) -> float | None:
        wanted = asked.get("response_format") or {}
        schema = (wanted.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict) or message.get("tool_calls"):
            return None
        from jsonschema import Draft202012Validator, SchemaError, ValidationError  # slow to import, and rarely needed

        try:
            Draft202012Validator(schema).validate(orjson.loads(message.get("content") or ""))
        except (ValidationError, orjson.JSONDecodeError):
            return 0.0
        except SchemaError:
            return None
        return 1.0


def judged(scorers: Sequence[Scorer], call: Call, spoken: Kind, answer: Sequence[bytes]) -> float | None:
    """The mean of what the scorers say of an answer, as it came from its upstream; None where none says anything."""
    if not (call.kind.conversation and is_read(spoken)):
        return None
    try:
        asked = inbound(call.kind).request_to_chat(call.body)
        chosen = _streamed(spoken, answer) if call.stream else _whole(spoken, answer)
    except (Upstream, Invalid, LookupError, TypeError, orjson.JSONDecodeError):
        return None
    said = [scorer.score(asked, *chosen) for scorer in scorers]
    scores = [min(1.0, max(0.0, score)) for score in said if score is not None]
    return sum(scores) / len(scores) if scores else None


def _whole(spoken: Kind, answer: Sequence[bytes]) -> tuple[dict[str, Any], str]:
    choice = outbound(spoken).answer_to_chat(orjson.loads(b"".join(answer)))["choices"][0]
    return choice["message"], choice.get("finish_reason") or ""


def _streamed(spoken: Kind, answer: Sequence[bytes]) -> tuple[dict[str, Any], str]:
    decoder = outbound(spoken).decoder()
    chunks: list[Chunk] = [chunk for piece in answer for chunk in decoder.feed(piece)] + decoder.end()
    message: dict[str, Any] = {"content": ""}
    finish = ""
    for choice in (c for chunk in chunks for c in chunk.get("choices") or () if not c.get("index")):
        delta = choice.get("delta") or {}
        message["content"] += delta.get("content") or ""
        if delta.get("tool_calls"):
            message["tool_calls"] = True
        finish = choice.get("finish_reason") or finish
    return message, finish
