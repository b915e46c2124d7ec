"""Reading the forms of pages."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request

from intermodel.core import Invalid
from intermodel.web.http import header, read_body

MOST_FIELDS = 64


class Form:
    """A submitted form: texts by name, the empty ones left out."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def text(self, name: str) -> str:
        """The field's text, "" if it was left empty."""
        return self.texts(name)[0] if self.texts(name) else ""

    def texts(self, name: str) -> list[str]:
        """Of a name that several fields share."""
        return self._fields.get(name, [])


async def read_form(request: Request, limit: int) -> Form:
    """The form in the body of at most `limit` bytes. Raises `Invalid` for anything else, `TooLarge`."""
    kind = header(request.scope, b"content-type").partition(b";")[0].strip().lower()
    if kind != b"application/x-www-form-urlencoded":
        raise Invalid("This page takes a form.", hint="Send it as application/x-www-form-urlencoded.")
    body = await read_body(request.scope, request.receive, limit)
    try:
        return Form(parse_qs(body.decode(), strict_parsing=bool(body), errors="strict", max_num_fields=MOST_FIELDS))
    except ValueError:
        raise Invalid("The form cannot be read.", hint="Load the page again.") from None
