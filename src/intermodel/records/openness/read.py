"""Grades of files: of those of the frameworks' own projects, and of disclosures in our own form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Invalid
from intermodel.records.disclosure import Disclosure
from intermodel.records.openness import fmti, grades, mof, osai, oucg
from intermodel.records.openness.formats import fmti_csv, indexes, mot, own
from intermodel.records.openness.formats.places import Place, parse, read_text
from intermodel.records.openness.grade import Grade


@dataclass(frozen=True, slots=True)
class Graded:
    """Whose grade it is, and from which file."""

    file: str
    name: str
    grade: Grade


def disclosure(path: Path) -> Disclosure:
    """A disclosure in our own form. Raises `NotFound` and `Invalid`."""
    return own.read(parse(read_text(path), str(path)))


def grade_file(path: Path, framework: str | None = None, *, edition: int = 12, quirks: bool = False) -> list[Graded]:
    """The grades of a file: by that framework, or by all where none is named.

    A file is of the framework's own project, or a disclosure in our own form. `edition` is that of the European index;
    `quirks` has the Model Openness Tool's files read with its mistakes.

    Raises `NotFound` and `Invalid`, with file, line and field.
    """
    text = read_text(path)
    if framework == "fmti" and path.suffix.lower() not in (".yaml", ".yml"):
        companies = fmti_csv.read(text, path)
        return [Graded(str(path), name, fmti.graded(answers)) for name, answers in companies.items()]
    document = parse(text, str(path))
    if "disclosure" in document.mapping():
        return _of_our_own(path, own.read(document), framework, edition)
    return [Graded(str(path), *_of_theirs(document, framework, edition=edition, quirks=quirks))]


def _of_our_own(path: Path, found: Disclosure, framework: str | None, edition: int) -> list[Graded]:
    if framework == "osai":
        return [Graded(str(path), found.name, osai.grade(found, edition))]
    return [Graded(str(path), found.name, one) for one in grades(found) if framework in (None, one.framework)]


def _of_theirs(document: Place, framework: str | None, *, edition: int, quirks: bool) -> tuple[str, Grade]:
    if framework == "mof":
        found = mot.read(document, quirks=quirks)
        return found.name, mof.grade(found, exact=True)
    if framework == "osai":
        entry = indexes.read_osai(document)
        return entry.name, osai.graded(entry.answers, edition, entry.types)
    if framework == "oucg":
        entry = indexes.read_oucg(document)
        return entry.name, oucg.graded(entry.answers)
    raise Invalid(
        f"{document.file}: this is no disclosure in our own form: the field 'disclosure: 1' is missing.",
        hint="For a file of another project, name its framework: mof, osai, oucg or fmti.",
    )


def ranks(found: Sequence[Graded]) -> list[int | None]:
    """The places of entries of one index, from 1; equal scores share a place. None for what has no score."""
    scores = [one.grade.score for one in found]
    return [
        None if score is None else 1 + sum(other is not None and other > score for other in scores) for score in scores
    ]


def in_order(found: Sequence[Graded]) -> list[Graded]:
    """In the order in which the index lists them: by score.

    Among equal ones by name (opening-up-chatgpt), or by path from the last to the first (European index).
    """
    by_path = sorted(found, key=lambda one: one.file, reverse=True)
    by_name = sorted(found, key=lambda one: one.name)
    european = any(one.grade.framework == "osai" for one in found)
    return sorted(by_path if european else by_name, key=lambda one: -(one.grade.score or 0))
