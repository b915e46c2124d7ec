"""Which place is tried next, by fault."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.core import Fault, IntermodelError, Invalid, NotFound, OverBudget, Upstream
from intermodel.gateway.choose import Candidate, Target
from intermodel.gateway.failover import LONGEST_WAIT_S, Failover, Place, most_telling
from intermodel.settings import Route
from tests.faults.server import framed, steps
from tests.gateway.calling import ask, attempts, calling


def target(name: str, **more: Any) -> Target:
    return Target(name, name, name, local=False, **more)


def failover(targets: Sequence[Target | str], *, keys: int = 1, **route: Any) -> Failover:
    found = [t if isinstance(t, Target) else target(t) for t in targets]
    made = Route(candidates=tuple(t.address for t in found), **route)
    return Failover(made, [Candidate(t, fit=True, reason="") for t in found], lambda _: keys, lambda: 0.5)


def places(plan: Failover, fault: Fault, **more: Any) -> list[tuple[str, int]]:
    """The places that are tried, at moment 0, if each of them fails in this way."""
    seen = []
    while (place := plan.next(0.0, 1000.0, lambda _: True)) is not None:
        seen.append((place.target.address, place.key))
        if not plan.failed(place, Upstream("no", fault=fault, **more), 0.0):
            break
    return seen


def test_a_dead_key_gives_way_to_the_next_key_and_then_the_next_candidate() -> None:
    assert places(failover(["a", "b"], keys=2), Fault.KEY) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]


def test_a_broken_server_is_not_asked_with_its_other_key() -> None:
    assert places(failover(["a", "b"], keys=2, attempts=2), Fault.BROKEN) == [("a", 0), ("b", 0)]


def test_tired_and_broken_places_are_tried_again_within_the_attempts() -> None:
    assert places(failover(["a", "b"], attempts=4), Fault.BROKEN) == [("a", 0), ("b", 0), ("a", 0), ("b", 0)]
    assert places(failover(["a"], attempts=3), Fault.TIRED) == [("a", 0)] * 3


@pytest.mark.parametrize("fault", [Fault.MISSING, Fault.UNSUPPORTED, Fault.TOO_LONG])
def test_what_will_not_change_is_not_tried_again(fault: Fault) -> None:
    assert places(failover(["a", "b"], attempts=9), fault) == [("a", 0), ("b", 0)]


def test_a_wrong_request_is_tried_once() -> None:
    assert places(failover(["a", "b"]), Fault.WRONG) == [("a", 0)]
    assert places(failover(["a", "b"]), Fault.FILTERED) == [("a", 0)]
    assert places(failover(["a", "b"], past_filters=True), Fault.FILTERED) == [("a", 0), ("b", 0)]


def test_a_request_that_is_too_long_goes_where_there_is_more_room() -> None:
    plan = failover([target("a", context_length=8), target("b", context_length=8), target("c", context_length=9), "d"])
    assert places(plan, Fault.TOO_LONG) == [("a", 0), ("c", 0), ("d", 0)]


def test_pauses_double_and_honour_what_the_server_asks() -> None:
    plan = failover(["a"], attempts=9)
    waits = []
    for _ in range(3):
        place = plan.next(0.0, 1000.0, lambda _: True)
        assert place is not None
        waits.append(place.wait_s)
        plan.failed(place, Upstream("no", fault=Fault.BROKEN), 0.0)
    assert waits == [0.0, 0.25, 0.5]
    place = plan.next(0.0, 1000.0, lambda _: True)
    assert place is not None
    plan.failed(place, Upstream("no", fault=Fault.TIRED, retry_after_s=4), 0.0)
    asked = plan.next(0.0, 1000.0, lambda _: True)
    assert asked is not None
    assert (asked.wait_s, asked.asked) == (4, True)
    plan.failed(place, Upstream("no", fault=Fault.TIRED, retry_after_s=LONGEST_WAIT_S + 1), 0.0)
    assert plan.next(0.0, 1000.0, lambda _: True) is None


def test_nothing_begins_after_the_time_is_over_or_at_a_place_that_rests() -> None:
    assert failover(["a"]).next(5.0, 5.0, lambda _: True) is None
    plan = failover(["a", "b"])
    place = plan.next(0.0, 1.0, lambda p: p.target.address == "b")
    assert place == Place(target("b"), 0)
    assert plan.tried == 1
    plan.failed(place, Upstream("no", fault=Fault.TIRED, retry_after_s=3), 0.0)
    assert plan.next(0.0, 1.0, lambda _: True) is None


def test_a_place_that_was_late_is_not_waited_for_twice() -> None:
    assert places(failover(["a"], attempts=3), Fault.BROKEN, code="upstream_timeout") == [("a", 0)]


def test_errors_that_are_no_upstreams() -> None:
    plan = failover(["a", "b"])
    first = plan.next(0.0, 9.0, lambda _: True)
    assert first is not None
    assert plan.failed(first, Invalid("no place for it", code="unsupported_field"), 0.0)
    second = plan.next(0.0, 9.0, lambda _: True)
    assert second is not None
    assert not plan.failed(second, Invalid("wrong"), 0.0)


def test_the_most_telling_error_is_told() -> None:
    errors: list[IntermodelError] = [
        Upstream("gone", fault=Fault.BROKEN), Upstream("key", fault=Fault.KEY), Upstream("busy", fault=Fault.TIRED),
        NotFound("none"), Upstream("also busy", fault=Fault.TIRED),
    ]  # fmt: skip
    assert most_telling(errors).message == "busy"
    assert most_telling([*errors, OverBudget("no money")]).message == "no money"
    assert most_telling([*errors, Upstream("long", fault=Fault.TOO_LONG)]).message == "long"


def test_an_error_inside_a_whole_answer_is_understood(tmp_path: Path) -> None:
    """As one inside a stream is, and as one with a status."""
    with calling(tmp_path, {"r": {"candidates": ("m", "n")}}) as (node, server):

        def says(code: str, message: str) -> httpx2.Response:
            error = framed(orjson.dumps({"error": {"message": message, "code": code}}))
            server.script = lambda asked: [error] if asked.model == "m" else steps("ok", stream=False)
            return ask(node, "r")

        filtered = says("content_filter", "blocked")
        assert (filtered.status_code, filtered.json()["error"]["code"]) == (400, "content_filter")
        assert len(server.asked) == 1, "it is not routed around"
        rotated = says("invalid_api_key", "Incorrect API key provided: sk-live-1234567890")
        assert attempts(node, rotated) == [("m", 0, "upstream_credentials"), ("n", 0, "ok")]
        server.script = lambda _: [
            framed(orjson.dumps({"error": {"message": "Incorrect API key: sk-live-1", "code": "invalid_api_key"}}))
        ]
        failed = ask(node, "r")
        assert failed.json()["error"]["code"] == "upstream_credentials"
        assert "sk-live" not in failed.text
