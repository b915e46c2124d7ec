"""One answer on its way from an upstream's protocol to the caller's: watched, translated, screened. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from intermodel.core import Call, Kind, Upstream, Usage
from intermodel.gateway.screen import Screen
from intermodel.protocols import Chunk, Decoder, Encoder, Resumed, Watch, inbound, outbound, usage_in, watch_of
from intermodel.protocols.responses import ResponsesEncoder, error_event
from intermodel.protocols.responses_watch import ResponsesWatch


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
        self.begun = self._watch.begun

    def rest(self, call: Call, spoken: Kind, resumed: Resumed) -> Pipe:
        """The way of another upstream's rest of this answer: the caller sees one stream."""
        rest = Pipe(call, spoken, self._screen)
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
    def failed(self) -> bool:
        """Whether the upstream told of an error inside the stream."""
        return self._watch.failed

    @property
    def done(self) -> bool:
        """Whether the answer is whole, whatever else may come."""
        return self._watch.done

    def feed(self, data: bytes) -> bytes:
        """What the caller gets of `data`. Raises `Upstream` for an error in it, `Refused` where a guard ends it."""
        seen = self._watch.feed(data)
        if self._decoder is None:
            return seen
        given = self._given(self._decoder.feed(data))
        return given + self._finish() if self.done else given

    def end(self) -> bytes:
        """What is left for the caller when the upstream has closed. Raises `Upstream` if the answer was cut short."""
        rest = self._watch.end()
        return rest if self._decoder is None else self._finish()

    def failure(self, message: str, code: str) -> bytes:
        """An error as the end of a Responses stream, whose events are numbered; b"" for other protocols."""
        if isinstance(self._encoder, ResponsesEncoder):
            return self._encoder.failed(message, code)
        if isinstance(self._watch, ResponsesWatch):
            return error_event(message, code, sequence=self._watch.sequence)
        return b""

    def _given(self, chunks: Sequence[Chunk]) -> bytes:
        assert self._encoder is not None
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


def whole(call: Call, spoken: Kind, body: bytes, screen: Screen | None) -> tuple[bytes, Usage | None]:
    """An answer that is not streamed, for the caller, and what it used. Raises `Upstream` for what is no answer."""
    answer = _parsed(body)
    usage = usage_in(spoken, answer)
    if spoken is call.kind and screen is None:
        return body, usage
    chat = outbound(spoken).answer_to_chat(answer) if spoken.conversation else answer
    if screen is not None:
        chat = screen.answer(chat)
    given = inbound(call.kind).answer_from_chat(chat, call.body) if call.kind.conversation else chat
    return orjson.dumps(given), usage


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if not isinstance(parsed, dict):
        raise Upstream("The upstream's answer is not a JSON object.", code="upstream_protocol")
    if error := parsed.get("error"):  # Responses carry "error": null
        said = error.get("message") if isinstance(error, dict) else error
        raise Upstream(f"The upstream answered with an error: {said}", code="upstream_error")
    return parsed


def _asks_usage(call: Call) -> bool:
    return (call.kind.conversation and call.kind is not Kind.CHAT) or wants_usage(call.body)


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a chat request asks for the chunk that reports usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and bool(options.get("include_usage"))
