"""The OpenAPI document (3.1), from the table of operations and the JSON schemas of their pydantic models."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from intermodel import __version__
from intermodel.settings import NAME
from intermodel.web.api.forms import Form
from intermodel.web.api.operation import PREFIX, Operation
from intermodel.web.api.receipts import TOKEN
from intermodel.writer.listed import ID as RUN

_ABOUT = """What a node can call, what it may spend and what it did.

Everything needs a bearer token; changes need one that was made with `--admin`, and a token that was not sees only what
is its own. Pages that are signed in may call it too."""

_NAMED = "`NAME` or `owner/NAME`; the slash may be written as it is, or as %2F."
_NAME = {"type": "string", "pattern": NAME, "maxLength": 200}
_IN_PATH: dict[str, tuple[str, dict[str, Any]]] = {
    "receipts": ("A receipt's id.", {"type": "string", "pattern": "^[0-9A-HJKMNP-TV-Z]{26}$"}),
    "ledger": ("Number of an entry.", {"type": "string", "pattern": "^(0|[1-9][0-9]{0,17})$"}),
    "tokens": ("A token's id.", {"type": "string", "pattern": TOKEN}),
    "writer": ("A run's id.", {"type": "string", "pattern": f"^{RUN.pattern}$"}),
}
"""What stands in the path of those that are not named by `_NAME`."""

_STATUS = {
    400: "The request is wrong; `param` names the field.",
    401: "No token, or one that this node does not know.",
    403: "The token may not do this.",
    404: "There is nothing of that name.",
    405: "Another method is wanted.",
    409: "Something is in the way: a name that is taken, a table of the settings file.",
    413: "The body is too large.",
    503: "The node cannot do it now.",
}


class Fault(BaseModel):
    """What went wrong. More may be told besides: a receipt, the attempts."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)

    message: str
    """What happened and what to do."""
    type: str
    param: str | None
    """The field or parameter at fault."""
    code: str
    """A stable word for programs."""


class Error(Form):
    """An error, in OpenAI's shape."""

    error: Fault


def openapi(operations: Iterable[Operation]) -> dict[str, Any]:
    """The whole document."""
    table = list(operations)
    schemas, definitions = _schemas(table)
    paths: dict[str, Any] = {}
    for operation in table:
        paths.setdefault(PREFIX + operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Intermodel", "version": __version__, "description": _ABOUT},
        "paths": paths,
        "components": {
            "schemas": definitions,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "A token of this node."}},
        },
        "security": [{"token": []}],
    }


_Key = tuple[type[BaseModel], JsonSchemaMode]


def _schemas(table: list[Operation]) -> tuple[dict[_Key, Any], dict[str, Any]]:
    """The schema of every form and answer, and the definitions that they refer to."""
    wanted: dict[_Key, None] = {(Error, "serialization"): None}
    for operation in table:
        if operation.takes:
            wanted[operation.takes, "validation"] = None
        if operation.answers:
            wanted[operation.answers, "serialization"] = None
    pairs: list[Any] = list(wanted)
    schemas, definitions = models_json_schema(pairs, ref_template="#/components/schemas/{model}")
    return {pair: schemas[pair] for pair in pairs}, definitions.get("$defs", {})


def _described(operation: Operation, schemas: dict[_Key, Any]) -> dict[str, Any]:
    said = " ".join((operation.does.__doc__ or "").split())
    summary, _, more = said.partition(". ")
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": summary.rstrip("."),
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    needs = "Needs an admin token." if operation.who == "admin" else ""
    if description := " ".join(filter(None, (more, needs))):
        described["description"] = description
    if operation.takes:
        content = {"application/json": {"schema": schemas[operation.takes, "validation"]}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.who == "anyone":
        described["security"] = []
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if operation.parameter:
        said, schema = _IN_PATH.get(operation.tag, (_NAMED, _NAME))
        place = {"name": operation.parameter, "in": "path", "required": True}
        found.append(place | {"description": said, "schema": schema})
    query = operation.query.model_json_schema()
    for name, schema in query.get("properties", {}).items():
        said = schema.pop("description", "")
        required = name in query.get("required", ())
        found.append({"name": name, "in": "query", "required": required, "description": said, "schema": schema})
    return found


def _responses(operation: Operation, schemas: dict[_Key, Any]) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    if operation.answers is None:
        responses["204"] = {"description": "Done."}
    else:
        content = {"application/json": {"schema": schemas[operation.answers, "serialization"]}}
        said = " ".join((operation.answers.__doc__ or "Done.").split())
        if operation.method != "POST" or not operation.makes:
            responses["200"] = {"description": said, "content": content}
        if operation.makes:
            responses["201"] = {"description": said, "content": content}
    error = {"application/json": {"schema": schemas[Error, "serialization"]}}
    for status in _failures(operation):
        responses[str(status)] = {"description": _STATUS[status], "content": error}
    return responses


def _failures(operation: Operation) -> list[int]:
    failures = {400, 405}
    if operation.who != "anyone":
        failures |= {401, 403, 503}
    if operation.misses or operation.parameter:
        failures.add(404)
    if operation.clashes:
        failures.add(409)
    if operation.takes:
        failures.add(413)
    return sorted(failures)


def path_in_starlette(path: str) -> str:
    """The path as the router writes it: names may hold a slash."""
    return PREFIX + re.sub(r"{name}", "{name:path}", path)
