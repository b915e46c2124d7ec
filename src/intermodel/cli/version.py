"""`intermodel version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as installed

import typer

from intermodel import __version__
from intermodel.cli.output import Json, out, print_json


def print_and_exit(wanted: bool) -> None:
    """For the option `--version`."""
    if wanted:
        out.print(__version__)
        raise typer.Exit


def version(as_json: Json = False) -> None:
    """Say which Intermodel, llama.cpp wheel and Python this is.

    Example: `intermodel version --json`
    """
    facts = {
        "intermodel": __version__,
        "xllamacpp": installed("xllamacpp"),
        "python": platform.python_version(),
        "platform": platform.platform(),
    }
    if as_json:
        print_json(facts)
    else:
        out.print(f"intermodel {__version__} (xllamacpp {facts['xllamacpp']}, Python {facts['python']})")
