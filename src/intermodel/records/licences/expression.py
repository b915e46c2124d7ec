"""From a tag, a name or an SPDX expression to the licences it means.

Source: SPDX Specification 2.3, annex D (expressions); https://huggingface.co/docs/hub/repositories-licenses (tags).
An `OR` lets the caller choose, an `AND` binds to all. `WITH` names an exception: one on the list of SPDX only grants
more, and is not counted on here; any other may as well be a limit, and makes the licence unknown. What is not
understood is an unknown licence, never an error: it comes from a card.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache, lru_cache
from types import MappingProxyType

from license_expression import (
    AND,
    OR,
    ExpressionError,
    LicenseWithExceptionSymbol,
    Licensing,
)

from intermodel.records.licences.facts import LICENCES, Licence
from intermodel.records.spdx import is_exception

MOST_CHARACTERS = 400
MOST_CHOICES = 32
_UNSAID = ("unknown", "none", "null", "noassertion")


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds: one of `choices`, at the caller's choice; each binds with all of its licences."""

    choices: tuple[tuple[Licence, ...], ...]
    expression: str
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether something is known of every licence of at least one choice."""
        return any(all(licence.known for licence in choice) for choice in self.choices)

    @property
    def name(self) -> str:
        """Its licences for people."""
        return " or ".join(" and ".join(licence.name for licence in choice) for choice in self.choices)


def unknown(name: str) -> Licence:
    """A licence of which nothing is known but its name."""
    return Licence(name[:200], name[:200], "unknown", MappingProxyType({}))


def find(said: str | None) -> Terms:
    """The licences that a tag (`llama3.1`), an id, a name or an SPDX expression means.

    A tag that names a family or no text (`openrail`, `cc`, `other`), and a name that nobody here knows, give a licence
    of which every fact is unknown.
    """
    return _found((said or "").strip()[: MOST_CHARACTERS + 1])


def unheard(said: str | None) -> tuple[str, ...]:
    """A sentence for each licence in it of whose name nobody here has heard, with the nearest name that is known.

    What says that nothing is known (`unknown`), and the tags of families (`other`), are names that are known.
    """
    found = []
    if said and said.strip().casefold() not in _UNSAID:
        for name in dict.fromkeys(one.id for choice in find(said).choices for one in choice if one.kind == "unknown"):
            near = difflib.get_close_matches(name.casefold(), _names(), n=1, cutoff=0.75)
            meant = f"; did you mean {_names()[near[0]].id}?" if near else "."
            found.append(f"No licence of the name '{name[:100]}' is known here{meant}")
    return tuple(found)


@cache
def _names() -> dict[str, Licence]:
    names: dict[str, Licence] = {}
    for kind in ("id", "spdx", "name", "tag"):  # a tag that several share must not hide the one that is named so
        for licence in LICENCES.values():
            name = getattr(licence, kind)
            if name and not (kind == "tag" and name in ("other", "unknown")):
                names.setdefault(name.casefold(), licence)
    return names


def _one(name: str) -> Licence:
    """By name; `GPL-3.0`, `GPL-3.0+` and `GPL-3.0-or-later` allow at least what `GPL-3.0-only` does."""
    key = name.casefold()
    names = _names()
    for tried in (key, f"{key}-only", key.removesuffix("+"), key.removesuffix("-or-later"), key.removesuffix("-only")):
        if licence := names.get(tried) or names.get(f"{tried}-only"):
            return licence
    return unknown(name)


@cache
def _licensing() -> Licensing:
    return Licensing()


@lru_cache(4096)
def _found(said: str) -> Terms:
    if not said or said.casefold() in _UNSAID:
        return Terms(((unknown(said or "no licence"),),), said)
    if (one := _one(said)).kind != "unknown" or len(said) > MOST_CHARACTERS or not compound(said):
        return Terms(((one,),), said)
    try:
        parsed = _licensing().parse(said)
        choices = _choices(parsed)
    except (ExpressionError, ValueError, RecursionError, AttributeError, AssertionError, TypeError, IndexError):
        choices = None  # the library says what is wrong in all these ways
    if choices is None:
        return Terms(((unknown(said),),), said, "this is no expression that is understood here")
    note = ""
    if " with " in said.casefold():
        note = "an exception (WITH) may grant more than is counted here; one that SPDX does not list is unknown"
    return Terms(choices, said, note)


def compound(said: str) -> bool:
    """Whether it looks like an expression of several licences."""
    words = said.casefold().replace("(", " ").replace(")", " ").split()
    return any(word in ("and", "or", "with") for word in words) or said.startswith("(")


def _choices(parsed: object) -> tuple[tuple[Licence, ...], ...] | None:
    """As an OR of ANDs; None where it would grow beyond what is followed."""
    if isinstance(parsed, LicenseWithExceptionSymbol):
        if not is_exception(parsed.exception_symbol.key):
            return ((unknown(f"{parsed.license_symbol.key} WITH {parsed.exception_symbol.key}"),),)
        return ((_one(parsed.license_symbol.key),),)
    if isinstance(parsed, OR):
        parts = [_choices(part) for part in parsed.args]
        flat = tuple(choice for part in parts for choice in part or ())
        return flat if None not in parts and len(flat) <= MOST_CHOICES else None
    if isinstance(parsed, AND):
        together: tuple[tuple[Licence, ...], ...] = ((),)
        for part in parsed.args:
            choices = _choices(part)
            if choices is None or len(together) * len(choices) > MOST_CHOICES:
                return None
            together = tuple(dict.fromkeys((*one, *other)) for one in together for other in choices)  # type: ignore[misc]
        return tuple(tuple(choice) for choice in together)
    key = getattr(parsed, "key", None)
    return ((_one(key),),) if isinstance(key, str) else None
