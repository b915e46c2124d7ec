"""KEY=VALUE on the command line, and files, as the documents that the node's API takes."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import orjson
import typer
from pydantic import BaseModel

from intermodel.core import Invalid
from intermodel.gateway.registry import checked

Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        help="KEY=VALUE, lists with commas (candidates=a,b), KEY.KEY=VALUE in tables; KEY= for its default."
    ),
]
File = Annotated[Path | None, typer.Option("--file", help="The whole of it, as TOML or JSON.", show_default=False)]


def document_of(
    form: type[BaseModel], name: str, pairs: Sequence[str] | None, file: Path | None, before: dict[str, Any]
) -> dict[str, Any]:
    """What a `set` declares: the file, or what was there `before`, changed by the pairs. Raises `Invalid`."""
    if not (pairs or file):
        raise Invalid("Nothing is to be set.", hint="Give KEY=VALUE, or --file.")
    document = _read(file) if file else before
    for pair in pairs or ():
        key, given, value = pair.partition("=")
        if not given:
            raise Invalid(f"'{pair}' is not KEY=VALUE.", hint="Write it without spaces around the '='.")
        _set(form, document, key, value)
    return checked(form, name, document).model_dump(mode="json", exclude_unset=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_text()
        document = orjson.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise Invalid(f"{file} cannot be read: {error}.", hint="It is a TOML or a JSON document.") from None
    if not isinstance(document, dict):
        raise Invalid(f"{file} does not hold a table.", hint="Write KEY = VALUE, as below [deployments.NAME].")
    return document


def _set(form: type[BaseModel], document: dict[str, Any], key: str, value: str) -> None:
    """Change one key; in a table of the document where it has a dot. What is not known is left for the check."""
    field, dot, rest = key.partition(".")
    annotation = form.model_fields[field].annotation if field in form.model_fields else None
    table = _table(annotation)
    if dot and (table or get_origin(annotation) is dict):
        inner = document[field] = dict(document.get(field) or {})
        if get_origin(annotation) is dict and table:  # a table for each name
            name, deeper, rest = rest.partition(".")
            inner[name] = dict(inner.get(name) or {})
            _set(table, inner[name], rest, value)
            if not (deeper or value):
                del inner[name]
        elif table:
            _set(table, inner, rest, value)
        elif value:
            inner[rest] = value
        else:
            inner.pop(rest, None)
    elif not value:
        document.pop(key, None)
    else:
        document[key] = [one.strip() for one in value.split(",")] if _is_list(annotation) else value


def _table(annotation: Any) -> type[BaseModel] | None:
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) in (tuple, frozenset)
