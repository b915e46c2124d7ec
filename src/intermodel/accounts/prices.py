"""What calls cost, to the nano-dollar: prices of the settings, or of the public list `genai-prices` (offline).

A price is compiled once into integer rates over a common denominator; a cost is one sum of products, rounded up once.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from intermodel.core import MOST_TOKENS, Usage
from intermodel.settings import Deployment
from intermodel.settings import Price as Declared
from intermodel.settings import Rates as DeclaredRates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

log = logging.getLogger(__name__)

FREE_PROVIDERS = frozenset({"echo", "llamacpp"})
_VENDORS = {"anthropic": "anthropic", "gemini": "google"}
"""Providers that have a server of their own, under the list's name for it."""
_COUNTED = frozenset({"tokens", "requests"})
_EXTRAS = frozenset({"tool_calls"})
"""What a vendor's own tools cost is on top, and in no usage."""

USUAL_TIERS = frozenset({"", "auto", "default", "standard", "standard_only", "on_demand", "global"})
"""What vendors call the service tier, the speed and the place of inference that their usual price is of."""
CHEAPER_TIERS = frozenset({"batch", "flex"})
"""Service tiers that every vendor who has them sells below the usual price."""

_MODALITIES = ("text", "image", "audio")
_READ_AS = (
    {"token_type": "plain"},
    {"token_type": "cache_read"},
    {"token_type": "cache_write", "cache_ttl": "5m"},
    {"token_type": "cache_write", "cache_ttl": "1h"},
)
_MADE_AS = ({"token_type": "plain"}, {"token_type": "reasoning"})
_PLAIN, _WRITTEN, _HOUR = 0, 2, 3
_HOUR_TIMES = 2
"""Where the price of writing to a cache for an hour is not known, so many times that of reading bounds it: Anthropic,
the one vendor who bills it apart, asks for that much of every model (Anthropic's guide "Prompt caching", pricing)."""
_TEXT = 0
_COUNTS = [one.name for one in fields(Usage) if one.name not in ("input", "output", "estimated", "tier")]
_parts_of = attrgetter(*_COUNTS)
_NANO = 10**9


class _Table(NamedTuple):
    """Rates for calls that read more than `above` tokens, in units of 1/scale nano-dollars a token.

    `read[modality][as]` and `made[modality][as]` follow _MODALITIES, _READ_AS and _MADE_AS.
    """

    above: int
    flat: int
    read: tuple[tuple[int, ...], ...]
    made: tuple[tuple[int, ...], ...]
    most: tuple[tuple[int, int], tuple[int, int]]
    """The dearest rates, of reading and making: of text, and of anything. Nothing is written for an hour."""


@dataclass(frozen=True, slots=True)
class Price:
    """What one deployment charges now. Hold on to it for the length of a call: prices change with time.

    `document` is how a receipt shows it: dollars for a million tokens, as text, and the `source`.
    """

    input_per_million: Decimal
    """Dollars for a million tokens of text read, where nothing is cached and the call is short."""
    output_per_million: Decimal
    document: dict[str, str]
    _scale: int
    _tables: tuple[_Table, ...]
    _tiers: Mapping[str, Price] = field(default_factory=dict)
    _hour_known: bool = True
    """Whether it says what is charged for writing to a cache for an hour."""
    _for_an_hour: Price | None = None
    """This price, whose bounds hold for calls that write for an hour too; None where they do so anyway."""

    def cost(self, usage: Usage) -> int:
        """What that costs, in nano-dollars, rounded up once; where it does not `know`, a bound on it.

        Parts of which a vendor does not say how they overlap (cached audio) are taken apart: what is cached, written
        to the cache or thought is text, as far as there is text. A part larger than its whole makes the whole larger.
        """
        table = self._tables[0] if len(self._tables) == 1 else self._table(usage.input)
        if not any(_parts_of(usage)):
            total = table.flat + usage.input * table.read[_TEXT][0] + usage.output * table.made[_TEXT][0]
            return -(-total // self._scale)
        cached, written, thought, hour = usage.cached_input, usage.cache_write, usage.reasoning, usage.cache_write_1h
        plain, said = usage.input - cached - written, usage.output - thought
        media = usage.audio_input or usage.image_input or usage.audio_output or usage.image_output
        if media or plain < 0 or said < 0 or cached < 0 or written < 0 or thought < 0 or (hour or 0) > written:
            return self._mixed(usage)
        read, made = table.read[_TEXT], table.made[_TEXT]
        total = table.flat + plain * read[0] + said * made[0]
        total += cached * read[1] + written * read[_WRITTEN] + thought * made[1]
        if hour:
            total += hour * (read[_HOUR] - read[_WRITTEN])
        return -(-total // self._scale)

    def knows(self, usage: Usage) -> bool:
        """Whether it says what every part of that costs."""
        return self._hour_known or not usage.cache_write_1h

    def bound(self, input_tokens: int, output_tokens: int, *, media: bool = True) -> int:
        """The most that a call can cost which reads and makes no more tokens than that, in nano-dollars.

        `media`: whether it may read or make audio or images; without them the bound is nearer. It holds for calls that
        keep nothing in the vendor's cache for an hour; `for_an_hour` is the price whose bounds hold for those.
        """
        read, made = max(0, input_tokens), max(0, output_tokens)
        totals = [
            table.flat + read * table.most[media][0] + made * table.most[media][1]
            for table in self._tables
            if table.above < max(1, read)
        ]
        return -(-max(totals) // self._scale)

    def buys(self, input_tokens: int, nano: int) -> int:
        """The most tokens that can be made for `nano` by a call that reads so many, whatever they are."""
        read = max(0, input_tokens)
        most = MOST_TOKENS
        for table in self._tables:
            if table.above < max(1, read) and (rate := table.most[True][1]):
                left = nano * self._scale - table.flat - read * table.most[True][0]
                most = min(most, max(0, left) // rate)
        return most

    @property
    def makes_free(self) -> bool:
        """Whether what is made costs nothing."""
        return not any(table.most[True][1] for table in self._tables)

    @property
    def by_request(self) -> bool:
        """Whether tokens cost nothing, but calls may."""
        return self.makes_free and not any(table.most[True][0] for table in self._tables)

    def at(self, tier: str) -> Price | None:
        """The price at a service tier or speed (`flex`, `priority`, `fast`); None where nobody knows it.

        Where tokens cost nothing, they do so at every tier.
        """
        if tier in USUAL_TIERS:
            return self
        return self._tiers.get(tier) or (self if self.by_request else None)

    @property
    def for_an_hour(self) -> Price:
        """The same price for a call that may keep what it reads in the vendor's cache for an hour."""
        return self._for_an_hour or self

    def _table(self, read: int) -> _Table:
        return next(table for table in reversed(self._tables) if read > table.above or table.above < 0)

    def _mixed(self, usage: Usage) -> int:
        hour = max(0, usage.cache_write_1h or 0)
        used = usage.cached_input, max(0, usage.cache_write - hour), hour
        read = _shared(usage.input, (usage.image_input, usage.audio_input), used)
        made = _shared(usage.output, (usage.image_output, usage.audio_output), (usage.reasoning,))
        table = self._table(sum(map(sum, read)))
        total = table.flat
        for counts, rates in ((read, table.read), (made, table.made)):
            total += sum(c * r for row, rate in zip(counts, rates, strict=True) for c, r in zip(row, rate, strict=True))
        return -(-total // self._scale)


def _shared(whole: int, media: tuple[int, ...], used: tuple[int, ...]) -> list[list[int]]:
    """Tokens by modality (text, *media) and use (plain, *used). What is used is text first, then the media in order."""
    media, used = tuple(max(0, n) for n in media), tuple(max(0, n) for n in used)
    whole = max(whole, sum(media), sum(used))
    left = [whole - sum(media), *media]
    columns = []
    for count in used:
        taken = []
        for i, available in enumerate(left):
            taken.append(min(count, available))
            left[i] -= taken[-1]
            count -= taken[-1]
        columns.append(taken)
    return [list(row) for row in zip(left, *columns, strict=True)]


class Prices:
    """The prices of deployments, compiled once each. Those given here are ready at once, others when first asked for.

    `clock` tells Unix seconds: some vendors' prices depend on the time of day.
    """

    def __init__(
        self, deployments: Mapping[str, Deployment] | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._known: dict[str, tuple[Deployment, float, Price | None]] = {}
        for name, deployment in (deployments or {}).items():
            self.price_of(name, deployment)

    def price_of(self, name: str, deployment: Deployment) -> Price | None:
        """What it charges now; None where nobody knows. What runs on this machine is free of charge."""
        known = self._known.get(name)
        if known is not None and known[0] is deployment and self._clock() < known[1]:
            return known[2]
        now = self._clock()
        price, until = _compiled(name, deployment, now)
        self._known[name] = deployment, until, price
        return price

    def forget(self, name: str) -> None:
        """It was removed."""
        self._known.pop(name, None)


def _compiled(name: str, deployment: Deployment, now: float) -> tuple[Price | None, float]:
    """A deployment's price and until when it holds (Unix seconds)."""
    if deployment.price is not None:
        return declared(deployment.price), math.inf
    if deployment.provider in FREE_PROVIDERS:
        return FREE, math.inf
    found = _listed(deployment.model or name, deployment)
    if found is None:
        return None, math.inf
    vendor, model = found
    return listed(model, f"{vendor}/{model.id}", datetime.fromtimestamp(now, UTC)), _until(model, now)


def _listed(upstream: str, deployment: Deployment) -> tuple[str, ModelInfo] | None:
    """The list's entry for that model at that server. Never guessed from the model's name alone."""
    from genai_prices.data_snapshot import get_snapshot  # slow to import, and only needed where no price is given

    vendor = None if deployment.base_url else _VENDORS.get(deployment.provider)
    if not (vendor or deployment.base_url):
        return None
    try:
        provider, model = get_snapshot().find_provider_model(upstream, None, vendor, deployment.base_url or None)
    except LookupError:
        return None
    return provider.id, model


def _until(model: ModelInfo, now: float) -> float:
    """When the list's price may be another: prices change at the beginning of a day (UTC), or at times of the day."""
    from genai_prices.types import ModelPrice, TimeOfDateConstraint

    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    changes = {midnight + timedelta(days=1)}
    for conditional in () if isinstance(model.prices, ModelPrice) else model.prices:
        if isinstance(rule := conditional.constraint, TimeOfDateConstraint):
            for when in (rule.start_time, rule.end_time):
                at = datetime.combine(midnight.date(), when, when.tzinfo or UTC).astimezone(UTC)
                changes |= {at + timedelta(days=days) for days in (-1, 0, 1)}
    return min(change.timestamp() for change in changes if change.timestamp() > now)


def declared(price: Declared) -> Price:
    """A price of the settings."""
    tiers = {tier: _declared(rates, f"settings ({tier})", {}) for tier, rates in price.tiers.items()}
    return _declared(price, "settings", tiers)


def _declared(price: DeclaredRates, source: str, tiers: Mapping[str, Price]) -> Price:
    known = price.cache_write_1h is not None or price.cache_write is None
    written = price.input if price.cache_write is None else price.cache_write
    cached = price.input if price.cached_input is None else price.cached_input
    hour = price.cache_write_1h
    if hour is None:
        hour = written if known else max(_HOUR_TIMES * price.input, written)
    text = price.input, cached, written, hour
    audio = price.audio_input  # what its cache costs is not said: no less than the rest of it
    heard = text if audio is None else (audio, audio, max(audio, written), max(audio, hour))
    spoken = price.output if price.audio_output is None else price.audio_output
    made = ((price.output,) * 2, (price.output,) * 2, (spoken,) * 2)
    given = {key: f"{value:f}" for key, value in price if isinstance(value, Decimal)}
    rates = _Rates(-1, Fraction(price.request), _million((text, text, heard)), _million(made))
    return _price(given | {"source": source}, [rates], tiers, hour_known=known)


class _Rates(NamedTuple):
    """A table before it is brought to a common denominator: dollars, and dollars a token."""

    above: int
    flat: Fraction
    read: tuple[tuple[Fraction, ...], ...]
    made: tuple[tuple[Fraction, ...], ...]


def _million(prices: Any) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(Fraction(price) / 10**6 for price in row) for row in prices)


def _price(document: dict[str, str], tables: list[_Rates], tiers: Mapping[str, Price], *, hour_known: bool) -> Price:
    rates = [rate for table in tables for row in (*table.read, *table.made, (table.flat,)) for rate in row]
    scale = math.lcm(*((rate * _NANO).denominator for rate in rates))

    def whole(rate: Fraction) -> int:
        return int(rate * _NANO * scale)

    def integers(rows: tuple[tuple[Fraction, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(map(whole, row)) for row in rows)

    def compiled(table: _Rates, uses: int) -> _Table:
        read, made = integers(table.read), integers(table.made)
        bound = [row[:uses] for row in read]
        most = (max(bound[_TEXT]), max(made[_TEXT])), (max(map(max, bound)), max(map(max, made)))
        return _Table(table.above, whole(table.flat), read, made, most)

    read, made = (_decimal(rows[_TEXT][0] * 10**6) for rows in (tables[0].read, tables[0].made))
    usual, hour = (tuple(compiled(table, uses) for table in tables) for uses in (_HOUR, _HOUR + 1))
    price = Price(read, made, document, scale, usual, tiers, hour_known)
    return price if hour == usual else replace(price, _for_an_hour=replace(price, _tables=hour))


def listed(model: ModelInfo, source: str, when: datetime) -> Price | None:
    """The list's price of a model at that moment; None where it depends on what no `Usage` counts (hours, letters)."""
    import genai_prices

    source = f"genai-prices {genai_prices.__version__}: {source}"
    tiers: dict[str, Price] = {}
    for variant in model.price_variants or ():
        tier = variant.when.get("service_tier") or variant.when.get("speed")
        if tier and len(variant.when) == 1:
            price = _of_list(model, model.get_prices(when, variant.when), f"{source} ({tier})", {})
            if price is not None:
                tiers[tier] = price
    return _of_list(model, model.get_prices(when), source, tiers)


def _of_list(model: ModelInfo, prices: ModelPrice, source: str, tiers: Mapping[str, Price]) -> Price | None:
    from genai_prices.types import TieredPrices
    from genai_prices.units import UnitDef, _get_registry
    from genai_prices.validation import validate_priced_units

    registry = _get_registry()
    given: dict[str, Decimal | TieredPrices] = {k: v for k, v in vars(prices).items() if v is not None}
    units: dict[str, UnitDef] = {key: registry.unit_for_price_key(key) for key in given}
    families = {unit.dimensions["family"] for unit in units.values()}
    if not given and re.search(r"\bfree\b", model.id):
        return FREE
    if not families & {"tokens"} or families - _COUNTED - _EXTRAS:
        return None
    validate_priced_units(tuple(units.values()), registry)

    def amount(price: Decimal | TieredPrices, above: int) -> Decimal:
        if not isinstance(price, TieredPrices):
            return price
        return next((tier.price for tier in reversed(price.tiers) if above >= tier.start), price.base)

    def rate(above: int, wanted: dict[str, str]) -> Fraction:
        """That of the most special unit that holds what is wanted."""
        fits = [key for key, unit in units.items() if unit.dimensions.items() <= wanted.items()]
        if not fits:
            return Fraction(0)
        best = max(fits, key=lambda key: len(units[key].dimensions))
        return Fraction(amount(given[best], above)) / units[best].per

    def cells(above: int, direction: str, uses: tuple[dict[str, str], ...]) -> tuple[tuple[Fraction, ...], ...]:
        wanted = {"family": "tokens", "direction": direction}
        return tuple(
            tuple(rate(above, wanted | {"modality": modality} | use) for use in uses) for modality in _MODALITIES
        )

    def cells_read(above: int) -> tuple[tuple[Fraction, ...], ...]:
        rows = cells(above, "input", _READ_AS)
        if hour_known:
            return rows
        return tuple((*row[:_HOUR], max(_HOUR_TIMES * row[_PLAIN], row[_WRITTEN])) for row in rows)

    hour_known = any(unit.dimensions.get("cache_ttl") == "1h" for unit in units.values())
    starts = sorted({tier.start for price in given.values() if isinstance(price, TieredPrices) for tier in price.tiers})
    tables = [
        _Rates(
            above,
            rate(above, {"family": "requests"}),
            cells_read(above),
            cells(above, "output", _MADE_AS),
        )
        for above in (-1, *starts)
    ]
    document = {key: _shown(price) for key, price in given.items()} | {"source": source}
    return _price(document, tables, tiers, hour_known=hour_known)


def _shown(price: Any) -> str:
    tiers = getattr(price, "tiers", ())
    return "; ".join([f"{price.base if tiers else price:f}", *(f"above {t.start}: {t.price:f}" for t in tiers)])


def _decimal(fraction: Fraction) -> Decimal:
    return Decimal(fraction.numerator) / fraction.denominator


FREE = declared(Declared())
"""The price of what runs here, and of `echo`."""
