"""Where text stands in calls and answers, so that guards can look at it and at nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from intermodel.core import Call, Invalid
from intermodel.guards import Guard
from intermodel.guards.guard import StreamGuard, enforce
from intermodel.protocols import Chunk

Guards = Mapping[str, Guard]
"""Guards in the order in which they look, by name."""

_NAMES = frozenset({
    "id", "call_id", "tool_call_id", "tool_use_id", "item_id", "file_id", "name", "role", "type", "model",
    "url", "image_url", "file_url",
})  # fmt: skip
"""Fields that hold names, ids and addresses, which nobody knows any more once they are masked."""

_SCHEMA_NAMES = frozenset({"$ref", "$id", "$schema", "$anchor", "type", "format", "pattern", "required"})
"""As `_NAMES`, in a JSON schema, below whose `properties` any word may be a key."""

_SCHEMAS = frozenset({"parameters", "input_schema", "schema"})

_SEALS = frozenset({"signature", "reasoning_signature", "encrypted_content", "embedding", "b64_json"})
"""Fields with bytes in base64 that no model reads as text."""

_FILES = frozenset({"url", "image_url", "file_url", "file_data"})
"""Fields that may hold a `data:` address."""

_BASE64 = re.compile(r"[A-Za-z0-9+/=_:!\s-]*")
_DATA = re.compile(r"data:[\w.+/;=-]{0,200};base64,")

_NUMBER = 10**11
"""A number from here on may be a card's; a smaller one is a token, a count or a time."""

_BETWEEN = "\n;;\n"
"""Stands between names that are looked at together, so that no two of them look like one value."""

_TOKENS = frozenset({"logprobs", "prompt_logprobs", "top_logprobs", "token_ids", "prompt_token_ids"})
"""Fields of an answer that give its words again, cut in such pieces that no guard finds anything in them."""


def screened(call: Call, guards: Guards, findings: Counter[str]) -> dict[str, Any]:
    """The call's body with what guards take out of it. Raises `Refused` where one lets the call not pass."""
    walk = _Walk(guards, findings)
    try:
        body = _body(walk, call)
    except RecursionError:
        raise Invalid("The request is nested too deeply to be looked at.") from None
    walk.names_pass()
    return body


def _body(walk: _Walk, call: Call) -> dict[str, Any]:
    return {key: value if key == "model" else walk.field(key, value, call.body) for key, value in call.body.items()}


class _Walk:
    """A walk over everything that is said in JSON. Names and numbers cannot be masked, only refused."""

    def __init__(self, guards: Guards, findings: Counter[str]) -> None:
        self._guards = guards
        self._findings = findings
        self._names: list[str] = []

    def value(self, value: Any, named: frozenset[str] = _NAMES) -> Any:
        """`named` are the fields that hold names here."""
        if isinstance(value, str):
            return _looked_at(value, self._guards, self._findings)
        if isinstance(value, list):
            return [self.value(one, named) for one in value]
        if isinstance(value, dict):
            self._names += value
            return {key: self.field(key, one, value, named) for key, one in value.items()}
        if isinstance(value, int | float) and abs(value) >= _NUMBER:
            self._names.append(repr(value))
        return value

    def field(self, key: str, value: Any, parent: dict[str, Any], named: frozenset[str] = _NAMES) -> Any:
        """The field `key` of `parent`."""
        if isinstance(value, str):
            if named is _NAMES and _is_encoded(key, value, parent):
                return value
            if key in named and not _is_of_a_person(key, parent):
                self._names.append(value)
                return value
            return _looked_at(value, self._guards, self._findings)
        if (
            named is _SCHEMA_NAMES and key in named and isinstance(value, list)
        ):  # the `required` of a schema, a list of types
            self._names += [one for one in value if isinstance(one, str)]
            return value
        return self.value(value, _below(key, value, parent, named))

    def names_pass(self) -> None:
        """Look at the names, all at once. Raises `Refused`; whatever else is found in them is counted."""
        _looked_at(_BETWEEN.join(self._names), self._guards, self._findings)


def _below(key: str, value: Any, parent: dict[str, Any], named: frozenset[str]) -> frozenset[str]:
    """Which fields hold names below a field: none in what callers and models may put together as they like."""
    if named is not _NAMES:
        return named
    if key in ("metadata", "documents") or (key in ("input", "arguments") and "type" in parent):
        return _NONE
    return _SCHEMA_NAMES if key in _SCHEMAS and isinstance(value, dict) else named


_NONE: frozenset[str] = frozenset()


def _is_of_a_person(key: str, parent: dict[str, Any]) -> bool:
    """Whether a name is that of who speaks in a turn, and not a function's."""
    return key == "name" and parent.get("role") in ("system", "developer", "user", "assistant")


def _is_encoded(key: str, value: str, parent: dict[str, Any]) -> bool:
    """Whether a field holds a file or a seal: nothing but base64, where the protocols have base64."""
    if key in _FILES:
        data = _DATA.match(value)
        return data is not None and _BASE64.fullmatch(value, data.end()) is not None
    is_data = key == "data" and (parent.get("type") in ("base64", "redacted_thinking") or _is_sound(parent))
    return (is_data or key in _SEALS) and _BASE64.fullmatch(value) is not None


def _is_sound(parent: dict[str, Any]) -> bool:
    return "type" not in parent and ("format" in parent or "transcript" in parent)


def refuse_unseen(call: Call) -> None:
    """Refuse, by name, what would give the words of an answer in a form in which guards do not see them."""
    field = next((name for name in ("logprobs", "top_logprobs") if call.body.get(name) not in (None, False)), None)
    include = call.body.get("include")
    if isinstance(include, list) and any(isinstance(one, str) and "logprobs" in one for one in include):
        field = "include"
    if field is not None:
        raise Invalid(
            f"'{field}' asks for the single tokens of the answer, which this route's guards cannot look at.",
            hint="Leave it out, or choose a model or route without guards on answers.",
            code="unsupported_field",
            param=field,
        )


def _looked_at(text: str, guards: Guards, findings: Counter[str]) -> str:
    for name, guard in guards.items():
        found = guard.inspect(text)
        findings.update(finding.kind for finding in found)
        text = enforce(text, found, name)
    return text


_Place = tuple[str | int, ...]
"""Where a text stands in a delta: the keys on the way to it."""


class Screen:
    """One answer in chat form, whole or in chunks. What is held back of a text comes out before its choice ends."""

    def __init__(self, guards: Guards, findings: Counter[str]) -> None:
        self._guards = guards
        self._findings = findings
        self._texts: dict[tuple[int, _Place], _Text] = {}
        self._speaking: dict[int, _Place] = {}
        self._last: Chunk = {}

    def answer(self, answer: dict[str, Any]) -> dict[str, Any]:
        """A whole answer. Raises `Refused`."""
        walk = _Walk(self._guards, self._findings)
        seen: dict[str, Any] = walk.value(_without_tokens(answer))
        walk.names_pass()
        return seen

    def chunks(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """What may be shown of these chunks. Raises `Refused`."""
        return [seen for chunk in chunks for seen in self._chunk(chunk)]

    def end(self) -> list[Chunk]:
        """What is still held back when a stream ends without saying that its choices do."""
        return [held for index in list(self._speaking) if (held := self._flushed(index)) is not None]

    def _chunk(self, chunk: Chunk) -> list[Chunk]:
        usage = {"usage": chunk["usage"]} if "usage" in chunk else {}
        given, chunk = chunk, self._around(chunk)
        self._last = chunk
        before: list[Chunk] = []
        choices = []
        for choice in given.get("choices") or ():
            index = choice.get("index") or 0
            seen, held = self._delta(index, choice)
            before += held
            if choice.get("finish_reason") and (rest := self._flushed(index)) is not None:
                # the last words of this very delta come before what ends the choice
                before += [chunk | {"choices": [seen | {"finish_reason": None}]}, rest]
                seen = seen | {"delta": {}} if "delta" in seen else seen | {"text": ""}
            choices.append(seen)
        return [*before, chunk | {"choices": choices} | usage]

    def _delta(self, index: int, choice: dict[str, Any]) -> tuple[dict[str, Any], list[Chunk]]:
        """The choice with what may be shown, and the chunks that other texts of it must show before."""
        said = choice.get("delta", choice)
        if not isinstance(said, dict):
            return {"index": index, "delta": {}, "finish_reason": choice.get("finish_reason")}, []
        held: list[Chunk] = []

        def text(place: _Place, piece: str) -> str:
            held.extend(self._turn(index, place))
            return self._text(index, place).feed(piece)

        seen = _plain(said)
        for key, value in seen.items():
            if isinstance(value, str) and value and key not in _UNSAID:
                seen[key] = text((key,), value)
        seen |= _parts(said, (), text)
        if isinstance(calls := said.get("tool_calls"), list):
            seen["tool_calls"] = [
                self._around(call) | _parts(call, ("tool_calls", call.get("index", i)), text)
                for i, call in enumerate(calls)
            ]
        return (self._around(choice) | {"delta": seen} if "delta" in choice else seen), held

    def _around(self, said: dict[str, Any]) -> dict[str, Any]:
        """What stands around the words: whatever of it is text is looked at piece by piece."""
        plain = _plain(said)
        for key, value in plain.items():
            if isinstance(value, str) and key not in _UNSAID:
                plain[key] = _looked_at(value, self._guards, self._findings)
        return plain

    def _text(self, index: int, place: _Place) -> _Text:
        text = self._texts.get((index, place))
        if text is None:
            text = self._texts[index, place] = _Text(self._guards, self._findings)
        return text

    def _turn(self, index: int, place: _Place) -> list[Chunk]:
        """Another text of the choice goes on: the one before it shows what it still holds."""
        before = self._speaking.get(index)
        held = self._flushed(index) if before is not None and before != place else None
        self._speaking[index] = place
        return [] if held is None else [held]

    def _flushed(self, index: int) -> Chunk | None:
        """A chunk with what the choice's last text holds back, which ends with it."""
        place = self._speaking.pop(index, None)
        text = self._texts.pop((index, place), None) if place else None
        shown = text.end() if text else ""
        if not place or not shown:
            return None
        delta: dict[str, Any] = {str(place[-1]): shown}
        if len(place) > 1:
            delta = {str(place[-2]): delta}
        if len(place) > 2:  # of a tool call
            delta = {"tool_calls": [{"index": place[1]} | delta]}
        choice = {"index": index, "finish_reason": None} | (delta if place == ("text",) else {"delta": delta})
        return self._last | {"choices": [choice]}


_UNSAID = frozenset({
    "role", "id", "object", "type", "name", "model", "finish_reason", "reasoning_signature", "signature",
    "encrypted_content",
})  # fmt: skip
"""Strings of a delta or of a completion's choice that are no words of the answer."""

_PARTS = {"function_call": "arguments", "audio": "transcript", "function": "arguments", "custom": "input"}
"""Objects of a delta or a tool call, each with the field in which it has words."""


def _parts(said: dict[str, Any], place: _Place, text: Callable[[_Place, str], str]) -> dict[str, Any]:
    """Those objects, with what may be shown of their words."""
    seen: dict[str, Any] = {}
    for outer, inner in _PARTS.items():
        if isinstance(part := said.get(outer), dict):
            seen[outer] = _plain(part)
            if isinstance(piece := part.get(inner), str):
                seen[outer][inner] = text((*place, outer, inner), piece)
    return seen


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """A delta, or an object around it, without what a guard cannot look at: lists and objects that nobody knows.

    Parts of text (Mistral) become text.
    """
    plain = {key: value for key, value in said.items() if not isinstance(value, dict | list) and key not in _TOKENS}
    if isinstance(parts := said.get("content"), list):
        texts = (part.get("text") for part in parts if isinstance(part, dict))
        plain["content"] = "".join(text for text in texts if isinstance(text, str))
    return plain


def _without_tokens(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_tokens(one) for one in value]
    if isinstance(value, dict):
        return {key: _without_tokens(one) for key, one in value.items() if key not in _TOKENS}
    return value


class _Text:
    """One text that streams through all guards, one after the other."""

    def __init__(self, guards: Guards, findings: Counter[str]) -> None:
        self._streams: list[StreamGuard] = [guard.stream() for guard in guards.values()]
        self._counted = [0] * len(self._streams)
        self._findings = findings

    def feed(self, piece: str) -> str:
        try:
            for stream in self._streams:
                piece = stream.feed(piece) if piece else piece
        finally:
            self._count()
        return piece

    def end(self) -> str:
        piece = ""
        try:
            for stream in self._streams:
                piece = (stream.feed(piece) if piece else "") + stream.end()
        finally:
            self._count()
        return piece

    def _count(self) -> None:
        """Note what was found since: also where the answer breaks off, or is refused."""
        for i, stream in enumerate(self._streams):
            if (found := len(stream.findings)) > self._counted[i]:
                self._findings.update(finding.kind for finding in stream.findings[self._counted[i] :])
                self._counted[i] = found
