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
# marks at the beginning of a line: inside a JSON string a line break would be escaped
_ERROR = re.compile(rb'\ndata:\s?\{"error":\s?[{"]')
_DONE = re.compile(rb"\ndata:\s?\[DONE\]")
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
    choices = event.get("choices")
    return isinstance(choices, list) and any(isinstance(c, dict) and _speaks(c) for c in choices)


def _speaks(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    spoken = isinstance(delta, dict) and any(value for key, value in delta.items() if key != "role")
    return bool(spoken or choice.get("text") or choice.get("finish_reason"))


class Tail:
    """Watches a stream of `choices` answers go by, and knows at its end whether it was whole and what it used."""

    def __init__(self, choices: int = 1) -> None:
        self.usage: dict[str, Any] | None = None
        self.failed = False
        """Whether the upstream told of an error inside the stream."""
        self._unfinished = choices
        self._done = False
        self._last = b"\n"
        self._usage_seen = b""

    def watch(self, chunk: bytes) -> None:
        old = len(self._last)
        seen = self._last + chunk
        self._unfinished -= sum(mark.end() > old for mark in _FINISHED.finditer(seen))
        self._done = self._done or _DONE.search(seen) is not None
        self.failed = self.failed or _ERROR.search(seen) is not None
        if _USAGE.search(seen):
            self._usage_seen = seen
        elif 0 < len(self._usage_seen) < USAGE_BYTES:
            self._usage_seen += chunk
        self._last = seen[-_OVERLAP:]

    def end(self, name: str) -> bytes:
        """What is still to be sent after the upstream's last byte: nothing, or a forgotten `[DONE]`.

        Raises `Upstream` if the stream stopped before its answers were finished, for a truncated answer must not
        look like a whole one.
        """
        self.usage = _usage(self._usage_seen)
        if self._done or self.failed:
            return b""
        if self._unfinished <= 0:
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
