"""A chat's messages as the contents of Google's Gemini API.

Source: the Gemini API reference, v1beta, "Content" and "Part", and its guides to function calling, image
understanding and thought signatures.
"""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Container
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

import orjson

from intermodel.core import Invalid
from intermodel.protocols.dialect import Body
from intermodel.protocols.refusal import refuse_others, unsupported

GEMINI = "the Gemini API"
UNSIGNED = "skip_thought_signature_validator"
"""What Gemini 3 takes as the signature of calls that it did not make itself ("Thought signatures", FAQ)."""

_SYSTEM = frozenset({"system", "developer"})
_TEXT = frozenset({"text"})
_USER = frozenset({"text", "image_url", "input_audio", "file"})
_MODEL = frozenset({"text", "refusal"})
_DATA = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.DOTALL)
_SEALS = re.compile(r"google\.(text|call):([\w+/=-]*?)(?=google\.(?:text|call):|[^\w+/=-]|\Z)")


def seal(place: str, signature: str) -> str:
    """A signature of Google's as a piece of `reasoning_signature`; `place` is "text" or "call".

    It says whose it is, for no other vendor can read it, and Google no other's.
    """
    return f"google.{place}:{signature}"


def conversation(messages: list[Body], *, is_checked: bool) -> Body:
    """`systemInstruction` and `contents`; `is_checked` says that the model wants signatures on calls."""
    first = next((i for i, message in enumerate(messages) if message["role"] not in _SYSTEM), len(messages))
    asked: Body = {}
    if system := [part for i in range(first) for part in _said(messages[i], f"messages.{i}", _TEXT)]:
        asked["systemInstruction"] = {"parts": system}
    calls = [call for message in messages for call in message.get("tool_calls") or ()]
    names = {call["id"]: call["function"]["name"] for call in calls if "id" in call}
    turns = []
    for i, message in enumerate(messages[first:], first):
        if message["role"] == "assistant":
            turns.append(("model", _model(message, f"messages.{i}", is_checked=is_checked)))
        else:
            turns.append(("user", _user(message, f"messages.{i}", names)))
    # turns alternate there, and none is empty
    asked["contents"] = [
        {"role": role, "parts": [part for _, parts in group for part in parts]}
        for role, group in groupby((turn for turn in turns if turn[1]), key=lambda turn: turn[0])
    ]
    return asked


def detail_of_images(messages: list[Body]) -> str:
    """What `detail` the images are to be seen in: there it is one for all of them. `high` is Google's default."""
    first = ""
    for i, message in enumerate(messages):
        content = message.get("content")
        for k, part in enumerate(content if isinstance(content, list) else ()):
            if "image_url" not in part:
                continue
            image = part["image_url"]
            detail = (image.get("detail") if isinstance(image, dict) else None) or "auto"
            detail = "auto" if detail == "high" else detail
            first = first or detail
            if detail not in ("auto", "low") or detail != first:
                place = f"messages.{i}.content.{k}.image_url.detail"
                raise unsupported(place, GEMINI, "It may be auto, high or low, and low for all images or none.")
    return first


def _user(message: Body, place: str, names: dict[str, str]) -> list[Body]:
    role = message["role"]
    if role == "user":
        return _said(message, place, _USER)
    if role == "tool":
        return [_result(message, place, names)]
    raise unsupported(f"{place}.role", GEMINI, "There it stands first." if role in _SYSTEM else "")


def _said(message: Body, place: str, kinds: Container[str]) -> list[Body]:
    refuse_others(message, {"role", "content"}, GEMINI, f"{place}.")
    return _parts(message.get("content"), f"{place}.content", kinds)


# parts


def _parts(content: Any, place: str, kinds: Container[str]) -> list[Body]:
    if content is None or isinstance(content, str):
        return [{"text": content}] if content else []
    return [_part(part, f"{place}.{i}", kinds) for i, part in enumerate(content) if part.get("text") != ""]


def _part(part: Body, place: str, kinds: Container[str]) -> Body:
    kind = part.get("type") or ""
    if kind not in kinds:
        raise unsupported(f"{place}.type", GEMINI)
    refuse_others(part, {"type", kind}, GEMINI, f"{place}.")
    if kind == "image_url":
        return _image(part["image_url"], f"{place}.image_url")
    if kind == "input_audio":
        audio = part["input_audio"]
        return {"inlineData": {"mimeType": f"audio/{audio['format']}", "data": audio["data"]}}
    if kind == "file":
        refuse_others(part["file"], {"filename", "file_data"}, GEMINI, f"{place}.file.")
        return _inline(part["file"].get("file_data") or "", f"{place}.file.file_data")
    return {"text": part[kind]}


def _image(image: str | Body, place: str) -> Body:
    image = image if isinstance(image, dict) else {"url": image}
    refuse_others(image, {"url", "detail"}, GEMINI, f"{place}.")
    if image["url"].startswith("data:"):
        return _inline(image["url"], f"{place}.url")
    media_type, _ = mimetypes.guess_type(urlsplit(image["url"]).path)
    return {"fileData": {"fileUri": image["url"]} | ({"mimeType": media_type} if media_type else {})}


def _inline(url: str, place: str) -> Body:
    """Something that is in the request itself (RFC 2397)."""
    match = _DATA.fullmatch(url)
    if match is None:
        raise Invalid(f"'{place}' must be a data: address in base64.", param=place)
    return {"inlineData": {"mimeType": match[1].lower(), "data": match[2]}}


# what the model said, and what its calls gave


def _model(message: Body, place: str, *, is_checked: bool) -> list[Body]:
    """Thoughts are not told again, for Google reads them from its own signatures."""
    known = {"role", "content", "refusal", "tool_calls", "reasoning_content", "reasoning", "reasoning_signature"}
    refuse_others(message, known, GEMINI, f"{place}.")
    parts = _parts(message.get("content"), f"{place}.content", _MODEL)
    if message.get("refusal"):
        parts.append({"text": message["refusal"]})
    calls = [_call(call, f"{place}.tool_calls.{i}") for i, call in enumerate(message.get("tool_calls") or ())]
    _sign(parts, calls, message.get("reasoning_signature") or "")
    if is_checked and calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = UNSIGNED
    return parts + calls


def _sign(parts: list[Body], calls: list[Body], sealed: str) -> None:
    """Put back what Google sealed; a signature that a call brings itself (`extra_content`) goes first."""
    seals = _SEALS.findall(sealed)
    texts = [signature for place, signature in seals if place == "text"]
    if texts and parts:
        parts[-1]["thoughtSignature"] = texts[-1]
    if not any("thoughtSignature" in call for call in calls):
        signatures = [signature for place, signature in seals if place == "call"]
        for call, signature in zip(calls, signatures, strict=False):
            call["thoughtSignature"] = signature


def _call(call: Body, place: str) -> Body:
    if call.get("type", "function") != "function":
        raise unsupported(f"{place}.type", GEMINI)
    refuse_others(call, {"id", "type", "function", "index", "extra_content"}, GEMINI, f"{place}.")
    function = call["function"]
    arguments = _object(function.get("arguments") or "{}")
    if arguments is None:
        raise unsupported(f"{place}.function.arguments", GEMINI, "There it must be a JSON object.")
    part: Body = {"functionCall": {"name": function["name"], "args": arguments}}
    if call.get("id"):
        part["functionCall"]["id"] = call["id"]
    google = (call.get("extra_content") or {}).get("google") or {}
    if google.get("thought_signature"):
        part["thoughtSignature"] = google["thought_signature"]
    return part


def _result(message: Body, place: str, names: dict[str, str]) -> Body:
    refuse_others(message, {"role", "content", "tool_call_id", "name"}, GEMINI, f"{place}.")
    identity = message.get("tool_call_id") or ""
    name = names.get(identity) or message.get("name")
    if not name:
        raise Invalid(f"'{place}.tool_call_id' is that of no call above it.", param=f"{place}.tool_call_id")
    text = "".join(part["text"] for part in _parts(message.get("content"), f"{place}.content", _TEXT))
    response = _object(text)
    answer = {"name": name, "response": {"output": text} if response is None else response}
    return {"functionResponse": answer | ({"id": identity} if identity else {})}


def _object(text: str) -> Body | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
