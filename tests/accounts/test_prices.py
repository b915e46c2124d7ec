import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, Provider, TimeOfDateConstraint
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intermodel.accounts import Price, Prices
from intermodel.accounts.prices import FREE, declared, listed
from intermodel.core import Usage
from intermodel.settings import Deployment, TierPrice
from intermodel.settings import Price as Declared

OPENAI = "https://api.openai.com/v1"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def listed_models() -> list[tuple[Provider, ModelInfo, Price]]:
    return [
        (provider, model, price)
        for provider in get_snapshot().providers
        for model in provider.models
        if (price := listed(model, model.id, NOON)) is not None and price is not FREE
    ]


SPECIAL = ("audio", "image", "reasoning", "requests", "above")
MODELS = listed_models()
UNUSUAL = [found for found in MODELS if any(word in f"{found[2].document}" for word in SPECIAL)]
"""Those with a price for sounds, pictures, thoughts, requests or long calls."""
any_model = st.one_of(st.sampled_from(MODELS), st.sampled_from(UNUSUAL))


tokens = st.one_of(st.integers(0, 1000), st.integers(0, 3_000_000))


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Whatever a vendor may report, where parts are no larger than their wholes."""
    read, made = draw(tokens), draw(tokens)
    cached = draw(st.integers(0, read))
    written = draw(st.integers(0, read - cached))
    heard = draw(st.integers(0, read))
    seen = draw(st.integers(0, read - heard))
    thought = draw(st.integers(0, made))
    said = draw(st.integers(0, made))
    drawn = draw(st.integers(0, made - said))
    media = draw(st.booleans())
    if not media:
        heard = seen = said = drawn = 0
    hour = draw(st.one_of(st.none(), st.just(0), st.integers(0, written)))
    return Usage(read, made, cached, written, heard, seen, thought, said, drawn, cache_write_1h=hour)


def vendors_usage(u: Usage) -> genai_prices.Usage:
    """The same for genai-prices, which wants to be told how the parts overlap: what is cached is text first."""
    text = u.input - u.audio_input - u.image_input
    image_read = min(u.image_input, max(0, u.cached_input - text))
    audio_read = max(0, u.cached_input - text - u.image_input)
    used = max(0, u.cached_input + u.cache_write - text)
    image_used, audio_used = min(u.image_input, used), max(0, used - u.image_input)
    said = u.output - u.audio_output - u.image_output
    image_thought = min(u.image_output, max(0, u.reasoning - said))
    return genai_prices.Usage(
        input_tokens=u.input,
        output_tokens=u.output,
        cache_read_tokens=u.cached_input,
        cache_write_tokens=u.cache_write,
        cache_write_1h_tokens=u.cache_write_1h or 0,
        input_audio_tokens=u.audio_input,
        input_image_tokens=u.image_input,
        cache_image_read_tokens=image_read,
        cache_audio_read_tokens=audio_read,
        cache_image_write_tokens=image_used - image_read,
        cache_audio_write_tokens=audio_used - audio_read,
        output_reasoning_tokens=u.reasoning,
        output_audio_tokens=u.audio_output,
        output_image_tokens=u.image_output,
        output_image_reasoning_tokens=image_thought,
        output_audio_reasoning_tokens=max(0, u.reasoning - said - u.image_output),
    )


def check_cost(found: tuple[Provider, ModelInfo, Price], usage: Usage) -> None:
    provider, model, price = found
    if not price.knows(usage):
        usage = replace(usage, cache_write_1h=None)
    theirs = model.calc_price(vendors_usage(usage), provider, genai_request_timestamp=NOON).total_price
    assert 0 <= price.cost(usage) - Fraction(theirs) * 10**9 < 1 + Fraction(1, 10**6)  # theirs is rounded to 28 digits


@settings(max_examples=400)
@given(found=any_model, usage=usages())
def test_costs_are_those_of_the_public_list(found: tuple[Provider, ModelInfo, Price], usage: Usage) -> None:
    check_cost(found, usage)


@pytest.mark.slow
@pytest.mark.parametrize("found", [*MODELS[::12], *UNUSUAL], ids=lambda found: f"{found[0].id}/{found[1].id}")
@given(usage=usages())
def test_costs_of_each_model(found: tuple[Provider, ModelInfo, Price], usage: Usage) -> None:
    check_cost(found, usage)


@settings(max_examples=300)
@given(found=any_model, usage=usages(), more=st.tuples(tokens, tokens))
def test_no_call_costs_more_than_its_bound(
    found: tuple[Provider, ModelInfo, Price], usage: Usage, more: tuple[int, int]
) -> None:
    price, cost = found[2], found[2].cost(usage)
    limits = usage.input + more[0], usage.output + more[1]
    price = price.for_an_hour if usage.cache_write_1h else price
    assert cost <= price.bound(*limits)
    if not (usage.audio_input or usage.image_input or usage.audio_output or usage.image_output):
        assert cost <= price.bound(*limits, media=False) <= price.bound(*limits)


def test_most_of_the_list_has_a_price() -> None:
    every = sum(len(provider.models) for provider in get_snapshot().providers)
    assert len(MODELS) > 0.85 * every


money = st.decimals(0, 1000, places=9)


@given(read=money, made=money, request=money, counts=st.tuples(tokens, tokens))
@example(read=Decimal("0.000000001"), made=Decimal(0), request=Decimal(0), counts=(1, 0))
def test_a_cost_is_exact_and_rounded_up_once(read: Decimal, made: Decimal, request: Decimal, counts: Any) -> None:
    price = declared(Declared(input=read, output=made, request=request))
    exact = (Fraction(read) * counts[0] + Fraction(made) * counts[1]) / 10**6 + Fraction(request)
    assert price.cost(Usage(*counts)) == math.ceil(exact * 10**9)
    assert price.bound(*counts) == price.cost(Usage(*counts))
    assert price.input_per_million == read
    assert price.output_per_million == made


def test_a_declared_price_counts_its_parts() -> None:
    price = declared(
        Declared(
            input=Decimal(10), output=Decimal(20), cached_input=Decimal(1), cache_write=Decimal(12),
            audio_input=Decimal(100), audio_output=Decimal(200), request=Decimal("0.5"),
        )
    )  # fmt: skip
    usage = Usage(1000, 100, cached_input=300, cache_write=200, audio_input=100, audio_output=40)
    micro = 400 * 10 + 300 * 1 + 200 * 12 + 100 * 100 + 60 * 20 + 40 * 200
    assert price.cost(usage) == micro * 1000 + 500_000_000
    assert price.document["source"] == "settings"
    assert price.document["cached_input"] == "1"


def test_parts_that_are_not_declared_cost_what_the_whole_costs() -> None:
    price = declared(Declared(input=Decimal(10), output=Decimal(20)))
    usage = Usage(1000, 100, 300, 200, 100, 50, 30, 20, 10)
    assert price.cost(usage) == price.cost(Usage(1000, 100))


def test_a_part_larger_than_its_whole_makes_the_whole_larger() -> None:
    price = declared(Declared(input=Decimal(10), output=Decimal(20), cached_input=Decimal(1)))
    assert price.cost(Usage(10, 0, cached_input=1000)) == price.cost(Usage(1000, 0, cached_input=1000))
    assert price.cost(Usage(10, 0, audio_input=1000)) == price.cost(Usage(1000, 0))
    assert price.cost(Usage(10, 0, cached_input=-5)) == price.cost(Usage(10, 0))


def priced(**given: Any) -> Price | None:
    deployment = Deployment(**given)
    return Prices({"name": deployment}).price_of("name", deployment)


def test_a_vendor_is_known_by_its_server() -> None:
    price = priced(base_url=OPENAI, model="gpt-4o")
    assert price is not None
    assert (price.input_per_million, price.output_per_million) == (Decimal("2.5"), Decimal(10))
    assert "openai/gpt-4o" in price.document["source"]
    google = "https://generativelanguage.googleapis.com/v1beta/openai"
    assert priced(base_url=google, model="gemini-2.5-flash") is not None
    assert priced(base_url=OPENAI, model="no-such-model") is None
    assert priced(base_url="http://127.0.0.1:8000/v1", model="gpt-4o") is None, "a name proves nothing"


def test_vendors_with_a_server_of_their_own() -> None:
    assert priced(provider="anthropic", model="claude-sonnet-4-5") is not None
    assert priced(provider="anthropic", model="claude-sonnet-4-5", base_url="http://localhost:1/v1") is None


def test_what_runs_here_is_free_and_a_declared_price_rules() -> None:
    assert priced(provider="echo") is FREE
    assert FREE.cost(Usage(10**9, 10**9)) == FREE.bound(10**9, 10**9) == 0
    price = priced(base_url=OPENAI, model="gpt-4o", price=Declared(input=Decimal(7)))
    assert price is not None
    assert price.input_per_million == 7


def test_what_is_billed_by_the_hour_has_no_price_for_tokens() -> None:
    assert priced(base_url=OPENAI, model="whisper-1") is None


def test_longer_calls_can_cost_more_a_token() -> None:
    price = priced(base_url="https://generativelanguage.googleapis.com/v1beta", model="gemini-2.5-pro")
    assert price is not None
    assert price.cost(Usage(200_000, 0)) == 200_000 * 1250
    assert price.cost(Usage(200_001, 0)) == 200_001 * 2500
    assert price.bound(200_000, 0) < price.bound(200_001, 0)


def at(price: Price, tier: str) -> Price:
    found = price.at(tier)
    assert found is not None
    return found


def test_service_tiers() -> None:
    price = priced(base_url=OPENAI, model="gpt-5")
    assert price is not None
    assert at(price, "priority").input_per_million == 2 * price.input_per_million
    assert at(price, "priority").document["source"].endswith("(priority)")
    assert at(price, "default") is at(price, "auto") is at(price, "") is price
    assert price.at("ultrafast") is None, "nobody knows it, and it is not the usual one"
    assert FREE.at("ultrafast") is FREE, "what is free is so however it is served"


def test_service_tiers_of_a_declared_price() -> None:
    tiers = {"priority": TierPrice(input=Decimal(4), output=Decimal(8))}
    price = declared(Declared(input=Decimal(2), output=Decimal(4), tiers=tiers))
    assert at(price, "priority").cost(Usage(10**6, 10**6)) == 12 * 10**9
    assert at(price, "priority").document == {
        "input": "4",
        "output": "8",
        "request": "0",
        "source": "settings (priority)",
    }
    assert "tiers" not in price.document
    assert price.at("flex") is None


def test_an_hour_in_the_cache_of_anthropic_costs_twice_the_input() -> None:
    price = priced(provider="anthropic", model="claude-opus-4-5")
    assert price is not None
    usage = Usage(1000, 0, cached_input=100, cache_write=600, cache_write_1h=400)
    rates = 300 * 5 + 100 * Fraction(1, 2) + 200 * Fraction(25, 4) + 400 * 10
    assert price.cost(usage) == rates * 1000
    assert price.knows(usage)
    long = replace(usage, audio_input=50)
    assert price.cost(long) == rates * 1000, "also where parts may overlap"
    assert price.bound(1000, 0) == 6_250_000, "calls that keep nothing so long are not held to it"
    assert price.for_an_hour.bound(1000, 0) == 10_000_000
    assert price.for_an_hour.buys(1000, 10_000_000) == 0


def test_what_an_hour_in_the_cache_costs_may_not_be_known() -> None:
    usage = Usage(1000, 0, cache_write=1000, cache_write_1h=1000)
    minutes = declared(Declared(input=Decimal(4), output=Decimal(8), cache_write=Decimal(5)))
    assert not minutes.knows(usage)
    assert minutes.knows(replace(usage, cache_write_1h=0))
    assert minutes.cost(usage) == minutes.for_an_hour.bound(1000, 0) == 8_000_000, "twice the input bounds it"
    said = declared(Declared(input=Decimal(4), cache_write=Decimal(5), cache_write_1h=Decimal(6)))
    assert (said.knows(usage), said.cost(usage)) == (True, 6_000_000)
    plain = declared(Declared(input=Decimal(4)))
    assert (plain.knows(usage), plain.cost(usage)) == (True, 4_000_000), "nothing is priced apart there"
    reseller = priced(base_url="https://openrouter.ai/api/v1", model="anthropic/claude-opus-4.5")
    assert reseller is not None
    assert not reseller.knows(usage), "the list does not say"


def timed_model() -> ModelInfo:
    return next(
        model
        for provider in get_snapshot().providers
        for model in provider.models
        if not isinstance(model.prices, ModelPrice)
        and any(isinstance(conditional.constraint, TimeOfDateConstraint) for conditional in model.prices)
    )


def test_prices_that_change_with_the_time_of_day() -> None:
    model = timed_model()
    provider = next(p for p in get_snapshot().providers if model in p.models)
    deployment = Deployment(base_url=provider.api_pattern.replace("\\", "").rstrip("(/|$)?:"), model=model.id)
    now = [0.0]
    prices = Prices(clock=lambda: now[0])
    seen = set()
    for minute in range(0, 2 * 24 * 60, 7):
        now[0] = NOON.timestamp() + minute * 60
        price = prices.price_of("name", deployment)
        assert price is not None
        usage = genai_prices.Usage(input_tokens=10**6, output_tokens=10**6)
        when = datetime.fromtimestamp(now[0], UTC)
        theirs = model.calc_price(usage, provider, genai_request_timestamp=when).total_price
        assert price.cost(Usage(10**6, 10**6)) == theirs * 10**9
        seen.add(theirs)
    assert len(seen) > 1
