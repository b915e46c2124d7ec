"""How a licence is said in a bill of material: an SPDX id, an SPDX expression, a name, none, or unknown.

Sources: SPDX specification 3.0.1, annex "SPDX License Expressions" (ids are matched without regard to case);
CycloneDX 1.6, `licenseChoice`. Nothing is guessed: what is no SPDX id or expression stays the name that it is.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any

from license_expression import ExpressionError, get_spdx_licensing

NONE = "NONE"
"""SPDX's word for: there is no licence."""
_UNKNOWN = ("unknown", "noassertion")
_MOST = 500
"""Characters of an expression."""


class Said(StrEnum):
    """In which way a licence can be said."""

    ID = "id"
    EXPRESSION = "expression"
    NAME = "name"
    NONE = "none"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Terms:
    said: Said
    text: str = ""


@functools.lru_cache(maxsize=4096)
def terms_of(licence: str | None) -> Terms:
    """What a licence is called. None is unknown; "" is "no licence was given"."""
    if licence is None or licence.strip().casefold() in _UNKNOWN:
        return Terms(Said.UNKNOWN)
    text = licence.strip()
    if not text or text == NONE:
        return Terms(Said.NONE)
    if known := _ids().get(text.casefold()):
        return Terms(Said.ID, known)
    if expression := _expression(text):
        return Terms(Said.EXPRESSION, expression)
    return Terms(Said.NAME, text)


def reference(name: str) -> str:
    """A `LicenseRef-` for a licence that has only a name (SPDX: letters, digits, dot and dash)."""
    return f"LicenseRef-{re.sub(r'[^A-Za-z0-9.]+', '-', name).strip('-')[:100] or 'unnamed'}"


def _expression(text: str) -> str:
    """The expression in SPDX's own spelling; "" for what is none, or names a licence that is on no list."""
    if len(text) > _MOST:
        return ""
    try:
        found = _licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, RecursionError, ValueError, TypeError, IndexError):
        return ""
    rendered: str = found.render() if found is not None else ""
    return "" if "LicenseRef-" in rendered else rendered


@functools.cache
def _licensing() -> Any:
    """Made once: it reads the whole list of licences each time."""
    return get_spdx_licensing()


@functools.cache
def _ids() -> dict[str, str]:
    """The SPDX licence list, as CycloneDX's schema holds it."""
    raw = resources.files("intermodel.records.bom").joinpath("schemas/spdx.schema.json").read_bytes()
    return {name.casefold(): name for name in json.loads(raw)["enum"]}
