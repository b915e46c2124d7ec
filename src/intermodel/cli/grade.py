"""`intermodel grade`: how open something is, by files that say what is laid open. Needs no node and no network."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from intermodel.cli.output import Json, cell, err, exit_code, out, plain, print_json
from intermodel.core import IntermodelError
from intermodel.records.openness.read import Graded, grade_file, in_order, ranks


class Framework(StrEnum):
    """The frameworks whose own files are read."""

    MOF = "mof"
    OSAI = "osai"
    OUCG = "oucg"
    OSAID = "osaid"
    FMTI = "fmti"


class Edition(StrEnum):
    """Of the European index: how many dimensions it asks."""

    NOW = "12"
    BEFORE = "14"


_RANKED = ("osai", "oucg")


def grade(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Files of the framework's own project, or disclosures in our own form.", show_default=False
        ),
    ],
    framework: Annotated[
        Framework | None, typer.Option("--framework", "-f", help="Whose rule. Default: all, for files in our own form.")
    ] = None,
    edition: Annotated[
        Edition, typer.Option(help="osai: the European index of 12 dimensions, or the one of 14 before.")
    ] = Edition.NOW,
    quirks: Annotated[
        bool, typer.Option("--quirks", help="mof: read unknown component names as the tool does, instead of refusing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Grade how open models are: Model Openness Framework, European Open Source AI Index, Open Source AI Definition ...

    Reads the files of those projects as they are, so that anyone can check the grades against theirs: `mof` the Model
    Openness Tool's YAML, `osai` and `oucg` the indexes' YAML, `fmti` a CSV of scores or a company's report, `osaid`
    (and all others) our own form, which docs/record/openness.md describes.

    Examples:

        intermodel grade --framework mof models/OLMo-7B.yml

        intermodel grade -f oucg projects/*.yaml

        intermodel grade disclosure.yaml --json
    """
    found: list[Graded] = []
    failed: list[tuple[Path, IntermodelError]] = []
    for path in files:
        try:
            found += grade_file(path, framework, edition=int(edition), quirks=quirks)
        except IntermodelError as error:
            failed.append((path, error))
    if failed and len(files) == 1:
        raise failed[0][1]
    if as_json:
        print_json(_documents(found) + [_failure(path, error) for path, error in failed])
    else:
        _show(found)
        for _, reason in failed:
            err.print("[bold red]Error:[/]", end=" ")
            err.print(plain(reason, "\n"), markup=False, emoji=False)
    if failed:
        sys.exit(exit_code(failed[0][1]))


def _documents(found: list[Graded]) -> list[dict[str, Any]]:
    places = ranks(found) if _is_index(found) else [None] * len(found)
    ranked = [{"rank": place} if place else {} for place in places]
    return [
        {"file": one.file, "name": one.name, **one.grade.document(), **rank}
        for one, rank in zip(found, ranked, strict=True)
    ]


def _failure(path: Path, error: IntermodelError) -> dict[str, Any]:
    return {"file": str(path), "error": {"code": error.code, "message": error.message, "hint": error.hint}}


def _is_index(found: list[Graded]) -> bool:
    """Whether these are entries of one index, which ranks them."""
    return len(found) > 1 and len({one.grade.framework for one in found}) == 1 and found[0].grade.framework in _RANKED


def _show(found: list[Graded]) -> None:
    ranked = _is_index(found)
    listed = in_order(found) if ranked else found
    table = Table(*(["rank"] if ranked else []), "name", "framework", "grade", "parts", "rule", box=None)
    for one, place in zip(listed, ranks(listed), strict=True):
        parts = "  ".join(f"{name} {value:g}" for name, value in one.grade.parts)
        cells = (one.name or one.file, one.grade.framework, one.grade.outcome, parts, one.grade.version)
        table.add_row(*([cell(place or "")] if ranked else []), *(cell(text) for text in cells))
    if found:
        out.print(table)
    if len({one.file for one in found}) == 1 and len({one.name for one in found}) == 1:
        for one in found:
            _raise(one)


def _raise(one: Graded) -> None:
    if one.grade.raised_by:
        out.print(f"\n[bold]{one.grade.framework}[/] would be raised by:")
        for what in one.grade.raised_by:
            out.print(cell(f"  {what}"), soft_wrap=True)
