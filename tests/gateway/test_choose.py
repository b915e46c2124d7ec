"""The choice of candidates: pure, with a reason for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from intermodel.core import Call, Capability, Invalid, Kind, NotFound, Refused, Unavailable
from intermodel.gateway import Candidate, Directory, Target
from intermodel.gateway.choose import Known, Verdict, choose, none_fit
from intermodel.gateway.health import Phase, Standing
from intermodel.settings import Constraints, Route

CHAT = frozenset({Capability.CHAT})
NEW = Standing(
    phase=Phase.CLOSED, until=0, rests_s=0, reason="", first_token_s=None, rate=None, error_ratio=0, samples=0,
    measured=None, quality=None,
)  # fmt: skip


def target(name: str, *able: Capability, **more: Any) -> Target:
    return Target(name, name, name, local=False, capabilities=frozenset(able), **more)


DIRECTORY = Directory(
    {
        "text": target("text", Capability.CHAT),
        "eyes": target("eyes", Capability.CHAT, Capability.VISION),
        "unknown": target("unknown"),
    },
    {
        "best": Route(candidates=("text", "gone", "eyes", "unknown")),
        "lost": Route(candidates=("gone",)),
    },
)


def call(model: str, *needs: Capability) -> Call:
    return Call(Kind.CHAT, model, {}, needs=frozenset(needs) | CHAT)


def chosen(
    asked: Call, directory: Directory = DIRECTORY, standings: Mapping[str, Standing] | None = None, seed: int = 0
) -> tuple[Candidate, ...]:
    return choose(asked, directory, lambda address: (standings or {}).get(address, NEW), Random(seed))


def routed(
    targets: list[Target], standings: Mapping[str, Standing] | None = None, **route: Any
) -> list[tuple[str, bool]]:
    """As it is without the calls that explore."""
    made = Route(candidates=tuple(t.address for t in targets), explore=0, **route)
    directory = Directory({t.address: t for t in targets}, {"r": made})
    return [(c.target.address, c.fit) for c in chosen(call("r"), directory, standings)]


def test_a_name_is_its_own_candidate() -> None:
    (only,) = chosen(call("text"))
    assert (only.target.address, only.fit, only.reason) == ("text", True, "named by the caller")


def test_a_route_keeps_its_order_and_says_why() -> None:
    listed = chosen(call("best"))
    assert [c.target.address for c in listed] == ["text", "eyes", "unknown"]
    assert listed[1].reason == "place 2 of the route"


def test_what_cannot_answer_is_left_out_with_the_reason() -> None:
    listed = chosen(call("best", Capability.VISION))
    assert [(c.target.address, c.fit) for c in listed] == [("eyes", True), ("unknown", True), ("text", False)]
    assert listed[-1].reason == "it does not offer vision"


def test_unknown_capabilities_are_not_held_against_a_deployment_but_for_continuing() -> None:
    assert chosen(call("unknown", Capability.TOOLS))[0].fit
    assert not chosen(call("unknown", Capability.CONTINUES))[0].fit


def test_when_nobody_can_it_is_the_request_that_is_wrong() -> None:
    asked = call("text", Capability.VISION)
    error = none_fit(asked, chosen(asked))
    assert isinstance(error, Invalid)
    assert "does not offer vision" in error.message


def test_unknown_names_get_the_nearest_one() -> None:
    with pytest.raises(NotFound, match="Did you mean text"):
        chosen(call("txt"))
    with pytest.raises(NotFound, match="None of the candidates"):
        chosen(call("lost"))
    with pytest.raises(NotFound, match="intermodel models add"):
        chosen(call("x"), Directory())


def allowed(purpose: str, place: str, allows: bool | None) -> Known:
    return Known({(purpose, place): Verdict(allows, "its licence says so")})


@pytest.mark.parametrize(
    ("require", "meets", "fails"),
    [
        ({"regions": ("eu", "DE")}, {"region": "DE"}, [{"region": "us"}, {"region": ""}]),
        ({"price_input": 2}, {"price_input": Decimal(2)}, [{"price_input": Decimal("2.01")}, {}]),
        ({"price_output": 2}, {"price_output": Decimal(0)}, [{"price_output": Decimal(3)}, {}]),
        ({"energy_joules": 100}, {"energy_joules": 99.5}, [{"energy_joules": 101.0}, {}]),
        ({"tier": 1}, {"known": Known(tier=1)}, [{"known": Known(tier=2)}, {}]),
        (
            {"verdict": "commercial", "place": "DE"},
            {"known": allowed("commercial", "DE", True)},
            [
                {"known": allowed("commercial", "DE", False)},
                {"known": allowed("commercial", "DE", None)},
                {"known": allowed("commercial", "", True)},
                {},
            ],
        ),
        (
            {"openness": "open access"},
            {"known": Known(openness="open source")},
            [{"known": Known(openness="closed")}, {}],
        ),
    ],
)
def test_constraints_hold_and_the_unknown_does_not_meet_them(
    require: dict[str, Any], meets: dict[str, Any], fails: list[dict[str, Any]]
) -> None:
    targets = [target(f"bad{i}", **facts) for i, facts in enumerate(fails)] + [target("good", **meets)]
    listed = routed(targets, require=Constraints(**require))
    assert listed == [("good", True), *((f"bad{i}", False) for i in range(len(fails)))]


def test_a_verdict_and_a_grade_are_refused_with_the_reason_of_the_record() -> None:
    known = replace(allowed("commercial", "", False), openness="closed", openness_reason="no weights are given out")
    for require, said in (
        (Constraints(verdict="commercial"), "verdict on commercial use is not allowed: its licence says so"),
        (Constraints(openness="open source"), "is closed, the least allowed is open source: no weights are given out"),
    ):
        directory = Directory({"a": target("a", known=known)}, {"r": Route(candidates=("a",), require=require)})
        (one,) = chosen(call("r"), directory)
        assert not one.fit
        assert one.reason.endswith(said)


def test_a_constraint_that_nobody_meets_refuses_and_names_each_reason() -> None:
    directory = Directory(
        {"a": target("a", region="us"), "b": target("b")},
        {"r": Route(candidates=("a", "b"), require=Constraints(regions=("eu",)))},
    )
    error = none_fit(call("r"), chosen(call("r"), directory))
    assert isinstance(error, Refused)
    assert "a: its region is us, not eu" in error.message
    assert "b: its region is unknown, not eu" in error.message


def test_demanded_capabilities_must_be_stated() -> None:
    able = target("b", Capability.CHAT, Capability.TOOLS)
    listed = routed([target("a"), able], require=Constraints(capabilities=frozenset({"tools"})))
    assert listed == [("b", True), ("a", False)]


def test_cheapest_first_and_unknown_prices_last() -> None:
    priced = [
        target("unknown"),
        target("dear", price_input=Decimal(3), price_output=Decimal(15)),
        target("cheap", price_input=Decimal(1), price_output=Decimal(2)),
    ]
    assert [name for name, _ in routed(priced, order="cheapest")] == ["cheap", "dear", "unknown"]


def test_fastest_counts_first_token_and_rate_and_tries_the_new_ones_first() -> None:
    standings = {
        "slow-start": replace(NEW, first_token_s=2.0, rate=200.0),
        "slow-words": replace(NEW, first_token_s=0.1, rate=20.0),
        "quick": replace(NEW, first_token_s=0.5, rate=100.0),
    }
    failed = {"only-fails": replace(NEW, error_ratio=0.3)}
    listed = routed([target(name) for name in [*failed, *standings, "new"]], standings | failed, order="fastest")
    assert [name for name, _ in listed] == ["new", "quick", "slow-start", "slow-words", "only-fails"]


def test_best_by_quality() -> None:
    standings = {"a": replace(NEW, quality=0.4), "b": replace(NEW, quality=0.9)}
    assert [name for name, _ in routed([target(n) for n in "cab"], standings, order="best")] == ["b", "a", "c"]


RATED = {
    "a": replace(NEW, quality=0.9, ratings=40, samples=3, first_token_s=0.1),
    "b": replace(NEW, quality=0.4, ratings=9, samples=50, first_token_s=0.2),
}


def explored(order: Any, explore: float, seed: int = 0, **standings: Standing) -> list[Candidate]:
    route = Route(candidates=("a", "b", "c"), order=order, explore=explore)
    directory = Directory({name: target(name) for name in "abc"}, {"r": route})
    return list(chosen(call("r"), directory, RATED | standings, seed))


@pytest.mark.parametrize(("order", "least"), [("best", "c"), ("fastest", "a")])
def test_a_share_of_calls_goes_to_the_candidate_least_measured(order: str, least: str) -> None:
    """Fastest tries what was never measured at once; what was measured rarely it must look at again too."""
    third = replace(NEW, samples=7, first_token_s=0.05) if order == "fastest" else NEW
    usual = [one.target.address for one in explored(order, 0, c=third)]
    assert usual[0] != least
    drawn = [[c.target.address for c in explored(order, 0.2, seed, c=third)] for seed in range(2000)]
    first = Counter(listed[0] for listed in drawn)
    assert first[least] / len(drawn) == pytest.approx(0.2, abs=0.03)
    rest = [name for name in usual if name != least]
    assert {tuple(listed) for listed in drawn} == {tuple(usual), (least, *rest)}, "the others keep their order"
    assert drawn[0] == [c.target.address for c in explored(order, 0.2, 0, c=third)], "a draw is a value like another"


def test_the_reason_says_that_it_is_explored() -> None:
    (first, second, _) = explored("best", 1)
    assert first.reason == (
        "explored: 100 % of calls go to the candidate least rated, which it is (0 ratings); quality not measured"
    )
    assert second.reason == "measured quality 0.9"
    (rated, *_) = explored("best", 1, c=replace(NEW, quality=0.1, ratings=1))
    assert "(1 rating); measured quality 0.1" in rated.reason


def test_only_who_can_answer_is_explored() -> None:
    resting = replace(NEW, rests_s=3, reason="broken")
    listed = explored("best", 1, c=resting)
    assert [(c.target.address, c.fit) for c in listed] == [("b", True), ("a", True), ("c", False)]
    assert listed[0].reason.startswith("explored: 100 %")
    alone = explored("best", 1, c=resting, b=resting)
    assert (alone[0].target.address, alone[0].fit) == ("a", True)
    assert alone[0].reason == "measured quality 0.9", "there is nothing to explore"


def test_orders_that_measure_nothing_explore_nothing() -> None:
    for order in ("fixed", "cheapest"):
        assert [c.target.address for c in explored(order, 1)] == ["a", "b", "c"]


def test_nothing_is_explored_by_default_more_often_than_documented() -> None:
    assert Route(candidates=("a",)).explore == 0.05


def test_weights_are_kept_in_the_long_run_and_zero_comes_last() -> None:
    made = Route(candidates=("a", "b", "c"), order="weighted", weights={"a": 3, "c": 0})
    directory = Directory({n: target(n) for n in "abc"}, {"r": made})
    drawn = [chosen(call("r"), directory, seed=seed) for seed in range(4000)]
    first = Counter(listed[0].target.address for listed in drawn)
    assert first["c"] == 0
    assert first["a"] / len(drawn) == pytest.approx(0.75, abs=0.03)
    assert drawn[0] == chosen(call("r"), directory, seed=0), "the same draw gives the same order"


def test_one_that_rests_is_left_out_and_alone_it_says_so() -> None:
    resting = {"a": replace(NEW, phase=Phase.OPEN, rests_s=4.0, reason="broken")}
    assert routed([target("a"), target("b")], resting) == [("b", True), ("a", False)]
    directory = Directory({"a": target("a")})
    error = none_fit(call("a"), chosen(call("a"), directory, resting))
    assert isinstance(error, Unavailable)
    assert error.code == "deployment_resting"
