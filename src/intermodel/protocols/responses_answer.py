"""Answers of upstreams that are asked in OpenAI's Responses, whole and streamed, in the chat form.

Sources: OpenAI's API reference, "The response object" and "Streaming events"; the Open Responses specification, whose
events of thoughts have other names.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from intermodel.core import Fault, Upstream
from intermodel.protocols.chat import as_promised, broken_off, chunk_of, parsed, usage_of_counts
from intermodel.protocols.dialect import Body, Chunk
from intermodel.protocols.faults import told
from intermodel.protocols.responses_watch import usage_of
from intermodel.protocols.sse import Events

_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


def answer_to_chat(answer: Body) -> Body:
    with as_promised():
        _refuse(answer)
        message: Body = {"role": "assistant", "content": None, "refusal": None}
        calls: list[Body] = []
        logprobs: list[Body] = []
        for item in answer["output"]:
            if item["type"] == "function_call":
                calls.append(_call(item, item["arguments"]))
            else:
                _put(item, message, logprobs)
        if calls:
            message["tool_calls"] = calls
        elif message["content"] is None and message["refusal"] is None:
            message["content"] = ""
        scores = {"content": logprobs, "refusal": None} if logprobs else None
        finish = _finish(answer, called=bool(calls))
        choice = {"index": 0, "message": message, "logprobs": scores, "finish_reason": finish}
        used = {"usage": _usage(answer["usage"])} if answer.get("usage") else {}
        return chunk_of(_head(answer)) | {"object": "chat.completion", "choices": [choice]} | used


def _refuse(answer: Body) -> None:
    if answer.get("error"):
        raise told(answer["error"])
    if answer["status"] not in ("completed", "incomplete"):
        raise Upstream(f"The upstream's response is {answer['status']}.", code="upstream_protocol")


def _put(item: Body, message: Body, logprobs: list[Body]) -> None:
    if item["type"] == "reasoning":
        text = "\n\n".join(part["text"] for part in item.get("content") or item["summary"])
        pieces = [("reasoning_content", text), ("reasoning_signature", item.get("encrypted_content"))]
    elif item["type"] == "message":
        pieces = [_said(part, logprobs) for part in item["content"]]
    else:
        raise _unknown(item)
    for name, piece in pieces:
        if piece:
            message[name] = (message.get(name) or "") + piece


def _said(part: Body, logprobs: list[Body]) -> tuple[str, str]:
    if part["type"] == "refusal":
        return "refusal", part["refusal"]
    logprobs += part.get("logprobs") or ()
    return "content", part["text"]


def _unknown(item: Body) -> Upstream:
    return Upstream(f"The model answered with {item['type']}, which has no place in a chat.", fault=Fault.UNSUPPORTED)


def _call(item: Body, arguments: str) -> Body:
    function = {"name": item["name"], "arguments": arguments}
    return {"id": item["call_id"], "type": "function", "function": function}


def _finish(answer: Body, *, called: bool) -> str:
    if answer["status"] == "incomplete":
        return _FINISH.get((answer.get("incomplete_details") or {}).get("reason") or "", "length")
    return "tool_calls" if called else "stop"


def _head(answer: Body) -> tuple[str, int, str]:
    return f"chatcmpl-{answer['id'].removeprefix('resp_')}", int(answer["created_at"]), answer["model"]


def _usage(found: Body) -> Body:
    used = usage_of(found)
    return usage_of_counts(
        used.input, used.output, cached=used.cached_input, written=used.cache_write, reasoning=used.reasoning
    )


class ResponsesDecoder:
    """Server-sent events to chat chunks."""

    def __init__(self) -> None:
        self._events = Events()
        self._head = ("", int(time.time()), "")
        self._usage: Body | None = None
        self._finished = False
        self._calls: dict[int, int] = {}  # the tool calls' numbers by their items'
        self._filled: set[int] = set()  # items of which deltas have come
        self._thoughts: dict[int, str] = {}  # in which kind of event an item's thoughts come
        self._readers: dict[str, Callable[[Body], Chunk | None]] = {
            "response.created": self._begin,
            "response.output_item.added": self._open,
            "response.output_text.delta": self._words,
            "response.refusal.delta": self._refusal,
            "response.reasoning_text.delta": self._thought,
            "response.reasoning.delta": self._thought,
            "response.reasoning_summary_text.delta": self._thought,
            "response.reasoning_summary_part.added": self._paragraph,
            "response.function_call_arguments.delta": self._arguments,
            "response.output_item.done": self._close,
            "response.completed": self._stop,
            "response.incomplete": self._stop,
        }

    def feed(self, data: bytes) -> list[Chunk]:
        return self._chunks(self._events.feed(data))

    def end(self) -> list[Chunk]:
        chunks = self._chunks(self._events.end())
        if not self._finished:
            raise broken_off()
        if self._usage:
            chunks.append(chunk_of(self._head, usage=_usage(self._usage)))
        return chunks

    def _chunks(self, events: list[tuple[bytes, bytes]]) -> list[Chunk]:
        chunks = []
        with as_promised():
            for _, data in events:
                if data == b"[DONE]":
                    continue
                said = parsed(data)
                kind = said.get("type") or ""
                if kind in ("error", "response.failed"):
                    raise told(said.get("error") or (said.get("response") or {}).get("error") or said)
                reader = self._readers.get(kind)
                if reader is not None and (chunk := reader(said)) is not None:
                    chunks.append(chunk)
        return chunks

    def _said(self, **delta: Any) -> Chunk:
        return chunk_of(self._head, delta)

    def _begin(self, said: Body) -> Chunk:
        self._head = _head(said["response"])
        return self._said(role="assistant", content="")

    def _open(self, said: Body) -> Chunk | None:
        item = said["item"]
        if item["type"] in ("message", "reasoning"):
            return None
        if item["type"] != "function_call":
            raise _unknown(item)
        number = self._calls[said["output_index"]] = len(self._calls)
        return self._said(tool_calls=[{"index": number, **_call(item, "")}])

    def _words(self, said: Body) -> Chunk:
        chunk = self._said(content=said["delta"])
        if said.get("logprobs"):
            chunk["choices"][0]["logprobs"] = {"content": said["logprobs"], "refusal": None}
        return chunk

    def _refusal(self, said: Body) -> Chunk:
        return self._said(refusal=said["delta"])

    def _thought(self, said: Body) -> Chunk | None:
        """Some servers tell thoughts and their summary; the first kind is taken."""
        if self._thoughts.setdefault(said["output_index"], said["type"]) != said["type"]:
            return None
        return self._said(reasoning_content=said["delta"])

    def _paragraph(self, said: Body) -> Chunk | None:
        return self._said(reasoning_content="\n\n") if said["summary_index"] and self._thoughts else None

    def _arguments(self, said: Body) -> Chunk:
        self._filled.add(said["output_index"])
        number = self._calls[said["output_index"]]
        return self._said(tool_calls=[{"index": number, "function": {"arguments": said["delta"]}}])

    def _close(self, said: Body) -> Chunk | None:
        item, place = said["item"], said["output_index"]
        if item["type"] == "reasoning" and item.get("encrypted_content"):
            return self._said(reasoning_signature=item["encrypted_content"])
        if item["type"] == "function_call" and place not in self._filled and item["arguments"]:
            number = self._calls[place]
            return self._said(tool_calls=[{"index": number, "function": {"arguments": item["arguments"]}}])
        return None

    def _stop(self, said: Body) -> Chunk:
        self._finished = True
        self._usage = said["response"].get("usage")
        return chunk_of(self._head, {}, _finish(said["response"], called=bool(self._calls)))
