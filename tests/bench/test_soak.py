"""The figures a soak ends with."""

from __future__ import annotations

import importlib
import json
import math
import random
from typing import Any

import pytest

soak: Any = importlib.import_module("bench.soak")
"""By name, because the benchmarks have no types."""


def row(minute: float, anon: float) -> dict[str, float]:
    kinds = {f"{key}_mb": anon for key in soak.KB}
    return kinds | {"minute": minute, "threads": 10, "files": 40}


def test_the_slope_of_a_line_is_exact() -> None:
    rise, error = soak.slope([(x, 3 * x + 7) for x in range(5)])
    assert (rise, error) == pytest.approx((3, 0))


def test_the_error_of_a_slope_is_that_of_the_textbook() -> None:
    rise, error = soak.slope([(1, 2), (2, 1), (3, 4), (4, 3)])
    assert rise == pytest.approx(0.6)
    assert error == pytest.approx(math.sqrt(3.2 / 2 / 5))


def test_noise_without_growth_is_within_three_errors_of_zero() -> None:
    chance = random.Random(1)
    rise, error = soak.slope([(x / 60, 100 + chance.gauss(0, 1)) for x in range(60)])
    assert error > 0
    assert abs(rise) < 3 * error


def test_two_points_have_no_slope() -> None:
    assert all(math.isnan(number) for number in soak.slope([(0, 1), (1, 2)]))


def test_growth_is_that_of_the_second_half() -> None:
    series = [row(minute, 80 + (10 * minute if minute < 10 else 100 + minute / 10)) for minute in range(21)]
    said = soak.summary(series)
    assert said["growth_mb_per_hour"] == pytest.approx(6)
    assert said["standard_error"] == pytest.approx(0, abs=1e-3)
    assert said["rows_in_second_half"] == 11
    assert said["peaks"]["RssAnon_mb"] == 182


def test_a_short_soak_says_no_growth_but_its_peaks() -> None:
    said = soak.summary([row(0, 80), row(1, 90)])
    assert said["growth_mb_per_hour"] is None
    assert said["peaks"]["threads"] == 10


def test_the_mix_is_a_hundred() -> None:
    assert sum(soak.MIX.values()) == 100


def test_a_body_says_what_the_mock_reads() -> None:
    assert "stream" not in json.loads(soak.body())
    streamed = json.loads(soak.body(20, 7))
    assert streamed["stream"] is True
    assert streamed["messages"][-1]["content"].endswith("@@d=20 @@n=7")


def test_the_code_of_an_error_is_found_in_its_answer() -> None:
    assert soak.code(b'{"error":{"message":"no","param":null,"code":"overloaded"},"code":"other"}') == "overloaded"
    assert soak.code(b'data: {"choices":[]}') == "cut off"
