"""What the catalogue holds of one thing. Pure values."""

from __future__ import annotations

import bisect
import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import orjson

from intermodel.core import Invalid

UNKNOWN = "unknown"
"""The value of a facet that nobody told."""
MOST_POPULARITY = 2**31 - 1
MOST_ADDRESS = 300
MOST_TEXT = 4_000
"""Characters of a summary: the catalogue finds a model by what it is called and said to be, not by its whole card."""
MOST_VALUES = 200
"""Tags, tasks, languages or readers of one thing."""
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
_NAMES_OF_SIZES = [*(name for name, _ in SIZES), LARGEST]


def size_of(parameters: int) -> str:
    """The size that so many parameters are called."""
    return _NAMES_OF_SIZES[bisect.bisect_right(_ENDS_OF_SIZES, parameters)]


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

    def __post_init__(self) -> None:
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
        _number("parameters", self.parameters, 2**62)
        _number("tier", self.tier, 99)
        _number("popularity", self.popularity, MOST_POPULARITY)

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
        told = {name: value for name in _NAMES if (value := getattr(self, name)) not in ("", (), None)}
        return told if self.readers is None else told | {"readers": self.readers}

    def written(self) -> str:
        """As it lies in the database."""
        return orjson.dumps(self.document()).decode()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Entry:
        """Read `document()` again. Raises `Invalid`."""
        if unknown := document.keys() - _NAMES:
            raise Invalid(f"An entry has no field '{sorted(unknown)[0][:100]}'.")
        if "address" not in document:
            raise Invalid("An entry needs an address.", param="address")
        told: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in document.items()}
        return cls(**told)


_NAMES = dict.fromkeys(field.name for field in fields(Entry)).keys()


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


def _texts(name: str, values: object) -> None:
    if not isinstance(values, tuple) or len(values) > MOST_VALUES:
        raise Invalid(f"The {name} of an entry must be at most {MOST_VALUES} texts.", param=name)
    for value in values:
        if type(value) is str and 0 < len(value) <= MOST_VALUE and value.isascii() and "\0" not in value:
            continue  # as nearly all are: this is what a long import does most
        _text(name, value, MOST_VALUE)
        if not value:
            raise Invalid(f"One of the {name} of an entry is empty.", param=name)
    if len(values) > 1 and len(set(values)) != len(values):
        raise Invalid(f"One of the {name} of an entry is there twice.", param=name)


def _number(name: str, value: object, most: int) -> None:
    if value is None and name != "popularity":
        return
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise Invalid(f"The {name} of an entry must be a whole number from 0 to {most}.", param=name)
