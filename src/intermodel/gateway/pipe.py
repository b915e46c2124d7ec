"""One answer on its way from an upstream's protocol to the caller's: watched, translated, screened. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from intermodel.core import Call, IntermodelError, Kind, Upstream, Usage
from intermodel.gateway.said import Seen
from intermodel.gateway.screen import Screen
from intermodel.protocols import Chunk, Decoder, Encoder, Resumed, Watch, inbound, outbound, usage_in, watch_of
from intermodel.protocols.chat import as_promised
from intermodel.protocols.faults import told
from intermodel.protocols.responses import ResponsesEncoder, error_event
from intermodel.protocols.responses_watch import ResponsesWatch
from intermodel.protocols.sse import events_of

EVENT_BYTES = 4 * 1024**2
"""A longer event passes in pieces."""


class Pipe:
    """The way of one stream. Bytes pass as they are where both sides speak one protocol and nothing screens them."""

    def __init__(self, call: Call, spoken: Kind, screen: Screen | None = None) -> None:
        """`spoken` is the protocol of the upstream."""
        bare = spoken is call.kind and screen is None
        self._watch: Watch = watch_of(spoken, call, hide_usage=bare and not _asks_usage(call))
        self._screen = screen
        self._decoder: Decoder | None = None if bare else outbound(spoken).decoder()
        self._encoder: Encoder | None = None if bare else inbound(call.kind).encoder(call.body)
        self._ended = False
        self._in_events = spoken.conversation or spoken is Kind.COMPLETION
        self._held = b""
        self._before = 0
        self.broken: IntermodelError | None = None
        """What the stream broke off with, after the last bytes that were given."""
        self.begun = self._watch.begun

    def rest(self, call: Call, spoken: Kind, resumed: Resumed) -> Pipe:
        """The way of another upstream's rest of this answer: the caller sees one stream."""
        rest = Pipe(call, spoken, self._screen)
        rest._before = about_tokens(resumed.text)
        rest._decoder = outbound(spoken).decoder()
        # an encoder that has begun knows more than `resumed` does; chat's would tell the other upstream's ids
        goes_on = self._encoder is not None and call.kind is not Kind.CHAT
        rest._encoder = self._encoder if goes_on else inbound(call.kind).encoder(call.body, resumed)
        return rest

    @property
    def usage(self) -> Usage | None:
        """What the upstream reported so far."""
        return self._watch.usage

    @property
    def finished(self) -> bool:
        """Whether `usage` is that of the whole answer."""
        return self._watch.finished

    @property
    def failed(self) -> bool:
        """Whether the upstream told of an error inside the stream."""
        return self._watch.failed

    @property
    def done(self) -> bool:
        """Whether the answer is whole, whatever else may come."""
        return self._watch.done

    def feed(self, data: bytes, *, raises: bool = False) -> bytes:
        """What the caller gets of `data`. Raises `Upstream` for an error in it, `Refused` where a guard ends it.

        What came before the error is given first, and the error kept in `broken`. An error of the upstream that could
        pass as it is is raised too where it `raises`.
        """
        if self._ended:
            return b""
        if self._decoder is None and not raises:
            return self._passed(data)
        given = b""
        for event in events_of(data):
            try:
                given += self._passed(event, raises=True) if self._decoder is None else self._translated(event)
            except IntermodelError as error:
                if not given:
                    raise
                self.broken = error
                break
        return given

    def _passed(self, data: bytes, *, raises: bool = False) -> bytes:
        seen = self._watch.feed(data)
        if raises and self._watch.failed:
            raise told_inside()
        given = self._whole_events(seen) if self._in_events else seen
        self._ended = self.done and not self._held
        return given

    def _translated(self, data: bytes) -> bytes:
        assert self._decoder is not None
        self._watch.feed(data)
        given = self._given(self._decoder.feed(data))
        return given + self._finish() if self.done else given

    def end(self) -> bytes:
        """What is left for the caller when the upstream has closed. Raises `Upstream` if the answer was cut short."""
        rest = self._watch.end()
        if self._decoder is not None:
            return self._finish()
        held, self._held = self._held, b""
        return held.rstrip(b"\r\n") + b"\n\n" + rest if held else rest

    def failure(self, message: str, code: str) -> bytes:
        """An error as the end of a Responses stream, whose events are numbered; b"" for other protocols."""
        if isinstance(self._encoder, ResponsesEncoder):
            return self._encoder.failed(message, code)
        if isinstance(self._watch, ResponsesWatch):
            return error_event(message, code, sequence=self._watch.sequence)
        return b""

    def _whole_events(self, data: bytes) -> bytes:
        """What is complete of it: an error, or another's rest, may have to come after."""
        data = self._held + data if self._held else data
        if data.endswith(b"\n\n") or len(data) > EVENT_BYTES:
            self._held = b""
            return data
        end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
        end = 0 if end < 4 else end
        self._held = data[end:]
        return data[:end]

    def _given(self, chunks: Sequence[Chunk]) -> bytes:
        assert self._encoder is not None
        if self._before:
            chunks = [_as_one(chunk, self._before) for chunk in chunks]
        if self._screen is not None:
            chunks = self._screen.chunks(chunks)
        return self._encoder.feed(chunks) if chunks else b""

    def _finish(self) -> bytes:
        if self._ended or self._decoder is None or self._encoder is None:
            return b""
        self._ended = True
        given = self._given(self._decoder.end())
        if self._screen is not None:
            given += self._encoder.feed(self._screen.end())
        return given + self._encoder.end()


def told_inside() -> Upstream:
    """For an error that passed by in a stream, unread."""
    return Upstream("The upstream told of an error inside its stream.", code="upstream_error")


def about_tokens(text: str) -> int:
    """A token in four bytes (OpenAI's rule of thumb)."""
    return len(text.encode()) // 4


def _as_one(chunk: Chunk, before: int) -> Chunk:
    """The chunk, whose usage is that of one answer: the words that another made before it were not read but made."""
    usage = chunk.get("usage")
    if not isinstance(usage, dict):
        return chunk
    read, made = usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0
    counts = {"prompt_tokens": max(0, read - before), "completion_tokens": made + before}
    return chunk | {"usage": usage | counts | {"total_tokens": sum(counts.values())}}


def usage_told(spoken: Kind, body: bytes) -> Usage | None:
    """What an answer says that it used which nobody reads otherwise: a transcription, say."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return usage_in(spoken, answer) if isinstance(answer, dict) else None


def whole(call: Call, spoken: Kind, body: bytes, screen: Screen | None, seen: Seen) -> bytes:
    """An answer that is not streamed, for the caller; `seen` is told what it used. Raises `Upstream` for what is none.

    A `Refused` of a guard comes after that, for it is paid for.
    """
    answer = _parsed(body)
    seen.usage = usage_in(spoken, answer)
    with as_promised():
        if (field := _HOLDS.get(spoken)) is not None and not all(one.keys() for one in answer[field]):
            raise ValueError
        if spoken is call.kind and screen is None:
            return body
        chat = outbound(spoken).answer_to_chat(answer) if spoken.conversation else answer
    if screen is not None:
        chat = screen.answer(chat)
    given = inbound(call.kind).answer_from_chat(chat, call.body) if call.kind.conversation else chat
    return orjson.dumps(given)


_HOLDS = {Kind.CHAT: "choices", Kind.COMPLETION: "choices", Kind.EMBEDDING: "data", Kind.MESSAGES: "content",
          Kind.RESPONSES: "output", Kind.IMAGE: "data"}  # fmt: skip
"""The field that is the answer, a list of objects."""


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Upstream("The upstream's answer is not a JSON object.", code="upstream_protocol")
    if error := parsed.get("error"):  # Responses carry "error": null
        raise told(error)
    return parsed


def _asks_usage(call: Call) -> bool:
    return (call.kind.conversation and call.kind is not Kind.CHAT) or wants_usage(call.body)


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a chat request asks for the chunk that reports usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))
