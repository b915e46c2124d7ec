from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Upstream
from intermodel.gateway.stream import Tail, begun
from tests.upstream import DONE, ROLE, USAGE, delta, event, script


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(p % (len(data) + 1) for p in places), len(data)]
    return [data[a:b] for a, b in pairwise(ends) if a != b]


def watched(chunks: list[bytes], choices: int = 1) -> Tail:
    tail = Tail(choices)
    for chunk in chunks:
        tail.watch(chunk)
    return tail


WHOLE = b"".join(piece for piece in script("ok") if piece)


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_whole_stream_is_whole_however_it_is_cut(places: list[int]) -> None:
    tail = watched(cut(WHOLE, places))
    assert tail.end("x") == b""
    assert tail.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_truncated_stream_is_never_taken_for_whole(places: list[int]) -> None:
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(ROLE + delta("one ") + delta("two"), places)).end("x")


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_a_forgotten_done_is_added(places: list[int]) -> None:
    assert watched(cut(ROLE + delta("one") + delta(None, "stop"), places)).end("x") == DONE


def test_an_error_event_ends_a_stream_by_itself() -> None:
    tail = watched([ROLE, event({"error": {"message": "x"}})])
    assert tail.end("x") == b""
    assert tail.failed


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_one_of_two_answers_is_not_all(places: list[int]) -> None:
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(ROLE + delta("one") + delta(None, "stop"), places), choices=2).end("x")
    both = ROLE + delta("one") + delta(None, "stop") + delta(None, "length")
    assert watched(cut(both, places), choices=2).end("x") == DONE


@given(places=st.lists(st.integers(min_value=0, max_value=10_000), max_size=12))
def test_words_that_look_like_an_end_are_none(places: list[int]) -> None:
    said = ROLE + delta('data: [DONE] "finish_reason":"stop" data: {"error": {}}')
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(said, places)).end("x")
    empty = event({"error": None, "choices": []})
    with pytest.raises(Upstream, match="middle of the answer"):
        watched(cut(empty + delta("one"), places)).end("x")


@pytest.mark.parametrize("odd", [{"choices": [None]}, {"choices": [{"delta": "x"}]}, {"choices": 7}, {"choices": {}}])
def test_odd_events_are_no_tokens(odd: dict[str, object]) -> None:
    assert not begun(event(odd), "x")


def test_it_begins_with_the_first_token() -> None:
    assert not begun(b"", "x")
    assert not begun(ROLE, "x")
    assert not begun(ROLE + delta("one")[:-1], "x")
    assert begun(ROLE + delta("one"), "x")
    assert begun(delta(None, "stop"), "x")
    assert begun(DONE, "x")
    assert begun(USAGE + event({"choices": [{"text": "a"}]}), "x")
    assert begun(event({"choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}), "x")
    assert begun(b": comment\r\n\r\n" + delta("one").replace(b"\n", b"\r\n"), "x")


def test_an_error_instead_of_a_token_can_be_tried_elsewhere() -> None:
    for error in ({"message": "overloaded"}, "overloaded"):
        with pytest.raises(Upstream, match="overloaded") as caught:
            begun(ROLE + event({"error": error}), "x")
        assert caught.value.retryable


@given(data=st.binary(max_size=400))
def test_nonsense_is_survived(data: bytes) -> None:
    begun(b"data: " + data + b"\n\n", "x")
    watched([data])
