"""OpenAI's Responses, stateless, both ways; docs/protocols.md tells what is said how.

Sources: OpenAI's API reference, "Responses"; the Open Responses specification. A response of this node says
`store: false` whatever was asked, since nothing is kept.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

import orjson

from intermodel.protocols.dialect import Body, Chunk, Resumed
from intermodel.protocols.refusal import well_formed
from intermodel.protocols.responses_answer import ResponsesDecoder, answer_to_chat
from intermodel.protocols.responses_from_chat import RESPONSES, request_from_chat
from intermodel.protocols.responses_output import Event, Output
from intermodel.protocols.responses_request import request_to_chat
from intermodel.protocols.sse import event as sse_event

DONE = b"data: [DONE]\n\n"
"""The Open Responses specification ends streams with it; OpenAI's clients take it as the end."""


class Responses:
    """The dialect of `Kind.RESPONSES`."""

    def request_to_chat(self, body: Body) -> Body:
        with well_formed(RESPONSES):
            return request_to_chat(body)

    def request_from_chat(self, body: Body) -> Body:
        with well_formed("OpenAI's chat completions"):
            return request_from_chat(body)

    def answer_to_chat(self, answer: Body) -> Body:
        return answer_to_chat(answer)

    def answer_from_chat(self, answer: Body, asked: Body) -> Body:
        choice = answer["choices"][0]
        head = _Head(answer, asked)
        output = head.output()
        output.take(choice["message"], choice.get("logprobs"))
        output.finish(choice.get("finish_reason") or "stop")
        return head.ended(output, answer.get("usage"))

    def decoder(self) -> ResponsesDecoder:
        return ResponsesDecoder()

    def encoder(self, asked: Body, resumed: Resumed | None = None) -> ResponsesEncoder:
        return ResponsesEncoder(asked, resumed)


class ResponsesEncoder:
    """Chunks to events. Of several choices only the first is told, for Responses have one."""

    def __init__(self, asked: Body, resumed: Resumed | None = None) -> None:
        self.sequence = resumed.sequence if resumed else -1
        """The number of the last event that was given out."""
        self._asked = asked
        self._usage: Body | None = None
        self._head: _Head | None = None
        self._output = Output("", summary=False)
        if resumed is not None:
            self._head = _Head({"id": resumed.id, "created": resumed.created, "model": resumed.model}, asked)
            self._output = self._head.output()
            if resumed.text:
                self._output.resume(resumed.text)

    def feed(self, chunks: Sequence[Chunk]) -> bytes:
        events = [] if self._head or not chunks else self._opening(chunks[0])
        for chunk in chunks:
            self._usage = chunk.get("usage") or self._usage
            for choice in chunk.get("choices") or ():
                if not choice.get("index"):
                    self._take(choice)
        events += self._output.events
        self._output.events = []
        return self._numbered(events)

    def end(self) -> bytes:
        events = [] if self._head else self._opening({})
        assert self._head is not None
        if not self._output.finished:
            self._output.finish("stop")
            events += self._output.events
        whole = self._head.ended(self._output, self._usage)
        events.append({"type": f"response.{whole['status']}", "response": whole})
        return self._numbered(events) + DONE

    def failed(self, message: str, code: str) -> bytes:
        """The end of a stream that an error cut off: `response.failed`, with what had been said until then."""
        events = [] if self._head else self._opening({})
        assert self._head is not None
        whole = self._head.failed(self._output, self._usage, {"code": code, "message": message})
        events.append({"type": "response.failed", "response": whole})
        return self._numbered(events) + DONE

    def resumed(self) -> Resumed | None:
        """What another encoder needs in order to go on from here; None if more than words has been said."""
        text = self._output.spoken()
        if self._head is None or text is None:
            return None
        return Resumed(self._head.id, self._head.model, self._head.created, text, self.sequence)

    def _opening(self, chunk: Chunk) -> list[Event]:
        self._head = _Head(chunk, self._asked)
        self._output = self._head.output()
        begun = self._head.begun()
        return [{"type": "response.created", "response": begun}, {"type": "response.in_progress", "response": begun}]

    def _take(self, choice: Body) -> None:
        if delta := choice.get("delta"):
            self._output.take(delta, choice.get("logprobs"))
        if reason := choice.get("finish_reason"):
            self._output.finish(reason)

    def _numbered(self, events: list[Event]) -> bytes:
        written = []
        for event in events:
            self.sequence += 1
            event["sequence_number"] = self.sequence
            written.append(b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)))
        return b"".join(written)


def error_event(message: str, code: str, *, sequence: int, param: str | None = None) -> bytes:
    """An error inside a stream that passed through as bytes; `sequence` is the number of the last event (`sequence`
    of the watch). Written both as OpenAI writes it and as Open Responses does; OpenAI's clients raise an error for it.
    """
    said = {"message": message, "code": code, "param": param}
    told = {"type": "error", "sequence_number": sequence + 1, **said, "error": {"type": "server_error", **said}}
    return sse_event(orjson.dumps(told), b"error") + DONE


class _Head:
    """What of a response is known from its beginning."""

    def __init__(self, said: Body, asked: Body) -> None:
        self._tail = str(said.get("id") or secrets.token_hex(12)).removeprefix("chatcmpl-").removeprefix("resp_")
        self.id = f"resp_{self._tail}"
        self.created = int(said.get("created") or time.time())
        self.model = str(said.get("model") or asked.get("model") or "")
        self._asked = asked
        self._echo = _echo(asked)

    def output(self) -> Output:
        reasoning = self._asked.get("reasoning") or {}
        return Output(self._tail, summary=bool(reasoning.get("summary") or reasoning.get("generate_summary")))

    def begun(self) -> Body:
        return self._response("in_progress", [], None)

    def ended(self, output: Output, usage: Body | None) -> Body:
        if output.incomplete:
            reason = {"incomplete_details": {"reason": output.incomplete}}
            return self._response("incomplete", output.items(), usage, **reason)
        return self._response("completed", output.items(), usage, completed_at=int(time.time()))

    def failed(self, output: Output, usage: Body | None, error: Body) -> Body:
        return self._response("failed", output.items(), usage, error=error)

    def _response(self, status: str, items: list[Body], usage: Body | None, **more: Any) -> Body:
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created,
            "completed_at": None,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "model": self.model,
            "output": items,
            "usage": _usage(usage) if usage else None,
            **self._echo,
            **more,
        }


def _usage(chat: Body) -> Body:
    read, made = chat.get("prompt_tokens_details") or {}, chat.get("completion_tokens_details") or {}
    input_tokens, output_tokens = chat.get("prompt_tokens") or 0, chat.get("completion_tokens") or 0
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": read.get("cached_tokens") or 0,
            "cache_write_tokens": read.get("cache_write_tokens") or 0,
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": made.get("reasoning_tokens") or 0},
        "total_tokens": input_tokens + output_tokens,
    }


_DEFAULTS: Body = {
    "instructions": None, "tool_choice": "auto", "parallel_tool_calls": True, "temperature": 1.0, "top_p": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0, "max_output_tokens": None,
    "max_tool_calls": None, "service_tier": "default", "metadata": {}, "safety_identifier": None,
    "prompt_cache_key": None, "user": None,
}  # fmt: skip
_FIXED: Body = {"previous_response_id": None, "store": False, "background": False, "truncation": "disabled"}


def _echo(asked: Body) -> Body:
    """The request as a response repeats it; the specification wants a number where none was asked for."""
    reasoning = asked.get("reasoning") or {}
    echo = {name: default if asked.get(name) is None else asked[name] for name, default in _DEFAULTS.items()} | _FIXED
    echo["reasoning"] = {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")}
    echo["text"] = {**(asked.get("text") or {}), "format": _format((asked.get("text") or {}).get("format"))}
    echo["tools"] = [{"description": None, "parameters": None, "strict": None} | t for t in asked.get("tools") or ()]
    return echo


def _format(wanted: Body | None) -> Body:
    if not wanted or wanted["type"] != "json_schema":
        return wanted or {"type": "text"}
    return {"description": None} | wanted | {"strict": bool(wanted.get("strict"))}
