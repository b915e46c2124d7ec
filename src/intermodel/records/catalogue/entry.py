"""What the catalogue holds of one thing. Pure values."""

from __future__ import annotations

import bisect
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import orjson

from intermodel.core import Invalid

UNKNOWN = "unknown"
"""The value of a facet that nobody told."""
MOST_POPULARITY = 2**31 - 1
MOST_PARAMETERS = 2**62
MOST_TIER = 99
MOST_ADDRESS = 300
MOST_TEXT = 4_000
"""Characters of a summary: the catalogue finds a model by what it is called and said to be, not by its whole card."""
MOST_VALUES = 200
"""Tags, tasks, languages or readers of one thing."""
MOST_ANCESTORS = 1_000
MOST_VALUE = 200

SIZES = (
    ("under 1B", 1_000_000_000),
    ("1B to 3B", 3_000_000_000),
    ("3B to 10B", 10_000_000_000),
    ("10B to 30B", 30_000_000_000),
    ("30B to 100B", 100_000_000_000),
)
"""Names of sizes by parameters, each with the number at which the next begins."""
LARGEST = "100B and more"
_ENDS_OF_SIZES = [below for _, below in SIZES]
NAMES_OF_SIZES = (*(name for name, _ in SIZES), LARGEST)


def size_of(parameters: int) -> str:
    """The size that so many parameters are called."""
    return NAMES_OF_SIZES[bisect.bisect_right(_ENDS_OF_SIZES, parameters)]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in the catalogue. What is empty or None is *unknown*, and is found as such.

    Raises `Invalid` for what cannot be kept as it is; nothing is cut off.
    """

    address: str
    """`owner/name`, or `host/owner/name`."""
    name: str = ""
    """A title for people, where it has another than its address."""
    kind: str = ""
    tasks: tuple[str, ...] = ()
    licence: str = ""
    """The verdict on commercial use: `allow`, `duties`, `refuse`."""
    grade: str = ""
    """The openness class: `open source`, `open access`, `closed`."""
    parameters: int | None = None
    languages: tuple[str, ...] = ()
    tier: int | None = None
    tags: tuple[str, ...] = ()
    summary: str = ""
    popularity: int = 0
    """The larger, the earlier it is shown; downloads, for example."""
    readers: tuple[str, ...] | None = None
    """Who may find it, by name; None is everybody, and () is nobody but those who see all."""
    ancestors: tuple[str, ...] = ()
    """Addresses of all that it was made from: what is told of them changes what is known of it. Not searched."""

    def __post_init__(self) -> None:
        if self._is_plain():
            return
        _text("address", self.address, MOST_ADDRESS)
        if not self.address or self.address != self.address.strip():
            raise Invalid(f"'{self.address[:100]}' is no address.", hint="Give owner/name.", param="address")
        _text("name", self.name, MOST_VALUE)
        _text("kind", self.kind, MOST_VALUE)
        _text("licence", self.licence, MOST_VALUE)
        _text("grade", self.grade, MOST_VALUE)
        _text("summary", self.summary, MOST_TEXT)
        _texts("tasks", self.tasks)
        _texts("languages", self.languages)
        _texts("tags", self.tags)
        _texts("readers", () if self.readers is None else self.readers)
        _texts("ancestors", self.ancestors, MOST_ANCESTORS, MOST_ADDRESS)
        _number("parameters", self.parameters, MOST_PARAMETERS)
        _number("tier", self.tier, MOST_TIER)
        _number("popularity", self.popularity, MOST_POPULARITY)

    def _is_plain(self) -> bool:
        """Whether nothing can be wrong with it, seen at once: as nearly all are, which a long import lives by."""
        tasks, languages, tags, popularity = self.tasks, self.languages, self.tags, self.popularity
        if (
            self.readers is not None
            or self.ancestors != ()
            or not type(tasks) is type(languages) is type(tags) is tuple
        ):
            return False
        values = (self.address, *tasks, *languages, *tags)
        texts = (*values, self.name, self.kind, self.licence, self.grade, self.summary)
        try:
            joined = "".join(texts)
        except TypeError:
            return False
        return (
            joined.isascii()
            and "\0" not in joined
            and "" not in values
            and len(values) <= MOST_VALUES
            and max(map(len, texts)) <= MOST_VALUE
            and self.address.strip() == self.address
            and (len(tags) < 2 or len({*tags}) == len(tags))
            and (len(tasks) < 2 or len({*tasks}) == len(tasks))
            and (len(languages) < 2 or len({*languages}) == len(languages))
            and type(popularity) is int
            and 0 <= popularity <= MOST_POPULARITY
            and (self.parameters is None or (type(self.parameters) is int and 0 <= self.parameters <= MOST_PARAMETERS))
            and (self.tier is None or (type(self.tier) is int and 0 <= self.tier <= MOST_TIER))
        )

    @property
    def size(self) -> str:
        return "" if self.parameters is None else size_of(self.parameters)

    @property
    def owner(self) -> str:
        """All of the address before its name; empty where it has none."""
        return self.address.rpartition("/")[0]

    @property
    def rank(self) -> int:
        """Its place in the order: by popularity; equal ones in an order that is fixed and means nothing."""
        return self.popularity << 32 | zlib.crc32(self.address.encode())

    def document(self) -> dict[str, Any]:
        """For JSON; without what is unknown."""
        told = {name: value for name, value in zip(_NAMES, _values(self), strict=True) if value or value == 0}
        return told if self.readers is None else told | {"readers": self.readers}

    def written(self) -> str:
        """As it lies in the database."""
        return orjson.dumps(self.document()).decode()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Entry:
        """Read `document()` again. Raises `Invalid`."""
        if not document.keys() <= _NAMES:
            raise Invalid(f"An entry has no field '{min(document.keys() - _NAMES)[:100]}'.")
        if "address" not in document:
            raise Invalid("An entry needs an address.", param="address")
        told: dict[str, Any] = {k: tuple(v) if type(v) is list else v for k, v in document.items()}
        return cls(**told)


_NAMES = dict.fromkeys(field.name for field in fields(Entry)).keys()
_values = attrgetter(*_NAMES)


def key_of(address: str) -> int:
    """A number of 64 bits with sign, by which the database finds an address. Two addresses may have the same."""
    return int.from_bytes(hashlib.blake2b(address.encode(errors="replace"), digest_size=8).digest(), signed=True)


def _text(name: str, value: object, most: int) -> None:
    if value == "":
        return
    if not isinstance(value, str):
        raise Invalid(f"The {name} of an entry must be text.", param=name)
    if len(value) > most:
        raise Invalid(f"The {name} of an entry has {len(value)} characters; {most} are the most.", param=name)
    if value.isascii():
        if "\0" in value:  # PostgreSQL has no such character in text
            raise Invalid(f"The {name} of an entry holds a character of value zero.", param=name)
    elif "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
        raise Invalid(f"The {name} of an entry holds characters that are none in Unicode.", param=name)


def _texts(name: str, values: object, most: int = MOST_VALUES, longest: int = MOST_VALUE) -> None:
    if not isinstance(values, tuple) or len(values) > most:
        raise Invalid(f"The {name} of an entry must be at most {most} texts.", param=name)
    for value in values:
        _text(name, value, longest)
        if not value:
            raise Invalid(f"One of the {name} of an entry is empty.", param=name)
    if len(values) > 1 and len(set(values)) != len(values):
        raise Invalid(f"One of the {name} of an entry is there twice.", param=name)


def _number(name: str, value: object, most: int) -> None:
    if value is None and name != "popularity":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Invalid(f"The {name} of an entry must be a whole number from 0 to {most}.", param=name)
