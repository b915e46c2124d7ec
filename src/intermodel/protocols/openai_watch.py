"""Looking at OpenAI's streams of chat and plain completions as they go by.

Source: OpenAI's API reference, "Streaming": events of `data:` lines, an end mark `[DONE]`, usage in a last chunk
without choices where `stream_options.include_usage` asked for it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from intermodel.core import Upstream, Usage, countable, counted, tier_told
from intermodel.protocols.faults import told

HEAD_BYTES = 256 * 1024
"""How much may come before the first token; a stream with more than that is taken as begun."""

USAGE_BYTES = 16 * 1024
"""How much is kept from the mark of a usage object on, until its end is there."""

EVENT_BYTES = 4 * 1024**2
"""Largest event that is held back until it is whole, to know whether the client is to see it."""

_FINISHED = re.compile(rb'"finish_reason":\s?"')
_USAGE = re.compile(rb'"usage":\s?\{')
_TIER = re.compile(rb'"service_tier":\s?"([^"\\]{1,64})"')
# marks at the beginning of a line: inside a JSON string a line break would be escaped
_ERROR = re.compile(rb'\ndata:\s?\{"error":\s?[{"]')
_DONE = re.compile(rb"\ndata:\s?\[DONE\]")
_JSON = json.JSONDecoder()


class OpenAIWatch:
    """Watches a stream of `choices` answers; with `hide_usage` the chunk that only reports usage is not passed on."""

    def __init__(self, choices: int = 1, *, hide_usage: bool = False) -> None:
        self._usage: Usage | None = None
        self.failed = False
        self.done = False
        self._unfinished = choices
        self._hides = hide_usage
        self._last = b"\n"
        self._usage_seen = b""
        self._held = b""

    def begun(self, head: bytes) -> bool:
        complete = head[: max(head.rfind(b"\n\n"), head.rfind(b"\r\n\r\n")) + 1]
        if any(_has_token(event) for event in events(complete)):
            return True
        return b"data: [DONE]" in complete or len(head) > HEAD_BYTES

    def feed(self, data: bytes) -> bytes:
        old = len(self._last)
        seen = self._last + data
        self._unfinished -= sum(mark.end() > old for mark in _FINISHED.finditer(seen))
        self.done = self.done or _DONE.search(seen) is not None
        self.failed = self.failed or _ERROR.search(seen) is not None
        if _USAGE.search(seen):
            self._usage_seen = seen
        elif 0 < len(self._usage_seen) < USAGE_BYTES:
            self._usage_seen += data
        self._last = b"\n" if data.endswith(b"\n\n") else _unfinished(seen)
        return self._shown(data) if self._hides else data

    @property
    def usage(self) -> Usage | None:
        if self._usage_seen:
            found = _usage_object(self._usage_seen)
            tiers = _TIER.findall(self._usage_seen)  # beside the usage, before it or after
            tier = tiers[-1].decode(errors="replace") if tiers else None
            self._usage = usage_of(found, tier) if found is not None else self._usage
            if self.done:  # nothing is to come
                self._usage_seen = b""
        return self._usage

    @property
    def finished(self) -> bool:
        return self.done or self._unfinished <= 0

    def end(self) -> bytes:
        rest, self._held = self._held, b""
        if self.done or self.failed:
            return rest
        if self._unfinished <= 0:
            self.done = True
            return _without_usage(rest) + b"data: [DONE]\n\n"
        raise Upstream("The upstream ended its stream in the middle of the answer.", code="upstream_broken")

    def _shown(self, data: bytes) -> bytes:
        """Whole events only, without those that the client did not ask for."""
        data = self._held + data if self._held else data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        if end < 4 and len(data) < EVENT_BYTES:
            self._held = data
            return b""
        if end < 4:  # too long to be held back: let it pass
            self._held = b""
            return data
        self._held = data[end:]
        return _without_usage(data[:end])


def usage_of(found: dict[str, Any], tier: object = None) -> Usage:
    """`usage` of a chat completion, completion or embedding; all 0 where its numbers cannot be counts.

    `tier` is the answer's `service_tier`.
    """
    prompt, completion = found.get("prompt_tokens"), found.get("completion_tokens")
    if not countable(prompt, completion):
        return Usage()
    if _tells(found.get("prompt_tokens_details")) or _tells(found.get("completion_tokens_details")):
        return detailed(found, "prompt", "completion", tier)
    return Usage(prompt or 0, completion or 0, tier=tier_told(tier) if tier is not None else "")


def detailed(found: dict[str, Any], read: str, made: str, tier: object = None) -> Usage:
    """A usage with its details, where `read` and `made` are what the protocol calls the two (`input`, `output`)."""
    heard, said = _details(found, read), _details(found, made)
    hour = heard.get("cache_write_1h_tokens")
    return Usage(
        input=found.get(f"{read}_tokens") or 0,
        output=found.get(f"{made}_tokens") or 0,
        cached_input=counted(heard.get("cached_tokens")),
        cache_write=counted(heard.get("cache_write_tokens")),
        audio_input=counted(heard.get("audio_tokens")),
        image_input=counted(heard.get("image_tokens")),
        reasoning=counted(said.get("reasoning_tokens")),
        audio_output=counted(said.get("audio_tokens")),
        image_output=counted(said.get("image_tokens")),
        cache_write_1h=None if hour is None else counted(hour),
        tier=tier_told(tier),
    )


def _tells(details: object) -> bool:
    """Whether any of them is not nothing."""
    return isinstance(details, dict) and any(details.values())


def _details(found: dict[str, Any], kind: str) -> dict[str, Any]:
    details = found.get(f"{kind}_tokens_details")
    return details if isinstance(details, dict) else {}


def events(data: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of the complete `data:` lines in `data`; what does not parse is passed over."""
    for line in data.splitlines():
        if line.startswith(b"data:") and line[5:6] != b"[":
            try:
                event = orjson.loads(line[5:])
            except orjson.JSONDecodeError:
                continue
            if isinstance(event, dict):
                yield event


def _unfinished(seen: bytes) -> bytes:
    """The event at the end whose rest is to come, so that no mark is missed that a read cuts in two."""
    bare = seen.rfind(b"\n\r\n")
    return seen[max(seen.rfind(b"\n\n") + 1, bare + 2 if bare >= 0 else 0, len(seen) - USAGE_BYTES) :]


def _has_token(event: dict[str, Any]) -> bool:
    if error := event.get("error"):
        raise told(error)
    choices = event.get("choices")
    return isinstance(choices, list) and any(isinstance(c, dict) and _speaks(c) for c in choices)


def _speaks(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    spoken = isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")
    return bool(spoken or choice.get("text") or choice.get("finish_reason"))


def _without_usage(data: bytes) -> bytes:
    """`data`, whole events, without a chunk that has usage and no choices."""
    if not _USAGE.search(data):
        return data
    kept = [event for event in re.split(rb"(?<=\n\n)|(?<=\r\n\r\n)", data) if not _only_usage(event)]
    return b"".join(kept)


def _only_usage(event: bytes) -> bool:
    return _USAGE.search(event) is not None and any(e.get("usage") and not e.get("choices") for e in events(event))


def _usage_object(seen: bytes) -> dict[str, Any] | None:
    """The object after the last `"usage":`; None if there is none or it is cut off."""
    marks = list(_USAGE.finditer(seen))
    if not marks:
        return None
    try:
        found, _ = _JSON.raw_decode(seen[marks[-1].end() - 1 :].decode(errors="replace"))
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
