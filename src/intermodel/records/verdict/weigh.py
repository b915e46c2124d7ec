"""What one licence comes to for one purpose, by how the thing under it is held. Pure functions over facts.

Each rule has its ground:

- held, changed, used: the licence binds as its text says. A changed thing that may not be changed, or whose changed
  copies may not be passed on, may not be passed on.
- trained on a data set: no licence of data or software says what training makes (ModelGo, WWW'24, finding 2: "train" is
  not defined), except those that set the results free. So it binds in the strict reading, contested, and warns in the
  lenient one.
- pre-trained on a corpus: the same, but where its terms are not known that warns and no more. Most models do not name
  their corpus at all, and one that does must not come off worse for it.
- taught by a model's outputs: only what the model's text says of outputs. Where it counts the pupil as derived (RAIL,
  Gemma, DeepSeek, Stability), or nobody knows whether it does, the pupil is weighed as if the weights were inside.
- made by a model: what the text says of outputs themselves (ModelGo, case 3: use limits travel, the rest does not).
- a service's terms bind whoever agreed to them; a ban on competing models is a contract of the maker, and refuses in
  the strict reading only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from intermodel.records.licences import Code, Licence, Said, When, tasks
from intermodel.records.places import left_out
from intermodel.records.verdict.say import LIMITS, say
from intermodel.records.verdict.values import Certainty, Outcome, Purpose
from intermodel.records.verdict.walk import Hold

FIELDS = {
    Purpose.COMMERCIAL: "commercial", Purpose.RESEARCH: "research", Purpose.REDISTRIBUTE: "redistribution",
    Purpose.MODIFY: "derivatives", Purpose.TRAIN_ON_OUTPUTS: "outputs_train_models", Purpose.SERVE: "serve",
}  # fmt: skip
"""Which fact answers which purpose."""

_OUTCOMES = {
    Code.ALLOW: Outcome.ALLOW, Code.NONE: Outcome.ALLOW, Code.CONDITIONAL: Outcome.DUTIES,
    Code.PRIVATE: Outcome.DUTIES, Code.DENY: Outcome.REFUSE,
}  # fmt: skip
NO_LICENCE = "no licence"
"""The id of an unknown licence where nobody names one."""

_RIVALS = (Purpose.COMMERCIAL, Purpose.SERVE, Purpose.TRAIN_ON_OUTPUTS)
"""Purposes for which a model competes with the service whose outputs taught it."""


_COMPETES = {
    Purpose.COMMERCIAL: "a model that is used commercially is read as competing with that service",
    Purpose.SERVE: "a model that is served to others is read as competing with that service",
    Purpose.TRAIN_ON_OUTPUTS: "a model that teaches other models is read as competing with that service",
    Purpose.RESEARCH: "research is not read as competing with that service",
    Purpose.REDISTRIBUTE: "handing it on is by itself not read as competing with that service, serving what was handed "
    "on is",
    Purpose.MODIFY: "changing it is by itself not read as competing with that service",
}
"""Why one ban of models that compete forbids one use and not another."""


@dataclass(frozen=True, slots=True)
class Owed:
    """A duty before it is known who brings it. `code` is what the licence's fact says, for programs."""

    kind: str
    words: str
    source: str
    code: str
    when: When


@dataclass(frozen=True, slots=True)
class Point:
    """One fact weighed. `unknown` names what is not known; `strict` or `lenient` None: it only warns there."""

    fact: str
    words: str
    source: str
    certainty: Certainty
    strict: Outcome | None
    lenient: Outcome | None


@dataclass(frozen=True, slots=True)
class Weight:
    """What a licence comes to. `binds` tells whether its duties bind in the lenient reading."""

    points: tuple[Point, ...]
    owed: tuple[Owed, ...] = ()
    binds: bool = True
    unknown: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    scale: dict[str, int] = field(default_factory=dict)

    strict: Outcome = field(init=False, default=Outcome.ALLOW)
    """The least of its points in the strict reading."""
    lenient: Outcome = field(init=False, default=Outcome.ALLOW)
    """The least of its points in the lenient reading."""

    def __post_init__(self) -> None:
        strict = (point.strict for point in self.points if point.strict is not None)
        lenient = (point.lenient for point in self.points if point.lenient is not None)
        object.__setattr__(self, "strict", min(strict, default=Outcome.ALLOW))
        object.__setattr__(self, "lenient", min(lenient, default=Outcome.ALLOW))


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of each licence."""

    purpose: Purpose
    place: str
    multimodal: bool | None = None
    claimed: bool = False
    """The licence is what a tag says, and not known to be what holds."""


def weigh(licence: Licence, hold: Hold, asked: Asked) -> Weight:
    """What `licence` comes to where the thing under it is held that way."""
    if not licence.known:
        return _not_known(licence, hold)
    if hold in (Hold.HELD, Hold.CHANGED, Hold.USED):
        return _inside(licence, hold, asked)
    if hold in (Hold.DATA, Hold.CORPUS):
        return _trained(licence, hold, asked)
    if hold is Hold.MADE:
        return _made(licence, asked)
    return _taught(licence, hold, asked)


def _not_known(licence: Licence, hold: Hold) -> Weight:
    lenient = None if hold in (Hold.DATA, Hold.CORPUS, Hold.TEACHER_OF_DATA) else Outcome.UNKNOWN
    strict = None if hold is Hold.CORPUS else Outcome.UNKNOWN
    certainty = Certainty.CONTESTED if hold in (Hold.DATA, Hold.CORPUS) else Certainty.UNVERIFIED
    said = f"the terms of '{licence.id}' are not known" if licence.id != NO_LICENCE else "its licence is not known"
    point = Point("licence", said, "none", certainty, strict, lenient)
    return Weight((point,), binds=lenient is not None, unknown=(said,))


def _inside(licence: Licence, hold: Hold, asked: Asked) -> Weight:
    certainty = Certainty.CONTRACT if licence.contract else None
    if licence.contract and hold is Hold.USED and asked.purpose in (Purpose.REDISTRIBUTE, Purpose.MODIFY):
        words = "it is called and not handed out: whoever runs this needs an agreement of their own"
        point = Point("serve", words, "infer", Certainty.CONTRACT, Outcome.DUTIES, Outcome.DUTIES)
        said = "Whoever runs this needs an agreement of their own with the service that it calls."
        return Weight((point,), (Owed("contract", said, "infer", "own agreement", When.USE),))
    points = [_permission(licence, FIELDS[asked.purpose], asked, certainty)]
    if hold is Hold.CHANGED and (changed := _changed(licence, asked, certainty)):
        points.append(changed)
    points += [
        p
        for p in _limits(licence, asked, certainty)
        if points[0].strict is not Outcome.REFUSE or p.strict is points[0].strict
    ]
    return Weight(
        tuple(points), tuple(_owed(licence, points, hold)), unknown=_gaps(licence), excluded=_excluded(licence),
        scale=_scale(licence),
    )  # fmt: skip


def _certainty(said: Said, asked: Asked, given: Certainty | None) -> Certainty:
    if given is not None:
        return given
    return Certainty.LICENCE_TEXT if said.read and not asked.claimed else Certainty.UNVERIFIED


def _permission(licence: Licence, name: str, asked: Asked, certainty: Certainty | None) -> Point:
    said = licence.fact(name)
    outcome = _OUTCOMES.get(said.code, Outcome.UNKNOWN)
    if said.code is Code.NOT_ADDRESSED and name == "outputs_train_models":
        outcome = Outcome.ALLOW  # a text that is silent on outputs claims nothing in them
    return Point(name, say(name, said), said.source, _certainty(said, asked, certainty), outcome, outcome)


def _changed(licence: Licence, asked: Asked, certainty: Certainty | None) -> Point | None:
    """What follows for a thing that was changed on the way, where its licence does not simply allow that."""
    said = licence.fact("derivatives")
    passing = asked.purpose is Purpose.REDISTRIBUTE
    if said.code is Code.DENY or (said.code is Code.PRIVATE and passing):
        outcome = Outcome.REFUSE
    elif said.code is Code.UNKNOWN and passing:
        outcome = Outcome.UNKNOWN
    else:
        return None
    return Point(
        "derivatives", say("derivatives", said), said.source, _certainty(said, asked, certainty), outcome, outcome
    )


def _limits(licence: Licence, asked: Asked, certainty: Certainty | None) -> Iterator[Point]:
    """Limits that nobody knows keep an answer from being a yes; a place that is left out is refused."""
    for name, words in LIMITS.items():
        said = licence.fact(name)
        if said.code is Code.UNKNOWN and not licence.contract:
            yield Point(name, words, "none", Certainty.UNVERIFIED, *(Outcome.UNKNOWN,) * 2)
    said = licence.fact("geo_limit")
    out = left_out(asked.place, said.value.get("exclude", ())) if asked.place else False
    if out is False or (out := _reaches(said, asked, out)) is False:
        return
    outcome = Outcome.REFUSE if out else Outcome.UNKNOWN
    yield Point("geo_limit", say("geo_limit", said), said.source, _certainty(said, asked, certainty), outcome, outcome)


def _reaches(said: Said, asked: Asked, out: bool | None) -> bool | None:
    """Whether a limit on places reaches this model: some leave out multimodal ones only."""
    if said.value.get("applies") != "multimodal":
        return out
    multimodal = asked.multimodal if asked.multimodal is not None else said.value.get("assume")
    return False if multimodal is False else (out if multimodal else None)


def _owed(licence: Licence, points: list[Point], hold: Hold) -> Iterator[Owed]:
    for point in points:
        if point.strict is Outcome.DUTIES:
            yield from _tasks("condition", point.fact, licence.fact(point.fact))
    for name, kind in (("attribution", "attribution"), ("notice_file", "notice"), ("naming", "naming")):
        said = licence.fact(name)
        if said.code is Code.DUTY:
            yield from _tasks(kind, name, said)
    said = licence.fact("copyleft")
    if said.code is Code.DUTY and not (hold is Hold.USED and said.value.get("scope") in ("whole", "weak")):
        kind = {"use-terms": "acceptable-use", "copy": "notice", "contract": "contract"}.get(
            str(said.value.get("scope")), "share-alike"
        )
        yield from _tasks(kind, "copyleft", said)
    for name, kind in (("use_restrictions", "acceptable-use"), ("scale_limit", "scale"), ("geo_limit", "region")):
        said = licence.fact(name)
        if said.code is Code.LIMIT:
            yield from _tasks(kind, name, said)


_WHEN = {
    "attribution": When.REDISTRIBUTE, "notice_file": When.REDISTRIBUTE, "naming": When.REDISTRIBUTE,
    "copyleft": When.REDISTRIBUTE, "redistribution": When.REDISTRIBUTE, "derivatives": When.MODIFY,
    "serve": When.SERVE, "outputs_train_models": When.TRAIN,
}  # fmt: skip
"""Who must heed what nobody put into a sentence; else it is whoever uses the thing."""


def _tasks(kind: str, name: str, said: Said) -> Iterator[Owed]:
    """A duty in sentences; in the licence's own words where there are none."""
    found = tasks(name, said.words)
    if found is None:
        words = f"{said.words[:1].upper()}{said.words[1:]}."
        yield Owed(kind, words, said.source, said.words, _WHEN.get(name, When.USE))
        return
    for task in found:
        yield Owed(kind, task.words, said.source, said.words, task.when)


def _gaps(licence: Licence) -> tuple[str, ...]:
    """The duties of which nobody knows whether they are owed."""
    if licence.contract or licence.kind == "none":
        return ()
    return tuple(name for name in ("attribution", "naming", "notice_file", "copyleft") if _gap(licence, name))


def _gap(licence: Licence, name: str) -> bool:
    return licence.fact(name).code is Code.UNKNOWN


def _excluded(licence: Licence) -> tuple[str, ...]:
    return tuple(licence.fact("geo_limit").value.get("exclude", ()))


def _scale(licence: Licence) -> dict[str, int]:
    value = licence.fact("scale_limit").value
    return {} if value.get("display_only") else {name: limit for name, limit in value.items() if name != "display_only"}


def _trained(licence: Licence, hold: Hold, asked: Asked) -> Weight:
    if licence.kind == "data" and licence.fact("outputs_train_models").code is Code.ALLOW:
        said = licence.fact("outputs_train_models")
        words = "what is trained on it is free"
        return Weight((Point("outputs_train_models", words, said.source, Certainty.LICENCE_TEXT, Outcome.ALLOW, None),))
    whole = _inside(licence, Hold.CHANGED, asked)
    points = []
    for point in whole.points:
        strict = None if hold is Hold.CORPUS and point.strict is Outcome.UNKNOWN else point.strict
        points.append(Point(point.fact, point.words, point.source, Certainty.CONTESTED, strict, None))
    return Weight(tuple(points), whole.owed, False, whole.unknown, whole.excluded, whole.scale)


def _taught(licence: Licence, hold: Hold, asked: Asked) -> Weight:
    """A model trained on the outputs of the one under this licence."""
    said, derived = licence.fact("outputs_train_models"), licence.fact("distilled_model_is_derivative")
    binds = hold is Hold.TEACHER
    words = say("outputs_train_models", said)
    if licence.contract:
        return _agreed(said, words, asked)
    if said.code in (Code.ALLOW, Code.NOT_ADDRESSED, Code.NONE) and derived.code is not Code.YES:
        return _flat(said, words, Outcome.ALLOW, asked, binds)
    if said.code is Code.DENY:
        return _flat(said, words, Outcome.REFUSE, asked, binds)
    if said.code is Code.CONDITIONAL and derived.code in (Code.NO, Code.NOT_ADDRESSED):
        if licence.fact("outputs").code is not Code.SAME_TERMS:
            return _flat(said, words, Outcome.DUTIES, asked, binds)
    elif said.code is Code.UNKNOWN:
        return _flat(said, words, Outcome.UNKNOWN, asked, binds)
    return _as_derived(licence, said, words, asked, binds)


def _flat(said: Said, words: str, outcome: Outcome, asked: Asked, binds: bool) -> Weight:
    """One point and, where it is conditional, the duty that it makes."""
    point = Point(
        "outputs_train_models", words, said.source, _certainty(said, asked, None), outcome, outcome if binds else None
    )
    kind = "naming" if "nam" in said.words or "display" in said.words else "condition"
    owed = tuple(_tasks(kind, "outputs_train_models", said)) if outcome is Outcome.DUTIES else ()
    return Weight((point,), owed, binds)


def _as_derived(licence: Licence, said: Said, words: str, asked: Asked, binds: bool) -> Weight:
    """Weighed as if its weights were inside: its text counts the pupil as derived, or nobody knows."""
    whole = _inside(licence, Hold.CHANGED, asked)
    outcome = _OUTCOMES.get(said.code, Outcome.UNKNOWN)
    own = Point("outputs_train_models", words, said.source, _certainty(said, asked, None), outcome, outcome)
    points = tuple(
        Point(p.fact, p.words, p.source, p.certainty, p.strict, p.lenient if binds else None)
        for p in (own, *whole.points)
    )
    return Weight(points, whole.owed, binds, whole.unknown, whole.excluded, whole.scale)


def _agreed(said: Said, words: str, asked: Asked) -> Weight:
    """Terms of a service whose outputs taught a model: its maker's contract."""
    if said.code is Code.UNKNOWN:
        return Weight(
            (Point("outputs_train_models", words, said.source, Certainty.CONTRACT, Outcome.UNKNOWN, None),), binds=False
        )
    refused = said.code is Code.DENY and asked.purpose in _RIVALS
    limited = said.code in (Code.DENY, Code.CONDITIONAL)
    strict = Outcome.REFUSE if refused else Outcome.DUTIES if limited else Outcome.ALLOW
    if said.code is Code.DENY:
        words = f"{words}; {_COMPETES[asked.purpose]}"
    point = Point("outputs_train_models", words, said.source, Certainty.CONTRACT, strict, None)
    return Weight((point,), tuple(_tasks("contract", "outputs_train_models", said)) if limited else (), False)


def _made(licence: Licence, asked: Asked) -> Weight:
    """Content that the model under this licence generated."""
    said, training = licence.fact("outputs"), licence.fact("outputs_train_models")
    if said.code is Code.SAME_TERMS:
        return _inside(licence, Hold.CHANGED, asked)
    certainty = Certainty.CONTRACT if licence.contract else _certainty(said, asked, None)
    outcome = {
        Code.NONE: Outcome.ALLOW, Code.NOT_ADDRESSED: Outcome.ALLOW, Code.USE_LIMITS: Outcome.DUTIES,
    }.get(said.code, Outcome.UNKNOWN)  # fmt: skip
    points = [Point("outputs", say("outputs", said), said.source, certainty, outcome, outcome)]
    owed = [*_tasks("acceptable-use", "outputs", said)] if outcome is Outcome.DUTIES else []
    if training.code in (Code.DENY, Code.CONDITIONAL):
        owed += _tasks("contract" if licence.contract else "condition", "outputs_train_models", training)
        points.append(_training_point(licence, training, asked))
    elif training.code is Code.UNKNOWN and asked.purpose is Purpose.TRAIN_ON_OUTPUTS:
        points.append(_training_point(licence, training, asked))
    return Weight(tuple(points), tuple(owed))


def _training_point(licence: Licence, said: Said, asked: Asked) -> Point:
    """What a text says of training on outputs, where the outputs themselves are asked about."""
    outcome = Outcome.DUTIES
    if asked.purpose is Purpose.TRAIN_ON_OUTPUTS:
        outcome = _OUTCOMES.get(said.code, Outcome.UNKNOWN)
    certainty = Certainty.CONTRACT if licence.contract else _certainty(said, asked, None)
    lenient = Outcome.DUTIES if licence.contract else outcome
    return Point("outputs_train_models", say("outputs_train_models", said), said.source, certainty, outcome, lenient)
