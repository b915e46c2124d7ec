"""What can be set, with its default and what it does. docs/settings.md is written from this file."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import platformdirs
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

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


def _redis_url(text: SecretStr) -> SecretStr:
    if urlsplit(text.get_secret_value()).scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must be a redis://, rediss:// or unix:// address")
    return text


def _host_name(text: str) -> str:
    """As it is compared with the Host header: in small letters."""
    if ":" in text or "/" in text:
        raise ValueError(f"'{text}' must be a bare host name, without port or path")
    return text.lower()


def _vkey(text: str) -> str:
    if not re.fullmatch(r"[^\s+]{1,255}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}", text):
        raise ValueError("must be a key in the form name+id+base64, as `intermodel ledger keys` shows it")
    return text


def _long_enough(token: SecretStr) -> SecretStr:
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
BaseUrl = Annotated[str, AfterValidator(_base_url)]
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


_HOSTS = {"anthropic": "api.anthropic.com", "gemini": "generativelanguage.googleapis.com"}
"""Where providers that have a server of their own are asked."""


class Table(BaseModel):
    """A table of intermodel.toml: frozen, and closed to keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Price(Table):
    """What a deployment charges, in US dollars: `[deployments.NAME.price]`. It takes the place of the public list."""

    input: Money = Decimal(0)
    """For a million tokens read."""
    output: Money = Decimal(0)
    """For a million tokens made."""
    cached_input: Money | None = None
    """For a million tokens read from the vendor's prompt cache. None: as `input`."""
    cache_write: Money | None = None
    """For a million tokens written to that cache. None: as `input`."""
    audio_input: Money | None = None
    """For a million tokens of audio read. None: as `input`."""
    audio_output: Money | None = None
    """For a million tokens of audio made. None: as `output`."""
    request: Money = Decimal(0)
    """For each request, whatever its length."""


class Rate(Table):
    """How much may be asked of something in a minute, and at once."""

    requests_per_minute: Count | None = None
    """Requests in any 60 seconds. None: no limit."""
    tokens_per_minute: Count | None = None
    """Tokens, read and made, in any 60 seconds. None: no limit."""
    at_once: Count | None = None
    """Calls in progress. None: no limit."""


class Deployment(Table):
    """One place where a model can be called: `[deployments.NAME]`. The node serves it as the model `NAME`."""

    base_url: Annotated[str, AfterValidator(_base_url)] = ""
    """Address of the server, up to and with `/v1`. Empty: that of the provider, where it has one."""
    model: str = Field("", max_length=512)
    """The model's name at that server. Empty: the deployment's own name."""
    provider: str = "openai"
    """Wire format: `openai` for any OpenAI-compatible server, `anthropic`, `gemini`; `echo` repeats the question."""
    speaks: frozenset[Literal["responses"]] = frozenset()
    """Further protocols of an OpenAI-compatible server that are passed through instead of translated."""
    key_env: Names = ()
    """Environment variable that holds the server's key; several, in order, take turns when one is dead or tired."""
    key_file: Paths = ()
    """File that holds the server's key (surrounding white space is ignored), or several."""
    key_keyring: Names = ()
    """Name in the system's keyring, service `intermodel`, of the server's key, or several."""
    private: bool = False
    """Allow a host *name* that resolves to a private address. An address written out, or `localhost`, always is."""
    context_length: Count | None = None
    """Tokens that fit into one call, where known."""
    output_tokens: Count | None = None
    """Most tokens of one answer, where known. A call under a budget that sets no limit itself is held to it."""
    capabilities: frozenset[Ability] = frozenset()
    """What the model can do. Empty: unknown, and nothing is refused for it but `continues`, which must be stated."""
    region: str = Field("", max_length=64)
    """Where it runs, as you name places (`eu`, `DE`, `us-east-1`); routes can demand one."""
    record: str = Field("", max_length=200)
    """The address under which this node keeps the record of the model behind it. Empty: the deployment's own name."""
    price: Price | None = None
    """What it charges. None: looked up in the public list (genai-prices) by server and model."""
    rate: Rate = Rate()
    """What may be asked of it."""
    timeout_s: Seconds = 600
    """Longest silence accepted from the server, before its first byte or between two."""
    when_client_leaves: Literal["cancel", "drain"] = "cancel"
    """`cancel` stops the work at once; `drain` reads the answer to its end, for the exact bill."""
    script: Path | None = None
    """For `echo`: a JSON file with the answers to give, or the name of a script that ships (`writer`)."""

    @cached_property
    def host(self) -> str:
        """Of its server; empty where it has none, or is the provider's own."""
        return urlsplit(self.base_url).hostname or _HOSTS.get(self.provider, "")

    @model_validator(mode="after")
    def _complete(self) -> Deployment:
        if self.provider == "openai" and not self.base_url:
            raise ValueError("'base_url' is missing")
        return self


Purpose = Literal["commercial", "research", "redistribute", "modify", "train_on_outputs", "serve"]
"""What a model is used for, as licences' verdicts know it."""


class Constraints(Table):
    """What a route demands of its candidates: `[routes.NAME.require]`. What is not known of one counts as not met."""

    capabilities: frozenset[Ability] = frozenset()
    """Abilities that every candidate must state, whatever the call needs."""
    regions: tuple[Annotated[str, Field(max_length=64)], ...] = Field((), max_length=64)
    """Regions, of which a candidate must be in one. Empty: anywhere."""
    price_input: Money | None = None
    """Most dollars for a million tokens read."""
    price_output: Money | None = None
    """Most dollars for a million tokens made."""
    energy_joules: float | None = Field(None, gt=0, le=1e12)
    """Most joules for a thousand tokens made, as measured or estimated."""
    verdict: Purpose | None = None
    """A purpose that the licences along the model's whole lineage must allow, strictly read."""
    place: str = Field("", pattern=r"^([A-Z]{2})?$")
    """Where that is: a country (ISO 3166, `DE`) or `EU`. Empty: a licence that excludes any place is not enough."""
    openness: Literal["open access", "open source"] | None = None
    """Least openness, as the record grades it."""
    tier: Annotated[int, Field(ge=0, le=5), WHOLE] | None = None
    """Highest tier of harm."""


class Route(Table):
    """A name for models in some order: `[routes.NAME]`. If one fails before its first token, the next is tried."""

    candidates: tuple[Name, ...] = Field(min_length=1, max_length=32)
    """Models or deployments of this node. For the order `fixed`, best first."""
    order: Literal["fixed", "weighted", "cheapest", "fastest", "best"] = "fixed"
    """`weighted` draws by `weights`; `fastest` by measured first token and rate; `best` by measured quality."""
    weights: dict[Name, Annotated[float, Field(ge=0, le=1e6)]] = Field(default_factory=dict, max_length=32)
    """For `weighted`: a candidate's share. One that is not named has 1."""
    require: Constraints = Constraints()
    attempts: Annotated[int, Field(ge=1, le=32), WHOLE] = 4
    """Most attempts for one call, over all candidates."""
    within_s: Seconds = 600
    """Longest time from the call to its first token, over all attempts."""
    first_token_s: Seconds | None = None
    """Longest wait for the first token of one attempt. None: `limits.first_token_s`."""
    silence_s: Seconds | None = None
    """Longest silence between two tokens. None: the deployment's `timeout_s`."""
    total_s: Seconds | None = None
    """Longest time for the whole answer. None: `limits.call_s`."""
    hedge: float | None = Field(None, gt=0, lt=1)
    """Start the next candidate when the first token is later than this quantile of the past ones. None: never."""
    past_filters: bool = False
    """Try the next candidate also where one's content filter refused."""
    continues: bool = True
    """Go on with another candidate where one breaks off in plain text and the other can continue it."""
    cache_s: Seconds | None = None
    """Keep answers this long and give them to equal calls of the same organisation. None: no cache."""
    scorers: tuple[Name, ...] = ()
    """Judges of its answers, for the order `best`: `finished`, `keeps-schema`, or those of other packages."""
    guards: tuple[Name, ...] = Field((), max_length=32)
    """Guards that look at its calls and answers, in order."""


class Budget(Table):
    """What may be spent: `[budgets.NAME]`. It binds whoever it names; with no one named, the whole node."""

    token: str = Field("", max_length=200)
    """The id or name of one token."""
    user: str = Field("", max_length=200)
    """All tokens of one user."""
    organisation: str = Field("", max_length=200)
    """All tokens of one organisation."""
    dollars: Annotated[Decimal, Field(gt=0, le=1_000_000_000, decimal_places=9)]
    """The ceiling, in US dollars."""
    per: Literal["day", "month", "all"] = "month"
    """When it begins anew (UTC); `all`: never."""

    @model_validator(mode="after")
    def _one_subject(self) -> Budget:
        if sum(map(bool, (self.token, self.user, self.organisation))) > 1:
            raise ValueError("name a token, a user or an organisation, not several")
        return self


class RateLimit(Rate):
    """How much may be asked: `[rate_limits.NAME]`. It binds whom it names; with no one named, every token by itself."""

    token: str = Field("", max_length=200)
    """The id or name of one token."""
    user: str = Field("", max_length=200)
    """All tokens of one user, together."""
    organisation: str = Field("", max_length=200)
    """All tokens of one organisation, together."""


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

    endpoint: Annotated[str, AfterValidator(_base_url)] = ""
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
    allowed_hosts: tuple[Annotated[str, AfterValidator(_host_name)], ...] = ()
    """Further host names under which the node may be addressed; others get 421 (against DNS rebinding)."""
    token: Annotated[SecretStr, AfterValidator(_long_enough)] | None = None
    """A bearer token to accept besides those of `intermodel tokens`. Set it as INTERMODEL_TOKEN, not in a file."""
    key_variables: tuple[Annotated[str, Field(min_length=1)], ...] = ("*_API_KEY",)
    """Variables from which deployments that are declared while the node runs may take a key; `*`: anything."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged. Prompts, answers and tokens are never logged."""
    log_format: Literal["text", "json"] = "text"
    """One line a record, for people or for machines."""
    limits: Limits = Limits()
    engines: Engines = Engines()
    redis: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
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
