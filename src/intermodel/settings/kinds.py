"""Kinds of values that settings have, and the table that all of them are made of."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$"
"""An address on this node (`owner/name`) or a bare name: letters, digits, dot, dash, underscore."""

TIER = r"^[a-z0-9][a-z0-9_+-]{0,31}$"
"""A service tier, a speed or a place of inference, as vendors name them; several are joined by `+`."""

TOKEN_LENGTH = 12
"""Fewer characters than this could be guessed."""

Name = Annotated[str, Field(pattern=NAME, max_length=200)]


def base_url_of(text: str) -> str:
    """An http(s) address without user, query or fragment; no trailing slash."""
    parts = urlsplit(text)
    try:
        _ = parts.port
        (parts.hostname or "").encode("idna")
    except ValueError:
        raise ValueError("must have a valid host and a port up to 65535") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address such as https://api.example.com/v1")
    if parts.username or parts.password:
        raise ValueError("must not hold a user or password; put the key in 'key_env' or 'key_file'")
    if parts.query or parts.fragment:
        raise ValueError("must not hold a query or fragment")
    return text.rstrip("/")


def redis_url_of(text: SecretStr) -> SecretStr:
    if urlsplit(text.get_secret_value()).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must be a redis://, rediss:// or unix:// address")
    return text


def host_name(text: str) -> str:
    """As it is compared with the Host header: in small letters."""
    if ":" in text or "/" in text:
        raise ValueError(f"'{text}' must be a bare host name, without port or path")
    return text.lower()


def _vkey(text: str) -> str:
    if not re.fullmatch(r"[^\s+]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", text):
        raise ValueError("must be a key in the form name+id+base64, as `intermodel ledger keys` shows it")
    return text


def long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value().strip()) < TOKEN_LENGTH:
        raise ValueError(f"must have at least {TOKEN_LENGTH} characters; `openssl rand -hex 32` makes a good one")
    return token


def _several(value: Any) -> Any:
    """One where several may stand."""
    if isinstance(value, str | Path):
        return (value,) if value else ()
    return tuple(value) if isinstance(value, list) else value or ()


def _whole(value: Any) -> Any:
    """JSON does not tell 2.0 from 2."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_SEVERAL = Field(max_length=32)
Names = Annotated[tuple[Annotated[str, Field(min_length=1, max_length=200)], ...], _SEVERAL, BeforeValidator(_several)]
Paths = Annotated[tuple[Path, ...], _SEVERAL, BeforeValidator(_several)]
BaseUrl = Annotated[str, AfterValidator(base_url_of)]
Vkey = Annotated[str, AfterValidator(_vkey)]
"""A key under a name, as C2SP signed-note writes it; that its parts belong together is seen when it is read."""
Vkeys = Annotated[tuple[Vkey, ...], Field(max_length=256), BeforeValidator(_several)]
WHOLE = BeforeValidator(_whole)
Count = Annotated[int, Field(ge=1, le=10**12), WHOLE]
Seconds = Annotated[float, Field(gt=0, le=7 * 24 * 3600)]
Money = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=9)]
"""US dollars."""

Ability = Literal[
    "chat", "completion", "embedding", "tools", "json_schema", "vision", "logprobs", "rerank", "transcription",
    "speech", "image", "continues",
]  # fmt: skip
"""Words for what a model can do; `core.Capability` says what each means."""


class Table(BaseModel):
    """A table of intermodel.toml: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
