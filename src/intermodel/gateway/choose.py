"""The choice of candidates for a call: a pure function over values."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import attrgetter
from random import Random
from typing import NamedTuple

from intermodel.core import Call, Capability, IntermodelError, Invalid, NotFound, Refused, Unavailable
from intermodel.gateway.health import Standing
from intermodel.settings import Constraints, Route

_OPTIONAL = frozenset({Capability.CONTINUES})
"""Abilities that a model has only where it says so."""


class Verdict(NamedTuple):
    """Whether the licences along a model's lineage allow a purpose in a place, strictly read, and why or why not."""

    allows: bool | None
    """None: that is unknown."""
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What a model's record says of it, as far as routes ask."""

    verdicts: Mapping[tuple[str, str], Verdict] = field(default_factory=dict)
    """By purpose and place."""
    openness: str = ""
    openness_reason: str = ""
    tier: int | None = None


NOTHING_KNOWN = Known()


@dataclass(frozen=True, slots=True)
class Target:
    """A model that this node can call, under the address callers use.

    `provider` is the key of its connections, `upstream` the model's name there. Empty `capabilities` are unknown, as
    are None and "" elsewhere. Prices are US dollars for a million tokens. `known` comes from the model's record.
    """

    address: str
    provider: str
    upstream: str
    local: bool
    capabilities: frozenset[Capability] = frozenset()
    context_length: int | None = None
    output_tokens: int | None = None
    region: str = ""
    price_input: Decimal | None = None
    price_output: Decimal | None = None
    energy_joules: float | None = None
    known: Known = NOTHING_KNOWN
    problem: str = ""
    """Why it cannot be called at all, in words for callers."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that has an address at one moment."""

    targets: Mapping[str, Target] = field(default_factory=dict)
    routes: Mapping[str, Route] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target with the reason why it stands where it stands, or why it was left out (`fit` is false)."""

    target: Target
    fit: bool
    reason: str


Standings = Callable[[str], Standing]
"""How the target at an address stands now."""

OPENNESS = ("closed", "open access", "open source")
"""The three words of a record for how open a model is, least first."""


def choose(call: Call, directory: Directory, standings: Standings, random: Random) -> tuple[Candidate, ...]:
    """The candidates for `call`, best first, those left out at the end.

    `standings` tells what was measured of the target at an address. `random` is drawn from only by the order
    `weighted`, and for the share of calls that measure. Raises `NotFound` for an unknown name, with the nearest one.
    """
    route = directory.routes.get(call.model)
    if route is None:
        target = directory.targets.get(call.model)
        if target is None:
            raise _unknown(call.model, directory)
        return (_judged(call, None, target, standings(call.model), "named by the caller"),)
    known = [directory.targets[name] for name in route.candidates if name in directory.targets]
    if not known:
        raise _none_known(call.model, route)
    ordered = _ORDERS[route.order](route, known, standings, random)
    judged = [_judged(call, route.require, target, standings(target.address), why) for target, why in ordered]
    judged.sort(key=lambda c: not c.fit)
    if route.explore and route.order in _MEASURED and random.random() < route.explore:
        judged = _explored(route, judged, standings)
    return tuple(judged)


_MEASURED = {
    "fastest": (attrgetter("samples"), "answer", "measured"),
    "best": (attrgetter("ratings"), "rating", "rated"),
}
"""Orders by what was measured: how often that was, what is counted, and the word for it."""


def _explored(route: Route, candidates: list[Candidate], standings: Standings) -> list[Candidate]:
    """The candidate that was measured least comes first, so that it is measured: otherwise one that was never tried,
    or did badly once, would never be tried again.
    """
    counted, what, done = _MEASURED[route.order]
    fit = [candidate for candidate in candidates if candidate.fit]
    if not fit:
        return candidates
    times = [counted(standings(candidate.target.address)) for candidate in fit]
    least = times.index(min(times))
    if not least:  # it comes first anyway
        return candidates
    chosen, seen = fit[least], times[least]
    drawn = f"explored: {100 * route.explore:.3g} % of calls go to the candidate least {done}, which it is"
    explored = replace(chosen, reason=f"{drawn} ({seen} {what}{'' if seen == 1 else 's'}); {chosen.reason}")
    return [explored, *(candidate for candidate in candidates if candidate is not chosen)]


RESTS = "it rests after failures"
_WHY = {
    "key": "it refused this node's key, which its operator must mend",
    "tired": "it is overloaded, or over its quota",
    "broken": "it failed or could not be reached",
}


def _judged(call: Call, require: Constraints | None, target: Target, standing: Standing, place: str) -> Candidate:
    lacking = target.problem or _lacking(call, target) or (require and _unmet(require, target)) or _resting(standing)
    return Candidate(target, fit=not lacking, reason=lacking or place)


def _lacking(call: Call, target: Target) -> str:
    missing = call.needs - target.capabilities if target.capabilities else call.needs & _OPTIONAL
    return f"it does not offer {', '.join(sorted(missing))}" if missing else ""


def _resting(standing: Standing) -> str:
    if not standing.rests_s:
        return ""
    return f"{RESTS} ({_WHY.get(standing.reason, standing.reason)}) for {math.ceil(standing.rests_s)} s more"


def _unmet(require: Constraints, target: Target) -> str:
    """The first demand that `target` does not meet, in words; what is not known of it counts as not met."""
    if missing := require.capabilities - target.capabilities:
        return f"it does not state {', '.join(sorted(missing))}"
    if require.regions and target.region not in require.regions:
        return f"its region is {target.region or 'unknown'}, not {' or '.join(require.regions)}"
    for name, most, its in (
        ("price for a million tokens read", require.price_input, target.price_input),
        ("price for a million tokens made", require.price_output, target.price_output),
        ("energy for a thousand tokens, in joules,", require.energy_joules, target.energy_joules),
        ("tier", require.tier, target.known.tier),
    ):
        if most is not None and (its is None or its > most):
            return f"its {name} is {'unknown' if its is None else its}, the most allowed is {most}"
    known = target.known
    if require.verdict:
        verdict = known.verdicts.get((require.verdict, require.place), _UNKNOWN)
        if not verdict.allows:
            answer = "unknown" if verdict.allows is None else "not allowed"
            return _because(f"the licences' verdict on {_WORDS[require.verdict]} is {answer}", verdict.reason)
    if require.openness and _openness(known.openness) < _openness(require.openness):
        said = f"its openness is {known.openness or 'unknown'}, the least allowed is {require.openness}"
        return _because(said, known.openness_reason)
    return ""


_UNKNOWN = Verdict(None, "")
_WORDS = {
    "commercial": "commercial use", "research": "use in research", "redistribute": "passing it on",
    "modify": "changing it", "train_on_outputs": "training on its outputs", "serve": "serving it to others",
}  # fmt: skip
_REASON = 300
"""A reason of more characters is cut on receipts: the record has all of it."""


def _because(said: str, reason: str) -> str:
    return f"{said}: {reason[:_REASON]}" if reason else said


def _openness(word: str) -> int:
    return OPENNESS.index(word) if word in OPENNESS else -1


# Orders: each gives the targets, best first, with the reason for each place.

_Ordered = Sequence[tuple[Target, str]]
_Order = Callable[[Route, list[Target], Standings, Random], _Ordered]


def _fixed(_route: Route, targets: list[Target], _standings: Standings, _random: Random) -> _Ordered:
    return [(target, f"place {i + 1} of the route") for i, target in enumerate(targets)]


def _weighted(route: Route, targets: list[Target], _standings: Standings, random: Random) -> _Ordered:
    """Drawn without replacement, in proportion to weights (Efraimidis and Spirakis 2006, algorithm A)."""

    def drawn(target: Target) -> float:
        weight = route.weights.get(target.address, 1.0)
        return math.log(1 - random.random()) / weight if weight else -math.inf

    keys = {target.address: drawn(target) for target in targets}
    ordered = sorted(targets, key=lambda target: -keys[target.address])
    return [(target, f"drawn with weight {route.weights.get(target.address, 1.0):g}") for target in ordered]


def _cheapest(_route: Route, targets: list[Target], _standings: Standings, _random: Random) -> _Ordered:
    """By the price of a typical call, three tokens read for each one made; unknown prices last."""

    def price(target: Target) -> Decimal | None:
        if target.price_input is None or target.price_output is None:
            return None
        return (3 * target.price_input + target.price_output) / 4

    return _by(targets, price, "blended price ${:f} for a million tokens", "price unknown")


def _fastest(_route: Route, targets: list[Target], standings: Standings, _random: Random) -> _Ordered:
    """By the measured time to a first token and a hundred more; those not tried yet come first, to be measured.

    Those that were tried and only failed come last. What was measured once is measured again, and what failed is tried
    again, by the share of calls that `explore` gives to it.
    """

    def seconds(target: Target) -> float | None:
        standing = standings(target.address)
        if standing.first_token_s is None:
            return None
        return standing.first_token_s + (100 / standing.rate if standing.rate else 0.0)

    new = [t for t in targets if seconds(t) is None and not standings(t.address).error_ratio]
    tried = [target for target in targets if target not in new]
    ordered = _by(tried, seconds, "{:.3g} s to a hundred tokens, as measured", "not measured: it has only failed")
    return [*((target, "not measured yet") for target in new), *ordered]


def _best(_route: Route, targets: list[Target], standings: Standings, _random: Random) -> _Ordered:
    """By measured quality; those without a measurement last."""

    def worse(target: Target) -> float | None:
        quality = standings(target.address).quality
        return None if quality is None else -quality

    ordered = _by(targets, worse, "{}", "quality not measured")
    return [(t, why if worse(t) is None else f"measured quality {-(worse(t) or 0):.3g}") for t, why in ordered]


_ORDERS: dict[str, _Order] = {
    "fixed": _fixed, "weighted": _weighted, "cheapest": _cheapest, "fastest": _fastest, "best": _best,
}  # fmt: skip


def _by(
    targets: list[Target], value: Callable[[Target], float | Decimal | None], told: str, unknown: str
) -> list[tuple[Target, str]]:
    """In rising order of `value`, as listed where equal, unknown ones last."""
    valued = [(value(target), target) for target in targets]
    known = sorted(((v, t) for v, t in valued if v is not None), key=lambda pair: pair[0])
    return [(t, told.format(v)) for v, t in known] + [(t, unknown) for v, t in valued if v is None]


def none_fit(call: Call, candidates: Sequence[Candidate]) -> IntermodelError:
    """What to tell a caller whose call no candidate may answer now, with the reason of each."""
    one = candidates[0]
    alone = len(candidates) == 1
    reasons = "; ".join(f"{c.target.address}: {c.reason}" for c in candidates)
    if any(c.reason.startswith(RESTS) or c.target.problem for c in candidates):
        return Unavailable(
            f"'{call.model}' cannot be called now. {reasons}.", hint="Try again in a moment.", code="deployment_resting"
        )
    if all(_lacking(call, c.target) for c in candidates):
        said = (
            f"{one.target.address} cannot answer this call: {one.reason}." if alone else f"None can answer: {reasons}."
        )
        return Invalid(
            said,
            hint="Choose a model that can; `/v1/models` lists what each is able to do.",
            code="capability_missing",
            param="model",
        )
    return Refused(
        f"Route '{call.model}' allows none of its candidates for this call. {reasons}.",
        hint="Its constraints are in intermodel.toml, or `intermodel routes show`.",
        code="no_candidate_allowed",
    )


def _none_known(name: str, route: Route) -> NotFound:
    return NotFound(
        f"None of the candidates of route '{name}' is known here: {', '.join(route.candidates)}.",
        hint="Mend the route, or add those models.",
        code="model_not_found",
        param="model",
    )


def _unknown(name: str, directory: Directory) -> NotFound:
    names = [*directory.targets, *directory.routes]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)[:3]
    return NotFound(
        f"There is no model '{name[:200]}' on this node.",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Add one with `intermodel models add FILE.gguf`.",
        code="model_not_found",
        param="model",
    )
