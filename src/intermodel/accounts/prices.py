"""What calls cost, to the nano-dollar: prices of the settings, or of the public list `genai-prices` (offline).

A price is compiled once into integer rates over a common denominator; a cost is one sum of products, rounded up once.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from intermodel.core import MOST_TOKENS, Usage
from intermodel.settings import Deployment
from intermodel.settings import Price as Declared

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

log = logging.getLogger(__name__)

FREE_PROVIDERS = frozenset({"echo", "llamacpp"})
_VENDORS = {"anthropic": "anthropic", "gemini": "google"}
"""Providers that have a server of their own, under the list's name for it."""
_COUNTED = frozenset({"tokens", "requests"})
_EXTRAS = frozenset({"tool_calls"})
"""What a vendor's own tools cost is on top, and in no usage."""

_MODALITIES = ("text", "image", "audio")
_READ_AS = ("plain", "cache_read", "cache_write")
_MADE_AS = ("plain", "reasoning")
_TEXT = 0
_parts_of = attrgetter(*(field.name for field in fields(Usage) if field.name not in ("input", "output", "estimated")))
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
    """The dearest rates, of reading and making: of text, and of anything."""


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

    def cost(self, usage: Usage) -> int:
        """What that costs, in nano-dollars, rounded up once.

        Parts of which a vendor does not say how they overlap (cached audio) are taken apart: what is cached, written
        to the cache or thought is text, as far as there is text. A part larger than its whole makes the whole larger.
        """
        table = self._tables[0] if len(self._tables) == 1 else self._table(usage.input)
        if not any(_parts_of(usage)):
            total = table.flat + usage.input * table.read[_TEXT][0] + usage.output * table.made[_TEXT][0]
            return -(-total // self._scale)
        cached, written, thought = usage.cached_input, usage.cache_write, usage.reasoning
        plain, said = usage.input - cached - written, usage.output - thought
        media = usage.audio_input or usage.image_input or usage.audio_output or usage.image_output
        if media or plain < 0 or said < 0 or cached < 0 or written < 0 or thought < 0:
            return self._mixed(usage)
        read, made = table.read[_TEXT], table.made[_TEXT]
        total = table.flat + plain * read[0] + said * made[0]
        total += cached * read[1] + written * read[2] + thought * made[1]
        return -(-total // self._scale)

    def bound(self, input_tokens: int, output_tokens: int, *, media: bool = True) -> int:
        """The most that a call can cost which reads and makes no more tokens than that, in nano-dollars.

        `media`: whether it may read or make audio or images; without them the bound is nearer.
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

    def at(self, tier: str) -> Price:
        """The price of another service tier or speed (`flex`, `priority`, `fast`); this one where none is known."""
        return self._tiers.get(tier, self)

    def _table(self, read: int) -> _Table:
        return next(table for table in reversed(self._tables) if read > table.above or table.above < 0)

    def _mixed(self, usage: Usage) -> int:
        read = _shared(usage.input, (usage.image_input, usage.audio_input), (usage.cached_input, usage.cache_write))
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
    text = tuple(price.input if p is None else p for p in (price.input, price.cached_input, price.cache_write))
    audio = price.audio_input  # what its cache costs is not said: no less than the rest of it
    heard = text if audio is None else (audio, audio, max(audio, text[2]))
    spoken = price.output if price.audio_output is None else price.audio_output
    made = ((price.output,) * 2, (price.output,) * 2, (spoken,) * 2)
    given = {key: f"{value:f}" for key, value in price if value is not None}
    rates = _Rates(-1, Fraction(price.request), _million((text, text, heard)), _million(made))
    return _price(given | {"source": "settings"}, [rates])


class _Rates(NamedTuple):
    """A table before it is brought to a common denominator: dollars, and dollars a token."""

    above: int
    flat: Fraction
    read: tuple[tuple[Fraction, ...], ...]
    made: tuple[tuple[Fraction, ...], ...]


def _million(prices: Any) -> tuple[tuple[Fraction, ...], ...]:
    return tuple(tuple(Fraction(price) / 10**6 for price in row) for row in prices)


def _price(document: dict[str, str], tables: list[_Rates], tiers: Mapping[str, Price] | None = None) -> Price:
    rates = [rate for table in tables for row in (*table.read, *table.made, (table.flat,)) for rate in row]
    scale = math.lcm(*((rate * _NANO).denominator for rate in rates))

    def whole(rate: Fraction) -> int:
        return int(rate * _NANO * scale)

    def integers(rows: tuple[tuple[Fraction, ...], ...]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(map(whole, row)) for row in rows)

    def compiled(table: _Rates) -> _Table:
        read, made = integers(table.read), integers(table.made)
        most = (max(read[_TEXT]), max(made[_TEXT])), (max(map(max, read)), max(map(max, made)))
        return _Table(table.above, whole(table.flat), read, made, most)

    read, made = (_decimal(rows[_TEXT][0] * 10**6) for rows in (tables[0].read, tables[0].made))
    return Price(read, made, document, scale, tuple(map(compiled, tables)), tiers or {})


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

    def cells(above: int, direction: str, uses: tuple[str, ...]) -> tuple[tuple[Fraction, ...], ...]:
        wanted = {"family": "tokens", "direction": direction}
        return tuple(
            tuple(rate(above, wanted | {"modality": modality, "token_type": use}) for use in uses)
            for modality in _MODALITIES
        )

    starts = sorted({tier.start for price in given.values() if isinstance(price, TieredPrices) for tier in price.tiers})
    tables = [
        _Rates(
            above,
            rate(above, {"family": "requests"}),
            cells(above, "input", _READ_AS),
            cells(above, "output", _MADE_AS),
        )
        for above in (-1, *starts)
    ]
    document = {key: _shown(price) for key, price in given.items()} | {"source": source}
    return _price(document, tables, tiers)


def _shown(price: Any) -> str:
    tiers = getattr(price, "tiers", ())
    return "; ".join([f"{price.base if tiers else price:f}", *(f"above {t.start}: {t.price:f}" for t in tiers)])


def _decimal(fraction: Fraction) -> Decimal:
    return Decimal(fraction.numerator) / fraction.denominator


FREE = declared(Declared())
"""The price of what runs here, and of `echo`."""
