"""`intermodel verify`: check an exported bundle, without a node and without a network."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from intermodel.cli.output import Json, on, out, plain, print_json
from intermodel.core import Invalid
from intermodel.ledger import PublicKey, Verifier
from intermodel.ledger import verify as check
from intermodel.ledger.bundle import LARGEST, Check, Report
from intermodel.ledger.withdrawal import Withdrawn

_MARK = {True: "[green]✓[/]", False: "[red]✗[/]", None: "[yellow]?[/]"}
_PEM_BYTES = 10_000


def verify(
    bundle: Annotated[Path, typer.Argument(help="File that `intermodel ledger export` wrote.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            help="A key you trust: name+id+base64, or a file with that or PEM. A PEM file says no name: alone it is "
            "taken for the ledger's, beside other keys for one of those who signed statements.",
            show_default=False,
        ),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option("--witness", help="A witness that must have cosigned: name+id+base64.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check signatures, statements, inclusion, consistency and keys of a bundle, and say what was checked.

    A file beside the bundle that has the name of what was signed must still be what was signed. A statement that the
    bundle itself takes back is named, with the reason; its signature holds all the same.

    Exit code 0 only if everything holds and a key that you named vouches for it; else 1. Where you got the key is what
    your trust rests on: `intermodel ledger keys` shows it on the node itself.

    Examples:

        intermodel verify evidence.json --key node.pem

        intermodel verify evidence.json --key "intermodel/4f1c...+8d2b1c3e+AQ..." --json
    """
    keys = [_key(one) for one in key or ()]
    only = keys[0] if len(keys) == 1 else None
    report = check(
        _read(bundle, LARGEST),
        keys,
        [Verifier.parse(w) for w in witness or ()],
        ledger=only if isinstance(only, PublicKey) else None,
    )
    report = replace(report, checks=(*report.checks, *_beside(report, bundle.parent)))
    if as_json:
        print_json(report.document())
    else:
        for one in report.checks:
            out.print(f"{_MARK[one.holds]} [bold]{one.what}[/]:", end=" ")
            out.print(one.found, markup=False, soft_wrap=True)
        for entry in report.entries:
            for by in entry.withdrawn:
                what = "set aside" if by.aside else "withdrawn"
                out.print(f"[yellow]![/] [bold]entry {entry.index}: {what}[/]:", end=" ")
                out.print(_taken_back(by), markup=False, soft_wrap=True)
        out.print(
            "[green]Everything holds.[/]"
            if report.good
            else "[yellow]It contradicts itself nowhere, but not all of it could be checked: see the marks '?'.[/]"
            if report.intact
            else "[red]It does not hold.[/]"
        )
    if not report.good:
        raise typer.Exit(1)


def _beside(report: Report, folder: Path) -> Iterator[Check]:
    """What each entry is about, and whether a file of that name beside the bundle is still what was signed."""
    for entry in report.entries:
        for subject in entry.statement.subjects if entry.statement else ():
            name, what = subject.name, f"entry {entry.index}: subject"
            yield Check(what, True, f"{plain(name)}, {subject.digest}")
            file = folder / name
            if not name or Path(name).name != name or "\0" in name or not file.is_file():
                continue
            try:
                with file.open("rb") as opened:
                    same = f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}" == subject.digest
            except OSError as error:
                yield Check(what, None, f"{plain(name)} beside it cannot be read: {error.strerror}")
                continue
            yield Check(what, same, f"{plain(name)} beside it is {'the' if same else 'NOT the'} one that was signed")


def _taken_back(by: Withdrawn) -> str:
    """By whom, when and why, in words."""
    whose = ", which believes it no more and did not sign it" if by.aside else ""
    sure = "" if by.sure else ", which you did not name, so nobody vouches for that"
    return f"by {plain(by.by)}{on(by.at)}{whose}{sure}: {plain(by.reason)} (entry {by.entry})"


def _key(text: str) -> PublicKey | Verifier:
    """A key in either form, or from a file."""
    path = Path(text)
    if "+" in text and not path.is_file():
        return Verifier.parse(text)
    data = _read(path, _PEM_BYTES)
    return PublicKey.from_pem(data) if data.startswith(b"-----") else Verifier.parse(data.decode(errors="replace"))


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise Invalid(f"{path} is larger than {most:,} bytes.")
    return data
