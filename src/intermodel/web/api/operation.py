"""One operation of the API, as it is both served and described; and the door at its path."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from intermodel.core.errors import MethodNotAllowed
from intermodel.governance import Caller
from intermodel.web.api.forms import Form, NoQuery, read_document, read_query
from intermodel.web.auth import Auth
from intermodel.web.http import Receive, Scope, Send, read_body, respond

PREFIX = "/api/v1"
BODY_BYTES = 64 * 1024
"""Largest body that an operation takes, unless it says otherwise."""
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]

NOBODY = Caller("", "")
"""Who asks for what needs no token."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read and checked: `name` is what its path names, `query` and `body` are the operation's forms.

    `raw` is the body as it came, for what is to be kept to the byte.
    """

    caller: Caller
    name: str
    query: Any
    body: Any
    request_id: str
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Made:
    """The answer of a PUT or POST after which something is there that was not."""

    answer: BaseModel


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer whose bytes are given out as they are."""

    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method at one path below `PREFIX`. Its summary is the docstring of `does`.

    `answers` is the form of its answer (None: 204, without a body), `takes` that of its body. `makes` says that it may
    answer 201, `misses` that it may answer 404, `clashes` 409; `most` is the largest body that it takes.
    """

    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    does: Callable[[Asked], Awaitable[Any]]
    answers: type[BaseModel] | None = None
    query: type[Form] = NoQuery
    takes: type[BaseModel] | None = None
    who: Literal["anyone", "caller", "admin"] = "caller"
    makes: bool = False
    misses: bool = False
    clashes: bool = False
    most: int = BODY_BYTES

    @property
    def id(self) -> str:
        """`deployments.put`."""
        return f"{self.tag}.{self.does.__name__}"

    @property
    def tag(self) -> str:
        return self.path.split("/")[1].partition(".")[0]

    @property
    def parameter(self) -> str | None:
        """What its path names."""
        found = re.search(r"{(\w+)}", self.path)
        return found[1] if found else None


class Endpoint:
    """All operations at one path."""

    def __init__(self, operations: Sequence[Operation], auth: Auth) -> None:
        self._operations: dict[str, Operation] = {operation.method: operation for operation in operations}
        self._auth = auth

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self._operations.get(method)
        if operation is None:
            allow = ", ".join(self._operations)
            raise MethodNotAllowed(f"{scope['path'][:200]} takes {allow}, not {scope['method'][:20]}.", allow=allow)
        caller = await self._caller(operation, scope)
        query = read_query(operation.query, scope["query_string"].decode("latin-1"))
        body = await read_body(scope, receive, operation.most) if operation.takes else b""
        read = read_document(operation.takes, body) if operation.takes else None
        name = next(iter(scope["path_params"].values()), "")
        answer = await operation.does(Asked(caller, name, query, read, scope["request_id"], body))
        if answer is None:
            await send({"type": "http.response.start", "status": 204, "headers": list(_HEADERS)})
            await send({"type": "http.response.body", "body": b""})
        elif isinstance(answer, Raw):
            await respond(send, 200, answer.body, answer.media_type.encode(), _HEADERS)
        elif isinstance(answer, Made):
            await respond(send, 201, _dumped(answer.answer), b"application/json", _HEADERS)
        else:
            await respond(send, 200, _dumped(answer), b"application/json", _HEADERS)

    async def _caller(self, operation: Operation, scope: Scope) -> Caller:
        if operation.who == "anyone":
            return NOBODY
        caller = await (self._auth.admin if operation.who == "admin" else self._auth.caller)(scope)
        scope["caller"] = caller.token_id
        return caller


def _dumped(answer: BaseModel | dict[str, Any]) -> bytes:
    return answer.model_dump_json().encode() if isinstance(answer, BaseModel) else orjson.dumps(answer)
