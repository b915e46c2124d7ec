"""The output of a response: items that grow while a model speaks, and the events that tell of it.

Sources: OpenAI's API reference, "Streaming events" of Responses; the Open Responses specification. Where the two name
an event of thoughts differently, OpenAI's name is used, for its clients know no other.

A response has thoughts (`reasoning`), words (`message`) and calls (`function_call`). Thoughts end where something else
begins. Words and calls stay open until the answer is finished, since chat chunks may come back to them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from intermodel.protocols.chat import thought
from intermodel.protocols.dialect import Body

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of text: where it stands in its item and what its events are called."""

    type: str
    events: str
    part: str = "response.content_part"
    index: str = "content_index"
    text: str = "text"
    place: str = "content"


_WORDS = _Kind("output_text", "response.output_text")
_REFUSAL = _Kind("refusal", "response.refusal", text="refusal")
_THOUGHTS = _Kind("reasoning_text", "response.reasoning_text")
_SUMMARY = _Kind(
    "summary_text",
    "response.reasoning_summary_text",
    "response.reasoning_summary_part",
    "summary_index",
    place="summary",
)


class _Part:
    """A text on its way."""

    __slots__ = ("index", "kind", "logprobs", "pieces")

    def __init__(self, kind: _Kind, index: int, text: str = "") -> None:
        self.kind = kind
        self.index = index
        self.pieces = [text]
        self.logprobs: list[Body] = []

    def body(self) -> Body:
        whole: Body = {"type": self.kind.type, self.kind.text: "".join(self.pieces)}
        if self.kind is _WORDS:
            whole |= {"annotations": [], "logprobs": self.logprobs}
        return whole


class _Spoken:
    """A `message` or `reasoning` item. The last part is the open one."""

    __slots__ = ("closed", "id", "index", "parts", "signature", "type")

    def __init__(self, kind: str, identity: str, index: int) -> None:
        self.type = kind
        self.id = identity
        self.index = index
        self.parts: list[_Part] = []
        self.signature = ""
        self.closed = ""

    def body(self, status: str) -> Body:
        if self.type == "message":
            head = {"type": "message", "id": self.id, "status": status, "role": "assistant"}
            return head | {"content": [part.body() for part in self.parts]}
        whole: Body = {"type": "reasoning", "id": self.id, "summary": []}
        for part in self.parts:
            whole.setdefault(part.kind.place, []).append(part.body())
        return whole | ({"encrypted_content": self.signature} if self.signature else {})


class _Call:
    """A `function_call` item."""

    __slots__ = ("call_id", "closed", "id", "index", "name", "pieces")

    def __init__(self, identity: str, index: int, call_id: str, name: str) -> None:
        self.id = identity
        self.index = index
        self.call_id = call_id
        self.name = name
        self.pieces: list[str] = []
        self.closed = ""

    def body(self, status: str) -> Body:
        call = {"type": "function_call", "id": self.id, "call_id": self.call_id, "name": self.name}
        return call | {"arguments": "".join(self.pieces), "status": status}


class Output:
    """Takes chat deltas. The items' ids hold `tail`; with `summary`, thoughts are given in the summary's place."""

    def __init__(self, tail: str, *, summary: bool) -> None:
        self.events: list[Event] = []
        """What the client has not been told yet."""
        self.incomplete = ""
        """Why the answer is not whole, in this protocol's words."""
        self.finished = False
        self._tail = tail
        self._thoughts_kind = _SUMMARY if summary else _THOUGHTS
        self._items: list[_Spoken | _Call] = []
        self._thoughts: _Spoken | None = None
        self._message: _Spoken | None = None
        self._calls: dict[int | str, _Call] = {}
        """By index, or by id where a server numbers none."""

    def resume(self, text: str) -> None:
        """Go on in a message that the client has read `text` of."""
        self._speaking().parts.append(_Part(_WORDS, 0, text))
        self.events.clear()

    def spoken(self) -> str | None:
        """The words so far, if there is nothing but words: such an answer can be gone on with by another model."""
        if not self._items:
            return ""
        if self.finished or self._items != [self._message]:
            return None
        parts = self._message.parts if self._message else []
        return "".join(parts[0].pieces) if [part.kind for part in parts] == [_WORDS] else None

    def take(self, delta: Body, logprobs: Body | None = None) -> None:
        """A delta, or a whole message."""
        if text := thought(delta):
            self._grow(self._thinking(), self._thoughts_kind, text)
        if delta.get("reasoning_signature"):
            self._thinking().signature += delta["reasoning_signature"]
        if delta.get("content"):
            self._grow(self._speaking(), _WORDS, delta["content"], _logprobs(logprobs))
        if delta.get("refusal"):
            self._grow(self._speaking(), _REFUSAL, delta["refusal"])
        for i, call in enumerate(delta.get("tool_calls") or ()):
            self._called(i, call)

    def finish(self, reason: str) -> None:
        self.incomplete = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reason, "")
        self.finished = True
        if not self._items:
            self._open_part(self._speaking(), _WORDS)
        for item in self._items:
            if not item.closed:
                self._close(item, "incomplete" if self.incomplete and item is self._items[-1] else "completed")

    def items(self) -> list[Body]:
        return [item.body(item.closed or "incomplete") for item in self._items]

    # items

    def _identity(self, prefix: str) -> str:
        return f"{prefix}_{self._tail}_{len(self._items)}"

    def _open(self, item: _Spoken | _Call) -> None:
        self._items.append(item)
        self._tell("response.output_item.added", output_index=item.index, item=item.body("in_progress"))

    def _thinking(self) -> _Spoken:
        if self._thoughts is None:
            self._thoughts = _Spoken("reasoning", self._identity("rs"), len(self._items))
            self._open(self._thoughts)
        return self._thoughts

    def _speaking(self) -> _Spoken:
        self._end_thoughts()
        if self._message is None:
            self._message = _Spoken("message", self._identity("msg"), len(self._items))
            self._open(self._message)
        return self._message

    def _end_thoughts(self) -> None:
        if self._thoughts is not None:
            self._close(self._thoughts, "completed")
            self._thoughts = None

    def _close(self, item: _Spoken | _Call, status: str) -> None:
        item.closed = status
        if isinstance(item, _Call):
            at = {"item_id": item.id, "output_index": item.index}
            self._tell("response.function_call_arguments.done", **at, arguments="".join(item.pieces))
        elif item.parts:
            self._close_part(item)
        self._tell("response.output_item.done", output_index=item.index, item=item.body(status))

    # texts

    def _grow(self, item: _Spoken, kind: _Kind, text: str, logprobs: list[Body] | None = None) -> None:
        if not item.parts or item.parts[-1].kind is not kind:
            self._next_part(item, kind)
        part = item.parts[-1]
        part.pieces.append(text)
        event = {
            "type": kind.events + ".delta",
            "item_id": item.id,
            "output_index": item.index,
            kind.index: part.index,
            "delta": text,
        }
        if kind is _WORDS:
            event["logprobs"] = logprobs or []
            part.logprobs += logprobs or []
        self.events.append(event)

    def _next_part(self, item: _Spoken, kind: _Kind) -> None:
        if item.parts:
            self._close_part(item)
        self._open_part(item, kind)

    def _open_part(self, item: _Spoken, kind: _Kind) -> None:
        item.parts.append(part := _Part(kind, len(item.parts)))
        self._tell(kind.part + ".added", **_at(item, part), part=part.body())

    def _close_part(self, item: _Spoken) -> None:
        part = item.parts[-1]
        kind, text = part.kind, "".join(part.pieces)
        more = {"logprobs": part.logprobs} if kind is _WORDS else {}
        self._tell(kind.events + ".done", **_at(item, part), **{kind.text: text}, **more)
        self._tell(kind.part + ".done", **_at(item, part), part=part.body())

    # calls

    def _called(self, place: int, delta: Body) -> None:
        function = delta.get("function") or {}
        key = delta["index"] if delta.get("index") is not None else delta.get("id") or place
        call = self._calls.get(key)
        if call is None:
            self._end_thoughts()
            index = len(self._items)
            call_id = delta.get("id") or f"call_{self._tail}_{index}"
            call = self._calls[key] = _Call(self._identity("fc"), index, call_id, function.get("name") or "")
            self._open(call)
        if text := function.get("arguments"):
            call.pieces.append(text)
            at = {"item_id": call.id, "output_index": call.index}
            self._tell("response.function_call_arguments.delta", **at, delta=text)

    def _tell(self, event: str, **fields: Any) -> None:
        self.events.append({"type": event, **fields})


def _at(item: _Spoken, part: _Part) -> Body:
    return {"item_id": item.id, "output_index": item.index, part.kind.index: part.index}


def _logprobs(given: Body | None) -> list[Body]:
    return [_logprob(one) | {"top_logprobs": [_logprob(top) for top in one.get("top_logprobs") or ()]}
            for one in (given or {}).get("content") or ()]  # fmt: skip


def _logprob(given: Body) -> Body:
    spelled = given.get("bytes")
    token = given.get("token") or ""
    return {
        "token": token,
        "logprob": given.get("logprob"),
        "bytes": list(token.encode()) if spelled is None else spelled,
    }
