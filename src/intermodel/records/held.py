"""What lies on this machine of a thing: its model's file, and the card, disclosure and lineage beside it. Blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from intermodel.core import IntermodelError, Invalid
from intermodel.engines import Model
from intermodel.records import lineage_file
from intermodel.records.card import Card, disclosure_of, lineage_of, what_of
from intermodel.records.disclosure import Disclosure
from intermodel.records.facts import Fact, WhatItIs
from intermodel.records.files import lineage_of as lineage_in
from intermodel.records.files import look
from intermodel.records.files import told as told_by_files
from intermodel.records.joined import disclosure_joined, joined_graphs
from intermodel.records.openness.read import disclosure as disclosure_in
from intermodel.records.predicates import disclosure_document, graph_document, graph_of
from intermodel.records.predicates import disclosure_of as disclosure_of_predicate
from intermodel.records.record import CardText, Held

CARD_BYTES = 1024 * 1024
"""Largest card that is read."""


def read_card(text: str, source: str, address: str) -> CardText:
    """A card with what it says. One that cannot be read is kept, with the reason."""
    digest = sha256(text.encode())
    try:
        card = Card.parse(text)
        graph = lineage_of(card, address)
        own = graph.node(address)
        licence, problem = own.declared or own.licence or "", str(card.mistake) if card.mistake else ""
        return CardText(text, digest, source, licence, what_of(card), disclosure_of(card), graph, problem)
    except Invalid as error:
        return CardText(text, digest, source, problem=str(error))


def read_model(model: Model) -> Held:
    """What the file says; blocks. Of one that cannot be read the reason is noted, and nothing is known."""
    name = model.path.name
    licence = Fact(model.facts.licence, f"file:{name}") if model.facts.licence else None
    try:
        found = look(model.path)
    except (IntermodelError, OSError) as error:
        return Held(
            str(model.digest), name, model.size, WhatItIs(), licence, notes=_placeless(model.path, [str(error)])
        )
    disclosure = Disclosure(model.address, told=told_by_files(found.what))
    graph = lineage_in(found, model.address)
    notes = list(found.notes)
    for kind, path in _papers(model.path):
        source = f"file:{path.name}"
        try:
            if kind == "disclosure":
                told = disclosure_document(disclosure_in(path))
                disclosure = disclosure_joined(disclosure_of_predicate(told, model.address, source), disclosure)
            else:
                more = lineage_file.parse(path.read_text("utf-8"))
                graph = joined_graphs([graph, graph_of(graph_document(more), source)])
        except (IntermodelError, OSError, UnicodeDecodeError) as error:
            notes.append(str(error))
    return Held(
        str(model.digest), name, model.size, found.what, licence, disclosure, graph, _placeless(model.path, notes)
    )


def _placeless(file: Path, notes: Iterable[str]) -> tuple[str, ...]:
    """Notes that name files without their folders: whoever may read a record need not know the machine."""
    folders = sorted({f"{one}/" for path in (file, file.resolve()) for one in path.parents[:2] if one.name}, key=len)
    for folder in reversed(folders):
        notes = [note.replace(folder, "") for note in notes]
    return tuple(notes)


def _papers(file: Path) -> Iterator[tuple[str, Path]]:
    """The disclosure and the lineage that lie with a model: `disclosure.yaml` in its folder, or
    `FOLDER.disclosure.yaml` beside that; where the folder holds one model alone."""
    if not _is_alone(file):
        return
    folder = file if file.is_dir() else file.parent
    for kind in ("disclosure", "lineage"):
        for path in (folder / f"{kind}.yaml", folder.with_name(f"{folder.name}.{kind}.yaml")):
            if path.is_file() and path.stat().st_size <= CARD_BYTES:
                yield kind, path
                break


def _is_alone(file: Path) -> bool:
    """Whether what lies beside a model's file is about that model; the node's own copies lie among others."""
    return file.is_dir() or (file.suffix == ".gguf" and len(list(file.parent.glob("*.gguf"))) == 1)


def card_beside(file: Path) -> str | None:
    """The card in the folder of a model's file, if that holds one model alone; blocks."""
    try:
        if not _is_alone(file):
            return None
        path = (file if file.is_dir() else file.parent) / "README.md"
        if path.stat().st_size > CARD_BYTES:
            return None
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
