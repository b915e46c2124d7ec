"""OpenAI's chat completions: the form in which the other protocols meet, read from a stream and written to one.

Source: OpenAI's API reference, "Chat completions" and "Streaming"; `dialect` lists what is added to it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from intermodel.core import Upstream
from intermodel.protocols.dialect import Body, Chunk, Decoder, Encoder, Resumed
from intermodel.protocols.faults import told
from intermodel.protocols.sse import Events

DONE = b"data: [DONE]\n\n"


class Chat:
    """The chat form itself: whatever is said in it stays as it is."""

    def request_to_chat(self, body: Body) -> Body:
        return body

    def request_from_chat(self, body: Body) -> Body:
        return body

    def answer_to_chat(self, answer: Body) -> Body:
        return answer

    def answer_from_chat(self, answer: Body, asked: Body) -> Body:
        return answer

    def decoder(self) -> Decoder:
        return ChatDecoder()

    def encoder(self, asked: Body, resumed: Resumed | None = None) -> Encoder:
        return ChatEncoder(asked, resumed)


class ChatDecoder:
    """Server-sent events to chunks, and the knowledge whether every choice was finished."""

    def __init__(self) -> None:
        self._events = Events()
        self._unfinished: set[int] = set()
        self._begun = self._done = False

    def feed(self, data: bytes) -> list[Chunk]:
        return self._chunks(self._events.feed(data))

    def end(self) -> list[Chunk]:
        chunks = self._chunks(self._events.end())
        if not self._done and (self._unfinished or not self._begun):
            raise broken_off()
        return chunks

    def _chunks(self, events: list[tuple[bytes, bytes]]) -> list[Chunk]:
        chunks = []
        with as_promised():
            for _, data in events:
                self._done = self._done or data == b"[DONE]"
                if self._done:
                    break
                chunks.append(chunk := parsed(data))
                self._follow(chunk)
        return chunks

    def _follow(self, chunk: Chunk) -> None:
        if error := chunk.get("error"):
            raise told(error)
        for choice in chunk.get("choices") or ():
            self._begun = True
            mark = self._unfinished.discard if choice.get("finish_reason") else self._unfinished.add
            mark(choice.get("index") or 0)


class ChatEncoder:
    """Chunks to server-sent events."""

    def __init__(self, asked: Body, resumed: Resumed | None) -> None:
        self._with_usage = bool((asked.get("stream_options") or {}).get("include_usage"))
        self._resumed = resumed

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        return b"".join([b"data: %b\n\n" % orjson.dumps(given) for one in chunks if (given := self._given(one))])

    def end(self) -> bytes:
        return DONE

    def _given(self, chunk: Chunk) -> Chunk | None:
        if not self._with_usage and chunk.get("usage") and not chunk.get("choices"):
            return None
        return chunk if self._resumed is None else _continued(chunk, self._resumed)


def _continued(chunk: Chunk, resumed: Resumed) -> Chunk | None:
    """The chunk as one of the stream that the client knows; None for one that only says that an answer begins."""
    choices = [_without_role(choice) for choice in chunk.get("choices") or ()]
    if choices and not any(choice.get("finish_reason") or any(choice["delta"].values()) for choice in choices):
        return None
    return chunk | {"id": resumed.id, "model": resumed.model, "created": resumed.created, "choices": choices}


def _without_role(choice: dict[str, Any]) -> dict[str, Any]:
    delta = choice.get("delta") or {}
    return choice | {"delta": {key: value for key, value in delta.items() if key != "role"}}


# what decoders and encoders of the other protocols are made with


def parsed(data: bytes) -> dict[str, Any]:
    """The JSON object of an event. Raises `Upstream` for anything else."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise Upstream("The upstream's stream holds an event that is not a JSON object.", code="upstream_protocol")
    return found


class as_promised:  # noqa: N801 - used as a statement
    """Around reading what an upstream said: a shape that its protocol does not have is its failure, not ours."""

    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, AttributeError | KeyError | IndexError | TypeError | ValueError):
            raise Upstream(
                "The upstream's answer is not of the shape that its protocol promises.", code="upstream_protocol"
            ) from error


def broken_off() -> Upstream:
    return Upstream("The upstream ended its stream in the middle of the answer.", code="upstream_broken")


def chunk_of(
    head: tuple[str, int, str], delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any
) -> Chunk:
    """A chunk; `head` is (id, created, model). Without `delta` and `finish` it has no choices, as one with usage."""
    identity, created, model = head
    bare = delta is None and finish is None
    return {
        "id": identity,
        "object": "chat.completion.chunk",
        "created": created,
        "model": model,
        "choices": [] if bare else [{"index": 0, "delta": delta or {}, "finish_reason": finish}],
        **more,
    }


def usage_of_counts(
    read: int, made: int, *, cached: int = 0, written: int = 0, hour: int | None = None, reasoning: int = 0
) -> dict[str, Any]:
    """`usage` in chat's form; `cached` and `written` (to a cache) are part of `read`, `reasoning` is part of `made`.

    `hour`: what of `written` is kept for an hour, where that is known.
    """
    usage: dict[str, Any] = {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}
    if cached or written:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    if written:
        usage["prompt_tokens_details"]["cache_write_tokens"] = written
        if hour is not None:
            usage["prompt_tokens_details"]["cache_write_1h_tokens"] = hour
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def thought(said: dict[str, Any]) -> str:
    """What a message or delta says was thought; some servers leave the second word off its name."""
    text = said.get("reasoning_content") or said.get("reasoning")
    return text if isinstance(text, str) else ""
