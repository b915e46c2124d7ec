from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Upstream, Usage
from intermodel.protocols.openai_watch import OpenAIWatch
from tests.upstream import DONE, ROLE, USAGE, delta, event, script


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a != b]


def watched(chunks: list[bytes], choices: int = 1) -> OpenAIWatch:
    watch = OpenAIWatch(choices)
    for chunk in chunks:
        assert watch.feed(chunk) == chunk
    return watch


def begun(head: bytes) -> bool:
    return OpenAIWatch().begun(head)


WHOLE = b"".join(piece for piece in script("ok") if piece)


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_whole_stream_is_whole_however_it_is_cut(places: list[int]) -> None:
    watch = watched(cut(WHOLE, places))
    assert watch.end() == b""
    assert watch.usage == Usage(input=3, output=2)
    assert watch.done


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_truncated_stream_is_never_taken_for_whole(places: list[int]) -> None:
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(ROLE + delta("one ") + delta("two"), places)).end()


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_forgotten_done_is_added(places: list[int]) -> None:
    assert watched(cut(ROLE + delta("one") + delta(None, "stop"), places)).end() == DONE


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12), crlf=st.booleans())
def test_usage_that_nobody_asked_for_is_read_and_not_shown(places: list[int], crlf: bool) -> None:
    parts = [ROLE, delta("one"), delta(None, "stop"), USAGE, DONE]
    parts = [part.replace(b"\n", b"\r\n") for part in parts] if crlf else parts
    watch = OpenAIWatch(hide_usage=True)
    shown = b"".join(watch.feed(chunk) for chunk in cut(b"".join(parts), places)) + watch.end()
    assert shown == b"".join(parts[:3] + parts[4:])
    assert watch.usage == Usage(input=3, output=2)


TIERED = USAGE.replace(b'"usage"', b'"service_tier":"priority","usage"')


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12), crlf=st.booleans())
def test_the_tier_that_served_is_read_beside_the_usage(places: list[int], crlf: bool) -> None:
    first = ROLE.replace(b'"choices"', b'"service_tier":"auto","choices"')
    data = b"".join([first, delta("one"), delta(None, "stop"), TIERED, DONE])
    data = data.replace(b"\n", b"\r\n") if crlf else data
    assert watched(cut(data, places)).usage == Usage(input=3, output=2, tier="priority")


def test_words_about_a_tier_are_no_tier() -> None:
    said = delta('"service_tier":"flex"')
    assert watched([ROLE, said + delta(None, "stop") + USAGE + DONE]).usage == Usage(input=3, output=2)
    odd = USAGE.replace(b'"usage"', b'"service_tier":"rm -rf; drop","usage"')
    assert watched([ROLE, delta(None, "stop"), odd, DONE]).usage == Usage(input=3, output=2, tier="other")


def test_an_error_event_ends_a_stream_by_itself() -> None:
    watch = watched([ROLE, event({"error": {"message": "x"}})])
    assert watch.end() == b""
    assert watch.failed


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_one_of_two_answers_is_not_all(places: list[int]) -> None:
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(ROLE + delta("one") + delta(None, "stop"), places), choices=2).end()
    both = ROLE + delta("one") + delta(None, "stop") + delta(None, "length")
    assert watched(cut(both, places), choices=2).end() == DONE


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_words_that_look_like_an_end_are_none(places: list[int]) -> None:
    said = ROLE + delta('data: [DONE] "finish_reason":"stop" data: {"error": {}}')
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(said, places)).end()
    empty = event({"error": None, "choices": []})
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(empty + delta("one"), places)).end()


@pytest.mark.parametrize("odd", [{"choices": [None]}, {"choices": [{"delta": "x"}]}, {"choices": 7}, {"choices": {}}])
def test_odd_events_are_no_tokens(odd: dict[str, object]) -> None:
    assert not begun(event(odd))


def test_it_begins_with_the_first_token() -> None:
    assert not begun(b"")
    assert not begun(ROLE)
    assert not begun(ROLE + delta("one")[:-1])
    assert begun(ROLE + delta("one"))
    assert begun(delta(None, "stop"))
    assert begun(DONE)
    assert begun(USAGE + event({"choices": [{"text": "a"}]}))
    assert begun(event({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}))
    assert begun(b": comment\r\n\r\n" + delta("one").replace(b"\n", b"\r\n"))


def test_an_error_instead_of_a_token_can_be_tried_elsewhere() -> None:
    for error in ({"message": "overloaded"}, "overloaded"):
        with pytest.raises(Upstream, match="overloaded") as caught:
            begun(ROLE + event({"error": error}))
        assert caught.value.retryable


@given(data=st.binary(max_size=400))
def test_nonsense_is_survived(data: bytes) -> None:
    begun(b"data: " + data + b"\n\n")
    watched([data])
