"""Looking at a stream of Responses as it goes by.

Source: OpenAI's API reference, "Streaming events" of Responses: each event says its `type`, has a number, and the last
one holds the whole response with its usage.
"""

from __future__ import annotations

import re
from typing import Any

from intermodel.core import Usage, countable
from intermodel.protocols.chat import broken_off, parsed
from intermodel.protocols.dialect import Resumed
from intermodel.protocols.faults import told
from intermodel.protocols.openai_watch import detailed
from intermodel.protocols.sse import EVENT_BYTES, Events

# unescaped quotes: inside a JSON string these marks cannot stand
_LAST = re.compile(rb'"type":\s?"(?:response\.(?:completed|incomplete|failed)|error)"')
_NUMBER = re.compile(rb'"sequence_number":\s?(\d+)')
_ENDS = ("response.completed", "response.incomplete", "response.failed", "error")


class ResponsesWatch:
    """Parses the last event of a stream and no other."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failed = False
        self.done = False
        self._rest = b""
        self._whole = b""

    @property
    def sequence(self) -> int:
        """The number of the last whole event that went by; -1 before the first."""
        numbers = _NUMBER.findall(self._whole)
        return int(numbers[-1]) if numbers else -1

    @property
    def finished(self) -> bool:
        return self.done

    def begun(self, head: bytes) -> bool:
        for event in _events(head):
            kind = event.get("type") or ""
            if kind in ("error", "response.failed"):
                raise told(_error(event))
            if kind.endswith(".delta") or kind in _ENDS:
                return True
        return False

    def feed(self, data: bytes) -> bytes:
        seen = self._rest + data if self._rest else data
        if end := _end_of_events(seen):
            self._whole, self._rest = seen[:end], seen[end:]
            if _LAST.search(self._whole):
                self._finish(self._whole)
        else:
            self._rest = seen if len(seen) < EVENT_BYTES else b""
        return data

    def end(self) -> bytes:
        if self._rest and not self.done:
            self._finish(self._rest)
        if not (self.done or self.failed):
            raise broken_off()
        return b""

    def _finish(self, seen: bytes) -> None:
        for event in _events(seen + b"\n\n"):
            if (kind := event.get("type")) not in _ENDS:
                continue
            self.failed = self.failed or kind in ("response.failed", "error")
            self.done = not self.failed
            response = event.get("response")
            if isinstance(response, dict) and isinstance(usage := response.get("usage"), dict):
                self.usage = usage_of(usage, response.get("service_tier"))


def _end_of_events(data: bytes) -> int:
    """How many bytes of whole events there are."""
    if data.endswith(b"\n\n"):
        return len(data)
    end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
    return end if end > 4 else 0


def usage_of(found: dict[str, Any], tier: object = None) -> Usage:
    """`usage` of a response, an image or a transcription; all 0 where its numbers cannot be counts.

    `tier` is the answer's `service_tier`.
    """
    if not countable(found.get("input_tokens"), found.get("output_tokens")):
        return Usage()
    return detailed(found, "input", "output", tier)


def resumed(seen: bytes) -> Resumed | None:
    """What an encoder needs in order to go on after `seen`, all that a client read of a stream that broke off.

    None where it read more than words (thoughts, calls, a refusal, an end), for those cannot be gone on with.
    """
    response: dict[str, Any] = {}
    words, number = "", -1
    for event in _events(seen):
        kind = event.get("type") or ""
        number = event.get("sequence_number", number)
        if kind == "response.output_text.delta":
            words += event["delta"]
        elif kind == "response.created":
            response = event["response"]
        elif not _only_opens(event, kind):
            return None
    if not response:
        return None
    return Resumed(response["id"], response["model"], int(response["created_at"]), words, number)


def _only_opens(event: dict[str, Any], kind: str) -> bool:
    """Whether an event says no more than that words are to come."""
    if kind == "response.output_item.added":
        return bool(event["item"]["type"] == "message" and event["output_index"] == 0)
    if kind == "response.content_part.added":
        return bool(event["part"]["type"] == "output_text" and event["content_index"] == 0)
    return kind in ("response.in_progress", "response.queued")


def _events(data: bytes) -> list[dict[str, Any]]:
    return [parsed(text) for _, text in Events().feed(data) if text != b"[DONE]"]


def _error(event: dict[str, Any]) -> Any:
    return event.get("error") or (event.get("response") or {}).get("error") or event
