"""JSON of others, read with care; and ours, written always alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

from intermodel.core import Invalid
from intermodel.core.errors import TooLarge

MOST_BYTES = 16 * 1024 * 1024
"""Of a document that is read."""
MOST_DEPTH = 64
"""Of objects and arrays within each other."""


def parsed(raw: bytes) -> dict[str, Any]:
    """A JSON object. Raises `Invalid` for anything else, a key that stands twice, NaN and what is nested too deep."""
    if len(raw) > MOST_BYTES:
        raise TooLarge(
            f"It has {len(raw):,} bytes; {MOST_BYTES:,} are read.", hint="Split it, or leave out what it embeds."
        )
    try:
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError:
        raise _no_json("it is no UTF-8") from None
    except ValueError as error:
        raise _no_json(str(error)[:200]) from None
    if not isinstance(document, dict):
        raise _no_json("it is no object")
    _check_depth(document)
    return document


def written(document: Mapping[str, Any]) -> bytes:
    """A document as it is handed out: indented, in its own order, UTF-8."""
    return json.dumps(document, indent=2, ensure_ascii=False).encode(errors="replace") + b"\n"


def compact(value: Any) -> str:
    """A small value as one line, always the same."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def named_by_content(document: Mapping[str, Any]) -> str:
    """A UUID (version 8, RFC 9562 section 5.8) made of a document's content, so that the same one has the same name."""
    raw = bytearray(hashlib.sha256(compact(document).encode(errors="replace")).digest()[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(raw)))


def moment(at: datetime) -> str:
    """A moment as both formats take it: in UTC, to the second. Raises `Invalid` for one without a time zone."""
    if at.tzinfo is None:
        raise Invalid("A moment without a time zone says nothing.", hint="Give it in UTC.")
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _check_depth(document: dict[str, Any]) -> None:
    layer: list[Any] = [document]
    for _ in range(MOST_DEPTH):
        layer = [
            inner
            for one in layer
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not layer:
            return
    raise _too_deep()


def _too_deep() -> Invalid:
    return Invalid(f"It is nested more than {MOST_DEPTH} deep.", hint="No bill of material needs that.")


def _no_json(why: str) -> Invalid:
    return Invalid(f"It is no JSON object: {why}.", hint="CycloneDX and SPDX 3 are read as JSON, not as XML.")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)[:100]}' stands twice")
    return found


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON number")
