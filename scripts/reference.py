"""Writes settings.md, cli.md and record/known-licences.md in docs from the code.

With --check it only says whether they are up to date.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer.cli import get_docs_for_click

from intermodel.cli import app
from intermodel.records.licences import LICENCES
from intermodel.settings import (
    Brave,
    Budget,
    Cache,
    Constraints,
    Cosigner,
    Deployment,
    Engines,
    Followed,
    GuardTable,
    Ledger,
    Limits,
    Price,
    Rate,
    RateLimit,
    Receipts,
    Records,
    Route,
    SearXNG,
    Settings,
    Tavily,
    Telemetry,
    TierPrice,
    Writer,
)

DOCS = Path(__file__).resolve().parents[1] / "docs"

_HEAD = """# Settings

Read from `intermodel.toml` (in the working folder, else in your configuration folder, or named with `--config`),
then from variables (`INTERMODEL_PORT` and its like, for what stands at the top of the file; `INTERMODEL_CONFIG` names
the file), then from the command line; the later wins. An unknown key or `INTERMODEL_*` variable is an error.
This page is written from the code: `make docs`.
"""

_LICENCES = """# Licences that are known

Those of which the node knows what they say ([licences](licences.md)). A record may name them by the id, the name,
the SPDX identifier, or in an SPDX expression; case does not matter. Known by name alone, as they name no text: {tags}.
Any other name is kept as it was written, counts as unknown, and whoever records it is warned.
`intermodel verdict --licences` prints the same table. This page is written from the code: `make docs`.

| id | name | kind | SPDX |
| --- | --- | --- | --- |"""

_TABLES: list[tuple[str, type[BaseModel]]] = [
    ("Top of the file", Settings),
    ("`[limits]`", Limits),
    ("`[engines]`", Engines),
    ("`[receipts]`", Receipts),
    ("`[cache]`", Cache),
    ("`[ledger]`", Ledger),
    ("`[[ledger.witnesses]]`", Cosigner),
    ("`[[ledger.watch]]`", Followed),
    ("`[records]`", Records),
    ("`[telemetry]`", Telemetry),
    ("`[deployments.NAME]`", Deployment),
    ("`[deployments.NAME.price]`", Price),
    ("`[deployments.NAME.price.tiers.TIER]`", TierPrice),
    ("`[deployments.NAME.rate]`", Rate),
    ("`[routes.NAME]`", Route),
    ("`[routes.NAME.require]`", Constraints),
    ("`[budgets.NAME]`", Budget),
    ("`[rate_limits.NAME]`", RateLimit),
    ("`[guards.NAME]`", GuardTable),
    ("`[writer]`", Writer),
    ("`[writer.searxng]`", SearXNG),
    ("`[writer.brave]`", Brave),
    ("`[writer.tavily]`", Tavily),
]


def settings_page() -> str:
    """docs/settings.md."""
    parts = [_HEAD]
    for title, table in _TABLES:
        parts.append(f"## {title}\n\n| setting | type | default | what it does |\n| --- | --- | --- | --- |")
        parts.append("\n".join(_row(name, field) for name, field in table.model_fields.items() if not _nested(field)))
        parts.append("")
    return "\n".join(parts)


def cli_page() -> str:
    """docs/cli.md."""
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="intermodel", title="Command line")
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def licences_page() -> str:
    """docs/record/known-licences.md."""
    rows = [f"| `{one.id}` | {one.name} | {one.kind} | {one.spdx or ''} |" for one in LICENCES.values() if one.known]
    tags = ", ".join(f"`{one.id}`" for one in LICENCES.values() if not one.known)
    return "\n".join([_LICENCES.format(tags=tags), *rows, ""])


def _nested(field: FieldInfo) -> bool:
    kinds = (field.annotation, *get_args(field.annotation))
    return any(isinstance(k, type) and issubclass(k, BaseModel) for k in kinds)


def _row(name: str, field: FieldInfo) -> str:
    says = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{name}` | {_type(field.annotation)} | {_default(name, field)} | {says} |"


def _default(name: str, field: FieldInfo) -> str:
    if name == "data":
        return "your data folder, such as `~/.local/share/intermodel`"
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, tuple) and default:
        return ", ".join(f"`{one}`" for one in default)
    return "none" if default in (None, "", (), frozenset(), {}) else f"`{default}`".replace("True", "true")


def _type(annotation: Any) -> str:
    origin, inner = get_origin(annotation), [a for a in get_args(annotation) if a is not type(None)]
    if origin in (Union, types.UnionType, Annotated):
        return _type(inner[0])
    if origin in (tuple, frozenset):
        of = _type(inner[0])
        return f"list of {of}" if of.startswith("`") else f"list of {of}s"
    if inner and all(isinstance(a, str) for a in inner):
        return " or ".join(f"`{a}`" for a in inner)
    return {"int": "integer", "float": "number", "bool": "true or false", "Path": "path", "SecretStr": "text"}.get(
        getattr(annotation, "__name__", ""), "text"
    )


def main() -> int:
    pages = {
        DOCS / "settings.md": settings_page(),
        DOCS / "cli.md": cli_page(),
        DOCS / "record/known-licences.md": licences_page(),
    }
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} is not what the code says: run `make docs`.")
        return bool(stale)
    for path, text in pages.items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
