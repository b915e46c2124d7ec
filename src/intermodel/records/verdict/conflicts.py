"""Licences that cannot be kept together, and tags that promise too much. Pure functions.

Sources: GPL-3.0, sections 7 and 10, and CC BY-SA 4.0, 3(b)(3): no further restrictions on the whole; so a licence with
use limits (RAIL, Llama) cannot join (ModelGo, cases 2a and 4b). Two that each want the whole under themselves conflict,
unless one names the other as compatible (AGPL-3.0 and GPL-3.0, 13 of either; CC BY-SA 4.0 into GPL-3.0). Apache-2.0's
patent terms do not fit GPL-2.0 (https://www.gnu.org/licenses/license-list.html#apache2).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from intermodel.records.licences import Code, Licence
from intermodel.records.verdict.say import WORDS
from intermodel.records.verdict.values import Conflict, Flag, Outcome, Purpose
from intermodel.records.verdict.walk import Hold
from intermodel.records.verdict.weigh import FIELDS, Asked, weigh

Held = tuple[str, Licence, Hold]
"""Something inside: its id, its licence, and how it is held."""

_NONCOMMERCIAL = "non-commercial"


def conflicts(held: Sequence[Held]) -> tuple[Conflict, ...]:
    """Each pair of licences, inside the same thing, that no one licence can satisfy; one pair of things for each."""
    first: dict[str, Held] = {}
    for one in held:
        if one[1].known and one[2] in (Hold.HELD, Hold.CHANGED):
            first.setdefault(one[1].id, one)
    found = (_conflict(one, other) for one, other in combinations(first.values(), 2))
    return tuple(conflict for conflict in found if conflict)


def _conflict(one: Held, other: Held) -> Conflict | None:
    words = _apart(one[1], other[1]) or _apart(other[1], one[1])  # the words name them, so their order tells nothing
    if not words:
        return None
    sources = "; ".join(dict.fromkeys(held[1].fact("copyleft").source for held in (one, other) if _whole(held[1])))
    said = f"no one licence keeps both {one[0]} ({one[1].title}) and {other[0]} ({other[1].title}): {words}"
    return Conflict(said, (one[0], other[0]), (one[1].id, other[1].id), sources)


def _whole(licence: Licence) -> bool:
    return licence.fact("copyleft").value.get("scope") == "whole"


def _apart(one: Licence, other: Licence) -> str:
    """Why `one`, which wants the whole under itself, does not suffer the other; "" where it does."""
    if not _whole(one):
        return ""
    if _whole(other):
        return "" if _joins(one, other) or _joins(other, one) else "each wants the whole under its own terms"
    if one.id == "gpl-2.0" and other.id == "apache-2.0":
        return f"{one.title} bears no further restriction, and the patent terms of {other.title} are one"
    limits = other.fact("use_restrictions")
    if limits.code is not Code.LIMIT:
        return ""
    own = one.fact("use_restrictions")
    if own.code is Code.LIMIT and limits.words == _NONCOMMERCIAL and own.words == _NONCOMMERCIAL:
        return ""
    return f"{one.title} bears no further restriction, and {other.title} has one ({limits.words})"


def _joins(one: Licence, other: Licence) -> bool:
    value = one.fact("copyleft").value
    family = other.fact("copyleft").value.get("family", other.id)
    return value.get("family", one.id) == family or family in value.get("into", ())


def flags(claim: Sequence[Licence], held: Sequence[Held], asked: Asked) -> tuple[Flag, ...]:
    """Where what a thing is offered under is wider than what it was made from allows, for any purpose.

    A contract does not bind those who did not agree to it, and what is not known proves nothing: neither raises a flag.
    """
    if not claim or not all(licence.known for licence in claim):
        return ()
    seen: dict[tuple[str, Hold], Held] = {}
    for one in held:
        if one[1].known and not one[1].contract:
            seen.setdefault((one[1].id, one[2]), one)
    found = [flag for one in seen.values() for flag in _flags(claim, one, asked)]
    return tuple(dict.fromkeys(found))


def _flags(claim: Sequence[Licence], one: Held, asked: Asked) -> Iterator[Flag]:
    node, licence, hold = one
    offered = f"it is offered under {' and '.join(each.title for each in claim)}"
    ids = " AND ".join(each.id for each in claim)
    refused = [
        WORDS[FIELDS[p]] for p in Purpose if _refuses(licence, hold, p, asked) and not _claims_no(claim, p, asked)
    ]
    if refused:
        what = " or ".join(filter(None, (", ".join(refused[:-1]), refused[-1])))
        words = f"{offered}, which does not forbid {what}; {node} ({licence.title}), {_ROLES[hold]}, does"
        yield Flag("wider", words, ids, node, licence.id)
    if hold not in (Hold.HELD, Hold.CHANGED):
        return
    scope = licence.fact("copyleft").value.get("scope")
    free = all(each.fact("use_restrictions").code is Code.NONE for each in claim)
    if scope == "use-terms" and free and licence.fact("use_restrictions").code is Code.LIMIT:
        words = f"{offered}, which leaves out the use limits of {node} ({licence.title}); they must be passed on"
        yield Flag("drops-use-limits", words, ids, node, licence.id)
    if scope == "whole" and not any(each.id == licence.id or _joins(licence, each) for each in claim):
        words = f"{offered}; {node} ({licence.title}) wants what contains it under its own licence"
        yield Flag("drops-share-alike", words, ids, node, licence.id)


_ROLES = {
    Hold.HELD: "which is inside it", Hold.CHANGED: "from which it was made", Hold.USED: "which it calls",
    Hold.DATA: "on which it was trained", Hold.CORPUS: "on which it was pre-trained",
    Hold.TEACHER: "from whose outputs it learned", Hold.TEACHER_OF_DATA: "whose outputs are in its training data",
    Hold.MADE: "which wrote it",
}  # fmt: skip
"""What a thing is to the one that is offered."""


def _refuses(licence: Licence, hold: Hold, purpose: Purpose, asked: Asked) -> bool:
    return weigh(licence, hold, Asked(purpose, "", asked.multimodal)).strict is Outcome.REFUSE


def _claims_no(claim: Sequence[Licence], purpose: Purpose, asked: Asked) -> bool:
    """Whether the claim refuses that purpose too, or says nothing of it."""
    given = min(weigh(each, Hold.HELD, Asked(purpose, "", asked.multimodal)).strict for each in claim)
    return given in (Outcome.REFUSE, Outcome.UNKNOWN)
