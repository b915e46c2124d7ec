"""What a model said, without what it thought aloud: the text or the JSON of its answer. Pure.

Answers are kept as they came. Models that reason put that before their answer, between marks or in a field of its own;
many put JSON into a block of code, or talk around it. Every reader of an answer reads it through this file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import orjson

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection"
_THOUGHT = re.compile(
    rf"\s*+(?:<({_NAMES})>.*?</\1>|\[THINK\].*?\[/THINK\]|\u25c1think\u25b7.*?\u25c1/think\u25b7)", re.DOTALL
)
_OPENED = re.compile(rf"<(?:{_NAMES})>|\[THINK\]|\u25c1think\u25b7")
_BEGUN = re.compile(rf"\s*+(?:{_OPENED.pattern})")
_ENDED = re.compile(
    rf"^[ \t]*+(?:</(?:{_NAMES})>|\[/THINK\]|\u25c1/think\u25b7)[ \t]*+(?:\n|\Z|(?=[{{#`]))", re.MULTILINE
)
"""The end of thoughts whose begin stands in the question, as the templates of some models have it."""
_WRAPPED = re.compile(r"```[ \t]*+(markdown|md)?+[ \t]*+\n(.*\n)```", re.DOTALL)
_FENCE = re.compile(r"^[ \t]*+```", re.MULTILINE)
_TRIES = 64
"""So many braces are tried for the begin of an object."""
_THINKING = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
"""Fields of a message in which servers put what its model thought."""


@dataclass(frozen=True, slots=True)
class Said:
    """`text` is what was answered. `cut`: it was broken off at the limit of its tokens; `thought`: some of them went
    into thoughts."""

    text: str
    cut: bool = False
    thought: bool = False


def said(answer: bytes, *, structured: bool) -> Said:
    """What an answer of `/v1/chat/completions` says; `structured`: it should be a JSON object. Nothing where it holds
    no answer."""
    try:
        choice = orjson.loads(answer)["choices"][0]
        message = choice["message"]
        content, cut = _joined(message.get("content")), choice.get("finish_reason") == "length"
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return Said("")
    text, aside = _unthought(content), _aside(message)
    thought = bool(aside) or text != content
    if not structured:
        return Said(_unwrapped(text), cut, thought)
    if not text.strip() and not cut:  # some servers take an answer that is held to a schema for a thought
        text = object_in(aside)
    return Said(object_in(text) or text, cut, thought)


def plain(answer: bytes, *, structured: bool) -> bytes:
    """The same answer with what was said alone; the very bytes where that is all there is."""
    told = said(answer, structured=structured)
    try:
        document = orjson.loads(answer)
        message = document["choices"][0]["message"]
        if message.get("content") == told.text and not any(message.get(name) for name in _THINKING):
            return answer
        for name in _THINKING:
            message.pop(name, None)
        message["content"] = told.text
    except (orjson.JSONDecodeError, KeyError, IndexError, TypeError, AttributeError):
        return answer
    return orjson.dumps(document)


def object_in(text: str) -> str:
    """The JSON object in a text: the whole of it, or the longest one among other words; "" where there is none."""
    if _loaded(text) is not None:
        return text
    found, at = "", 0
    for _ in range(_TRIES):
        at = text.find("{", at)
        if at < 0:
            break
        try:
            _, end = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        found = max(found, text[at:end], key=len)
        at = end
    return found if _loaded(found) is not None else ""


def _loaded(text: str) -> dict[str, Any] | None:
    try:
        told = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return told if isinstance(told, dict) else None


def _unthought(text: str) -> str:
    """Without thoughts before the answer. Of what was broken off among them nothing is left."""
    at = 0
    while found := _THOUGHT.match(text, at):
        at = found.end()
    if _BEGUN.match(text, at):
        return ""
    ended = None if at else _ENDED.search(text)
    if ended and not _OPENED.search(text, 0, ended.start()):
        at = ended.end()
    return text[at:].strip() if at else text


def _unwrapped(text: str) -> str:
    """A text that was put into one block of code as a whole, without that."""
    wrapped = _WRAPPED.fullmatch(text.strip())
    if not wrapped:
        return text
    inside = len(_FENCE.findall(wrapped[2]))
    return wrapped[2] if not inside or (wrapped[1] and inside % 2 == 0) else text


def _joined(content: Any) -> str:
    """A message's text, also where it comes in parts."""
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        return "".join(str(part.get("text", "")) for part in parts)
    return content if isinstance(content, str) else ""


def _aside(message: dict[str, Any]) -> str:
    """What stands in a field for thoughts."""
    texts = (message.get(name) for name in _THINKING)
    return next((text for text in texts if isinstance(text, str) and text), "")
