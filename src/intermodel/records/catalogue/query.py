"""What is asked of the catalogue, and what it answers. Pure values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from intermodel.core import Invalid
from intermodel.records.catalogue.entry import NAMES_OF_SIZES, UNKNOWN, Entry
from intermodel.records.catalogue.words import words_of
from intermodel.records.facts import Kind

FACETS = ("kind", "task", "licence", "grade", "size", "language", "tier", "owner")
"""By what a search is narrowed, and counted. `licence` is the verdict on commercial use."""
CLOSED: Mapping[str, tuple[str, ...]] = {
    "kind": (*Kind, UNKNOWN),
    "licence": ("allow", "duties", "refuse", UNKNOWN),
    "grade": ("open source", "open access", "closed", UNKNOWN),
    "size": (*NAMES_OF_SIZES, UNKNOWN),
}
"""The facets of which every value is known beforehand."""
MOST_CHARACTERS = 1_000
MOST_WORDS = 20
MOST_HITS = 200
_TIER = re.compile("[0-9]{1,9}")
_CURSOR = re.compile("([0-9a-f]{16})-([0-9a-f]{1,16})")


@dataclass(frozen=True, slots=True)
class Query:
    """A question. Raises `Invalid` for one that cannot be asked.

    Each word of `text` must be in a thing's address, name, tags, tasks or summary; in another order is as good. Of
    `facets`, a thing has one of the values of each that is named.
    """

    text: str = ""
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    visible_to: tuple[str, ...] | None = ()
    """The names the asker goes by: what is public or has one of them as a reader is found. None sees all."""
    typing: bool = False
    """The last word is unfinished: any that begins with it will do."""
    limit: int = 20
    after: str = ""
    """`Found.next` of the page before."""
    counted: tuple[str, ...] = FACETS
    """Of which facets the values are counted."""
    most_values: int = 20
    """So many of each facet are told, the most frequent ones."""

    def __post_init__(self) -> None:
        if len(self.text) > MOST_CHARACTERS or len(self.words) > MOST_WORDS:
            raise Invalid(
                f"A search has at most {MOST_WORDS} words and {MOST_CHARACTERS} characters.",
                hint="Name the few words that matter most.",
                param="q",
            )
        for name in (*self.facets, *self.counted):
            if name not in FACETS:
                raise Invalid(f"There is no facet '{name[:100]}'.", hint=f"There are {', '.join(FACETS)}.")
        for name, most in (("limit", MOST_HITS), ("most_values", 1_000)):
            if not 1 <= getattr(self, name) <= most:
                raise Invalid(f"The {name} must be from 1 to {most}.", param=name)
        if self.visible_to is not None and "" in self.visible_to:
            raise Invalid("Nobody has an empty name.", param="visible_to")
        if self.after and not _CURSOR.fullmatch(self.after):
            raise Invalid("There is no page after that.", hint="Take `next` of the page before.", param="after")

    @property
    def words(self) -> list[str]:
        return words_of(self.text)

    def instead(self, word: str, other: str) -> str:
        """The text with another word in the place of one of its words."""
        return " ".join(other if one == word else one for one in self.words)

    @property
    def unfinished(self) -> bool:
        """Whether the last word may go on: someone types it, and nothing comes after it yet."""
        return self.typing and bool(words_of(self.text[-1:]))

    @property
    def asks_nothing(self) -> bool:
        """Whether it has text, and no word in it: nothing is found then, rather than everything."""
        return bool(self.text.strip()) and not self.words

    @property
    def place(self) -> tuple[int, int] | None:
        """The rank and number of the last hit of the page before."""
        found = _CURSOR.fullmatch(self.after)
        return (int(found[1], 16), int(found[2], 16)) if found else None

    @classmethod
    def of(cls, parameters: Iterable[tuple[str, str]], visible_to: tuple[str, ...] | None = ()) -> Query:
        """From a URL's parameters: `q`, `typing`, `limit`, `after`, and each facet, which may come more than once.

        Raises `Invalid` for others.
        """
        facets: dict[str, tuple[str, ...]] = {}
        said: dict[str, str] = {}
        for name, value in parameters:
            if name in FACETS:
                _check_value(name, value)
                facets[name] = (*facets.get(name, ()), value)
            elif name not in ("q", "typing", "limit", "after"):
                known = ", ".join(("q", "typing", "limit", "after", *FACETS))
                raise Invalid(f"There is no parameter '{name[:100]}'.", hint=f"There are {known}.", param=name[:100])
            else:
                said[name] = value
        typing = {"": False, "0": False, "false": False, "1": True, "true": True}.get(said.get("typing", ""))
        if typing is None:
            raise Invalid("`typing` is true or false.", param="typing")
        limit = said.get("limit", "20")
        if not re.fullmatch("[0-9]{1,4}", limit):
            raise Invalid("The limit must be a number.", param="limit")
        return cls(
            said.get("q", ""), facets, visible_to=visible_to, typing=typing, limit=int(limit),
            after=said.get("after", ""),
        )  # fmt: skip


def _check_value(facet: str, value: str) -> None:
    """Raise `Invalid` for a value that no thing can have: that nothing is found would read as an answer."""
    known = CLOSED.get(facet) or (("a number", UNKNOWN) if facet == "tier" and not _TIER.fullmatch(value) else None)
    if known is not None and value not in known:
        raise Invalid(
            f"'{value[:100]}' is no value of {facet}.", hint=f"Its values are {', '.join(known)}.", param=facet,
            code="unknown_value",
        )  # fmt: skip


def cursor(rank: int, number: int) -> str:
    """What `Query.after` takes."""
    return f"{rank:016x}-{number:x}"


@dataclass(frozen=True, slots=True)
class Count:
    """So many hits have that value. Where not `exact`, it was estimated, and lies `within` so many of the truth."""

    value: str
    count: int
    exact: bool = True
    within: int = 0

    def document(self) -> dict[str, Any]:
        told = {"value": self.value, "count": self.count, "exact": self.exact}
        return told if self.exact else told | {"within": self.within}


@dataclass(frozen=True, slots=True)
class Missing:
    """A word that nothing has, as far as the asker may see, and words like it that things have, frequent ones first."""

    word: str
    instead: tuple[Count, ...]

    def document(self) -> dict[str, Any]:
        return {"word": self.word, "instead": [count.document() for count in self.instead]}


@dataclass(frozen=True, slots=True)
class Found:
    """The answer: the first hits, and how many there are in all, which is always exact.

    The values of a facet are counted among what the *other* facets leave, so that one sees what else could be chosen.
    """

    hits: tuple[Entry, ...]
    total: int
    counts: Mapping[str, tuple[Count, ...]]
    next: str = ""
    """For the next page; empty on the last."""
    missing: tuple[Missing, ...] = ()
    """Where nothing has all words: those that nothing has."""

    def document(self) -> dict[str, Any]:
        """For JSON. Who may read a thing, and what it was made from, is not told."""
        return {
            "data": [
                {k: v for k, v in hit.document().items() if k not in ("readers", "ancestors")} for hit in self.hits
            ],
            "total": self.total,
            "counts": {name: [count.document() for count in counts] for name, counts in self.counts.items()},
            "next": self.next,
            "missing": [missing.document() for missing in self.missing],
        }
