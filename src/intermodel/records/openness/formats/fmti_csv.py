"""The tables of the Foundation Model Transparency Index: its matrices of scores, and the reports of companies."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from intermodel.core import Invalid
from intermodel.records.openness.fmti import EDITIONS, indicator, indicators
from intermodel.records.openness.formats.places import near

Answers = dict[str, tuple[bool | None, str]]

_ABOUT = ("Domain", "Subdomain", "Indicator", "Total")
_SCORES: dict[str, bool | None] = {"1": True, "0": False, "": None}


def read(text: str, path: Path) -> dict[str, Answers]:
    """The answers by company. Raises `Invalid` with the line for anything that cannot be right."""
    rows = list(_rows(text, path))
    if not rows:
        raise Invalid(f"{path} is empty.", hint="It must be a table of the index: a matrix of scores, or a report.")
    (_, head), body = rows[0], rows[1:]
    if "Score" in head:
        # the first column of a report is the indicator whatever its head says: one of 2024 says something else
        columns, at = {path.stem.partition("_fmtransparencyreport")[0]: head.index("Score")}, 0
    elif "Indicator" in head:
        at = head.index("Indicator")
        columns = {name: place for place, name in enumerate(head) if name and name not in _ABOUT}
    else:
        raise Invalid(
            f"{path}, line 1: this is no table of the index.",
            hint="A matrix has a column 'Indicator' and one for each company; a report has a column 'Score'.",
        )
    if not columns or len(set(head)) < len([name for name in head if name]):
        raise Invalid(f"{path}, line 1: there is no company, or one column stands twice.")
    return _answers(path, head, body, at, columns)


def _answers(
    path: Path, head: list[str], body: list[tuple[int, list[str]]], at: int, columns: dict[str, int]
) -> dict[str, Answers]:
    edition = _edition([row[at] for _, row in body if len(row) > at])
    found: dict[str, Answers] = {company: {} for company in columns}
    seen: dict[str, int] = {}
    for line, row in body:
        if len(row) != len(head):
            raise Invalid(f"{path}, line {line}: {len(row)} cells, where the head of the table has {len(head)}.")
        if row[at] in ("Total", ""):
            continue
        name = indicator(row[at], edition)
        if name is None:
            known = [one for group in indicators(edition).values() for one in group]
            hint = near(row[at], known)
            raise Invalid(f"{path}, line {line}: '{row[at][:100]}' is no indicator of {edition}. {hint}".strip())
        if name in seen:
            raise Invalid(f"{path}, line {line}: '{name}' stands in line {seen[name]} already.")
        seen[name] = line
        for company, column in columns.items():
            found[company][name] = (_score(row[column], path, line, company), f"{path}, line {line}")
    if not seen:
        raise Invalid(f"{path} holds no indicators.")
    return found


def _edition(names: list[str]) -> str:
    """The edition to which most of the names belong, also by what other files of the index call them."""
    return max(EDITIONS, key=lambda edition: sum(indicator(name, edition) is not None for name in names))


def _score(cell: str, path: Path, line: int, company: str) -> bool | None:
    if cell not in _SCORES:
        raise Invalid(f"{path}, line {line}, '{company}': '{cell[:100]}' is no score; it must be 0 or 1.")
    return _SCORES[cell]


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for row in reader:
            if any(row):
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise Invalid(f"{path}, line {reader.line_num}: this is no table of comma-separated values: {error}.") from None
