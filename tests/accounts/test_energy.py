"""Energy: shares that add up, watts that are stated, and EcoLogits' figures worked out by hand."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.accounts.energy import (
    LEAST_WATTS,
    MOST_WATTS,
    WATTS_PER_CORE,
    Learned,
    Meter,
    Shares,
    estimated,
    measured,
)
from intermodel.settings import Energy as Settings


class TestMeasured:
    def test_a_kilowatt_hour_of_processor_time(self) -> None:
        found = measured(3600, Settings(watts_per_core=1000, grams_per_kwh=400))
        assert (found.joules, found.joules_low, found.joules_high) == (3_600_000, 3_600_000, 3_600_000)
        assert found.grams == pytest.approx(400)
        assert found.method == "measured"
        assert found.source == "processor time; 1000 W a core, 400 g/kWh"

    def test_what_a_core_draws_is_a_range_unless_it_is_stated(self) -> None:
        found = measured(10, Settings())
        assert (found.joules_low, found.joules, found.joules_high) == pytest.approx((27.6, 38.4, 42.6))
        assert found.grams_low < found.grams < found.grams_high

    def test_the_defaults_are_their_sources(self) -> None:
        assert pytest.approx((3.5 + 4.26 + 3.76) / 3) == WATTS_PER_CORE
        assert pytest.approx(3.5 - 0.74) == LEAST_WATTS
        assert max(3.5, 4.26, 3.76) == MOST_WATTS
        assert estimated("api.openai.com", "gpt-4o", 1, 1.0)  # loads EcoLogits in its own way
        from ecologits.electricity_mix_repository import electricity_mixes

        world = electricity_mixes.find_electricity_mix("WOR")
        assert world is not None
        assert Settings().grams_per_kwh == pytest.approx(1000 * world.gwp)


class TestShares:
    def test_one_call_has_all_of_its_time(self) -> None:
        shares = Shares()
        shares.begin("a", 5.0)
        assert shares.end("a", 7.5) == 2_500_000

    def test_what_two_do_together_is_halved(self) -> None:
        shares = Shares()
        shares.begin("a", 0.0)
        shares.begin("b", 1.0)
        assert shares.end("a", 3.0) == 2_000_000  # one second alone, two shared
        assert shares.end("b", 7.0) == 5_000_000

    def test_what_is_used_between_calls_is_nobodys(self) -> None:
        shares = Shares()
        shares.begin("a", 0.0)
        shares.end("a", 1.0)
        shares.begin("b", 4.0)
        assert shares.end("b", 4.5) == 500_000
        assert shares.idle == 3_000_000

    def test_a_new_process_begins_from_nothing(self) -> None:
        shares = Shares()
        shares.begin("a", 100.0)
        shares.begin("b", 2.0)
        assert shares.end("b", 4.0) == 1_000_000

    @given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.integers(0, 10_000_000)), max_size=60))
    def test_they_add_up(self, steps: list[tuple[str, int]]) -> None:
        shares, clock, total = Shares(), 0, 0
        running: set[str] = set()
        shares.begin("first", 0.0)
        total += shares.end("first", 0.0)
        for call, used in steps:
            clock += used
            if call in running:
                running.remove(call)
                total += shares.end(call, clock / 1_000_000)
            else:
                running.add(call)
                shares.begin(call, clock / 1_000_000)
        total += sum(shares.end(call, clock / 1_000_000) for call in running)
        assert total + shares.idle == clock


class TestMeter:
    def test_calls_of_one_engine_share_its_clock(self) -> None:
        clock = {"a": 10.0, "b": 0.0}
        meter = Meter(clock.get)
        first, second, other = meter.begin("a"), meter.begin("a"), meter.begin("b")
        clock.update(a=14.0, b=1.0)
        assert (first.end(), second.end(), other.end()) == (2.0, 2.0, 1.0)
        assert first.end() is None

    def test_where_no_engine_runs_nothing_is_known(self) -> None:
        clock: dict[str, float] = {}
        meter = Meter(clock.get)
        cold = meter.begin("a")
        clock["a"] = 1.0
        assert cold.end() is None
        running = meter.begin("a")
        del clock["a"]
        assert running.end() is None
        clock["a"] = 0.5
        alone = meter.begin("a")
        clock["a"] = 1.5
        assert alone.end() == 1.0


class TestEstimated:
    def test_it_is_ecologits_published_method(self) -> None:
        """https://ecologits.ai/latest/methodology/llm_inference/, for 400 tokens of GPT-4o mini in 5 s, by hand.

        GPT-4o mini is taken to have 8 to 28 billion parameters, which fit into one GPU of 80 GB, in OpenAI's data
        centres in the USA with a power usage effectiveness of 1.2.
        """
        server_wh = 5 / 3600 * 1200 / 8 / 64  # 1.2 kW for eight GPUs and 64 requests at once
        joules = []
        for parameters in (8, 28):
            wh_per_token = 1.1665273170451914e-06 * math.exp(-0.011205921025579175 * 64) * parameters + 4.052928147e-05
            gpu_wh = 400 * wh_per_token
            joules.append(3600 * 1.2 * (gpu_wh + server_wh))
        embodied_grams = 1000 * 5 * (5700 / 8 + 273) / (3 * 365 * 86_400 * 64)
        found = estimated("api.openai.com", "gpt-4o-mini", 400, 5.0)
        assert found is not None
        assert (found.joules_low, found.joules_high) == pytest.approx(tuple(joules))
        assert found.joules == pytest.approx(sum(joules) / 2)
        assert found.grams_low == pytest.approx(joules[0] / 3.6e6 * 384.4 + embodied_grams)
        assert found.grams_high == pytest.approx(joules[1] / 3.6e6 * 384.4 + embodied_grams)
        assert found.method == "estimated"
        assert found.source.startswith("EcoLogits 0.")
        assert "openai/gpt-4o-mini; model-arch-multimodal; model-arch-not-released" in found.source

    def test_where_the_vendor_runs_can_be_stated(self) -> None:
        usual = estimated("api.openai.com", "gpt-4o-mini", 400, 5.0)
        french = estimated("api.openai.com", "gpt-4o-mini", 400, 5.0, zone="FRA")
        assert usual is not None
        assert french is not None
        assert french.joules == usual.joules
        assert french.grams < usual.grams / 4

    @pytest.mark.parametrize(
        ("host", "model"),
        [
            ("eu.openai.azure.com", "gpt-4o"),
            ("openrouter.ai", "openai/gpt-4o"),
            ("europe-west1-aiplatform.googleapis.com", "gemini-2.5-flash"),
            ("10.0.0.5", "mistralai/Mixtral-8x22B-Instruct-v0.1"),
        ],
    )
    def test_models_are_known_under_several_names(self, host: str, model: str) -> None:
        assert estimated(host, model, 100, 1.0) is not None

    @pytest.mark.parametrize(
        ("host", "model", "tokens", "zone"),
        [
            ("api.openai.com", "gpt-of-tomorrow", 100, ""),
            ("example.org", "gpt-4o", 100, ""),
            ("evil-api.openai.com.example", "gpt-4o", 100, ""),
            ("api.openai.com", "gpt-4o", 0, ""),
            ("api.openai.com", "gpt-4o", 100, "XXX"),
        ],
    )
    def test_what_is_not_known_is_none_and_not_zero(self, host: str, model: str, tokens: int, zone: str) -> None:
        assert estimated(host, model, tokens, 1.0, zone) is None

    def test_other_loggers_stay_what_they_were(self) -> None:
        program = (
            "import logging; from intermodel.accounts.energy import estimated; "
            "assert estimated('api.openai.com', 'gpt-4o', 1, 1.0); assert logging.getLoggerClass() is logging.Logger"
        )
        subprocess.run([sys.executable, "-c", program], check=True)


class TestLearned:
    def test_it_is_the_mean_of_the_tokens_not_of_the_calls(self) -> None:
        learned = Learned()
        assert learned.joules("a") is None
        learned.add("a", 5, 0)
        assert learned.joules("a") is None
        learned.add("a", 10, 1000)
        assert learned.joules("a") == pytest.approx(10)
        learned.add("a", 100, 1)  # a short answer to a long question
        assert learned.joules("a") == pytest.approx(1000 * (9.8 + 100) / (980 + 1))

    def test_it_follows_a_change(self) -> None:
        learned = Learned()
        for joules in [10] * 200 + [20] * 200:
            learned.add("a", joules, 1000)
        assert learned.joules("a") == pytest.approx(20, rel=0.05)
