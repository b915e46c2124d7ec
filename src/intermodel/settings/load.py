"""Reads settings: defaults, then intermodel.toml, then INTERMODEL_* variables, then what the command line gave.

This is the only file of the project that reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import platformdirs
from pydantic import BaseModel, ValidationError

from intermodel.core import Invalid
from intermodel.settings.model import Deployment, Settings

PREFIX = "INTERMODEL_"
CONFIG = "INTERMODEL_CONFIG"
"""Names the settings file, as --config does."""


def default_config() -> Path:
    """`intermodel.toml` in the working folder if there is one, else in the user's configuration folder."""
    here = Path("intermodel.toml")
    return here if here.exists() else Path(platformdirs.user_config_dir("intermodel", appauthor=False)) / here


def load(config: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """The settings in force; `overrides` with the value None are ignored.

    Raises `Invalid` for a file that is missing (if it was named) or malformed, an unknown key or a wrong value.
    """
    environ = os.environ if environ is None else environ
    named = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    path = named or default_config()
    values = _read(path) if named or path.exists() else {}
    values |= _from_environ(environ)
    _check_environ(environ, values)
    values |= {k: v for k, v in overrides.items() if v is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        raise _explained(error, path) from None
    _check_aliases(settings)
    return settings


def key(deployment: Deployment, name: str, environ: Mapping[str, str] | None = None) -> str:
    """The key that goes with a deployment, from its variable or file; empty where none is set.

    Raises `Invalid` if the variable or the file is missing.
    """
    environ = os.environ if environ is None else environ
    if deployment.key_env:
        if not environ.get(deployment.key_env):
            raise Invalid(
                f"Deployment '{name}' takes its key from the variable {deployment.key_env}, which is not set.",
                hint=f"export {deployment.key_env}=... and start the node again.",
            )
        return _one_line(environ[deployment.key_env], name)
    if deployment.key_file:
        try:
            return _one_line(deployment.key_file.expanduser().read_text(), name)
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(
                f"The key file of deployment '{name}' cannot be read: {error}.",
                hint="Write the key into that file, readable by you alone (chmod 600).",
            ) from None
    return ""


def _one_line(key: str, name: str) -> str:
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise Invalid(f"The key of deployment '{name}' is not one line of plain characters.", hint="Mend it.")
    return key


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise Invalid(
            f"The settings file cannot be read: {error.strerror}: {path}.",
            hint="Name another with --config, or leave it out.",
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not valid TOML: {error}.", hint="Mend that line and try again.") from None


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    """INTERMODEL_PORT and its like; tables and lists are set in the file."""
    names = {PREFIX + name.upper(): name for name, field in Settings.model_fields.items() if _plain(field.annotation)}
    return {field: environ[name] for name, field in names.items() if environ.get(name)}


def _check_environ(environ: Mapping[str, str], values: dict[str, Any]) -> None:
    """Raises `Invalid` for an INTERMODEL_* variable that nobody reads."""
    known = {PREFIX + name.upper() for name, field in Settings.model_fields.items() if _plain(field.annotation)}
    deployments = values.get("deployments")
    tables = deployments.values() if isinstance(deployments, dict) else ()
    keys = {table.get("key_env") for table in tables if isinstance(table, dict)}
    for name in environ:
        if name.startswith(PREFIX) and name not in known | keys | {CONFIG}:
            near = difflib.get_close_matches(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known], n=1)
            raise Invalid(
                f"The variable {name} sets nothing.",
                hint=f"Did you mean {PREFIX}{near[0]}?" if near else "What stands in tables is set in intermodel.toml.",
                code="unknown_setting",
            )


def _plain(annotation: Any) -> bool:
    kinds = get_args(annotation) or (annotation,)
    return not any(getattr(k, "__origin__", k) in (dict, tuple) or _is_table(k) for k in (annotation, *kinds)) and (
        getattr(annotation, "__origin__", None) not in (dict, tuple)
    )


def _is_table(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _explained(error: ValidationError, path: Path) -> Invalid:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), _known(first["loc"][:-1]), n=1)
        hint = f"Did you mean '{near[0]}'?" if near else "docs/settings.md lists what can be set."
        return Invalid(f"Unknown setting '{where}' in {path}.", hint=hint, code="unknown_setting")
    said = first["msg"].removeprefix("Value error, ")
    return Invalid(
        f"Setting '{where}' is wrong: {said}." if where else f"{path}: {said}.",
        hint="docs/settings.md says what is expected.",
        code="invalid_setting",
    )


def _known(loc: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at `loc`."""
    table: type[BaseModel] = Settings
    for part in loc:
        field = table.model_fields.get(str(part))
        if field is None:
            continue  # a name inside [deployments] or [aliases]
        kinds = (field.annotation, *get_args(field.annotation))
        table = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), table)
    return list(table.model_fields)


def _check_aliases(settings: Settings) -> None:
    for name, alias in settings.aliases.items():
        if name in settings.deployments:
            raise Invalid(
                f"'{name}' names both an alias and a deployment.", hint="Rename one of them.", code="invalid_setting"
            )
        nested = [c for c in alias.candidates if c in settings.aliases]
        if nested:
            raise Invalid(
                f"Alias '{name}' lists the alias '{nested[0]}'.",
                hint="List models and deployments; aliases do not nest.",
                code="invalid_setting",
            )
