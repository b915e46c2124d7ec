"""YAML read strictly: each value knows its file, line and path, so that whoever refuses it can say where it stands.

Values are taken as they are written: `no` and `2024-10` stay words, as YAML 1.2 has them.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from intermodel.core import Invalid, NotFound

MOST = 4_000_000
"""Bytes of a file; the largest of those projects' files has 160 kB."""

_NULL = "tag:yaml.org,2002:null"


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without a byte order mark. Raises `NotFound` and `Invalid`."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
    except FileNotFoundError:
        raise NotFound(f"There is no file '{path}'.", hint="Check the path.") from None
    except OSError as error:
        raise Invalid(f"{path} could not be read: {error.strerror or error}.") from None
    if len(content) > MOST:
        raise Invalid(f"{path} is larger than {MOST:,} bytes.", hint="A disclosure is a small file.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}, byte {error.start}: this is not UTF-8.", hint="Save the file as UTF-8.") from None


@dataclass(frozen=True)
class Place:
    """A value in a file."""

    node: yaml.Node
    file: str
    path: str = ""

    def __str__(self) -> str:
        line = f"{self.file}, line {self.node.start_mark.line + 1}"
        return f"{line}, '{self.path}'" if self.path else line

    def refuse(self, what: str, hint: str = "") -> NoReturn:
        """Raise `Invalid` that begins with this place."""
        raise Invalid(f"{self}: {what}", hint=hint, param=self.path or None)

    @property
    def empty(self) -> bool:
        """Whether nothing is written here: nothing at all, `null`, or `[]`, as PHP writes an object without fields."""
        return self.node.tag == _NULL or (isinstance(self.node, yaml.SequenceNode) and not self.node.value)

    @property
    def is_text(self) -> bool:
        """Whether one text stands here, and no object or list."""
        return isinstance(self.node, yaml.ScalarNode)

    def mapping(self, known: Collection[str] = ()) -> dict[str, Place]:
        """The fields of an object; none where nothing is written. With `known`, only these are taken."""
        if self.empty:
            return {}
        if not isinstance(self.node, yaml.MappingNode):
            self.refuse(f"this must be an object with fields, and is {_kind(self.node)}.")
        fields: dict[str, Place] = {}
        for key, value in self.node.value:
            name = Place(key, self.file, self.path).text()
            place = Place(value, self.file, f"{self.path}.{name}" if self.path else name)
            at = Place(key, self.file, place.path)
            if name in fields:
                at.refuse("this field is given twice.", "Keep one of the two.")
            if known and name not in known:
                at.refuse(f"there is no such field here. {near(name, known)}".strip(), _listed(known))
            fields[name] = place
        return fields

    def items(self) -> list[Place]:
        """The entries of a list; none where nothing is written."""
        if self.empty:
            return []
        if not isinstance(self.node, yaml.SequenceNode):
            self.refuse(f"this must be a list, and is {_kind(self.node)}.")
        return [Place(node, self.file, f"{self.path}[{at}]") for at, node in enumerate(self.node.value)]

    def text(self) -> str:
        """The words that stand here; "" where nothing is written."""
        if not isinstance(self.node, yaml.ScalarNode):
            self.refuse(f"this must be text, and is {_kind(self.node)}.")
        return "" if self.empty else str(self.node.value)

    def texts(self) -> list[str]:
        """One text, or a list of them."""
        if isinstance(self.node, yaml.SequenceNode):
            return [one.text() for one in self.items()]
        return [found] if (found := self.text()) else []

    def choice(self, words: Sequence[str]) -> str:
        """One of these words, or "" where nothing is written."""
        found = self.text().strip()
        if found and found not in words:
            self.refuse(f"'{found[:100]}' is none of {', '.join(words)}. {near(found, words)}".strip())
        return found

    def truth(self) -> bool:
        """`true` or `false`."""
        if not (found := self.choice(("true", "false"))):
            self.refuse("this must be true or false, and is empty.")
        return found == "true"

    def needed(self, fields: dict[str, Place], name: str) -> Place:
        """A field that must be there."""
        if name not in fields:
            self.refuse(f"the field '{name}' is missing.")
        return fields[name]


def parse(text: str, file: str) -> Place:
    """The value of a YAML file. Raises `Invalid`, with the line, for anything that is no YAML, or for several."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}, line {mark.line + 1}" if mark else file
        raise Invalid(f"{where}: this is no YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise Invalid(f"{file}: this is no YAML: {str(error).splitlines()[0]}.") from None
    except RecursionError:
        raise Invalid(f"{file}: this is nested too deeply.") from None
    if node is None:
        raise Invalid(f"{file} is empty.", hint="See docs/record/openness.md for the forms that are read.")
    return Place(node, file)


def near(name: str, known: Collection[str]) -> str:
    """A question about the nearest known name; "" where none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else ""


def _listed(known: Collection[str]) -> str:
    return f"Known here: {', '.join(known)}."


def _kind(node: yaml.Node) -> str:
    return (
        "an object"
        if isinstance(node, yaml.MappingNode)
        else "a list"
        if isinstance(node, yaml.SequenceNode)
        else "text"
    )
