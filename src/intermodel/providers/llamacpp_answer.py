"""What llama.cpp says, told as OpenAI would: tool calls, log-probabilities, usage. Pure functions and folds."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson

from intermodel.core import Call, Kind, Upstream
from intermodel.providers.answer import Answer
from intermodel.providers.llamacpp_request import Request
from intermodel.providers.translated import object_in

Event = dict[str, Any]

_TOOL_HEAD = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*')
_TOOL_TAIL = re.compile(r"[}\s]*\Z")


async def events(chunks: AsyncIterator[bytes], name: str) -> AsyncGenerator[Event, None]:
    """The JSON objects of a stream of server-sent events. Raises `Upstream` for an error among them."""
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if not line.startswith(b"data: {"):
                continue  # blank lines, comments, [DONE], and the null before several completions
            event = orjson.loads(line[6:])
            if "error" in event:
                said = event["error"].get("message") if isinstance(event["error"], dict) else event["error"]
                raise Upstream(f"The engine of '{name}' broke off: {said}", code="engine_failed")
            yield event


class ToolCall:
    """Turns the text of `{"name": ..., "arguments": ...}`, as it comes, into the deltas of a tool call."""

    def __init__(self) -> None:
        self._text = ""
        self._held = ""
        self._named = False
        self._begun = False

    def feed(self, text: str) -> Event | None:
        """The delta that `text` adds, if any."""
        if self._named:
            return _arguments(self._pass(text))
        self._text += text
        head = _TOOL_HEAD.match(self._text)
        if head is None:
            return None
        self._named = True
        function = {"name": orjson.loads(head[1]), "arguments": self._pass(self._text[head.end() :])}
        call = {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
        return {"tool_calls": [call]}

    def end(self) -> Event | None:
        """The delta that is left when the text is complete: what was held back, less the outer brace."""
        held = self._held.rstrip()
        return _arguments(held[:-1] if held.endswith("}") else held) if self._named else None

    def _pass(self, text: str) -> str:
        """What can be told now: closing braces are held back, for the last of them is not the arguments' own."""
        text = self._held + text
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        tail = _TOOL_TAIL.search(text)
        assert tail
        self._held = tail[0]
        return text[: tail.start()]


def _arguments(text: str) -> Event | None:
    return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]} if text else None


async def in_full(source: Answer) -> AsyncGenerator[bytes, None]:
    """A whole answer to a chat, with the fields that OpenAI leaves out of none."""
    answer = await object_in(source)
    for choice in answer.get("choices") or ():
        choice.setdefault("logprobs", None)
        choice["message"].setdefault("refusal", None)
    yield orjson.dumps(answer)


class Usage:
    """Adds up the usage that llama.cpp tells for each choice by itself."""

    def __init__(self, request: Request) -> None:
        self._choices = request.choices
        self._prompt = self._cached = self._completion = 0

    def add(self, told: dict[str, Any]) -> None:
        self._prompt += told.get("prompt_tokens", 0)
        self._completion += told.get("completion_tokens", 0)
        self._cached += (told.get("prompt_tokens_details") or {}).get("cached_tokens", 0)

    def total(self) -> dict[str, Any]:
        """The sum; a prompt that got several answers counts once."""
        prompt = self._prompt // self._choices
        return {
            "prompt_tokens": prompt,
            "completion_tokens": self._completion,
            "total_tokens": prompt + self._completion,
            "prompt_tokens_details": {"cached_tokens": self._cached // self._choices},
        }


class Mending:
    """One stream of events, told anew. Keeps each choice's text, so that it can be checked at the end."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.usage = Usage(request)
        self.texts: dict[int, str] = {}
        """By choice, the text of those answers that ended by themselves, not by a limit."""
        self._so_far: dict[int, str] = {}
        self._tool_calls: dict[int, ToolCall] = {}
        self._offsets: dict[int, int] = {}

    def mend(self, event: Event) -> list[Event]:
        """The events that stand for this one. Usage is kept for the end."""
        told = event.pop("usage", None)
        if told:
            self.usage.add(told)
        mended: list[Event] = []
        for choice in event.get("choices") or ():
            mended.extend(event | {"choices": [changed]} for changed in self._choice(choice))
        return mended

    def _choice(self, choice: Event) -> list[Event]:
        index = choice["index"]
        said = _text(choice)
        self._so_far[index] = self._so_far.get(index, "") + said
        if choice.get("finish_reason") in ("stop", "tool_calls"):
            self.texts[index] = self._so_far[index]
        if self._request.logprobs is not None and choice.get("logprobs"):
            choice["logprobs"] = self._logprobs(choice["logprobs"]["content"], index)
        return self._tool_choice(choice, index, said) if self._request.is_tool_call else [choice]

    def _tool_choice(self, choice: Event, index: int, said: str) -> list[Event]:
        call = self._tool_calls.setdefault(index, ToolCall())
        delta = dict(choice["delta"])
        delta.pop("content", None)
        told = call.feed(said) if said else None
        finish = choice.get("finish_reason")
        if finish is None:
            both = delta | (told or {})
            return [choice | {"delta": both}] if both else []
        last = call.end()
        parts = [choice | {"delta": part, "finish_reason": None} for part in (told, last) if part]
        return [*parts, choice | {"delta": delta, "finish_reason": "tool_calls" if finish == "stop" else finish}]

    def _logprobs(self, tokens: list[Event], index: int) -> Event:
        count = self._request.logprobs or 0
        if self._request.asked.kind is Kind.CHAT:
            return {"content": [_token(token, count) for token in tokens], "refusal": None}
        start = self._offsets.get(index, _prompt_length(self._request.asked))
        told = legacy_logprobs(tokens, count, start)
        self._offsets[index] = start + sum(len(token["token"]) for token in tokens)
        return told


def legacy_logprobs(tokens: list[Event], count: int, start: int) -> Event:
    """The form of OpenAI's completions; `start` is where the first token stands, counted in characters."""
    offsets = []
    for token in tokens:
        offsets.append(start)
        start += len(token["token"])
    return {
        "tokens": [token["token"] for token in tokens],
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [{t["token"]: t["logprob"] for t in token["top_logprobs"][:count]} for token in tokens]
        if count
        else None,
        "text_offset": offsets,
    }


def _token(token: Event, count: int) -> Event:
    """A token in the form of OpenAI's chat: without llama.cpp's `id`, with as many alternatives as were asked for."""
    top = [{k: v for k, v in other.items() if k != "id"} for other in token["top_logprobs"][:count]]
    return {k: v for k, v in token.items() if k != "id"} | {"top_logprobs": top}


def _prompt_length(call: Call) -> int:
    prompt = call.body.get("prompt")
    return len(prompt) if isinstance(prompt, str) else 0


def _text(choice: Event) -> str:
    return (choice["delta"].get("content") if "delta" in choice else choice.get("text")) or ""


class Fold:
    """A stream of events gathered into the body of a whole answer."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._head: Event = {}
        self._choices: dict[int, Event] = {}

    def add(self, event: Event) -> None:
        if not self._head:
            self._head = {k: v for k, v in event.items() if k not in ("choices", "timings")}
        for choice in event.get("choices") or ():
            whole = self._choices.setdefault(choice["index"], self._empty(choice["index"]))
            if self._kind is Kind.CHAT:
                _add_delta(whole["message"], choice["delta"])
            else:
                whole["text"] += choice.get("text") or ""
            _add_logprobs(whole, choice.get("logprobs"))
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]

    def body(self, usage: Event) -> bytes:
        what = "chat.completion" if self._kind is Kind.CHAT else "text_completion"
        choices = [self._choices[index] for index in sorted(self._choices)]
        return orjson.dumps(self._head | {"object": what, "choices": choices, "usage": usage})

    def _empty(self, index: int) -> Event:
        message = {"role": "assistant", "content": None, "refusal": None}
        said: Event = {"message": message} if self._kind is Kind.CHAT else {"text": ""}
        return {"index": index, **said, "logprobs": None, "finish_reason": None}


def _add_delta(message: Event, delta: Event) -> None:
    for name in ("content", "reasoning_content"):
        if delta.get(name):
            message[name] = (message.get(name) or "") + delta[name]
    for part in delta.get("tool_calls") or ():
        calls = message.setdefault("tool_calls", [])
        if part["index"] >= len(calls):
            calls.append({k: v for k, v in part.items() if k != "index"})
        else:
            calls[part["index"]]["function"]["arguments"] += part["function"].get("arguments") or ""


def _add_logprobs(whole: Event, told: Event | None) -> None:
    if not told:
        return
    if whole["logprobs"] is None:
        whole["logprobs"] = told
        return
    for name, values in told.items():
        if isinstance(values, list):
            whole["logprobs"][name] += values
