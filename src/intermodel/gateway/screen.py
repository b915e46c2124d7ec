"""Where text stands in calls and answers, so that guards can look at it and at nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from intermodel.core import Call
from intermodel.guards import Guard
from intermodel.guards.guard import StreamGuard, enforce
from intermodel.protocols import Chunk

Guards = Mapping[str, Guard]
"""Guards in the order in which they look, by name."""

_SPOKEN = frozenset({"messages", "input", "prompt", "system", "instructions", "documents", "query"})
"""Fields of a request, in any protocol, that hold words."""

_NO_WORDS = frozenset({
    "role", "type", "id", "call_id", "tool_call_id", "tool_use_id", "name", "model", "format", "media_type", "detail",
    "url", "image_url", "file_url", "data", "file_data", "file_id", "signature", "reasoning_signature",
    "encrypted_content", "cache_control", "status",
})  # fmt: skip
"""Fields below them that hold something else: names, kinds, addresses, encoded bytes."""

_SAID = ("content", "reasoning_content", "refusal", "text")
"""Fields of a message, a delta or a completion's choice that hold words."""


def screened(call: Call, guards: Guards, findings: Counter[str]) -> dict[str, Any]:
    """The call's body with what guards take out of it. Raises `Refused` where one lets the call not pass."""

    def look(text: str) -> str:
        return _looked_at(text, guards, findings)

    return {key: _walked(value, look) if key in _SPOKEN else value for key, value in call.body.items()}


def _walked(value: Any, look: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return look(value)
    if isinstance(value, list):
        return [_walked(one, look) for one in value]
    if isinstance(value, dict):
        return {key: one if key in _NO_WORDS else _walked(one, look) for key, one in value.items()}
    return value


def _looked_at(text: str, guards: Guards, findings: Counter[str]) -> str:
    for name, guard in guards.items():
        found = guard.inspect(text)
        findings.update(finding.kind for finding in found)
        text = enforce(text, found, name)
    return text


class Screen:
    """One answer in chat form, whole or in chunks. What is held back of a text comes out before its choice ends."""

    def __init__(self, guards: Guards, findings: Counter[str]) -> None:
        self._guards = guards
        self._findings = findings
        self._texts: dict[tuple[int, str], _Text] = {}
        self._speaking: dict[int, tuple[int, str]] = {}
        self._last: Chunk = {}

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole answer. Raises `Refused`."""
        return answer | {"choices": [self._choice(choice) for choice in answer.get("choices") or ()]}

    def _choice(self, choice: dict[str, Any]) -> dict[str, Any]:
        message = choice.get("message")
        if not isinstance(message, dict):
            return choice | self._words(choice)
        seen = message | self._words(message)
        if calls := message.get("tool_calls"):
            seen["tool_calls"] = [self._tool_call(call) for call in calls]
        return choice | {"message": seen}

    def _words(self, said: dict[str, Any]) -> dict[str, Any]:
        return {key: self._look(said[key]) for key in _SAID if isinstance(said.get(key), str)}

    def _tool_call(self, call: dict[str, Any]) -> dict[str, Any]:
        function = call.get("function") or {}
        if not isinstance(function.get("arguments"), str):
            return call
        return call | {"function": function | {"arguments": self._look(function["arguments"])}}

    def _look(self, text: str) -> str:
        return _looked_at(text, self._guards, self._findings)

    def chunks(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What may be shown of these chunks. Raises `Refused`."""
        return [seen for chunk in chunks for seen in self._chunk(chunk)]

    def end(self) -> list[Chunk]:
        """What is still held back when a stream ends without saying that its choices do."""
        return [held for index in list(self._speaking) if (held := self._flushed(index)) is not None]

    def _chunk(self, chunk: Chunk) -> list[Chunk]:
        self._last = chunk
        before: list[Chunk] = []
        choices = []
        for choice in chunk.get("choices") or ():
            index = choice.get("index") or 0
            seen, held = self._delta(index, choice)
            before += held
            if choice.get("finish_reason") and (rest := self._flushed(index)) is not None:
                # the last words of this very delta come before what ends the choice
                before += [chunk | {"choices": [seen | {"finish_reason": None}]}, rest]
                seen = seen | {"delta": {}} if "delta" in seen else seen | {"text": ""}
            choices.append(seen)
        return [*before, chunk | {"choices": choices}]

    def _delta(self, index: int, choice: dict[str, Any]) -> tuple[dict[str, Any], list[Chunk]]:
        """The choice with what may be shown, and the chunks that other texts of it must show before."""
        said = choice.get("delta", choice)
        if not isinstance(said, dict):
            return choice, []
        held: list[Chunk] = []
        seen = dict(said)
        for key in _SAID:
            if isinstance(said.get(key), str) and said[key]:
                held += self._turn(index, key)
                seen[key] = self._text(index, key).feed(said[key])
        for i, call in enumerate(said.get("tool_calls") or ()):
            function = call.get("function") or {}
            if isinstance(function.get("arguments"), str):
                place = f"tool_calls.{call.get('index', i)}"
                held += self._turn(index, place)
                shown = self._text(index, place).feed(function["arguments"])
                calls = list(seen["tool_calls"])
                calls[i] = call | {"function": function | {"arguments": shown}}
                seen["tool_calls"] = calls
        return (choice | {"delta": seen} if "delta" in choice else seen), held

    def _text(self, index: int, place: str) -> _Text:
        text = self._texts.get((index, place))
        if text is None:
            text = self._texts[index, place] = _Text(self._guards, self._findings)
        return text

    def _turn(self, index: int, place: str) -> list[Chunk]:
        """Another text of the choice goes on: the one before it shows what it still holds."""
        before = self._speaking.get(index)
        held = self._flushed(index) if before is not None and before[1] != place else None
        self._speaking[index] = (index, place)
        return [] if held is None else [held]

    def _flushed(self, index: int) -> Chunk | None:
        """A chunk with what the choice's last text holds back, which ends with it."""
        key = self._speaking.pop(index, None)
        text = self._texts.pop(key, None) if key else None
        shown = text.end() if text else ""
        if not key or not shown:
            return None
        place = key[1]
        if place.startswith("tool_calls."):
            number = int(place.removeprefix("tool_calls."))
            delta: dict[str, Any] = {"tool_calls": [{"index": number, "function": {"arguments": shown}}]}
        else:
            delta = {place: shown}
        choice = {"index": index, "finish_reason": None} | (delta if place == "text" else {"delta": delta})
        return {k: v for k, v in self._last.items() if k != "usage"} | {"choices": [choice]}


class _Text:
    """One text that streams through all guards, one after the other."""

    def __init__(self, guards: Guards, findings: Counter[str]) -> None:
        self._streams: list[StreamGuard] = [guard.stream() for guard in guards.values()]
        self._findings = findings

    def feed(self, piece: str) -> str:
        for stream in self._streams:
            piece = stream.feed(piece) if piece else piece
        return piece

    def end(self) -> str:
        piece = ""
        for stream in self._streams:
            piece = (stream.feed(piece) if piece else "") + stream.end()
            self._findings.update(finding.kind for finding in stream.findings)
        return piece
