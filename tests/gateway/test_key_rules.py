"""Which keys a deployment may use that is declared while the node runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intermodel.core import Refused
from intermodel.gateway.key_rules import admitted
from intermodel.settings import Deployment

VENDOR, OTHER = "https://api.vendor.example/v1", "https://evil.example/v1"
DECLARED = {
    "vendor": Deployment(base_url=VENDOR, key_env="VENDOR_API_KEY", key_keyring="vendor"),
    "claude": Deployment(provider="anthropic", key_env="ANTHROPIC_API_KEY"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    keys = tmp_path / "keys"
    keys.mkdir()
    (keys / "good").write_text("k")
    (tmp_path / "secret").write_text("never")
    (keys / "leads-out").symlink_to(tmp_path / "secret")
    (keys / "leads-in").symlink_to(keys / "good")
    return keys


def admit(folder: Path, **given: Any) -> Deployment:
    return admitted(deployment(**given), DECLARED, ("*_API_KEY", "MY_*"), folder)


def deployment(**given: Any) -> Deployment:
    where = {} if "provider" in given else {"base_url": OTHER}
    return Deployment(**(where | given))


@pytest.mark.parametrize(
    ("given", "param", "says"),
    [
        ({"key_env": "PATH"}, "key_env", "key_variables"),
        ({"key_env": "AWS_SECRET_ACCESS_KEY"}, "key_env", "key_variables"),
        ({"key_env": "INTERMODEL_TOKEN"}, "key_env", "INTERMODEL_TOKEN"),
        ({"key_env": "INTERMODEL_API_KEY"}, "key_env", "INTERMODEL_API_KEY"),
        ({"key_env": "intermodel_api_key"}, "key_env", "intermodel_api_key"),
        ({"key_env": ["GOOD_API_KEY", "HOME"]}, "key_env", "'HOME'"),
        ({"key_file": "/etc/passwd"}, "key_file", "does not lie in"),
        ({"key_file": "../secret"}, "key_file", "does not lie in"),
        ({"key_file": "leads-out"}, "key_file", "does not lie in"),
        ({"key_file": "."}, "key_file", "does not lie in"),
        ({"key_file": "~/../../secret"}, "key_file", "does not lie in"),
        ({"script": "/etc/passwd"}, "script", "intermodel.toml alone"),
        ({"key_env": "VENDOR_API_KEY"}, "key_env", f"belongs to {VENDOR}"),
        ({"key_keyring": "vendor"}, "key_keyring", f"belongs to {VENDOR}"),
        ({"key_env": "ANTHROPIC_API_KEY"}, "key_env", "belongs to anthropic"),
        ({"key_env": "VENDOR_API_KEY", "base_url": "http://api.vendor.example/v1"}, "key_env", "no other server"),
        ({"key_env": "VENDOR_API_KEY", "base_url": "https://api.vendor.example:444/v1"}, "key_env", "no other server"),
    ],
)
def test_what_is_refused(folder: Path, given: dict[str, Any], param: str, says: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(folder, **given)
    assert (refused.value.code, refused.value.param) == ("key_refused", param)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"key_env": "NEW_API_KEY"},
        {"key_env": "MY_OWN"},
        {"key_keyring": "another"},
        {"key_env": "VENDOR_API_KEY", "base_url": "https://api.vendor.example/v2"},
        {"key_env": "VENDOR_API_KEY", "base_url": "https://API.vendor.example:443/v1"},
        {"key_env": "ANTHROPIC_API_KEY", "provider": "anthropic"},
    ],
)
def test_what_is_admitted(folder: Path, given: dict[str, Any]) -> None:
    assert admit(folder, **given) == deployment(**given)


def test_a_key_file_is_written_out_in_full(folder: Path) -> None:
    assert admit(folder, key_file=["good", "leads-in"]).key_file == (folder / "good", folder / "good")
    assert admit(folder, key_file=folder / "good").key_file == (folder / "good",)
