"""A verdict's codes in words, for whoever shows one, and its duties by who must heed them. Pure, over its JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ANSWERS = {"allow": "yes", "allow-with-duties": "yes, with duties", "refuse": "no", "unknown": "not known"}

PURPOSES = {
    "commercial": "use it commercially",
    "research": "use it for research",
    "redistribute": "hand it on",
    "modify": "change it",
    "train_on_outputs": "train other models on what it writes",
    "serve": "serve it to others",
}
"""What may be asked, after *May I*."""

CERTAINTIES = {
    "licence-text": "the text of a licence",
    "contract": "a contract, which binds whoever agreed to it",
    "contested": "a reading that is contested",
    "unverified": "claims that nobody verified",
}
"""On what an answer rests."""

WHENS = {
    "use": "Whatever you do with it",
    "redistribute": "If you pass on copies",
    "modify": "If you pass on what you changed or made from it",
    "serve": "If you let others use it over a network",
    "train": "If you train other models on what it writes",
}
"""Who must heed a duty."""

_GROUNDS = {
    "contract": "by contract",
    "contested": "whether it reaches this far is contested",
    "unverified": "as a tag says, no text was read",
}
"""What is said of a duty that does not rest on a text that was read."""


def rests_on(certainty: Sequence[str]) -> str:
    """On what an answer rests: `the text of a licence and claims that nobody verified`."""
    words = [CERTAINTIES.get(one, one) for one in certainty]
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to do, and from where it comes: each licence with its section, the thing that is under it, and on what
    that stands."""

    words: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """What the same people must heed."""

    when: str
    title: str
    dues: tuple[Due, ...]


def owed(duties: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Duties by who must heed them, those of everybody first; each sentence once."""
    found: dict[str, dict[str, list[str]]] = {}
    for one in duties:
        sources = found.setdefault(one["when"], {}).setdefault(one["words"], [])
        if (source := _source(one)) not in sources:
            sources.append(source)
    return [
        Group(when, title, tuple(Due(words, tuple(sources)) for words, sources in found[when].items()))
        for when, title in WHENS.items()
        if when in found
    ]


def _source(duty: Mapping[str, Any]) -> str:
    of = duty["section"] + (f", for {duty['node']}" if duty["node"] else "")
    ground = _GROUNDS.get(duty["certainty"], "")
    return f"{of} ({ground})" if ground else of


def of_allowed(verdicts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The duties of each use that is not refused: strictly read; leniently, where only that reading allows it."""
    found: list[Mapping[str, Any]] = []
    for verdict in verdicts:
        readings = (verdict["strict"], verdict["lenient"])
        found += next((reading["duties"] for reading in readings if reading["outcome"] != "refuse"), ())
    return found


def once(verdicts: Iterable[Mapping[str, Any]], part: str) -> list[str]:
    """The words of the conflicts or flags of all verdicts, each once, as sentences."""
    words = dict.fromkeys(one["words"] for verdict in verdicts for one in verdict[part])
    return [sentence(one) for one in words]


def sentence(words: str) -> str:
    """With a capital letter and a full stop, as what stands alone is written."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith(('.', '!', '?')) else '.'}"
