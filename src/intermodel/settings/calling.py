"""What calling a model rests on: prices, deployments, routes, budgets and rate limits."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from intermodel.settings.kinds import (
    TIER,
    WHOLE,
    Ability,
    BaseUrl,
    Count,
    Money,
    Name,
    Names,
    Paths,
    Seconds,
    Table,
)

_HOSTS = {"anthropic": "api.anthropic.com", "gemini": "generativelanguage.googleapis.com"}
"""Where providers that have a server of their own are asked."""


class Rates(Table):
    """What is charged, in US dollars."""

    input: Money = Decimal(0)
    """For a million tokens read."""
    output: Money = Decimal(0)
    """For a million tokens made."""
    cached_input: Money | None = None
    """For a million tokens read from the vendor's prompt cache. None: as `input`."""
    cache_write: Money | None = None
    """For a million tokens written to that cache. None: as `input`."""
    cache_write_1h: Money | None = None
    """For a million tokens written to it for an hour. None: not known where `cache_write` is given, else as `input`."""
    audio_input: Money | None = None
    """For a million tokens of audio read. None: as `input`."""
    audio_output: Money | None = None
    """For a million tokens of audio made. None: as `output`."""
    request: Money = Decimal(0)
    """For each request, whatever its length."""


class TierPrice(Rates):
    """What a deployment charges at another service tier: `[deployments.NAME.price.tiers.TIER]`."""

    input: Money
    """For a million tokens read."""
    output: Money
    """For a million tokens made."""


class Price(Rates):
    """What a deployment charges, in US dollars: `[deployments.NAME.price]`. It takes the place of the public list."""

    tiers: dict[Annotated[str, Field(pattern=TIER)], TierPrice] = Field(default_factory=dict, max_length=32)
    """What it charges at other service tiers, by the word that the vendor's answers have for each (`priority`)."""


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

    base_url: BaseUrl = ""
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
    explore: float = Field(0.05, ge=0, le=1)
    """For `best` and `fastest`: the share of calls that goes to the candidate least measured. 0: none."""
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
