"""`intermodel card`: what a model's card says, and what is wrong with it. Reads files; asks no node."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any

import typer
from rich.table import Table

from intermodel.cli.output import Json, cell, out, plain, print_json
from intermodel.core import NotFound
from intermodel.records.card import LIMIT, Card, disclosure_of, lineage_of, what_of
from intermodel.records.disclosure import DISCLOSED
from intermodel.records.facts import WhatItIs
from intermodel.records.files import look
from intermodel.records.files.documents import bytes_of, called
from intermodel.records.licences import unheard
from intermodel.records.predicates import what_document

app = typer.Typer(help="Check and show model cards, and what the files beside them say.", no_args_is_help=True)

EXIT_MISTAKES = 2
File = Annotated[Path, typer.Argument(help="A card, or a folder with a README.md.", show_default=False)]


@app.command("check")
def check(file: File, as_json: Json = False) -> None:
    """Say what is wrong with a card, and what it does not disclose. Exit code 2 where its head is broken or wrong.

    Example: `intermodel card check README.md`
    """
    card = _read(file)
    mistakes = [str(card.mistake)] if card.mistake else []
    problems = list(card.view.problems)
    told = disclosure_of(card).told
    cautions = [caution for licence in card.view.licences for caution in unheard(licence)]
    missing = [topic for topic in DISCLOSED if topic not in told or not told[topic].text]
    if as_json:
        print_json(
            {"ok": not (mistakes or problems), "mistakes": mistakes, "problems": problems, "cautions": cautions,
             "missing": missing}
        )  # fmt: skip
    else:
        for line in mistakes + problems:
            out.print(cell(line, "red"))
        if not (mistakes or problems):
            out.print("The head is in order.")
        for line in cautions:
            out.print(cell(line, "yellow"))
        if missing:
            out.print(cell(f"Not disclosed: {', '.join(topic.replace('_', ' ') for topic in missing)}.", "dim"))
    if mistakes or problems:
        raise typer.Exit(EXIT_MISTAKES)


@app.command("show")
def show(file: File, as_json: Json = False) -> None:
    """Show what a card says: fields, what the model is, from what it was made, and what is disclosed where.

    Example: `intermodel card show README.md --json`
    """
    card = _read(file)
    document = _document(card, called(file))
    if as_json:
        print_json(document)
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column()
    if card.mistake:
        table.add_row("broken head", cell(card.mistake, "red"))
    for key, value in document["fields"].items():
        table.add_row(cell(str(key)[:60]), cell(str(value)[:300]))
    for edge in document["lineage"]["edges"]:
        table.add_row("made from", cell(f"{edge['parent']} ({edge['how']}, {edge['source']})"))
    for topic in DISCLOSED:
        told = document["told"].get(topic)
        text = " ".join(plain(told["text"], "\n").split())[:300] if told else ""
        table.add_row(topic.replace("_", " "), cell(text) if text else cell("not disclosed", "dim"))
    out.print(table)


@app.command("facts")
def facts(
    file: Annotated[
        Path,
        typer.Argument(help="Weights (safetensors, GGUF), a config.json, or a model's folder.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Show what a model's own files say of it: headers and configurations. Weights are not loaded.

    Example: `intermodel card facts model.safetensors --json`
    """
    found = look(file)
    said = what_document(found.what)
    if as_json:
        sources = {name: getattr(found.what, name).source for name in said}
        print_json({"what": said, "sources": sources, "base": found.base and asdict(found.base), "notes": found.notes})
        return
    table = Table("what", "value", "where", box=None, pad_edge=False)
    for name, value in said.items():
        shown = (
            ", ".join(map(str, value)) if isinstance(value, list) else f"{value:,}" if isinstance(value, int) else value
        )
        short = shorten(plain(shown, "\n"), 200, placeholder=" ...")
        table.add_row(name.replace("_", " "), cell(short), cell(getattr(found.what, name).source))
    if found.base:
        table.add_row("made from", cell(found.base.value), cell(found.base.source))
    out.print(table if table.row_count else "It says nothing of what it is.")
    for note in found.notes:
        out.print(cell(note, "yellow"), soft_wrap=True)


def _read(file: Path) -> Card:
    if not file.exists():
        raise NotFound(f"There is no {called(file)}.", hint="Name a README.md, or the folder that it is in.")
    return Card.parse(bytes_of(file / "README.md" if file.is_dir() else file, 4 * LIMIT))


def _document(card: Card, name: str) -> dict[str, Any]:
    disclosure = disclosure_of(card, name)
    graph = lineage_of(card, name)
    return {
        "mistake": asdict(card.mistake) if card.mistake else None,
        "problems": card.view.problems,
        "fields": dict(card.fields),
        "what": _facts(what_of(card)),
        "lineage": {"edges": [asdict(edge) for edge in graph.edges]},
        "told": {topic: asdict(one) for topic, one in disclosure.told.items()},
        "components": {key: asdict(one) for key, one in disclosure.components.items()},
        "licences": dict(disclosure.licences),
    }


def _facts(what: WhatItIs) -> dict[str, Any]:
    return {key: value for key, value in asdict(what).items() if value is not None}
