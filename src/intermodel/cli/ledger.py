"""`intermodel ledger`: the signed record, its proofs and its keys."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.table import Table

from intermodel.cli.output import (
    Config,
    Data,
    Json,
    SaveTo,
    cell,
    err,
    out,
    plain,
    print_json,
    read_settings,
    run,
    save_bytes,
)
from intermodel.cli.running import check_database
from intermodel.core import Digest, Invalid
from intermodel.ledger import Entry, Ledger, Verifier, open_ledger, reading
from intermodel.ledger.keys import CommandSigner
from intermodel.ledger.note import Checkpoint
from intermodel.ledger.standing import Outside, outside
from intermodel.settings import Settings
from intermodel.settings.load import ledger_passphrase
from intermodel.storage import Database, DataFolder

app = typer.Typer(help="The signed record of this node: entries, proofs, keys. Reading works beside a running node.")

Index = Annotated[int, typer.Argument(help="Number of an entry, from 0.", min=0)]
Reason = Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger for ever.", show_default=False)]


@contextlib.asynccontextmanager
async def _database(settings: Settings, folder: DataFolder) -> AsyncIterator[Database]:
    check_database(settings, folder)
    database = Database(settings.database, default=folder.sqlite)
    try:
        await database.open()
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def _writing(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger, held against a node. Raises `Conflict` beside one that runs."""
    folder = DataFolder(settings.data)
    folder.prepare()
    passphrase = ledger_passphrase(settings.ledger)
    with folder.held():
        async with (
            _database(settings, folder) as database,
            open_ledger(folder.path, database, settings.ledger, passphrase=passphrase) as ledger,
        ):
            yield ledger


def _reading(data: Path | None, config: Path | None) -> Ledger:
    return reading(DataFolder(read_settings(data, config).data).path)


@app.command()
def checkpoint(data: Data = None, config: Config = None) -> None:
    """Print the newest checkpoint, a signed note.

    Example: `intermodel ledger checkpoint > checkpoint`
    """
    typer.echo(_reading(data, config).checkpoint(), nl=False)


@app.command()
def show(index: Index, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Show an entry.

    Example: `intermodel ledger show 12`
    """

    async def work() -> Entry:
        return await _reading(data, config).entry(index)

    entry = run(work())
    if as_json:
        print_json(_document(entry))
        return
    out.print(f"[bold]entry {entry.index}[/], made {_when(entry.at)}, signed by {plain(entry.signer) or 'unknown'}")
    if entry.statement is None:
        out.print("It holds no statement that can be read; its bytes are:")
        out.print(plain(entry.envelope.decode(errors="replace")), markup=False)
        return
    said = orjson.dumps(entry.statement.document(), option=orjson.OPT_INDENT_2).decode()
    out.print(plain(said, "\n"), markup=False)


@app.command()
def about(
    digest: Annotated[str, typer.Argument(help="sha256: and 64 hexadecimal digits.")],
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """List the entries that speak of a digest.

    Example: `intermodel ledger about sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
    """
    settings, wanted = read_settings(data, config), str(Digest(digest))

    async def work() -> list[Entry]:
        folder = DataFolder(settings.data)
        reading(folder.path)  # where there is no ledger, nothing is made
        async with _database(settings, folder) as database:
            return await reading(folder.path, database).about(wanted)

    found = run(work())
    if as_json:
        print_json([_document(entry) for entry in found])
        return
    table = Table(box=None)
    for name in ("entry", "made", "what", "signer"):
        table.add_column(name)
    for entry in found:
        kind = entry.statement.predicate_type if entry.statement else "unreadable"
        table.add_row(str(entry.index), _when(entry.at), cell(kind), cell(entry.signer[:16]))
    out.print(table if found else "The ledger says nothing of it.")


@app.command()
def prove(index: Index, output: SaveTo = None, data: Data = None, config: Config = None) -> None:
    """Print the inclusion proof of an entry, in the form `c2sp.org/tlog-proof`.

    Example: `intermodel ledger prove 12 -o entry.tlog-proof`
    """
    save_bytes(_reading(data, config).proof(index), output)


@app.command()
def export(
    indices: Annotated[list[int], typer.Argument(help="Numbers of entries.", min=0)],
    output: SaveTo = None,
    since: Annotated[
        list[Path] | None, typer.Option("--since", help="A checkpoint of before, to show that nothing was taken back.")
    ] = None,
    data: Data = None,
    config: Config = None,
) -> None:
    """Write entries and all that proves them into one file, for `intermodel verify`; what takes one of them back, too.

    Examples:

        intermodel ledger export 12 13 -o evidence.json

        intermodel ledger export 12 --since checkpoint -o evidence.json
    """
    earlier, settings = [_read(path) for path in since or ()], read_settings(data, config)

    async def work() -> bytes:
        folder = DataFolder(settings.data)
        reading(folder.path)  # where there is no ledger, nothing is made
        async with _database(settings, folder) as database:
            ledger = reading(folder.path, database)
            return await ledger.bundle([*indices, *await ledger.withdrawals(indices)], earlier=earlier)

    save_bytes(run(work()), output)


@app.command()
def keys(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the keys that signed this ledger, and the one that does: what others need to verify it.

    Example: `intermodel ledger keys --json`
    """
    ledger = _reading(data, config)
    found = [
        {
            "id": one.key.id,
            "from": one.first,
            "to": one.last,
            "revoked_from": one.revoked_from,
            "verifier": f"{type(ledger.verifier)(ledger.origin, one.key)}",
        }
        for one in ledger.keys.periods
    ]
    if as_json:
        print_json({"origin": ledger.origin, "keys": found})
        return
    out.print(f"[bold]{plain(ledger.origin)}[/]")
    for one in found:
        until = "now" if one["to"] is None else f"entry {one['to']}"
        revoked = f", [red]revoked from entry {one['revoked_from']} on[/]" if one["revoked_from"] is not None else ""
        out.print(f"from entry {one['from']} to {until}{revoked}:")
        out.print(f"  {one['verifier']}", markup=False, soft_wrap=True)


@app.command()
def status(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """Show how this ledger stands with others: who cosigned it, which are followed or cosigned here, and any fork.

    Exit code 1 where a ledger contradicts itself.

    Example: `intermodel ledger status`
    """
    settings = read_settings(data, config)
    folder = DataFolder(settings.data).path
    ledger, found = reading(folder), outside(folder, settings.ledger)
    cosigned = ledger.cosigned()
    document = {
        "origin": ledger.origin,
        "size": ledger.log.size,
        "verifier": f"{ledger.verifier}",
        "cosigned_size": Checkpoint.parse(cosigned.text).size if cosigned else 0,
        "witnesses": {name: asdict(one) for name, one in found.witnesses.items()},
        "followed": {name: asdict(one) | {"keys": _learned(found, name)} for name, one in found.followed.items()},
        "witness": f"{found.verifier}" if found.verifier else None,
        "witness_for": {one.head.origin: one.head.size for one in found.cosigned},
        "contradictions": [
            {
                "origin": one.other.head.origin,
                "proven": one.proven,
                "notes": [one.before.note.decode(), one.other.note.decode()],
            }
            for one in found.contradictions
        ],
    }
    if as_json:
        print_json(document)
    else:
        _print_status(document, found)
    if any(one.proven for one in found.contradictions) or any(one.fork for one in found.witnesses.values()):
        raise typer.Exit(1)


def _learned(found: Outside, name: str) -> list[dict[str, Any]]:
    """The keys of a followed ledger, as it tells them; none where it does not, or was not asked yet."""
    history = found.histories.get(name)
    return [
        {
            "id": one.key.id,
            "from": one.first,
            "to": one.last,
            "revoked_from": one.revoked_from,
            "verifier": f"{Verifier(name, one.key)}",
            "named": Verifier(name, one.key) in found.named,
        }
        for one in (history.ring.periods if history else ())
    ]


def _print_keys(name: str, keys: list[dict[str, Any]]) -> None:
    """What a followed ledger says of its keys that is other than the settings have it."""
    for one in keys:
        if one["revoked_from"] is not None:
            taken = f"took back what its key {one['id'][:16]} signed from entry {one['revoked_from']} on"
            out.print(f"[yellow]{plain(name)} {taken}.[/]")
        elif not one["named"] and one["to"] is None:
            out.print(f"{plain(name)} went over to another key, as its entry {one['from'] - 1} says; it counts here:")
            out.print(f"  {one['verifier']}", markup=False, soft_wrap=True)


def _print_status(document: dict[str, Any], found: Outside) -> None:
    out.print(f"[bold]{plain(document['origin'])}[/]: {document['size']} entries, {document['cosigned_size']} cosigned")
    for title, standings in (
        ("Witnesses that are asked", found.witnesses),
        ("Ledgers that are followed", found.followed),
    ):
        if standings:
            table = Table("name", "entries", "last well", "trouble", box=None, title=title, title_justify="left")
            for name, one in standings.items():
                when = _when(one.at) if one.at else "never"
                table.add_row(cell(name.partition("+")[0]), str(one.size), when, cell(one.trouble))
            out.print(table)
    for name, told in document["followed"].items():
        _print_keys(name, told["keys"])
    if found.verifier:
        out.print("This node is a witness. Others need its key:")
        out.print(f"  {found.verifier}", markup=False, soft_wrap=True)
        for seen in found.cosigned:
            out.print(f"  {seen.head.size} entries of {plain(seen.head.origin)}", markup=False)
    for fork in found.contradictions:
        may = "contradicts itself" if fork.proven else "may contradict itself"
        out.print(
            f"[red]The ledger {plain(fork.other.head.origin)} {may}:[/] {plain(str(fork))}: {plain(str(fork.path))}"
        )


@app.command()
def rotate(
    reason: Reason = "",
    to: Annotated[
        str, typer.Option("--to", help="Command of an external signer that holds the new key.", show_default=False)
    ] = "",
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Go over to a new key. The node must be stopped. The old key's file stays until you delete it.

    Examples:

        intermodel ledger rotate --reason "yearly"

        intermodel ledger rotate --to "/usr/local/bin/hsm-sign slot1"
    """
    settings = read_settings(data, config)

    async def work() -> Entry:
        async with _writing(settings) as ledger:
            return await ledger.rotate(reason, CommandSigner(to) if to else None)

    entry = run(work())
    if as_json:
        print_json(_document(entry))
    else:
        _rotated(entry.index, f"{_reading(data, config).verifier}")
    if to:
        err.print("Now set 'signer' in \\[ledger] of the settings to that command.")
    elif settings.ledger.signer:
        err.print("Now take 'signer' out of \\[ledger] in the settings: the new key lies in the data folder.")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, as `intermodel ledger keys --json` shows it.")],
    since: Annotated[int, typer.Option(help="The first entry that may not be its owner's.", min=0)],
    reason: Reason = "",
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Take back what an earlier key signed from an entry on. The node must be stopped. Rotate first.

    Example: `intermodel ledger revoke 4f1c... --since 1200 --reason "laptop stolen"`
    """
    settings = read_settings(data, config)

    async def work() -> Entry:
        async with _writing(settings) as ledger:
            return await ledger.revoke(key, since, reason)

    _changed(run(work()), "Revoked", as_json=as_json)


@app.command()
def reindex(data: Data = None, config: Config = None) -> None:
    """Make the database's index of the ledger anew. The node must be stopped.

    Example: `intermodel ledger reindex`
    """
    settings = read_settings(data, config)

    async def work() -> int:
        async with _writing(settings) as ledger:
            await ledger.reindex()
            return ledger.log.size

    out.print(f"Indexed {run(work())} entries.")


def _rotated(index: int, verifier: str) -> None:
    out.print(f"A new key signs from entry {index + 1} on. Entry {index} says so, signed by the old key and the new.")
    out.print("Who follows this ledger learns that by itself, where its `keys` are published. Give this line to the")
    out.print(
        "witnesses that you ask, and to those who trust it as a signer (`records.trusted_signers`) and do not follow"
    )
    out.print("it, in the place of the line before:")
    out.print(f"  {verifier}", markup=False, soft_wrap=True)


def _changed(entry: Entry, what: str, *, as_json: bool) -> None:
    if as_json:
        print_json(_document(entry))
    else:
        out.print(f"{what}; that is entry {entry.index}.")


def _document(entry: Entry) -> dict[str, Any]:
    return {
        "index": entry.index,
        "at": entry.at,
        "signer": entry.signer,
        "digest": entry.digest,
        "statement": entry.statement.document() if entry.statement else None,
        "envelope": entry.envelope.decode(errors="replace"),
    }


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC" if at else "at a time it does not say"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Invalid(f"{path} cannot be read: {error.strerror}.") from None
