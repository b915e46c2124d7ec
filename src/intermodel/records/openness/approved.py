"""Which licences count as open, and for whom: the lists of OSI, FSF and the Model Openness Tool, as data with sources.

A name that no list knows is neither open nor closed: `None`.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from intermodel.records.spdx import is_exception

NONE = ("", "unlicensed")
"""How "there is no licence" is written: `unlicensed` is the word of the Model Openness Tool."""

_EXPRESSION = re.compile(r"[()\s]")
_NEWEST = "spdx-3.29.0"
_OF_THE_TOOL = "spdx-3.24.0"


def canonical(name: str) -> str:
    """The SPDX id as SPDX spells it; ids are matched without regard to case (SPDX 3.0.1, Annex B). Else the name."""
    return _spelling().get(name.strip().casefold(), name.strip())


def osi_approved(licence: str) -> bool | None:
    """Whether OSI approved it. Of an expression: `AND` needs both, `OR` one of them. None for a name SPDX lacks."""
    return _of_expression(licence, _one_osi_approved)


def open_data(licence: str) -> bool | None:
    """Whether it is open for data and documents: approved by OSI, or open data by the Model Openness Tool's list."""
    return _of_expression(licence, lambda one: one in _lists()["open_data"] or _one_osi_approved(one))


def open_to_the_tool(name: str, *, exact: bool) -> bool:
    """Whether the Model Openness Tool at commit 8b5d30e calls it open.

    OSI-approved or free by FSF in its SPDX list (3.24.0), or in its own list of open data, or OpenMDW-1.0. The tool
    knows ids alone, letter by letter: `exact`. Else they are compared without case, and expressions are understood.
    """
    tool = _lists()["tool"]
    return name in tool if exact else bool(_of_expression(name, lambda one: one in tool))


def _one_osi_approved(name: str) -> bool | None:
    lists = _lists()
    return True if name in lists["osi"] else False if name in lists["known"] or name in NONE else None


def _of_expression(licence: str, test: Callable[[str], bool | None]) -> bool | None:
    name = canonical(licence)
    if not _EXPRESSION.search(name):
        return test(name)
    from license_expression import ExpressionError, Licensing  # only few licences need it

    try:
        return _walk(Licensing().parse(name), test)
    except (ExpressionError, ValueError, RecursionError, AttributeError, AssertionError, TypeError, IndexError):
        return None  # "Apache 2.0", "()": no expression; the library says so in all these ways


def _walk(part: Any, test: Callable[[str], bool | None]) -> bool | None:
    if arguments := getattr(part, "args", ()):
        found = [_walk(one, test) for one in arguments]
        decisive = part.operator.strip() == "OR"  # one yes decides an OR, one no an AND
        return decisive if decisive in found else None if None in found else not decisive
    exception = getattr(part, "exception_symbol", None)
    if exception is not None and not is_exception(exception.key):
        return None
    # an exception on SPDX's list only adds permissions to those of its licence
    return test(canonical(str(getattr(part, "license_symbol", part).key)))


@functools.cache
def _spelling() -> dict[str, str]:
    return {name.casefold(): name for name in _lists()["known"]}


@functools.cache
def _lists() -> dict[str, frozenset[str]]:
    data = json.loads((files(__package__) / "data" / "approved.json").read_text("utf-8"))
    newest, tool, own = data[_NEWEST], data[_OF_THE_TOOL], data["mot-8b5d30e"]
    return {
        "osi": frozenset(newest["osi"]),
        "known": frozenset(newest["osi"] + newest["fsf"] + newest["neither"] + own["open_data"]),
        "open_data": frozenset(own["open_data"] + own["open"]),
        "tool": frozenset(tool["osi"] + tool["fsf"] + own["open_data"] + own["open"]),
    }
