"""What can be set, with its default and what it does. docs/settings.md is written from this file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)?$"
"""An address on this node (`owner/name`) or a bare name: letters, digits, dot, dash, underscore."""

TOKEN_LENGTH = 12
"""Fewer characters than this could be guessed."""

Name = Annotated[str, Field(pattern=NAME, max_length=200)]


def _base_url(text: str) -> str:
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


def _host_name(text: str) -> str:
    """As it is compared with the Host header: in small letters."""
    if ":" in text or "/" in text:
        raise ValueError(f"'{text}' must be a bare host name, without port or path")
    return text.lower()


def _long_enough(token: SecretStr) -> SecretStr:
    if len(token.get_secret_value().strip()) < TOKEN_LENGTH:
        raise ValueError(f"must have at least {TOKEN_LENGTH} characters; `openssl rand -hex 32` makes a good one")
    return token


class Table(BaseModel):
    """A table of intermodel.toml: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Deployment(Table):
    """One place where a model can be called: `[deployments.NAME]`. The node serves it as the model `NAME`."""

    base_url: Annotated[str, AfterValidator(_base_url)] = ""
    """Address of the server, up to and with `/v1`. Not needed by the `echo` provider."""
    model: str = ""
    """The model's name at that server. Empty: the deployment's own name."""
    provider: str = "openai"
    """Wire format: `openai` for any OpenAI-compatible server; `echo` answers with the question, for tests."""
    key_env: str = ""
    """Environment variable that holds the server's key."""
    key_file: Path | None = None
    """File that holds the server's key; surrounding white space is ignored."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""
    context_length: int | None = Field(None, gt=0)
    """Tokens that fit into one call, where known."""
    capabilities: frozenset[
        Literal["chat", "completion", "embedding", "tools", "json_schema", "vision", "logprobs"]
    ] = frozenset()
    """What the model can do. Empty: unknown, and nothing is refused for it."""
    timeout_s: float = Field(600, gt=0)
    """Longest silence accepted from the server, before its first byte or between two."""
    script: Path | None = None
    """For `echo`: a JSON file with the answers to give in turn."""

    @model_validator(mode="after")
    def _complete(self) -> Deployment:
        if self.provider != "echo" and not self.base_url:
            raise ValueError("'base_url' is missing")
        if self.key_env and self.key_file:
            raise ValueError("give 'key_env' or 'key_file', not both")
        return self


class Alias(Table):
    """A name for models in order: `[aliases.NAME]`. If one fails before its first token, the next is tried."""

    candidates: tuple[Name, ...] = Field(min_length=1, max_length=32)
    """Models or deployments of this node, best first."""


class Limits(Table):
    """What one caller may ask of the node at once: `[limits]`."""

    body_bytes: int = Field(32 * 1024**2, gt=0)
    """Largest request body, in bytes. Larger ones are refused before they are read."""
    head_bytes: int = Field(64 * 1024, ge=1024)
    """Largest head of a request (its address and headers), in bytes."""
    head_s: float = Field(30, gt=0)
    """Longest time a connection may take to send the head of its request."""
    client_silence_s: float = Field(60, gt=0)
    """Longest time a client may leave an answer unread before it counts as gone."""
    connections: int = Field(4096, ge=1)
    """Connections open at once; more are turned away."""
    choices: int = Field(8, ge=1, le=128)
    """Largest `n` (answers to one request)."""
    concurrent_calls: int = Field(256, ge=1)
    """Calls in progress at once in the whole node; more are answered with 503 and Retry-After."""
    first_token_s: float = Field(600, gt=0)
    """Longest wait for the first token of a candidate before the next is tried."""
    stop_grace_s: float = Field(3, ge=0)
    """After Ctrl-C or SIGTERM, how long running answers may go on before they are ended with an error event."""


class Engines(Table):
    """Models run on this machine by llama.cpp: `[engines]`."""

    memory_bytes: int | None = Field(None, gt=0)
    """Memory that loaded models may use together. None: three quarters of what the machine has."""
    threads: int | None = Field(None, gt=0)
    """Threads of one engine. None: one for models below 64 MiB, else every core."""
    slots: int = Field(8, ge=1, le=256)
    """Answers that one engine works on at once."""
    context_length: int | None = Field(None, gt=0)
    """Tokens of context of one slot. None: what the model's header says, at most 8192."""
    idle_unload_s: float = Field(900, ge=0)
    """Unload a model after this long without a call. 0: only when memory is needed."""
    start_timeout_s: float = Field(120, gt=0)
    """Longest wait for a model to load."""
    crash_limit: int = Field(4, ge=1)
    """Crashes within `crash_window_s` after which an engine is given up until the node restarts or the file changes."""
    crash_window_s: float = Field(60, gt=0)
    """Length of the window in which crashes are counted."""
    watch: Path | None = None
    """Folder whose GGUF files are served as they appear. None: `models` in the data folder."""
    shipped: bool = True
    """Serve `intermodel/pebble`, the model that ships with the node."""


def _data() -> Path:
    return Path(platformdirs.user_data_dir("intermodel", appauthor=False))


class Settings(Table):
    """Everything that can be set. Keys at the top of intermodel.toml come before its first table."""

    data: Path = Field(default_factory=_data)
    """Folder of everything the node keeps: database, blobs, keys, logs. One node at a time."""
    host: str = "127.0.0.1"
    """Address to listen on. Anything but loopback opens the node to others; they still need a token."""
    port: int = Field(8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one."""
    database: str = ""
    """Database URL, such as `postgresql://user@host/name`. Empty: SQLite in the data folder."""
    allowed_hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    """Further host names under which the node may be addressed; others get 421 (against DNS rebinding)."""
    token: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    """A bearer token to accept besides those of `intermodel tokens`. Set it as INTERMODEL_TOKEN, not in a file."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged. Prompts, answers and tokens are never logged."""
    log_format: Literal["text", "json"] = "text"
    """One line a record, for people or for machines."""
    limits: Limits = Limits()
    engines: Engines = Engines()
    deployments: dict[Name, Deployment] = Field(default_factory=dict)
    aliases: dict[Name, Alias] = Field(default_factory=dict)
