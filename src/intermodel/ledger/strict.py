"""JSON and base64 read so that one meaning has one spelling: what is signed must not be read in two ways."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NoReturn

from intermodel.core import Invalid

_LONE_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `data`. Raises `Invalid`: no UTF-8, a key twice, NaN, nested too deeply, no object."""
    try:
        value = json.loads(data.decode(), object_pairs_hook=_pairs, parse_constant=_constant)
        if _LONE_SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
    except Invalid as error:
        raise Invalid(
            f"{what} is not to be read: {error.message}", hint=error.hint, code="not_strict_json", param=error.param
        ) from None
    except RecursionError:
        raise Invalid(f"{what} is not to be read: it is nested too deeply.", code="not_strict_json") from None
    except ValueError as error:  # of UTF-8, of JSON, of a number too long
        raise Invalid(f"{what} is no JSON in UTF-8: {error}.", code="not_strict_json") from None
    if not isinstance(value, dict):
        raise Invalid(f"{what} is no JSON object.", code="not_strict_json")
    return value


def field(document: dict[str, Any], name: str, kind: type, what: str) -> Any:
    """A field that must be there. Raises `Invalid` where it is missing or of another type."""
    value = document.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        names = {str: "text", dict: "an object", list: "a list", int: "a whole number"}
        said = "is missing" if name not in document else f"is not {names.get(kind, kind.__name__)}"
        raise Invalid(f"{what}: '{name}' {said}.", param=name)
    return value


def closed(document: dict[str, Any], names: set[str], what: str) -> None:
    """Raise `Invalid` for a field that is not one of `names`."""
    if unknown := sorted(document.keys() - names):
        raise Invalid(f"{what}: there is no field '{unknown[0][:100]}'.", param=unknown[0][:100])


def from_base64(text: str, what: str, *, url_safe: bool = False) -> bytes:
    """The bytes behind standard base64 in its one canonical spelling; `url_safe` takes the other alphabet too.

    Raises `Invalid`. Python's own decoder ignores the bits that pad the last character, and so takes several spellings.
    """
    try:
        data = base64.b64decode(text, validate=True)
        if base64.b64encode(data).decode() == text:
            return data
    except (binascii.Error, ValueError):
        if url_safe and not {"+", "/"} & set(text):
            return from_base64(text.replace("-", "+").replace("_", "/"), what)
    raise Invalid(f"{what} is no canonical base64.", code="not_base64")


def to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(f"the key '{twice[:100]}' stands in it twice.", hint="Write it once.", param=twice[:100])
    return found


def _constant(name: str) -> NoReturn:
    raise Invalid(f"{name} is no number in JSON.")
