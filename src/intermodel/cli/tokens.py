"""`intermodel tokens`: who may call this node."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from intermodel.cli.local import tokens_of
from intermodel.cli.output import Config, Data, Json, cell, err, out, print_json, read_settings, run
from intermodel.core import Invalid
from intermodel.governance import Token
from intermodel.settings import Settings

app = typer.Typer(help="Make, list and revoke tokens. A running node notices within two seconds.")

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def lifetime(text: str | None) -> timedelta | None:
    """`90m`, `12h`, `30d`. Raises `Invalid`."""
    if text is None:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5})([mhd])", text)
    if not match:
        raise Invalid(f"'{text}' is not a length of time.", hint="Write 90m, 12h or 30d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


@app.callback(invoke_without_command=True)
def show(context: typer.Context, data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the tokens of this node.

    Example: `intermodel tokens`
    """
    if context.invoked_subcommand is None:
        _show(read_settings(data, config), as_json=as_json)


@app.command("list")
def list_(data: Data = None, config: Config = None, as_json: Json = False) -> None:
    """List the tokens of this node, ended ones too.

    Example: `intermodel tokens list --json`
    """
    _show(read_settings(data, config), as_json=as_json)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What it is for; shown in lists.")],
    expires: Annotated[str | None, typer.Option(help="Ends after 90m, 12h or 30d.", show_default="never")] = None,
    user: Annotated[str, typer.Option(help="Whose it is: budgets and limits may name them.", show_default=False)] = "",
    organisation: Annotated[str, typer.Option(help="The organisation it belongs to.", show_default=False)] = "",
    admin: Annotated[bool, typer.Option("--admin", help="It may change the node, and see everybody's calls.")] = False,
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it, this once.

    Examples:

        intermodel tokens create "billing app" --expires 30d

        intermodel tokens create anna --user anna --organisation acme

        intermodel tokens create operations --admin
    """
    settings, lasts = read_settings(data, config), lifetime(expires)
    if not name.strip():
        raise Invalid("The name is empty.", hint="Say what the token is for: it is how lists show it.")

    async def work() -> tuple[Token, str]:
        async with tokens_of(settings) as tokens:
            return await tokens.create(name, lasts=lasts, user=user, organisation=organisation, admin=admin)

    token, text = run(work())
    if as_json:
        print_json(_as_dict(token) | {"token": text})
    else:
        out.print(text, style="bold yellow", soft_wrap=True)
        err.print("Shown this once, and kept only as a hash: store it now.", style="dim")


@app.command()
def revoke(
    which: Annotated[str, typer.Argument(help="Id or name.")],
    data: Data = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """End a token. A running node refuses it within two seconds.

    Example: `intermodel tokens revoke 4f2a90c1d3e5`
    """
    settings = read_settings(data, config)

    async def work() -> Token:
        async with tokens_of(settings) as tokens:
            return await tokens.revoke(which)

    token = run(work())
    if as_json:
        print_json({"id": token.id, "name": token.name, "revoked": True})
    else:
        out.print(cell(f"Revoked {token.id} ({token.name})."))


def _show(settings: Settings, *, as_json: bool) -> None:
    async def work() -> list[Token]:
        async with tokens_of(settings) as tokens:
            return await tokens.all()

    listed, now = run(work()), datetime.now(UTC)
    if as_json:
        print_json([_as_dict(token) for token in listed])
        return
    table = Table("id", "name", "user", "organisation", "made", "ends", "state", box=None)
    for t in listed:
        state = "[green]valid[/]" if t.valid(now) else "[dim]revoked[/]" if t.revoked else "[dim]ended[/]"
        table.add_row(
            t.id,
            cell(t.name),
            cell(t.user),
            cell(t.organisation),
            f"{t.created:%Y-%m-%d %H:%M}",
            f"{t.expires:%Y-%m-%d %H:%M}" if t.expires else "",
            f"{state}, admin" if t.admin else state,
        )
    out.print(table if listed else "No tokens yet: `intermodel up` makes the first.")


def _as_dict(token: Token) -> dict[str, object]:
    names = ("id", "name", "created", "expires", "revoked", "user", "organisation", "admin")
    return {name: getattr(token, name) for name in names}
