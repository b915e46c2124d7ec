"""Reads settings: defaults, then intermodel.toml, then INTERMODEL_* variables, then what the command line gave.

This is the only file of the project that reads the environment.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, get_args
from urllib.parse import unquote

import platformdirs
from pydantic import BaseModel, ValidationError

from intermodel.core import Invalid
from intermodel.settings.calling import Deployment, Route
from intermodel.settings.installed import installed
from intermodel.settings.model import Ledger, SearchAccount, Settings, Telemetry

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
    check_routes(settings.routes, settings.deployments, settings.guards)
    return settings


def keys(deployment: Deployment, name: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The keys that go with a deployment, from its variables, files and the keyring; one empty key where none is set.

    Raises `Invalid` if one of them is missing.
    """
    environ = os.environ if environ is None else environ
    whose = f"deployment '{name}'"
    found = [_variable(variable, whose, environ) for variable in deployment.key_env]
    found += [_file(path, whose) for path in deployment.key_file]
    found += [_keyring(entry, whose) for entry in deployment.key_keyring]
    return tuple(_one_line(key, whose) for key in found) or ("",)


def search_key(account: SearchAccount, name: str, environ: Mapping[str, str] | None = None) -> str:
    """The key of an account for searching, from its file, the keyring or its variable. Raises `Invalid` for none."""
    whose = f"the search '{name}'"
    if account.key_file is not None:
        key = _file(account.key_file, whose)
    elif account.key_keyring:
        key = _keyring(account.key_keyring, whose)
    else:
        then = "and try again; runs of the node's page have the node's variables, so it must be started with it"
        key = _variable(account.key_env, whose, os.environ if environ is None else environ, then)
    if not key.strip():
        raise Invalid(f"The key of {whose} is empty.", hint="Write it there.", code="key_missing")
    return _one_line(key, whose)


def telemetry_headers(telemetry: Telemetry, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The headers for the collector, from their variable. Raises `Invalid` where it is not set or makes no sense."""
    if not telemetry.headers_env:
        return {}
    given = (os.environ if environ is None else environ).get(telemetry.headers_env, "")
    pairs = [pair.partition("=") for pair in given.split(",") if pair.strip()]
    if not pairs or not all(name.strip() and sign for name, sign, _ in pairs):
        raise Invalid(
            f"The variable {telemetry.headers_env} does not hold headers for the telemetry collector.",
            hint=f"export {telemetry.headers_env}='name=value,name=value'",
            code="key_missing",
        )
    return {name.strip(): _one_line(unquote(value), "deployment 'telemetry'") for name, _, value in pairs}


def ledger_passphrase(ledger: Ledger, environ: Mapping[str, str] | None = None) -> str:
    """What encrypts the ledger's key, from its variable; "" where none is named. Raises `Invalid` if it is not set."""
    if not ledger.passphrase_variable:
        return ""
    given = (os.environ if environ is None else environ).get(ledger.passphrase_variable, "")
    if not given:
        raise Invalid(
            f"The variable {ledger.passphrase_variable} does not hold the passphrase of the ledger's key.",
            hint=f"export {ledger.passphrase_variable}=... and start the node again.",
            code="key_missing",
        )
    return given


def _variable(variable: str, whose: str, environ: Mapping[str, str], then: str = "and start the node again") -> str:
    if not environ.get(variable):
        raise Invalid(
            f"{_first(whose)} takes its key from the variable {variable}, which is not set.",
            hint=f"export {variable}=... {then}.",
            code="key_missing",
        )
    return environ[variable]


def _first(text: str) -> str:
    """With a capital, as sentences begin."""
    return text[:1].upper() + text[1:]


def _file(path: Path, whose: str) -> str:
    try:
        return path.expanduser().read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(
            f"The key file of {whose} cannot be read: {error}.",
            hint="Write the key into that file, readable by you alone (chmod 600).",
            code="key_missing",
        ) from None


def _keyring(entry: str, whose: str) -> str:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ModuleNotFoundError:
        raise Invalid(
            f"{_first(whose)} takes its key from the keyring, which needs the package keyring.",
            hint="pip install 'intermodel[keyring]'",
            code="key_missing",
        ) from None
    try:
        key = keyring.get_password("intermodel", entry)
    except KeyringError as error:
        raise Invalid(
            f"The keyring cannot be read: {error}.", hint="Unlock it, or use key_env or key_file.", code="key_missing"
        ) from None
    if key is None:
        raise Invalid(
            f"The keyring holds no key '{entry}' for {whose}.",
            hint=f"Put it there with `keyring set intermodel {entry}`.",
            code="key_missing",
        )
    return str(key)


def _one_line(key: str, whose: str) -> str:
    key = key.strip()
    if not (key.isascii() and key.isprintable()):
        raise Invalid(f"The key of {whose} is not one line of plain characters.", hint="Mend it.")
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
    keys = {variable for table in tables if isinstance(table, dict) for variable in _variables(table.get("key_env"))}
    telemetry = values.get("telemetry")
    keys |= set(_variables(telemetry.get("headers_env"))) if isinstance(telemetry, dict) else set()
    writer = values.get("writer")
    accounts = writer.values() if isinstance(writer, dict) else ()
    keys |= {v for account in accounts if isinstance(account, dict) for v in _variables(account.get("key_env"))}
    for name in environ:
        if name.startswith(PREFIX) and name not in known | keys | {CONFIG}:
            near = difflib.get_close_matches(name.removeprefix(PREFIX), [k.removeprefix(PREFIX) for k in known], n=1)
            raise Invalid(
                f"The variable {name} sets nothing.",
                hint=f"Did you mean {PREFIX}{near[0]}?" if near else "What stands in tables is set in intermodel.toml.",
                code="unknown_setting",
            )


def _variables(given: Any) -> list[str]:
    return [given] if isinstance(given, str) else [v for v in given or () if isinstance(v, str)]


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
            continue  # a name inside [deployments] or [routes]
        kinds = (field.annotation, *get_args(field.annotation))
        table = next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), table)
    return list(table.model_fields)


def check_routes(routes: Mapping[str, Route], deployments: Collection[str], guards: Collection[str]) -> None:
    """Raises `Invalid` for a route that has a deployment's name, lists another route, weighs a stranger, or asks for a
    scorer or guard that is not there."""
    for name, route in routes.items():
        if name in deployments:
            raise Invalid(
                f"'{name}' names both a route and a deployment.", hint="Rename one of them.", code="invalid_setting"
            )
        if nested := [c for c in route.candidates if c in routes]:
            raise Invalid(
                f"Route '{name}' lists the route '{nested[0]}'.",
                hint="List models and deployments; routes do not nest.",
                code="invalid_setting",
            )
        if strange := route.weights.keys() - set(route.candidates):
            raise Invalid(
                f"Route '{name}' has a weight for '{min(strange)}', which is no candidate of it.",
                hint="Add it to 'candidates', or take its weight away.",
                code="invalid_setting",
            )
        if strange := set(route.scorers) - installed("intermodel.scorers").keys():
            raise Invalid(
                f"Route '{name}' asks for the scorer '{min(strange)}', which is not installed.",
                hint="`finished` and `keeps-schema` are.",
                code="invalid_setting",
            )
        if unknown := [guard for guard in route.guards if guard not in guards]:
            raise Invalid(
                f"Route '{name}' asks for the guard '{unknown[0]}', which is not declared.",
                hint=f"Declare it: [guards.{unknown[0]}]",
                code="invalid_setting",
            )
