"""What was asked and answered in one call, as its receipt keeps it where `receipts.store_content` asks for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from intermodel.core import Call, IntermodelError
from intermodel.protocols import Decoder, outbound

KEPT_BYTES = 256 * 1024
"""As much is kept of a prompt, and as much of an answer."""
_CALLED = ("name", "arguments")


class Content:
    """The prompt as the guards let it pass, and the answer as the caller was given it; both up to `KEPT_BYTES`."""

    def __init__(self) -> None:
        self._call: Call | None = None
        self._decoder: Decoder | None = None
        self._whole = bytearray()
        self._parts: dict[tuple[str | int, ...], list[str]] = {}
        self._size = 0

    def ask(self, call: Call) -> None:
        """The call goes to a model."""
        self._call = call
        if call.stream and call.kind.conversation:
            self._decoder = outbound(call.kind).decoder()

    def add(self, given: bytes) -> None:
        """A piece of the answer."""
        if self._decoder is None:
            self._size += len(given)
            self._whole += given[: KEPT_BYTES - len(self._whole)]
            return
        if self._size > KEPT_BYTES:
            return
        try:
            for chunk in self._decoder.feed(given):
                for choice in chunk.get("choices") or ():
                    self._hear(choice)
        except (IntermodelError, LookupError, TypeError, AttributeError, ValueError):
            self._size = KEPT_BYTES + 1  # no answer of that protocol: what was understood is kept

    def told(self) -> dict[str, Any] | None:
        """As the receipt tells it: `cut` says that there was more. None where no model was asked."""
        if self._call is None:
            return None
        content: dict[str, Any] = {"prompt": _prompt(self._call)}
        if self._parts:
            content["answer"] = {"choices": [self._choice(i) for i in sorted({key[0] for key in self._parts}, key=int)]}
        elif self._whole:
            content["answer"] = _document(bytes(self._whole), self._size)
        if self._size > KEPT_BYTES:
            content["cut"] = True
        return content

    def _hear(self, choice: dict[str, Any]) -> None:
        for place, text in _texts(choice.get("delta") or {}):
            text = text[: max(0, KEPT_BYTES - self._size)]
            self._parts.setdefault((choice.get("index") or 0, *place), []).append(text)
            self._size += len(text.encode(errors="replace"))
            if self._size >= KEPT_BYTES:
                self._size = KEPT_BYTES + 1
                return

    def _choice(self, index: str | int) -> dict[str, Any]:
        message: dict[str, Any] = {}
        calls: dict[str | int, dict[str, str]] = {}
        for (choice, name, *rest), texts in self._parts.items():
            if choice == index and rest:
                calls.setdefault(rest[0], {})[str(rest[1])] = "".join(texts)
            elif choice == index:
                message[str(name)] = "".join(texts)
        return message | ({"tool_calls": list(calls.values())} if calls else {})


def _texts(delta: dict[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """What a delta says, with its place."""
    for name, value in delta.items():
        if isinstance(value, str) and value and name != "role":
            yield (name,), value
    for call in delta.get("tool_calls") or ():
        for name in _CALLED:
            if value := (call.get("function") or {}).get(name):
                yield ("tool_calls", call.get("index") or 0, name), value


def _prompt(call: Call) -> Any:
    """The request's body. Files are told of, and not kept."""
    body = call.body
    if call.upload:
        body = body | {one.field: {"file": one.filename, "bytes": len(one.content)} for one in call.upload}
    written = orjson.dumps(body, default=str)
    return body if len(written) <= KEPT_BYTES else _text(written[:KEPT_BYTES])


def _document(written: bytes, size: int) -> Any:
    """JSON as JSON, text as text; of other things only their size. `written` is the beginning of so many bytes."""
    try:
        return orjson.loads(written)
    except orjson.JSONDecodeError:
        pass
    text = _text(written)
    is_text = len(text.encode()) >= len(written) - (3 if size > len(written) else 0)
    return text if is_text else {"bytes": size}


def _text(written: bytes) -> str:
    """Without a letter that was cut through."""
    return written.decode(errors="ignore")
