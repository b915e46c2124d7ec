"""The command `intermodel`: its verbs, and what happens when one fails."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from intermodel.cli import budgets, chat, deployments, doctor, models, receipts, routes, tokens, top, up, version
from intermodel.cli.output import EXIT_INTERRUPTED, fail
from intermodel.core import IntermodelError


class _Group(TyperGroup):
    """Errors of the project end in a message, a hint and an exit code instead of a traceback."""

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


app.command()(up.up)
app.command()(chat.chat)
app.command()(top.top)
app.add_typer(models.app, name="models")
app.add_typer(deployments.app, name="deployments")
app.add_typer(routes.app, name="routes")
app.add_typer(budgets.app, name="budgets")
app.add_typer(receipts.app, name="receipts")
app.add_typer(tokens.app, name="tokens")
app.command()(doctor.doctor)
app.command()(version.version)
