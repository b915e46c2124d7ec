"""What a training document is: a short dialogue, its tools, and the prompts kept out of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from recipes.pebble.stream import digest

Message = dict[str, Any]
Tool = dict[str, Any]

HELD_OUT_ONE_IN = 30
NEVER_HELD_OUT = frozenset({"greeting", "identity"})


@dataclass(frozen=True)
class Turn:
    """One question and the one answer that counts as right."""

    kind: str
    user: str
    answer: str


@dataclass(frozen=True)
class Dialogue:
    """A whole document: messages in the OpenAI shape, and the tools offered with them."""

    kind: str
    messages: list[Message]
    tools: tuple[Tool, ...] = ()


def is_held_out(kind: str, user: str) -> bool:
    """Whether this prompt is never trained on, in whatever case and with whatever full stop it is written."""
    plain = user.lower().rstrip(" .?!")
    return kind not in NEVER_HELD_OUT and digest("held out", plain) % HELD_OUT_ONE_IN == 0


def say(role: str, content: str) -> Message:
    """A plain message."""
    return {"role": role, "content": content}


def call(name: str, arguments: dict[str, Any]) -> Message:
    """An assistant message that calls one tool."""
    function = {"name": name, "arguments": arguments}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }
