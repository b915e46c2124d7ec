"""From a graph to a verdict: walk, weigh each licence, combine.

Permissions combine by their minimum, duties and places left out by union, limits of scale by the smallest. Equal
licences that are held in the same way are weighed once, so that a lineage of thousands costs no more than its walk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date

from intermodel.records.licences import Licence, Terms, compound, find, unknown
from intermodel.records.lineage import Graph, Node, Tenure
from intermodel.records.places import place_of
from intermodel.records.verdict.conflicts import Held, conflicts, flags
from intermodel.records.verdict.tell import beside, beside_duty, lead, where, words
from intermodel.records.verdict.values import (
    Certainty,
    Conflict,
    Duty,
    Finding,
    Outcome,
    Purpose,
    Reason,
    Verdict,
    purpose_of,
)
from intermodel.records.verdict.walk import Hold, Pair, Walk, works
from intermodel.records.verdict.weigh import NO_LICENCE, Asked, Point, Weight, weigh

MOST_REASONS = 200
"""Reasons that are told, the gravest and nearest first."""


MOST_EXPRESSIONS = 100
"""Different expressions that are read in one lineage."""


@dataclass(frozen=True, slots=True)
class _Weighed:
    """A licence at a place of the lineage, and what it comes to. `also`: how many others are just like it."""

    node: Node
    pair: Pair
    licence: Licence
    claimed: bool
    weight: Weight
    also: int = 0


def verdict(
    graph: Graph, name: str, purpose: Purpose | str, place: str = "", on: date | None = None
) -> Verdict:  # fmt: skip
    """What may be done with `name` for that purpose, in that place (ISO 3166-1 alpha-2 or EU), on that day.

    Without a place the places left out are told as duties; without a day the licences of today hold. A thing of which
    nothing is known gives unknown. Raises `Invalid` for a place that is none.
    """
    purpose, place = purpose_of(purpose), place_of(place)
    root = graph.node(name)
    way, *parts = works(graph, name)
    complete = way.complete and all(part.complete for part in parts)
    notes = list(_notes(way, complete=complete))
    asked = Asked(purpose, place, root.multimodal)
    read = _Reader(on, purpose, notes)
    weighed = _grouped(_weighed(graph, way, asked, read), name)
    held = _held(weighed)
    clashes = conflicts(held)
    flagged = flags(_claim(root, weighed, asked), [*_below(root, held)], asked)
    told = [reason for one in weighed for reason in _reasons(one, root, way)]
    duties = [*_duties(weighed)]
    for part in parts:
        within = graph.node(part.name)
        more = _grouped(_weighed(graph, part, Asked(purpose, place, within.multimodal), read), part.name)
        reasons = [beside(within, reason) for one in more for reason in _reasons(one, within, part)]
        if purpose is Purpose.REDISTRIBUTE:
            weighed += more
            duties += [beside_duty(within, duty) for duty in _duties(more)]
            clashes += conflicts(_held(more))
            told += reasons
        else:  # a part can be left aside, so it warns
            told += [replace(one, strict=None, lenient=None) for one in reasons if _stands_against(one)]
    told += [_clash(each, purpose) for each in clashes]
    if not complete:
        told.append(_cut(name))
    owed = tuple(dict.fromkeys(duties))
    warned = (*_warnings(told), *dict.fromkeys(notes))[:MOST_REASONS]
    kept = sorted(told, key=_gravity)[:MOST_REASONS]
    return Verdict(
        name, purpose, place, on,
        _finding(told, list(owed), strict=True),
        _finding(told, [duty for duty in owed if duty.lenient], strict=False),
        tuple(kept), owed, warned, clashes, flagged, tuple(_unknown(weighed))[:MOST_REASONS],
        tuple(sorted({code for one in weighed for code in one.weight.excluded})), _scale(weighed),
        tuple(dict.fromkeys(reason.certainty for reason in sorted(told, key=_gravity))),
        sum(len(each.pairs) for each in (way, *parts)), complete,
    )  # fmt: skip


def _held(weighed: Iterable[_Weighed]) -> list[Held]:
    return [(one.pair[0], one.licence, one.pair[1]) for one in weighed]


def _stands_against(reason: Reason) -> bool:
    return reason.strict in (Outcome.REFUSE, Outcome.UNKNOWN)


def _claim(root: Node, weighed: list[_Weighed], asked: Asked) -> list[Licence]:
    """What a thing is offered under: its tag, else what holds."""
    if root.declared:
        return [*_best(find(root.declared), Hold.HELD, asked)]
    return [one.licence for one in weighed if one.pair[0] == root.id]


def _below(root: Node, held: list[Held]) -> Iterator[Held]:
    """What a tag is held against: everything behind the thing, and its own text where both are known."""
    own = bool(root.declared and root.licence)
    yield from (one for one in held if own or one[0] != root.id)


def _notes(way: Walk, *, complete: bool) -> Iterator[str]:
    if way.circle:
        yield f"the lineage of {way.name} leads back to itself"
    if not complete:
        yield "the lineage is larger than is followed here; what lies beyond is unknown"


def _weighed(graph: Graph, way: Walk, asked: Asked, read: _Reader) -> Iterator[_Weighed]:
    found: dict[str, _Under] = {}
    known: dict[tuple[int, Hold, bool | None, bool], list[tuple[Licence, Weight]]] = {}
    for pair in way.pairs:
        node, hold = graph.node(pair[0]), pair[1]
        if node.id not in found:
            found[node.id] = read.under(node)
        under = found[node.id]
        # what is asked about may bring a base under a limit on multimodal models, and never out of it
        multimodal = True if asked.multimodal else node.multimodal
        about = Asked(asked.purpose, asked.place, multimodal, under.claimed)
        if under.announced:
            yield _Weighed(node, pair, unknown(NO_LICENCE), False, _announced(node, asked.purpose))
        for terms in under.terms:
            key = (id(terms), hold, multimodal, under.claimed)  # `found` keeps the terms, so their ids stay theirs
            if key not in known:
                known[key] = [(each, weigh(each, hold, about)) for each in _best(terms, hold, about)]
            for licence, weight in known[key]:
                yield _Weighed(node, pair, licence, under.claimed, weight)


@dataclass(frozen=True, slots=True)
class _Under:
    """Under what a thing is: all of `terms` bind. `claimed`: a tag says so, and nobody read more."""

    terms: tuple[Terms, ...]
    claimed: bool = False
    announced: bool = False
    """Its licence is not known, and its maker said in public that this purpose is fine."""


class _Reader:
    """Reads what nodes say of their licences; what is worth a note goes to `notes`."""

    def __init__(self, on: date | None, purpose: Purpose, notes: list[str]) -> None:
        self._on, self._purpose, self._notes = on, purpose, notes
        self._expressions: set[str] = set()

    def under(self, node: Node) -> _Under:
        said = _in_force(node, self._on, self._notes)
        # where the history answers for that day, what is declared or announced today does not
        dated = self._on is not None and bool(node.history)
        declared = None if dated else node.declared
        claimed = said is None and bool(declared)
        given = [each for each in (said or declared, node.terms) if each]
        if not given and not dated and self._purpose in node.announced:
            self._notes.append(f"the declared licence of {node.id} is to be read from its card")
            return _Under((), announced=True)
        found = [self._find(each) for each in given] or [Terms(((unknown(NO_LICENCE),),), "")]
        self._notes += [f"of {node.id}: {terms.note}" for terms in found if terms.note]
        return _Under(tuple(self._dated(terms) for terms in found), claimed)

    def _find(self, said: str) -> Terms:
        """As `find`; but of expressions, which cost time to read, no more than a lineage can need."""
        if compound(said):
            self._expressions.add(said)
            if len(self._expressions) > MOST_EXPRESSIONS:
                return Terms(((unknown(said),),), said, "too many expressions of licences to read")
        return find(said)

    def _dated(self, terms: Terms) -> Terms:
        if self._on is None and not any(licence.end for choice in terms.choices for licence in choice):
            return terms
        choices = tuple(tuple(_dated(each, self._on, self._notes) for each in choice) for choice in terms.choices)
        if choices == terms.choices:
            return terms  # the same ones, so that what is weighed already is not weighed again
        return replace(terms, choices=choices)


def _in_force(node: Node, on: date | None, notes: list[str]) -> str | None:
    """The licence of a node on that day, as its history tells; None for a day that the history leaves out.

    Where nobody knows when the last one began, it is the one for each day after all that are dated.
    """
    if len(node.history) > 1 or (node.history and node.history[0].licence != node.licence):
        words = ", then ".join(tenure.licence or "unknown" for tenure in node.history)
        notes.append(f"the licence of {node.id} changed: {words}")
    if on is None or not node.history:
        latest = node.licence or (node.history[-1].licence if node.history and not node.history[-1].end else None)
        return latest or None
    day = on.isoformat()
    following: Tenure | None = None
    for tenure in reversed(node.history):
        if tenure.end:
            lasts = day[: len(tenure.end)] <= tenure.end
        else:  # it ends where the next one begins, and nobody knows when where nobody knows that
            lasts = following is None or bool(following.start and not _begun(day, following.start))
        if lasts and (_begun(day, tenure.start) if tenure.start else tenure.end):
            return tenure.licence or None
        following = tenure
    *before, last = node.history
    if last.licence and not (last.start or last.end) and all(_past(day, tenure) for tenure in before):
        return node.licence or last.licence
    notes.append(f"the licence of {node.id} on {on} is not known: its history leaves that day out")
    return None


def _begun(day: str, start: str) -> bool:
    return start <= day[: len(start)]


def _past(day: str, tenure: Tenure) -> bool:
    """Whether it is over by that day, as far as it is dated."""
    known = tenure.end or tenure.start
    return not known or known < day[: len(known)]


def _dated(licence: Licence, on: date | None, notes: list[str]) -> Licence:
    if on is not None and not licence.begun(on):
        notes.append(f"{licence.name} is of {licence.start}: on {on} it was not there yet")
        return unknown(f"{licence.id}, before it was there")
    if licence.ended(on or date.max):
        notes.append(f"{licence.name} was withdrawn after {licence.end}; whoever took it before may keep to it")
    return licence


def _best(terms: Terms, hold: Hold, asked: Asked) -> tuple[Licence, ...]:
    """The choice that a caller would take: the widest for the purpose, then the one with the fewest duties."""
    if len(terms.choices) == 1:
        return terms.choices[0]

    def worth(choice: tuple[Licence, ...]) -> tuple[int, int, int]:
        weights = [weigh(licence, hold, asked) for licence in choice]
        strict, lenient = min(weight.strict for weight in weights), min(weight.lenient for weight in weights)
        return strict, lenient, -sum(len(weight.owed) for weight in weights)

    return max(terms.choices, key=worth)


def _announced(node: Node, purpose: Purpose) -> Weight:
    said = f"its licence is not read; announced by {node.maker or 'its maker'} as suitable for {purpose} use"
    point = Point("announced", said, "announced", Certainty.UNVERIFIED, Outcome.DUTIES, Outcome.DUTIES)
    return Weight((point,), unknown=("its licence",))


def _grouped(weighed: Iterable[_Weighed], root: str) -> list[_Weighed]:
    """Those that come to the same for the same licence, held alike, as one: the nearest, and how many more."""
    groups: dict[object, list[_Weighed]] = {}
    for one in weighed:
        alike = one.licence.id if one.licence.known else "unknown"
        key = (alike, one.pair[1], one.claimed, one.weight.strict, one.weight.lenient, one.pair[0] == root)
        groups.setdefault(key, []).append(one)
    return [replace(group[0], also=len(group) - 1) for group in groups.values()]


def _reasons(one: _Weighed, root: Node, way: Walk) -> Iterator[Reason]:
    begin = lead(root, one.node, one.pair[1])
    steps, length = way.way(one.pair)
    for point in one.weight.points:
        said = words(begin, one.licence, point, one.node, one.claimed)
        yield Reason(
            said, one.node.id, one.licence.id, point.fact, point.source, point.certainty, point.strict, point.lenient,
            steps, length, one.also,
        )  # fmt: skip


def _clash(conflict: Conflict, purpose: Purpose) -> Reason:
    """Copies of what no one licence fits cannot be passed on; otherwise a conflict warns."""
    outcome = Outcome.REFUSE if purpose is Purpose.REDISTRIBUTE else None
    return Reason(
        f"parents in conflict: {conflict.words}", conflict.nodes[0], " / ".join(conflict.licences), "copyleft",
        conflict.source, Certainty.LICENCE_TEXT, outcome, outcome,
    )  # fmt: skip


def _cut(name: str) -> Reason:
    said = "the lineage is larger than is followed here: what lies beyond is unknown"
    return Reason(said, name, "unknown", "lineage", "none", Certainty.UNVERIFIED, Outcome.UNKNOWN, Outcome.UNKNOWN)


def _duties(weighed: Iterable[_Weighed]) -> Iterator[Duty]:
    """Each duty once for each licence; one that binds in both readings before the same that binds in one."""
    found: dict[tuple[str, str, str], Duty] = {}
    for one in weighed:
        if one.weight.strict is Outcome.REFUSE and not one.weight.binds:
            continue  # what a strict reading refuses outright owes nothing in it
        for owed in one.weight.owed:
            certainty = _worst(one)
            duty = Duty(
                owed.kind, owed.code, owed.words, owed.when, where(one.licence, owed.source), one.node.id,
                one.licence.id, owed.source, certainty, one.weight.binds,
            )  # fmt: skip
            key = (owed.kind, owed.words, one.licence.id)
            if key not in found or (duty.lenient and not found[key].lenient):
                found[key] = duty
    yield from found.values()


def _worst(one: _Weighed) -> Certainty:
    if one.licence.contract:
        return Certainty.CONTRACT
    if one.pair[1] in (Hold.DATA, Hold.CORPUS):
        return Certainty.CONTESTED
    return Certainty.UNVERIFIED if one.claimed else Certainty.LICENCE_TEXT


def _finding(told: list[Reason], owed: list[Duty], *, strict: bool) -> Finding:
    pairs = [(reason.strict if strict else reason.lenient, reason) for reason in told]
    values = [value for value, _ in pairs if value is not None]
    outcome = min(values, default=Outcome.UNKNOWN)
    deciding = [reason for value, reason in pairs if value is outcome]
    if outcome is Outcome.ALLOW and owed:
        outcome = Outcome.DUTIES
    certainty = [reason.certainty for reason in deciding]
    if outcome is Outcome.DUTIES:
        certainty += [duty.certainty for duty in owed]
    deciding.sort(key=_gravity)
    return Finding(outcome, tuple(deciding[:MOST_REASONS]), tuple(owed), tuple(dict.fromkeys(certainty)))


def _gravity(reason: Reason) -> tuple[int, int, int]:
    """The gravest first, then the nearest."""
    strict = reason.strict if reason.strict is not None else Outcome.ALLOW
    lenient = reason.lenient if reason.lenient is not None else Outcome.ALLOW
    return strict, lenient, reason.way_length


def _warnings(told: Iterable[Reason]) -> Iterator[str]:
    """What does not bind in the lenient reading, or in none, and is not plainly allowed."""
    for reason in sorted(told, key=_gravity):
        silent = reason.strict is None and reason.lenient is None
        if silent or (reason.lenient is None and reason.strict in (Outcome.REFUSE, Outcome.UNKNOWN)):
            yield reason.words


_ASKED = {
    "attribution": "credit or notices", "naming": "a name to be shown", "notice_file": "a NOTICE file",
    "copyleft": "its own terms on what is made from it",
}  # fmt: skip


def _unknown(weighed: Iterable[_Weighed]) -> Iterator[str]:
    for one in weighed:
        more = f" and {one.also} more" if one.also else ""
        for what in one.weight.unknown:
            said = what if not one.licence.known else f"whether {one.licence.name} asks for {_ASKED.get(what, what)}"
            yield f"{one.node.id}{more}: {said}"


def _scale(weighed: Iterable[_Weighed]) -> dict[str, int]:
    least: dict[str, int] = {}
    for one in weighed:
        for measure, limit in one.weight.scale.items():
            least[measure] = min(limit, least.get(measure, limit))
    return least
