"""What can be set, with its default and what it does. docs/settings.md is written from this room."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, Field, SecretStr, model_validator

from intermodel.settings.calling import Budget, Deployment, RateLimit, Route
from intermodel.settings.kinds import (
    WHOLE,
    BaseUrl,
    Name,
    Seconds,
    Table,
    Vkey,
    Vkeys,
    host_name,
    long_enough,
    redis_url_of,
)


class Receipts(Table):
    """The account of every call: `[receipts]`."""

    store_content: bool = False
    """Keep prompts and answers with the receipts, up to 256 KiB of each. Off: neither is written anywhere."""
    sync: Literal["commit", "power"] = "commit"
    """`commit`: an answer's last byte waits until its receipt is safe from `kill -9`; `power`: from a power cut too."""
    backlog: int = Field(1_000_000, ge=1000)
    """Most receipts that may wait for a database that is gone, before calls are refused."""
    journal_bytes: int = Field(8 * 1024**2, ge=4096, le=1024**3)
    """Room that is taken on the disk beforehand, so that some five thousand calls more are answered when it is full."""
    keep_days: int | None = Field(None, ge=1)
    """Delete receipts after so many days. None: never."""


class Cache(Table):
    """Answers kept for equal calls: `[cache]`. A route asks for it with `cache_s`."""

    bytes: int = Field(64 * 1024**2, ge=1024)
    """Memory for all kept answers together."""


class GuardTable(Table):
    """A look at the text of calls and answers: `[guards.NAME]`."""

    provider: str = "sensitive-data"
    """What looks: `sensitive-data` (secrets, personal data), `hidden-text` (invisible or posing text), or another."""
    actions: dict[str, Literal["allow", "mask", "refuse"]] = Field(default_factory=dict)
    """What to do about a kind, or a group of kinds: `{secrets = "refuse", email = "allow", "*" = "mask"}`."""
    on: tuple[Literal["request", "answer"], ...] = ("request", "answer")
    """Where it looks."""
    options: dict[str, Any] = Field(default_factory=dict)
    """What a guard of another package asks for; those that ship take none."""


class Telemetry(Table):
    """An OpenTelemetry collector that is told of every call: `[telemetry]`. Needs the extra `otel`."""

    endpoint: BaseUrl = ""
    """Its address (OTLP over HTTP), such as `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` are added."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""
    headers_env: str = Field("", max_length=200)
    """Environment variable that holds headers for it, as `OTEL_EXPORTER_OTLP_HEADERS` does: `name=value,name=value`."""
    service: str = Field("intermodel", min_length=1, max_length=200)
    """The `service.name` under which this node appears."""
    content: bool = False
    """Send prompts and answers too, where `receipts.store_content` keeps them."""


class Energy(Table):
    """What is known of the electricity that models use: `[energy]`. docs/energy.md says what is made of it."""

    watts_per_core: float | None = Field(None, gt=0, le=1000)
    """What one busy logical core of this machine draws, in watts. None: 3.84, from 2.76 to 4.26, as in large clouds."""
    grams_per_kwh: float = Field(458.29, ge=0, le=5000)
    """Grams of CO2e for a kilowatt hour used here. The world's mean unless you say better (EcoLogits 0.11.3, `WOR`)."""
    zone: str = Field("", pattern=r"^([A-Z]{3})?$")
    """Country (ISO 3166-1 alpha-3) in which vendors are taken to run. Empty: where EcoLogits takes each of them to."""


class Cosigner(Table):
    """A witness that is asked to cosign this node's ledger: `[[ledger.witnesses]]`."""

    key: Vkey
    """Its key: `name+id+base64`."""
    url: BaseUrl
    """Where it is asked; `/add-checkpoint` is added (C2SP tlog-witness: the submission prefix)."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""


class Followed(Table):
    """Another ledger, of which this node sees to it that it takes nothing back: `[[ledger.watch]]`."""

    keys: Vkeys = Field(min_length=1)
    """Its key, `name+id+base64`; several where it went over from one to the next."""
    url: BaseUrl
    """Where it is published; `/checkpoint` and `/tile/...` are added (C2SP tlog-tiles)."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""


class Ledger(Table):
    """The signed, append-only record of statements: `[ledger]`."""

    passphrase_variable: str = Field("", max_length=200)
    """Variable with a passphrase that encrypts the ledger's key. Empty: the key lies open, for its owner alone."""
    signer: str = Field("", max_length=1000)
    """Command that holds the key instead: `COMMAND public` prints it, `COMMAND sign` signs what it reads."""
    group_ms: float = Field(0, ge=0, le=1000)
    """How long an entry waits for others that share its signature. 0: only as long as those before it are written."""
    publish: bool = False
    """Serve checkpoint and tiles at `/ledger/` to anybody, without a token. They hold every statement."""
    witnesses: tuple[Cosigner, ...] = Field((), max_length=32)
    """Who is asked to cosign this ledger's checkpoints."""
    witness_s: float = Field(60, ge=0.1, le=7 * 24 * 3600)
    """The witnesses are asked this often at most, and only where the ledger has grown."""
    witness_for: Vkeys = ()
    """Keys (`name+id+base64`) of the ledgers whose checkpoints this node cosigns, at `/witness/add-checkpoint`."""
    watch: tuple[Followed, ...] = Field((), max_length=256)
    """Other ledgers that are followed."""
    watch_s: float = Field(300, ge=0.1, le=7 * 24 * 3600)
    """How often those are looked at."""

    @model_validator(mode="after")
    def _told_apart(self) -> Ledger:
        names = [{key.partition("+")[0] for key in one.keys} for one in self.watch]
        if any(len(one) > 1 for one in names):
            raise ValueError("the keys of a ledger in 'watch' must all have its name")
        if len({name for one in names for name in one}) < len(names):
            raise ValueError("'watch' names a ledger twice; give its keys together")
        if len({one.key for one in self.witnesses}) < len(self.witnesses):
            raise ValueError("'witnesses' names a key twice")
        return self


class Records(Table):
    """Whose word counts in the records of models, data and services: `[records]`."""

    trusted_signers: Vkeys = ()
    """Keys (`name+id+base64`) of others whose signed statements count like this node's own. The first comes first."""


class Limits(Table):
    """What one caller may ask of the node at once: `[limits]`."""

    body_bytes: int = Field(32 * 1024**2, gt=0)
    """Largest request body, in bytes. Larger ones are refused before they are read."""
    head_bytes: int = Field(64 * 1024, ge=1024)
    """Largest head of a request (its address and headers), in bytes."""
    head_s: float = Field(30, gt=0)
    """Longest time a connection may take to send the head of its request."""
    client_silence_s: float = Field(60, gt=0)
    """Longest time a client may leave an answer unread, or its body unsent, before it counts as gone."""
    body_s: float = Field(300, gt=0)
    """Longest time for a whole body of a caller who is known; one who is not has `head_s` for it."""
    connections: int = Field(4096, ge=1)
    """Connections open at once; more are turned away."""
    choices: int = Field(8, ge=1, le=128)
    """Largest `n` (answers to one request)."""
    concurrent_calls: int = Field(1024, ge=1)
    """Calls in progress at once in the whole node; more are answered with 503 and Retry-After."""
    first_token_s: float = Field(600, gt=0)
    """Longest wait for the first token of a candidate before the next is tried."""
    call_s: float = Field(3600, gt=0)
    """Longest time for a whole answer."""
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


class SearXNG(Table):
    """A SearXNG server: `[writer.searxng]`. Its settings.yml must list `json` in `search.formats`."""

    base_url: BaseUrl = ""
    """Its address; `/search` is added. Empty: there is none."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""


class SearchAccount(Table):
    """An account with a vendor of searches. The key file, or the keyring, goes before the variable."""

    key_env: str = Field("", max_length=200)
    """Environment variable that holds the key."""
    key_file: Path | None = None
    """File that holds the key (surrounding white space is ignored)."""
    key_keyring: str = Field("", max_length=200)
    """Name of the key in the system's keyring, service `intermodel`."""
    base_url: BaseUrl
    """Where it is asked."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""


class Brave(SearchAccount):
    """Brave's search API, asked as `brave`: `[writer.brave]`."""

    key_env: str = Field("BRAVE_API_KEY", max_length=200)
    """Environment variable that holds the key."""
    base_url: BaseUrl = "https://api.search.brave.com"
    """Where it is asked."""


class Tavily(SearchAccount):
    """Tavily's search API, which sends the pages' text along, asked as `tavily`: `[writer.tavily]`."""

    key_env: str = Field("TAVILY_API_KEY", max_length=200)
    """Environment variable that holds the key."""
    base_url: BaseUrl = "https://api.tavily.com"
    """Where it is asked."""


class Writer(Table):
    """How the writer searches and reads: `[writer]`."""

    search: tuple[Literal["folder", "searxng", "brave", "tavily"], ...] = Field(("folder",), min_length=1, max_length=4)
    """Where it searches; the next is asked where one fails or finds nothing."""
    folder: Path | None = None
    """Folder of Markdown, text and HTML files for the search `folder`. None: the one that ships, on open models."""
    search_s: Seconds = 15
    """Longest time for one search."""
    search_bytes: int = Field(8 * 1024**2, ge=1024, le=64 * 1024**2)
    """Largest answer of a search, in bytes."""
    private: bool = False
    """Read pages at private addresses and at any port too. Off: whatever a page links to, this network is not read."""
    page_s: Seconds = 20
    """Longest time for one page, with its robots.txt and redirects; waiting for the site's turn is not counted."""
    page_bytes: int = Field(2 * 1024**2, ge=1024, le=64 * 1024**2)
    """Largest page, in bytes after decompression."""
    redirects: Annotated[int, Field(ge=0, le=20), WHOLE] = 5
    """Most redirects that are followed to a page."""
    pause_s: float = Field(1, ge=0, le=600)
    """Pause between two requests to one host. A longer `Crawl-delay` of its robots.txt is kept too, up to 10 s."""
    extract_s: Seconds = 10
    """Longest time for finding the text in a page, after which the page is not taken."""
    at_once: Annotated[int, Field(ge=1, le=16), WHOLE] = 2
    """Runs that go on at the same time, of those that the pages begin; others wait for their turn."""
    searxng: SearXNG = SearXNG()
    brave: Brave = Brave()
    tavily: Tavily = Tavily()


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
    allowed_hosts: tuple[Annotated[str, AfterValidator(host_name)], ...] = ()
    """Further host names under which the node may be addressed; others get 421 (against DNS rebinding)."""
    token: Annotated[SecretStr, AfterValidator(long_enough)] | None = None
    """A bearer token to accept besides those of `intermodel tokens`. Set it as INTERMODEL_TOKEN, not in a file."""
    key_variables: tuple[Annotated[str, Field(min_length=1)], ...] = ("*_API_KEY",)
    """Variables from which deployments that are declared while the node runs may take a key; `*`: anything."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged. Prompts, answers and tokens are never logged."""
    log_format: Literal["text", "json"] = "text"
    """One line a record, for people or for machines."""
    region: str = Field("", max_length=64)
    """Where this node runs, as you name places (`eu`, `DE`): the region of the models of this machine."""
    limits: Limits = Limits()
    engines: Engines = Engines()
    redis: Annotated[SecretStr, AfterValidator(redis_url_of)] | None = None
    """Redis URL, for rate limits that hold over several processes. None: each process counts by itself."""
    receipts: Receipts = Receipts()
    cache: Cache = Cache()
    energy: Energy = Energy()
    ledger: Ledger = Ledger()
    records: Records = Records()
    telemetry: Telemetry = Telemetry()
    writer: Writer = Writer()
    deployments: dict[Name, Deployment] = Field(default_factory=dict)
    routes: dict[Name, Route] = Field(default_factory=dict)
    budgets: dict[Name, Budget] = Field(default_factory=dict)
    rate_limits: dict[Name, RateLimit] = Field(default_factory=dict)
    guards: dict[Name, GuardTable] = Field(default_factory=dict)
