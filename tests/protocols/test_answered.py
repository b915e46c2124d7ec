"""What a node answers is read back as the error that it was."""

from __future__ import annotations

import orjson
import pytest

from intermodel.core import (
    Fault,
    IntermodelError,
    Invalid,
    Limited,
    NotFound,
    OverBudget,
    Unavailable,
    Upstream,
)
from intermodel.core.errors import MethodNotAllowed, TooLarge
from intermodel.protocols.answered import error_of
from intermodel.web.errors import STATUS, openai_body, status_of


def read_back(error: IntermodelError) -> IntermodelError:
    return error_of(status_of(error), orjson.dumps(openai_body(error)))


@pytest.mark.parametrize("kind", [kind for kind in STATUS if kind not in (MethodNotAllowed, Limited)])
def test_every_error_comes_back(kind: type[IntermodelError]) -> None:
    told = read_back(kind("It is so.", hint="Do that.", code="the_code", param="field"))
    assert (type(told), told.code, told.param, str(told)) == (kind, "the_code", "field", "It is so. Do that.")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MethodNotAllowed("No.", allow="GET"), Invalid),
        (Limited("Later.", retry_after_s=1), Unavailable),
        (Upstream("Too long.", fault=Fault.TOO_LONG, status=413, code="context_length_exceeded"), TooLarge),
        (Upstream("Wrong.", fault=Fault.WRONG, status=422), Invalid),
        (Upstream("Slow.", code="upstream_timeout"), Upstream),
        (OverBudget("No price.", code="unpriced_model"), OverBudget),
    ],
)
def test_what_has_no_status_of_its_own_comes_back_as_what_it_means(
    error: IntermodelError, kind: type[IntermodelError]
) -> None:
    told = read_back(error)
    assert (type(told), told.code) == (kind, error.code)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": null}', b'{"error": {}}'])
def test_what_cannot_be_read_is_told_by_its_status(body: bytes) -> None:
    told = error_of(404, body)
    assert (type(told), told.message) == (NotFound, "The node answered 404, and nothing that can be read.")


def test_a_code_says_more_than_a_status() -> None:
    assert type(error_of(400, b'{"error": {"message": "x", "code": "model_not_found"}}')) is NotFound
    assert type(error_of(500, b'{"error": {"message": "x", "code": 7, "param": 7}}')) is IntermodelError
