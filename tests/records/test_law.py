"""What the law asks: dated data, and what is unknown stays *perhaps*."""

from __future__ import annotations

from datetime import date

import pytest

from intermodel.core import Invalid
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.law import GPAI_FLOP, HARMS, READ, RULES, SYSTEMIC_FLOP, Obligations, obligations

TEXT = WhatItIs(kind=Fact(Kind.WEIGHTS, "card:x"), modalities=Fact(("text",), "card:pipeline_tag"))
NOW = date(2026, 11, 20)


def applying(found: Obligations) -> set[str]:
    return {item.rule.id for item in found.items if item.applies}


def perhaps(found: Obligations) -> dict[str, str]:
    return {item.rule.id: item.why for item in found.items if item.applies is None}


EVERYBODY = {"eu-ai-act-53-1-c", "eu-ai-act-53-1-d"}
CLOSED_ONLY = {"eu-ai-act-53-1-a", "eu-ai-act-53-1-b", "eu-ai-act-54"}
SYSTEMIC = {"eu-ai-act-52-1", "eu-ai-act-55-1-a", "eu-ai-act-55-1-b", "eu-ai-act-55-1-c", "eu-ai-act-55-1-d"}


def test_a_closed_general_purpose_model() -> None:
    found = obligations(TEXT, 1e24, False, "DE", NOW)
    assert (found.gpai, found.systemic, found.exempt) == (True, False, False)
    assert applying(found) >= EVERYBODY | CLOSED_ONLY
    assert not applying(found) & SYSTEMIC
    assert "eu-ai-act-53-2" not in applying(found)


def test_the_open_source_exemption_waives_two_duties_and_the_representative() -> None:
    found = obligations(TEXT, 1e24, True, "EU", NOW)
    assert found.exempt is True
    assert applying(found) >= EVERYBODY | {"eu-ai-act-53-2"}
    assert not applying(found) & CLOSED_ONLY


def test_systemic_risk_voids_it() -> None:
    found = obligations(TEXT, 2e25, True, "FR", NOW)
    assert (found.systemic, found.exempt) == (True, False)
    assert applying(found) >= EVERYBODY | CLOSED_ONLY | SYSTEMIC


def test_thresholds_are_exceeded_not_met() -> None:
    assert obligations(TEXT, GPAI_FLOP, None, "DE", NOW).gpai is False
    assert obligations(TEXT, GPAI_FLOP * 1.01, None, "DE", NOW).gpai is True
    assert obligations(TEXT, SYSTEMIC_FLOP, None, "DE", NOW).systemic is False


def test_what_is_not_known_is_perhaps() -> None:
    found = obligations(TEXT, None, None, "DE", NOW)
    assert (found.gpai, found.systemic, found.exempt) == (None, None, None)
    assert "eu-ai-act-53-1-c" in perhaps(found)
    assert "training took more than 10^23 FLOP" in perhaps(found)["eu-ai-act-53-1-c"]
    assert set(perhaps(found)) >= SYSTEMIC
    assert not applying(found) & (EVERYBODY | CLOSED_ONLY | SYSTEMIC)
    assert obligations(WhatItIs(), 1e24, True, "DE", NOW).gpai is None, "no modalities"
    assert obligations(None, 1e22, True, "DE", NOW).gpai is False


def test_a_small_model_and_a_data_set_owe_nothing_of_it() -> None:
    for found in (
        obligations(TEXT, 1e20, True, "DE", NOW),
        obligations(WhatItIs(kind=Fact(Kind.DATASET, "x")), None, True, "DE", NOW),
    ):
        assert found.gpai is False
        assert not {item.rule.id for item in found.items} & (EVERYBODY | CLOSED_ONLY | SYSTEMIC)


def test_days() -> None:
    before = obligations(TEXT, 1e24, False, "DE", date(2025, 8, 1))
    assert perhaps(before)["eu-ai-act-53-1-a"] == "not before 2025-08-02"
    assert "eu-ai-act-53-1-a" in applying(obligations(TEXT, 1e24, False, "DE", date(2025, 8, 2)))
    assert "2027-08-02" in perhaps(obligations(TEXT, 1e24, False, "DE", date(2027, 8, 3)))["eu-ai-act-111-3"]
    assert obligations(TEXT).on == READ


def test_places() -> None:
    assert not any(i.rule.law == "EU AI Act" for i in obligations(TEXT, 1e26, False, "US", NOW).items)
    assert not any(i.rule.law.startswith("US") for i in obligations(TEXT, 1e26, False, "DE", NOW).items)
    assert {i.rule.law for i in obligations(TEXT, 2e26, False, "", NOW).items} >= {
        "EU AI Act",
        "EU Dual-Use Regulation",
    }
    with pytest.raises(Invalid):
        obligations(TEXT, place="Mars")


@pytest.mark.parametrize("compute", [-1.0, float("nan")])
def test_a_compute_that_is_none(compute: float) -> None:
    with pytest.raises(Invalid):
        obligations(TEXT, compute)


def test_the_rule_on_closed_weights_is_told_with_its_status() -> None:
    found = obligations(TEXT, 2e26, False, "US", NOW)
    assert perhaps(found)["us-eccn-4e091"].startswith("not enforced")
    assert "us-restricted-parties" in applying(found)
    assert "us-eccn-4e091" not in {item.rule.id for item in obligations(TEXT, 2e26, True, "US", NOW).items}


def test_every_rule_has_source_dates_and_status() -> None:
    assert len({rule.id for rule in RULES}) == len(RULES)
    for rule in RULES:
        assert rule.source
        assert rule.status in ("enforced", "guideline", "not enforced")
        assert rule.end is None or rule.end >= rule.start


def test_the_twelve_risks() -> None:
    assert len(HARMS) == 12
    assert [harm.source for harm in HARMS] == [f"NIST AI 600-1, 2.{i}" for i in range(1, 13)]


def test_the_document_says_that_it_is_no_advice() -> None:
    told = obligations(TEXT, 1e24, False, "DE", NOW).document()
    assert "not legal advice" in told["notice"]
    assert told["items"][0]["source"]
    assert told["notes"]


def test_what_may_apply_says_what_is_known_and_what_would_settle_it() -> None:
    small = WhatItIs(kind=Fact(Kind.WEIGHTS, "card:x"), parameters=Fact(1_000_000, "file:x"))
    why = perhaps(obligations(small, None, None, "DE", NOW))
    copyright_policy = why["eu-ai-act-53-1-c"]
    assert "more than 10^23 FLOP" in copyright_policy
    assert "It has 1,000,000 parameters" in copyright_policy
    assert "1.7 x 10^16 tokens" in copyright_policy
    assert "settles it" in copyright_policy
    assert "what comes out of it" in copyright_policy
    assert "open source" not in copyright_policy
    assert "open source" in why["eu-ai-act-53-1-a"]
    assert "more than 10^25 FLOP" in why["eu-ai-act-55-1-a"]
    assert "parameters" not in perhaps(obligations(TEXT, None, None, "DE", NOW))["eu-ai-act-53-1-c"]


def test_what_is_known_is_not_asked_for() -> None:
    known = perhaps(obligations(TEXT, 1e24, None, "DE", NOW))["eu-ai-act-53-1-a"]
    assert "FLOP" not in known, "that is known"
