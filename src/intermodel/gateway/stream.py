"""Reading a stream of server-sent events just as far as the gateway must: its beginning and its end.

Everything between passes as bytes. Events are those of OpenAI's chat and completion streams.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from intermodel.core import Upstream

HEAD_BYTES = 256 * 1024
"""How much may come before the first token; a stream with more than that is taken as begun."""

USAGE_BYTES = 16 * 1024
"""How much is kept from the mark of a usage object on, until its end is there."""

_FINISHED = re.compile(rb'"finish_reason":\s?"')
_USAGE = re.compile(rb'"usage":\s?\{')
_ERROR = re.compile(rb'data:\s?\{"error"')  # inside a JSON string its quotes would be escaped
_JSON = json.JSONDecoder()
_OVERLAP = 32  # longer than any of the marks, so that one cut in two by a read is still seen


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


def begun(data: bytes, name: str) -> bool:
    """Whether a stream that starts with `data` holds its first token (or is over without one).

    Raises `Upstream` if it starts with an error: that can still be answered by another candidate.
    """
    complete = data[: max(data.rfind(b"\n\n"), data.rfind(b"\r\n\r\n")) + 1]
    if any(_has_token(event, name) for event in events(complete)):
        return True
    return b"data: [DONE]" in complete or len(data) > HEAD_BYTES


def _has_token(event: dict[str, Any], name: str) -> bool:
    error = event.get("error")
    if error:
        said = error.get("message") if isinstance(error, dict) else error
        raise Upstream(f"'{name}' began with an error: {said}", code="upstream_error")
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        spoken = any(value for key, value in delta.items() if key != "role")
        if spoken or choice.get("text") or choice.get("finish_reason"):
            return True
    return False


class Tail:
    """Watches a stream go by, and knows at its end whether it was whole and what it used."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] | None = None
        self._last = b""
        self._finished = False
        self._failed = False
        self._usage_seen = b""

    def watch(self, chunk: bytes) -> None:
        seen = self._last + chunk
        if not self._finished and _FINISHED.search(seen):
            self._finished = True
        if _USAGE.search(seen):
            self._usage_seen = seen
        elif 0 < len(self._usage_seen) < USAGE_BYTES:
            self._usage_seen += chunk
        if not self._failed and _ERROR.search(seen):
            self._failed = True
        self._last = seen[-_OVERLAP:]

    def end(self, name: str) -> bytes:
        """What is still to be sent after the upstream's last byte: nothing, or a forgotten `[DONE]`.

        Raises `Upstream` if the stream stopped before its answer was finished, for a truncated answer must not
        look like a whole one.
        """
        self.usage = _usage(self._usage_seen)
        if b"[DONE]" in self._last or self._failed:
            return b""
        if self._finished:
            return b"data: [DONE]\n\n"
        raise Upstream(f"'{name}' ended its stream in the middle of the answer.", code="upstream_broken")


def _usage(seen: bytes) -> dict[str, Any] | None:
    """The object after the last `"usage":`; None if there is none or it is cut off."""
    marks = list(_USAGE.finditer(seen))
    if not marks:
        return None
    try:
        found, _ = _JSON.raw_decode(seen[marks[-1].end() - 1 :].decode(errors="replace"))
    except json.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
