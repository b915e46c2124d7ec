"""Looking at a stream of Anthropic's Messages that goes by as bytes."""

from __future__ import annotations

import re

import orjson

from intermodel.core import Upstream, Usage
from intermodel.protocols.anthropic_answer import merged, usage_of
from intermodel.protocols.anthropic_stream import STOP
from intermodel.protocols.chat import as_promised, broken_off, parsed
from intermodel.protocols.dialect import Body
from intermodel.protocols.faults import told

HEAD_BYTES = 256 * 1024
"""How much may come before the first token; a stream with more than that is taken as begun."""

EVENT_BYTES = 64 * 1024
"""Longest event that is looked at: those with usage are some hundreds of bytes."""

# names at the beginning of a line: inside JSON a line break would be escaped
_MARK = re.compile(rb"\nevent: ?(message_start|message_delta|message_stop|error)(?=[\r\n])")
_SPEAKS = re.compile(rb'\nevent: ?(?:content_block_delta|message_delta|message_stop)[\r\n]|"type": ?"tool_use"')
_ERROR = re.compile(rb"\nevent: ?error\r?\n(.*?)\r?\n\r?\n", re.DOTALL)
_END = re.compile(rb"\r?\n\r?\n")
_OVERLAP = 32  # longer than any mark, so that one cut in two by a read is still seen


class MessagesWatch:
    """A `Watch` for `Kind.MESSAGES`. `begun` leaves no trace: what it saw is to be fed too."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failed = False
        self._counts: Body = {}
        self.done = False
        self._finished = False
        self._tail = b"\n"

    def begun(self, head: bytes) -> bool:
        head = b"\n" + head
        speaks = _SPEAKS.search(head)
        error = _ERROR.search(head, 0, speaks.start() if speaks else len(head))
        if error is not None:
            raise told(parsed(_data(error[1])).get("error"))
        return speaks is not None or len(head) > HEAD_BYTES

    def feed(self, data: bytes) -> bytes:
        seen = self._tail + data
        start = 0
        while (mark := _MARK.search(seen, start)) is not None:
            end = _END.search(seen, mark.end())
            if end is None and len(seen) - mark.start() <= EVENT_BYTES:
                self._tail = seen[mark.start() :]
                return data
            start = end.end() - 1 if end else mark.end()
            if end is not None:
                self._event(mark[1], seen[mark.end() : end.start()])
        self._tail = seen[max(start, len(seen) - _OVERLAP) :]
        return data

    @property
    def finished(self) -> bool:
        return self.done or self._finished

    def end(self) -> bytes:
        missing = b""
        if _MARK.match(self._tail):  # a last event whose blank line was forgotten
            missing = self.feed(b"\n\n")
        if self.done or self.failed:
            return missing
        if not self._finished:
            raise broken_off()
        self.done = True
        return missing + STOP

    def _event(self, name: bytes, lines: bytes) -> None:
        if name == b"message_stop":
            self.done = True
        elif name == b"error":
            self.failed = True
        else:
            self._count(_data(lines))

    def _count(self, data: bytes) -> None:
        """What does not parse is the client's to judge: the bytes go by as they are."""
        try:
            with as_promised():
                said = orjson.loads(data)
                self._finished = self._finished or bool((said.get("delta") or {}).get("stop_reason"))
                usage = said.get("usage") or (said.get("message") or {}).get("usage")
                if usage:
                    self._counts = merged(self._counts, usage)
                    self.usage = usage_of(self._counts)
        except Upstream:
            return


def _data(lines: bytes) -> bytes:
    return b"\n".join(line[5:] for line in lines.splitlines() if line.startswith(b"data:"))
