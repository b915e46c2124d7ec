"""What the API's forms are made of: closed models, texts and moments within limits, amounts of money."""

from __future__ import annotations

import difflib
import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from intermodel.accounts.budgets import shown
from intermodel.core import Invalid
from intermodel.ledger.strict import json_object
from intermodel.web.http import parse_object

QUERY_FIELDS = 128
"""Most parameters of one request."""


class Form(BaseModel):
    """A form or an answer of the API: frozen, and closed to fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    several: ClassVar[frozenset[str]] = frozenset()
    """Parameters of a query that may come more than once; their values are lines of one text then."""


Asking = TypeVar("Asking", bound=Form)
Read = TypeVar("Read", bound=BaseModel)
Item = TypeVar("Item")


class NoQuery(Form):
    """For operations that take no parameters."""


class Listing(Form, Generic[Item]):
    """Several, in the order that the operation states."""

    data: list[Item]


class Amount(Form):
    """Money, twice: as an integer for programs, and as the exact decimal for people."""

    nano: int
    """Nano-dollars."""
    dollars: str

    @classmethod
    def of(cls, nano: int) -> Amount:
        return cls(nano=nano, dollars=dollars(nano))


def dollars(nano: int) -> str:
    """Exactly that many nano-dollars, in dollars."""
    return f"-{shown(-nano)}" if nano < 0 else shown(nano)


Line = Annotated[
    str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$")
]
"""One line of text, which is not blank."""


def _moment(given: Any) -> datetime:
    if isinstance(given, str) and re.match(r"\d{4}-\d\d-\d\d($|T)", given):
        when = datetime.fromisoformat(given)
        if when.tzinfo is not None or given == when.date().isoformat():
            return when if when.tzinfo else when.replace(tzinfo=UTC)
    raise ValueError("must be a moment such as 2026-11-20T12:00:00Z, or a day such as 2026-11-20 (UTC)")


Moment = Annotated[
    datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}),
]
"""A moment as RFC 3339 writes it, or a day, which begins at midnight UTC."""


def read_query(form: type[Asking], text: str) -> Asking:
    """The query as a value. Raises `Invalid`, which names the parameter at fault."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS)
    except ValueError:
        raise Invalid("The query cannot be read.", hint=f"Send at most {QUERY_FIELDS} parameters in UTF-8.") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in form.model_fields:
            raise _unknown("query parameter", name, list(form.model_fields))
        if name in given and name in form.several:
            value = f"{given[name]}\n{value}"
        elif name in given:
            raise Invalid(f"The query parameter '{name}' is there twice.", hint="Give it once.", param=name)
        given[name] = value
    try:
        return form.model_validate_strings(given, strict=True)
    except ValidationError as error:
        raise explained(error, form) from None


def read_document(form: type[Read], body: bytes) -> Read:
    """The body, a JSON object, as a value. Raises `Invalid`, whose `param` is the field at fault.

    A key that stands in an object twice is refused: readers of JSON differ in which of the two they take (RFC 8259,
    section 4), and what is told here may be signed.
    """
    parse_object(body)  # says where it is not JSON, or not an object
    json_object(body, "The body")
    try:
        return form.model_validate_json(body, strict=True)
    except ValidationError as error:
        raise explained(error, form) from None


def explained(error: ValidationError, form: type[BaseModel]) -> Invalid:
    """The first mistake, in words."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"] if not str(part).startswith("["))
    if first["type"] == "extra_forbidden":
        known = list(form.model_fields) if len(first["loc"]) == 1 else []
        return _unknown("field", where, known)
    said = "it is missing" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    said = said[0].lower() + said[1:]
    return Invalid(
        f"'{where[:200]}': {said}." if where else f"The body is wrong: {said}.",
        hint="GET /api/v1/openapi.json says what is expected.",
        param=where[:200] or None,
    )


def _unknown(kind: str, name: str, known: list[str]) -> Invalid:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(known)}." if known else "Leave it out."
    return Invalid(f"There is no {kind} '{name[:200]}' here.", hint=hint, param=name[:200], code="unknown_parameter")


def document(model: BaseModel, **more: Any) -> dict[str, Any]:
    """What was given of a model, as JSON holds it."""
    return model.model_dump(mode="json", exclude_unset=True, **more)
