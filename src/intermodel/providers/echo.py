"""A provider that needs no model: it repeats the question, or reads its answers from a script.

For tests, demonstrations and a first look; it is not a model and says so in its name. The script is a JSON list.
Each call takes the next entry (the last one again at the end): a string is the answer; an object may hold
`content`, `tool_calls`, `delay_s` (before each piece), `fail` (an HTTP status to fail with) and `break_after`
(pieces after which the connection is lost). An entry with `when`, a text or several, plays a part instead of taking
turns: the first of these whose texts all stand in a call's messages answers it, each time.

Scripts that ship are named without a folder or an ending: `writer` plays the five roles of `intermodel write`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import orjson

from intermodel.core import Call, Invalid, Kind, Upstream
from intermodel.protocols.faults import fault_of
from intermodel.providers.answer import EVENTS, JSON, Answer, Generated
from intermodel.providers.http import Http
from intermodel.settings import Deployment

SCRIPTS = Path(__file__).parent / "scripts"
"""Where the scripts that ship stand, as `NAME.json`."""
_WIDTH = 8


class Echo:
    def __init__(self, name: str, deployment: Deployment, _key: str, _http: Http) -> None:
        self.kinds = frozenset({Kind.CHAT, Kind.COMPLETION, Kind.EMBEDDING})
        self._name = name
        script = _script(name, deployment)
        self._parts = [(_texts(name, entry["when"]), entry) for entry in script if "when" in entry]
        self._script = [entry for entry in script if "when" not in entry]
        self._turn = itertools.count()

    async def call(self, call: Call, model: str) -> Answer:
        entry = self._part(call) or self._next()
        if "fail" in entry:
            raise Upstream(
                f"'{self._name}' answered {entry['fail']}, as its script says.",
                status=entry["fail"],
                fault=fault_of(entry["fail"]),
            )
        if call.kind is Kind.EMBEDDING:
            return Generated(JSON, _once(orjson.dumps(_embedding(call, model))))
        text = entry.get("content", _question(call))
        if call.stream:
            return Generated(EVENTS, self._events(call, model, text, entry))
        await asyncio.sleep(entry.get("delay_s", 0))
        return Generated(JSON, _once(orjson.dumps(_whole(call, model, text, entry))))

    def _part(self, call: Call) -> dict[str, Any] | None:
        if not self._parts or call.kind is Kind.EMBEDDING:
            return None
        said = "\n".join(_said(message) for message in call.body.get("messages") or ()) or _question(call)
        return next((entry for texts, entry in self._parts if all(text in said for text in texts)), None)

    def _next(self) -> dict[str, Any]:
        return self._script[min(next(self._turn), len(self._script) - 1)] if self._script else {}

    async def _events(self, call: Call, model: str, text: str, entry: dict[str, Any]) -> AsyncGenerator[bytes, None]:
        pieces = text.split(" ") if text else []
        for i, word in enumerate(pieces):
            await asyncio.sleep(entry.get("delay_s", 0))
            if i == entry.get("break_after"):
                raise Upstream(f"'{self._name}' broke off, as its script says.", code="upstream_broken")
            yield _event(_chunk(call, model, word if i == 0 else f" {word}", None))
        if entry.get("tool_calls"):
            calls = [{"index": i, **c} for i, c in enumerate(entry["tool_calls"])]
            yield _event(_chunk(call, model, "", None) | {"choices": [_choice({"tool_calls": calls}, None)]})
        yield _event(_chunk(call, model, "", "tool_calls" if entry.get("tool_calls") else "stop"))
        if (call.body.get("stream_options") or {}).get("include_usage"):
            yield _event(_chunk(call, model, "", None) | {"choices": [], "usage": _usage(call, text)})
        yield b"data: [DONE]\n\n"


def _script(name: str, deployment: Deployment) -> list[dict[str, Any]]:
    if deployment.script is None:
        return []
    try:
        entries = orjson.loads(_path(deployment.script).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        raise Invalid(
            f"The script of deployment '{name}' cannot be read: {error}.",
            hint=f"It is a JSON list of answers, or the name of a script that ships: {_shipped()}.",
        ) from None
    if not isinstance(entries, list) or not all(isinstance(e, str | dict) for e in entries):
        raise Invalid(f"The script of deployment '{name}' is not a list of strings and objects.")
    return [{"content": e} if isinstance(e, str) else e for e in entries]


def _path(script: Path) -> Path:
    """A bare name is a script that ships, unless a file has that name."""
    bare = script.name == str(script) and not script.suffix and not script.is_file()
    return SCRIPTS / f"{script}.json" if bare else script.expanduser()


def _shipped() -> str:
    return ", ".join(f"'{path.stem}'" for path in sorted(SCRIPTS.glob("*.json")))


def _texts(name: str, when: Any) -> list[str]:
    texts = [when] if isinstance(when, str) else when
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise Invalid(f"The script of deployment '{name}': 'when' is not a text or a list of texts.")
    return texts


def _said(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def _question(call: Call) -> str:
    if call.kind is Kind.COMPLETION:
        prompt = call.body["prompt"]
        return prompt if isinstance(prompt, str) else " ".join(map(str, prompt))
    return _said(call.body["messages"][-1])


def _usage(call: Call, text: str) -> dict[str, int]:
    """Words stand for tokens."""
    asked, answered = len(_question(call).split()), len(text.split())
    return {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def _head(call: Call, model: str, what: str) -> dict[str, Any]:
    return {"id": f"echo-{call.request_id}", "object": what, "created": int(time.time()), "model": model}


def _chunk(call: Call, model: str, piece: str, finish: str | None) -> dict[str, Any]:
    if call.kind is Kind.COMPLETION:
        choice = {"index": 0, "text": piece, "logprobs": None, "finish_reason": finish}
        return _head(call, model, "text_completion") | {"choices": [choice]}
    delta = {"role": "assistant", "content": piece} if piece else {}
    return _head(call, model, "chat.completion.chunk") | {"choices": [_choice(delta, finish)]}


def _whole(call: Call, model: str, text: str, entry: dict[str, Any]) -> dict[str, Any]:
    if call.kind is Kind.COMPLETION:
        choice: dict[str, Any] = {"index": 0, "text": text, "logprobs": None, "finish_reason": "stop"}
        return _head(call, model, "text_completion") | {"choices": [choice], "usage": _usage(call, text)}
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if entry.get("tool_calls"):
        message["tool_calls"] = entry["tool_calls"]
    finish = "tool_calls" if "tool_calls" in message else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    return _head(call, model, "chat.completion") | {"choices": [choice], "usage": _usage(call, text)}


def _embedding(call: Call, model: str) -> dict[str, Any]:
    """A vector of letter counts: equal texts are equal, and that is all it promises."""
    given = call.body["input"]
    texts = [given] if isinstance(given, str) else [str(t) for t in given]
    data = [
        {"object": "embedding", "index": i, "embedding": [float(t.count(chr(97 + k))) for k in range(_WIDTH)]}
        for i, t in enumerate(texts)
    ]
    words = sum(len(t.split()) for t in texts)
    usage = {"prompt_tokens": words, "total_tokens": words}
    return {"object": "list", "data": data, "model": model, "usage": usage}
