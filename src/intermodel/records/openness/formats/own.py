"""Our own form of a disclosure: one YAML file with all that the graders read."""

from __future__ import annotations

from intermodel.records.disclosure import COMPONENTS, DISCLOSED, Component, Disclosure, Presence, Told
from intermodel.records.openness.fmti import EDITIONS, indicator, indicators
from intermodel.records.openness.formats.places import Place, near

VERSION = "1"
_FIELDS = ("disclosure", "name", "licences", "components", "told", "indicators", "access")
_PRESENCES = tuple(Presence)


def read(document: Place) -> Disclosure:
    """The disclosure that a file holds. Its field `disclosure` names the version of the form, which is 1."""
    fields = document.mapping(_FIELDS)
    version = document.needed(fields, "disclosure")
    if version.text() != VERSION:
        version.refuse(f"version '{version.text()[:20]}' of this form is not known.", f"Version {VERSION} is.")
    name = document.needed(fields, "name").text()
    answers = _indicators(_part(fields, "indicators", ()))
    return Disclosure(
        name,
        {key: _component(place) for key, place in _part(fields, "components", COMPONENTS).items()},
        {key: _told(place) for key, place in _part(fields, "told", DISCLOSED).items()},
        {
            key: place.text()
            for key, place in _part(fields, "licences", ("code", "data", "document", "distribution")).items()
        },
        {key: _met(place) for key, place in answers.items()},
        {key: _presence(place) for key, place in _part(fields, "access", ()).items()},
        {key: _source(place) for key, place in answers.items()},
    )


def _part(fields: dict[str, Place], name: str, known: tuple[str, ...]) -> dict[str, Place]:
    return fields[name].mapping(known) if name in fields else {}


def _presence(place: Place) -> Presence:
    return Presence(place.choice(_PRESENCES) or Presence.UNKNOWN)


def _component(place: Place) -> Component:
    fields = place.mapping(("presence", "licence", "url", "note", "source"))
    texts = {key: fields[key].text() for key in ("url", "note", "source") if key in fields}
    # `licence:` with nothing behind it is a gap and not "unlicensed"
    licence = fields["licence"].text() if "licence" in fields and not fields["licence"].empty else None
    presence = _presence(fields["presence"]) if "presence" in fields else Presence.UNKNOWN
    return Component(presence, licence, **{"source": str(place), **texts})


def _told(place: Place) -> Told:
    fields = place.mapping(("presence", "text", "source"))
    text = fields["text"].text().strip() if "text" in fields else ""
    stated = _presence(fields["presence"]) if "presence" in fields else Presence.UNKNOWN
    presence = Presence.OPEN if text and stated is Presence.UNKNOWN else stated
    if presence in (Presence.OPEN, Presence.PARTIAL) and not text:
        place.refuse(f"this is said to be {presence}, but no text tells it.", "Give a 'text', or say 'closed'.")
    return Told(text, fields["source"].text() if "source" in fields else str(place), presence)


def _indicators(answers: dict[str, Place]) -> dict[str, Place]:
    found: dict[str, Place] = {}
    for key, place in answers.items():
        if (name := _indicator(key, place)) in found:
            place.refuse(f"'{name}' was answered already, under another of its names.", "Keep one of the two.")
        found[name] = place
    return found


def _indicator(name: str, place: Place) -> str:
    found = next((found for edition in EDITIONS if (found := indicator(name, edition))), None)
    if found is None:
        known = [one for edition in EDITIONS for group in indicators(edition).values() for one in group]
        place.refuse(f"there is no such indicator. {near(name, known)}".strip())
    return found


def _met(place: Place) -> bool:
    """`true` or `false` alone, or with a source: `{met: true, source: DATA.md}`."""
    fields = _with_source(place)
    return place.needed(fields, "met").truth() if fields else place.truth()


def _source(place: Place) -> str:
    fields = _with_source(place)
    return fields["source"].text() if "source" in fields else str(place)


def _with_source(place: Place) -> dict[str, Place]:
    return {} if place.is_text else place.mapping(("met", "source"))
