"""`intermodel records`: telling of models, data and services, signing what is read of them, taking the proofs along."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlencode

import typer
from rich.table import Table

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, SaveTo, cell, err, out, print_json, read_settings, save
from intermodel.core import Invalid, NotFound
from intermodel.records import lineage_file, yamltext
from intermodel.records.record import checked_address
from intermodel.records.told import Told, graph_told

app = typer.Typer(help="Record what is told of models, data and services, in the node that runs.", no_args_is_help=True)
LARGEST = 4 * 1024**2
LARGEST_TAKEN = 16 * 1024**2
_HINT = "docs/record/record.md shows such a file."

Address = Annotated[str, typer.Argument(help="Address of a model, data set or service.")]


@app.command()
def put(
    file: Annotated[Path, typer.Argument(help="A YAML or JSON file; - reads standard input.", allow_dash=True)],
    address: Annotated[
        str | None, typer.Option("--as", help="Of which thing, where the file does not say.", show_default=False)
    ] = None,
    card: Annotated[
        Path | None, typer.Option(help="A Hugging Face card (README.md) that belongs to it.", show_default=False)
    ] = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Record what somebody tells of a thing. The node signs that it was told so, by whom, and where.

    The file has `address`, `told_by`, `url`, and any of `what`, `disclosure`, `lineage`, `licence` (docs/record.md);
    or a whole lineage, `nodes` and `edges`, of which each node gets a record.

    Examples:

        intermodel records put gpt-4.yaml

        intermodel records put lineage.yaml
    """
    documents = _documents(read_text(file), address)
    if card is not None:
        if len(documents) != 1:
            raise Invalid("A card belongs to one thing.", hint="Put the lineage and the card apart.")
        (only,) = documents
        documents[only] = documents[only] | {"card": read_text(card)}
    for name, document in documents.items():  # so that nothing is sent where one of them is wrong
        Told.of(document).predicates(checked_address(name))
    with reached(read_settings(data, config), url) as node:
        made = {name: node.put(named("records", name), document) for name, document in documents.items()}
    for name, one in made.items():
        for caution in one["cautions"]:
            err.print(cell(f"{name}: {caution}", "yellow"), soft_wrap=True)
    if as_json:
        print_json(
            [
                {"address": name, "digest": one["digest"], "new": one["new"], "cautions": one["cautions"]}
                for name, one in made.items()
            ]
        )
        return
    for name, one in made.items():
        out.print(cell(f"{name}: {_new(one)}"), soft_wrap=True)
    first = next(iter(made))
    out.print(f"See them: [green]intermodel show {first}[/]")


@app.command()
def take(
    file: Annotated[Path, typer.Argument(help="A bundle or a DSSE envelope; - reads standard input.", allow_dash=True)],
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take over what others signed about models, from those whom this node trusts (`records.trusted_signers`).

    Their bytes and signatures enter the ledger as they are, and count as their word beside this node's own.

    Example: `intermodel records take vicuna.bundle.json`
    """
    taken = _bytes(file, LARGEST_TAKEN)
    with reached(read_settings(data, config), url) as node:
        made = node.post("/records", taken)
    if as_json:
        print_json(made)
        return
    told = ", ".join(str(entry["index"]) for entry in made["entries"])
    out.print(cell(f"Entered as {told}." if told else "Nothing was new."), soft_wrap=True)
    for why in made["left_out"]:
        out.print(cell(f"Left out: {why}"), soft_wrap=True)


@app.command()
def sign(address: Address, data: Data = None, config: Config = None, url: Url = None, as_json: Json = False) -> None:
    """Sign what the node reads of a model that it holds: the facts in its file, and its card.

    Example: `intermodel records sign intermodel/pebble`
    """
    with reached(read_settings(data, config), url) as node:
        made = node.post(f"{named('records', address)}/sign", None)
    if as_json:
        print_json(made)
    else:
        out.print(cell(f"{address}: {_new(made)}, about {made['digest']}"), soft_wrap=True)


@app.command()
def withdraw(
    what: Annotated[
        str,
        typer.Argument(help="Number of an entry of the ledger; or an address: all that this node said of it."),
    ],
    reason: Annotated[str, typer.Option(help="What is wrong. It stands in the ledger for good.", show_default=False)],
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Take back what this node said. It stays in the ledger, is shown as withdrawn, and nothing is concluded from it.

    What another signer said is set aside by its number: this node stops believing it, and it stays that signer's word.
    What a withdrawn statement had superseded counts again. A withdrawal cannot be withdrawn: tell the statement anew.

    Examples:

        intermodel records withdraw 12 --reason "of another model"

        intermodel records withdraw acme/thing --reason "the address was mistyped"
    """
    by_number = what.isascii() and what.isdecimal()
    with reached(read_settings(data, config), url) as node:
        made = node.post(f"{named('ledger' if by_number else 'records', what)}/withdraw", {"reason": reason})
    if as_json:
        print_json(made)
        return
    aside = set(made["aside"])
    for words, entries in (
        ("Withdrawn", [one for one in made["withdrawn"] if one not in aside]),
        ("Set aside here", made["aside"]),
        ("These count again, for what superseded them is withdrawn", made["again"]),
    ):
        if entries:
            out.print(cell(f"{words}: {_entries(entries)}."), soft_wrap=True)
    if made["new"]:
        out.print(cell(f"In the ledger as {_entries(made['new'])}."), soft_wrap=True)
    else:
        out.print("Nothing new: it was withdrawn before.")


@app.command()
def entered(
    address: Annotated[
        str | None, typer.Argument(help="Address of a model, data set or service.", show_default=False)
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="Instead: all that a user had made, or a token by its id or name.")
    ] = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List who had which statement made, as far as that is known. No statement, passport or bundle says it.

    Examples:

        intermodel records entered openai/gpt-4

        intermodel records entered --by jane
    """
    if (address is None) == (by is None):
        raise Invalid("Give an address, or --by with a user or a token.")
    with reached(read_settings(data, config), url) as node:
        found = (
            node.get(f"{named('records', address)}/entered")
            if address is not None
            else node.get("/ledger/entered", by=by, limit=1000)
        )["data"]
    if as_json:
        print_json(found)
        return
    table = Table("entry", "user", "token", "its name", "when", box=None)
    for one in found:
        table.add_row(str(one["entry"]), cell(one["user"]), cell(one["token"]), cell(one["name"]), _when(one["at"]))
    out.print(table if found else "Nothing is known of who had them made.")


@app.command()
def forget(
    who: Annotated[str, typer.Argument(help="A user, or a token by its id or name.")],
    data: Data = None,
    config: Config = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Erase that somebody had statements made. The statements stay, and are nobody's.

    Example: `intermodel records forget jane`
    """
    with reached(read_settings(data, config), url) as node:
        made = node.ask("DELETE", f"/api/v1/ledger/entered?{urlencode({'by': who})}").body
    if as_json:
        print_json(made)
    else:
        out.print(f"Erased, of {made['erased']} entries, who had them made.")


@app.command()
def get(address: Address, data: Data = None, config: Config = None, url: Url = None) -> None:
    """Print the whole record as JSON.

    Example: `intermodel records get intermodel/pebble`
    """
    with reached(read_settings(data, config), url) as node:
        print_json(node.get(named("records", address)))


@app.command()
def bundle(
    address: Address,
    to: SaveTo = None,
    data: Data = None,
    config: Config = None,
    url: Url = None,
) -> None:
    """Take along every statement on which a record rests, with its proof. `intermodel verify` checks it offline.

    Example: `intermodel records bundle intermodel/pebble -o pebble.bundle.json`
    """
    with reached(read_settings(data, config), url) as node:
        save(node.get(f"{named('records', address)}/bundle"), to)


def _when(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _entries(indices: Sequence[int]) -> str:
    return f"entr{'y' if len(indices) == 1 else 'ies'} {', '.join(map(str, indices))}"


def _new(made: Mapping[str, Any]) -> str:
    """What a telling or a signing recorded, beside what was there."""
    new, before = len(made["new"]), len(made["statements"]) - len(made["new"])
    known = f"{before} statement{'' if before == 1 else 's'} before"
    if not new:
        return f"nothing new, {known}"
    return f"{new} new statement{'' if new == 1 else 's'} ({_entries(made['new'])}), {known}"


def _documents(text: str, address: str | None) -> dict[str, dict[str, Any]]:
    """What is to be told, by address."""
    document = yamltext.read(text, "file of what is told", _HINT)
    if not isinstance(document, Mapping):
        raise Invalid("The file holds no mapping of fields.", hint=_HINT)
    if "nodes" in document and "edges" in document:
        lineage = yamltext.read(text, "lineage", lineage_file.HINT, numbers=False)  # there, `1.10` is a name
        if not (told := graph_told(lineage)):
            raise Invalid("The lineage holds no things.", hint=_HINT)
        return {name: _written(one) for name, one in told.items()}
    name = address or document.get("address")
    if not isinstance(name, str) or not name:
        raise Invalid("The file does not say of which thing it tells.", hint="Write 'address:' in it, or give --as.")
    return {name: {key: value for key, value in document.items() if key != "address" and value is not None}}


def _written(told: Told) -> dict[str, Any]:
    document = {"told_by": told.told_by, "url": told.url, "what": told.what, "lineage": told.lineage}
    return {key: value for key, value in document.items() if value}


def read_text(file: Path) -> str:
    """A text file, or standard input (-). Raises `Invalid`, also for one that is too large: it is not cut."""
    try:
        return _bytes(file, LARGEST).decode()
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} cannot be read: {error}.", hint="It is a text file in UTF-8.") from None


def _bytes(file: Path, most: int) -> bytes:
    try:
        if str(file) == "-":
            data = sys.stdin.buffer.read(most + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(most + 1)
    except FileNotFoundError:
        raise NotFound(f"There is no file {file}.", hint="Is the path right?") from None
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}.") from None
    if len(data) > most:
        raise Invalid(f"{file} is larger than {most // 1024**2} MiB.", hint="Leave out what is not needed.")
    return data
