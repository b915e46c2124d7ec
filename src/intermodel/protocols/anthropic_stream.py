"""Streams of Anthropic's Messages, read into chat chunks and written from them.

Source: Anthropic's guide "Streaming Messages" and its API reference: a message is `message_start`, then blocks one
after the other (`content_block_start`, `_delta`, `_stop`), then `message_delta` with the reason of the stop and running
totals of usage, then `message_stop`; `ping` and `error` may come at any time, and kinds unknown today are passed over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from intermodel.core import Upstream
from intermodel.protocols.anthropic_answer import (
    UNSTOPPED,
    call_block,
    ending,
    finish_of,
    merged,
    message_of,
    refusal_of,
    shows_thinking,
    text_block,
    tier_to_chat,
    usage_from_chat,
    usage_to_chat,
)
from intermodel.protocols.anthropic_thinking import Sealing, piece
from intermodel.protocols.chat import as_promised, broken_off, chunk_of, parsed, thought
from intermodel.protocols.dialect import Body, Chunk, Resumed
from intermodel.protocols.faults import told
from intermodel.protocols.sse import Events, event

STOP = event(b'{"type":"message_stop"}', b"message_stop")


class MessagesDecoder:
    """Server-sent events to chat chunks."""

    def __init__(self) -> None:
        self._events = Events()
        self._head = ("", int(time.time()), "")
        self._usage: Body = {}
        self._sealing = Sealing()
        self._calls: dict[int, int] = {}  # the tool calls' numbers by their blocks'
        self._input: dict[int, Body] = {}  # what a call's block began with, until it has said more
        self._finished = self._stopped = False
        self._readers: dict[str, Callable[[Body], Chunk | None]] = {
            "message_start": self._start,
            "content_block_start": self._block,
            "content_block_delta": self._delta,
            "content_block_stop": self._block_end,
            "message_delta": self._finish,
            "message_stop": self._stop,
        }

    def feed(self, data: bytes) -> list[Chunk]:
        return self._chunks(self._events.feed(data))

    def end(self) -> list[Chunk]:
        chunks = self._chunks(self._events.end())
        if not self._finished:
            raise broken_off()
        if not self._stopped:  # a forgotten message_stop
            chunks.append(self._stop({}))
        return chunks

    def _chunks(self, events: list[tuple[bytes, bytes]]) -> list[Chunk]:
        chunks = []
        with as_promised():
            for _, data in events:
                said = parsed(data)
                if said.get("type") == "error":
                    raise told(said.get("error"))
                reader = self._readers.get(said.get("type") or "")
                if reader is not None and (chunk := reader(said)) is not None:
                    chunks.append(chunk)
        return chunks

    def _start(self, said: Body) -> Chunk:
        message = said["message"]
        self._head = (message.get("id") or "", self._head[1], message.get("model") or "")
        self._usage = merged(self._usage, message.get("usage") or {})
        return chunk_of(self._head, {"role": "assistant", "content": ""})

    def _block(self, said: Body) -> Chunk | None:
        block = said["content_block"]
        kind = block["type"]
        if kind == "tool_use":
            return self._call(said["index"], block)
        if kind in ("thinking", "redacted_thinking"):
            seal = self._sealing.begin(kind) + (block.get("signature") or block.get("data") or "")
            return self._thought(block.get("thinking") or "", seal)
        return chunk_of(self._head, {"content": block["text"]}) if kind == "text" and block.get("text") else None

    def _call(self, index: int, block: Body) -> Chunk:
        number = self._calls[index] = len(self._calls)
        self._input[index] = block.get("input") or {}
        function = {"name": block["name"], "arguments": ""}
        call = {"index": number, "id": block["id"], "type": "function", "function": function}
        return chunk_of(self._head, {"tool_calls": [call]})

    def _delta(self, said: Body) -> Chunk | None:
        delta = said["delta"]
        kind = delta["type"]
        if kind == "text_delta":
            return chunk_of(self._head, {"content": delta["text"]})
        if kind == "input_json_delta":
            return self._arguments(said["index"], delta["partial_json"])
        if kind == "thinking_delta":
            return self._thought(delta["thinking"], "")
        return self._thought("", delta["signature"]) if kind == "signature_delta" else None

    def _arguments(self, index: int, text: str) -> Chunk | None:
        if not text or index not in self._calls:
            return None
        self._input.pop(index, None)
        call = {"index": self._calls[index], "function": {"arguments": text}}
        return chunk_of(self._head, {"tool_calls": [call]})

    def _thought(self, text: str, seal: str) -> Chunk | None:
        self._sealing.think(text)
        delta = {"reasoning_content": text} if text else {}
        delta |= {"reasoning_signature": seal} if seal else {}
        return chunk_of(self._head, delta) if delta else None

    def _block_end(self, said: Body) -> Chunk | None:
        """A call without arguments streams none; in the chat form they are an empty object even so."""
        index = said["index"]
        return self._arguments(index, orjson.dumps(self._input[index]).decode()) if index in self._input else None

    def _finish(self, said: Body) -> Chunk | None:
        self._usage = merged(self._usage, said.get("usage") or {})
        delta = said.get("delta") or {}
        if not delta.get("stop_reason"):
            return None
        self._finished = True
        refusal = refusal_of(delta)
        return chunk_of(self._head, {"refusal": refusal} if refusal else {}, finish_of(delta["stop_reason"]))

    def _stop(self, _: Body) -> Chunk:
        self._stopped = True
        return chunk_of(self._head, usage=usage_to_chat(self._usage), **tier_to_chat(self._usage))


class MessagesEncoder:
    """Chat chunks to server-sent events. Blocks come one after the other, as Anthropic promises its clients."""

    def __init__(self, asked: Body, resumed: Resumed | None) -> None:
        self._asked = asked
        self._shows_thinking = shows_thinking(asked)
        self._started = resumed is not None
        # a client that has read text has an open block; `sequence` is its number
        self._index = resumed.sequence if resumed else -1
        self._open = "text" if resumed and resumed.text else ""
        self._call: Any = None  # what the open block's tool call goes by in the chunks
        self._called: set[Any] = set()
        self._signature = ""
        self._refusal = ""
        self._choice: Body = {}
        self._usage: Body = {}
        self._out: list[bytes] = []

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        with as_promised():
            for chunk in chunks:
                self._chunk(chunk)
        return self._taken()

    def end(self) -> bytes:
        self._close()
        with as_promised():
            delta = ending(self._choice, calls=bool(self._called), refusal=self._refusal, asked=self._asked)
            self._tell("message_delta", delta=delta, usage=usage_from_chat(self._usage))
        return self._taken() + STOP

    def _taken(self) -> bytes:
        out, self._out = b"".join(self._out), []
        return out

    def _tell(self, kind: str, **said: Any) -> None:
        self._out.append(event(orjson.dumps({"type": kind, **said}), kind.encode()))

    def _chunk(self, chunk: Chunk) -> None:
        if error := chunk.get("error"):
            raise told(error)
        if not self._started:
            self._start(chunk)
        if usage := chunk.get("usage"):
            self._usage = usage
        for choice in chunk.get("choices") or ():
            if not choice.get("index"):
                self._say(choice.get("delta") or {})
                if choice.get("finish_reason"):
                    self._choice = choice

    def _start(self, chunk: Chunk) -> None:
        self._started = True
        self._tell("message_start", message=message_of(chunk, [], {"stop_reason": None, **UNSTOPPED}))

    def _say(self, delta: Body) -> None:
        if seal := delta.get("reasoning_signature"):
            self._seal(seal)
        if (text := thought(delta)) and self._shows_thinking:
            self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._delta(type="thinking_delta", thinking=text)
        if spoken := delta.get("content"):
            self._block("text", text_block(""))
            self._delta(type="text_delta", text=spoken)
        for call in delta.get("tool_calls") or ():
            self._tool(call)
        self._refusal += delta.get("refusal") or ""

    def _seal(self, seal: str) -> None:
        """A thinking block's signature is told once, at its end, for clients keep the last they hear."""
        begins, value = piece(seal)
        if begins:
            self._close()
        if begins == "redacted_thinking":
            self._block(begins, {"type": begins, "data": value})
            self._close()
        else:
            self._block("thinking", {"type": "thinking", "thinking": "", "signature": ""})
            self._signature += value

    def _tool(self, call: Body) -> None:
        function = call.get("function") or {}
        key = call.get("index")
        if key is None:  # some servers number none; a call with an id is a new one
            key = call.get("id") or self._call
        if self._open != "tool_use" or key != self._call:
            if key in self._called:
                raise Upstream("The upstream mixed the arguments of two tool calls.", code="upstream_protocol")
            self._close()
            self._called.add(key)
            self._call = key
            self._block("tool_use", call_block(call["id"], function["name"], {}))
        if text := function.get("arguments"):
            self._delta(type="input_json_delta", partial_json=text)

    def _block(self, kind: str, beginning: Body) -> None:
        """Open a block, unless one of its kind is."""
        if self._open == kind:
            return
        self._close()
        self._index += 1
        self._open = kind
        self._tell("content_block_start", index=self._index, content_block=beginning)

    def _delta(self, **delta: Any) -> None:
        self._tell("content_block_delta", index=self._index, delta=delta)

    def _close(self) -> None:
        if not self._open:
            return
        if self._open == "thinking" and self._signature:
            self._delta(type="signature_delta", signature=self._signature)
        self._signature = ""
        self._tell("content_block_stop", index=self._index)
        self._open = ""
