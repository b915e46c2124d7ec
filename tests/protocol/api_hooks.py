"""For schemathesis: what a JSON schema cannot say about the forms of /api/v1, so that valid data is valid indeed.

Loaded by `st run` (SCHEMATHESIS_HOOKS) in test_api_schema.py.
"""

from __future__ import annotations

from typing import Any

import orjson
import schemathesis
from schemathesis import GenerationMode

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import dsse, statement
from intermodel.ledger.keys import LocalSigner
from intermodel.records.predicates import WHAT
from intermodel.records.record import identity

HERE = "http://127.0.0.1:9/v1"


def _deployment(body: dict[str, Any]) -> None:
    """A server has an address, a provider is one that is installed, keys are on the machine."""
    for field in ("key_env", "key_file", "key_keyring", "price"):
        body.pop(field, None)
    body |= {"base_url": HERE, "provider": "openai"}


def _route(body: dict[str, Any]) -> None:
    """Routes do not nest, weigh their own candidates, and name guards and scorers that are there; money is exact."""
    body["candidates"] = [name for name in body["candidates"] if name != "fast"] or ["echo"]
    for field in ("guards", "scorers"):
        body.pop(field, None)
    body["weights"] = {name: w for name, w in (body.get("weights") or {}).items() if name in body["candidates"]}
    for field in ("price_input", "price_output"):
        (body.get("require") or {}).pop(field, None)


def _budget(body: dict[str, Any]) -> None:
    """It binds one of three."""
    body.pop("user", None)
    body.pop("organisation", None)


def _explain(body: dict[str, Any]) -> None:
    """A chat has a form of its own."""
    if body.get("chat") is not None:
        body["chat"] = {"messages": [{"role": "user", "content": "hi"}]}


def _record(body: dict[str, Any]) -> None:
    """Facts, parts and licences have names that are known."""
    body |= {"what": {"kind": "weights"}, "disclosure": None, "lineage": None, "card": None}


def _statement(body: dict[str, Any]) -> None:
    """The fields of a predicate have a schema of their own."""
    rounds = [{"round": 1, "score": 8}]
    body["said"] = {
        "topic": "A topic", "models": {}, "sources": [], "rounds": rounds, "score": 8, "ending": "accepted",
    }  # fmt: skip


def _signed(body: dict[str, Any]) -> None:
    """It is an envelope; nobody trusts who signed it, which is a refusal and no mistake."""
    said = Statement((Subject("thing", identity("thing")),), WHAT, {"facts": {"parameters": 7}})
    body.clear()
    body |= orjson.loads(dsse.seal(statement.dumped(said, 1.0), [LocalSigner.make()]))


def _run(body: dict[str, Any]) -> None:
    """What looks like the code of a language is one."""
    body["language"] = "de"


_MEND = {
    "POST /api/v1/records": _signed,
    "PUT /api/v1/records/{name}": _record,
    "PUT /api/v1/deployments/{name}": _deployment,
    "PUT /api/v1/routes/{name}": _route,
    "PUT /api/v1/budgets/{name}": _budget,
    "POST /api/v1/explain": _explain,
    "POST /api/v1/ledger/statements": _statement,
    "POST /api/v1/writer/runs": _run,
}


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    mend = _MEND.get(case.operation.label)
    valid = case.meta is not None and case.meta.generation.mode is GenerationMode.POSITIVE
    if mend is not None and valid and isinstance(case.body, dict):
        mend(case.body)
