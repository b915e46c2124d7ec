"""Which keys a deployment may use that is declared while the node runs: a pure decision.

Whoever holds an admin token could otherwise have any file or variable of the machine sent to a server of their choice.
What stands in intermodel.toml was written by someone who can read those anyway; what comes over HTTP was not. The
registry asks at its one door, so that no way in can forget to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

from intermodel.core import Refused
from intermodel.settings import Deployment

OWN = "INTERMODEL_"
"""How the node's own variables begin, of which none is a server's key."""

Origin = tuple[str, str | None, int | None]


def admitted(
    deployment: Deployment, declared: Mapping[str, Deployment], variables: Sequence[str], folder: Path
) -> Deployment:
    """The deployment with its key files written out in full. Raises `Refused` for a key that it may not use.

    `declared` are the deployments of the settings file, `variables` the patterns of `key_variables`, `folder` is where
    key files must lie.
    """
    if deployment.script is not None:
        raise _refused("script", "A script is set in intermodel.toml alone: it names a file of this machine.", "")
    for variable in deployment.key_env:
        if variable.upper().startswith(OWN) or not any(fnmatchcase(variable, allowed) for allowed in variables):
            raise _refused(
                "key_env",
                f"The variable '{variable}' is not one from which a deployment may take its key while the node runs.",
                f"'key_variables' in intermodel.toml names them: {', '.join(variables) or 'none'}.",
            )
    admitted = deployment.model_copy(update={"key_file": tuple(_inside(path, folder) for path in deployment.key_file)})
    _check_origins(admitted, declared.values())
    return admitted


def _inside(path: Path, folder: Path) -> Path:
    """The file itself, wherever links lead."""
    resolved = (folder / path).resolve()
    if not resolved.is_relative_to(folder.resolve()) or resolved == folder.resolve():
        raise _refused(
            "key_file",
            f"'{path}' does not lie in {folder}, the folder of the keys that may be used while the node runs.",
            "Put the key there (chmod 600), and give the file's name alone.",
        )
    return resolved


def _check_origins(deployment: Deployment, declared: Iterable[Deployment]) -> None:
    """A key that the settings file gives to a server goes to no other server."""
    mine, origin = _keys(deployment), _origin(deployment)
    for other in declared:
        if (shared := mine & _keys(other)) and _origin(other) != origin:
            kind, name = min(shared)
            raise _refused(
                kind,
                f"The key '{name}' belongs to {other.base_url or other.provider}, as intermodel.toml says, and goes to "
                "no other server.",
                "Use a key of that server's own.",
            )


def _keys(deployment: Deployment) -> set[tuple[str, str]]:
    files = {("key_file", str(path.expanduser().resolve())) for path in deployment.key_file}
    named = {("key_env", name) for name in deployment.key_env}
    return files | named | {("key_keyring", name) for name in deployment.key_keyring}


def _origin(deployment: Deployment) -> Origin:
    """Scheme, host and port; a vendor's own where no address is given."""
    if not deployment.base_url:
        return deployment.provider, None, None
    parts = urlsplit(deployment.base_url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}[parts.scheme]


def _refused(param: str, message: str, hint: str) -> Refused:
    return Refused(message, hint=hint, code="key_refused", param=param)
