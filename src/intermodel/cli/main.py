"""The command `intermodel`: its verbs, and what happens when one fails."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from intermodel.cli import version
from intermodel.cli.output import EXIT_INTERRUPTED, fail
from intermodel.core import IntermodelError

VERBS = {
    "up": "up", "chat": "chat", "top": "top", "models": "app",
    "show": "show", "search": "search", "verdict": "verdict", "grade": "grade", "card": "app", "bom": "app",
    "records": "app", "ledger": "app", "verify": "verify",
    "deployments": "app", "routes": "app", "budgets": "app", "receipts": "app", "tokens": "app",
    "write": "write",
    "doctor": "doctor", "version": "version",
}  # fmt: skip
"""Verbs, in the order of the help, each in the file of its name; and what of that file it is. A file is imported only
when its verb is asked for: most of the time that a short verb takes would go into what it does not need."""


class _Group(TyperGroup):
    """Errors of the project end in a message, a hint and an exit code instead of a traceback."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            return None
        found = getattr(import_module(f"intermodel.cli.{cmd_name}"), VERBS[cmd_name])
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command()(function)
        found.rich_markup_mode = "markdown"
        command = typer.main.get_command(found)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        os.umask(0o077)  # whatever is made from here on is its owner's alone
        try:
            return super().invoke(ctx)
        except IntermodelError as error:
            sys.exit(fail(error, as_json="--json" in sys.argv))
        except KeyboardInterrupt:
            sys.exit(EXIT_INTERRUPTED)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""**Intermodel**: one address, one API, one record and one policy for every model you can reach.

Start with `intermodel up`, then open the page it prints, or run `intermodel chat` in another terminal.

Exit codes: 0 done · 1 it failed · 2 wrong usage or settings · 3 not found · 4 refused or no valid token ·
5 something is in the way (port or folder in use, disk full) · 6 another server or an engine failed ·
130 interrupted.
""",
)


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=version.print_and_exit, is_eager=True, help="Say which this is.")
    ] = False,
) -> None:
    pass
