"""`intermodel records`: telling of models, data and services, signing what is read of them, taking the proofs along."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from intermodel.cli.node import Url, named, reached
from intermodel.cli.output import Config, Data, Json, SaveTo, cell, out, print_json, read_settings, save
from intermodel.core import Invalid
from intermodel.records.told import Told, graph_told

app = typer.Typer(help="Record what is told of models, data and services, in the node that runs.", no_args_is_help=True)
LARGEST = 4 * 1024**2
MOST_DEPTH = 64
MOST_VALUES = 500_000

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
    documents = _documents(_read(file), address)
    if card is not None:
        if len(documents) != 1:
            raise Invalid("A card belongs to one thing.", hint="Put the lineage and the card apart.")
        (only,) = documents
        documents[only] = documents[only] | {"card": _text(card)}
    for document in documents.values():
        Told.of(document)  # so that nothing is sent where one of them is wrong
    with reached(read_settings(data, config), url) as node:
        made = {name: node.put(named("records", name), document) for name, document in documents.items()}
    if as_json:
        print_json([{"address": name, "digest": one["digest"]} for name, one in made.items()])
        return
    for name, one in made.items():
        out.print(cell(f"{name}: {len(one['statements'])} statements"), soft_wrap=True)
    first = next(iter(made))
    out.print(f"See them: [green]intermodel show {first}[/]")


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
        out.print(cell(f"{address}: {len(made['statements'])} statements about {made['digest']}"), soft_wrap=True)


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


def _documents(document: Any, address: str | None) -> dict[str, dict[str, Any]]:
    """What is to be told, by address."""
    if not isinstance(document, Mapping):
        raise Invalid("The file holds no mapping of fields.", hint="docs/record.md shows one.")
    if "nodes" in document and "edges" in document:
        return {name: _written(told) for name, told in graph_told(document).items()}
    name = address or document.get("address")
    if not isinstance(name, str) or not name:
        raise Invalid("The file does not say of which thing it tells.", hint="Write 'address:' in it, or give --as.")
    return {name: {key: _plain(value) for key, value in document.items() if key != "address" and value is not None}}


def _written(told: Told) -> dict[str, Any]:
    document = {"told_by": told.told_by, "url": told.url, "what": told.what, "lineage": told.lineage}
    return {key: value for key, value in document.items() if value}


def _plain(value: Any, depth: int = 0, left: Iterator[int] | None = None) -> Any:
    """YAML reads `2023-03-14` as a day, which JSON does not have; and its aliases may name themselves, or multiply."""
    left = iter(range(MOST_VALUES)) if left is None else left
    if depth > MOST_DEPTH or next(left, None) is None:
        raise Invalid(
            f"A value in the file is nested deeper than {MOST_DEPTH}, or made of more than {MOST_VALUES:,} values.",
            hint="Write it out without aliases (`*name`), and leave out what is not needed.",
        )
    if isinstance(value, Mapping):
        return {str(key): _plain(one, depth + 1, left) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, depth + 1, left) for one in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


def _read(file: Path) -> Any:
    text = sys.stdin.read(LARGEST + 1) if str(file) == "-" else _text(file)
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        raise Invalid(f"{file} is neither YAML nor JSON{where}.", hint="Mend it, and try again.") from None


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which YAML's libraries take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key.value, str):
                line = key.start_mark.line + 1
                raise Invalid(f"'{key.value[:100]}' is there twice, in line {line}.", hint="Keep one of them.")
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _text(file: Path) -> str:
    try:
        if file.stat().st_size > LARGEST:
            raise Invalid(f"{file} is larger than {LARGEST // 1024**2} MiB.", hint="Leave out what is not needed.")
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
