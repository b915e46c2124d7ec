from __future__ import annotations

from typing import Any

import orjson
import pytest

from intermodel.core import Fault, Upstream
from intermodel.protocols import Resumed
from intermodel.protocols.chat import DONE, Chat, chunk_of, thought, usage_of_counts

HEAD = ("c1", 7, "m")
ROLE = chunk_of(HEAD, {"role": "assistant", "content": ""})
WORD = chunk_of(HEAD, {"content": "wörd"})
STOP = chunk_of(HEAD, {}, "stop")
USAGE = chunk_of(HEAD, usage=usage_of_counts(3, 2))
STREAM = [ROLE, WORD, STOP, USAGE]


def written(chunks: list[dict[str, Any]]) -> bytes:
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)


@pytest.mark.parametrize("asked", [{}, {"stream_options": None}, {"stream_options": {"include_usage": False}}])
def test_usage_is_given_only_where_it_was_asked_for(asked: dict[str, Any]) -> None:
    encoder = Chat().encoder(asked)
    assert encoder.feed(STREAM) + encoder.end() == written(STREAM[:3]) + DONE


def test_what_is_written_is_read_again_however_it_is_cut() -> None:
    encoder = Chat().encoder({"stream_options": {"include_usage": True}})
    data = encoder.feed(STREAM) + encoder.end()
    for i in range(len(data)):
        decoder = Chat().decoder()
        assert decoder.feed(data[:i]) + decoder.feed(data[i:]) + decoder.end() == STREAM


def test_what_comes_after_the_end_is_not_read() -> None:
    decoder = Chat().decoder()
    assert decoder.feed(written([WORD, STOP]) + DONE + b"data: junk\n\n") == [WORD, STOP]
    assert decoder.feed(written([WORD])) == []


def test_a_forgotten_end_mark_is_no_failure_but_an_unfinished_choice_is() -> None:
    whole, cut, empty = (Chat().decoder() for _ in range(3))
    whole.feed(written([ROLE, WORD, STOP]))
    assert whole.end() == []
    other = WORD | {"choices": [{"index": 1, "delta": {"content": "x"}, "finish_reason": None}]}
    cut.feed(written([ROLE, WORD, other, STOP]))
    with pytest.raises(Upstream, match="in the middle"):
        cut.end()
    with pytest.raises(Upstream, match="in the middle"):
        empty.end()


def test_an_error_in_the_stream() -> None:
    decoder = Chat().decoder()
    with pytest.raises(Upstream, match="busy") as caught:
        decoder.feed(b'data: {"error": {"message": "busy", "code": "overloaded_error"}}\n\n')
    assert caught.value.fault is Fault.TIRED


@pytest.mark.parametrize("data", [b"{", b"[1]", b'{"choices": [7]}', b'{"choices": 7}'])
def test_what_is_no_chunk(data: bytes) -> None:
    with pytest.raises(Upstream) as caught:
        Chat().decoder().feed(b"data: " + data + b"\n\n")
    assert caught.value.code == "upstream_protocol"
    assert caught.value.retryable


def test_a_stream_that_is_gone_on_with() -> None:
    encoder = Chat().encoder({}, Resumed("old", "first", 1, "so far "))
    role_and_word = chunk_of(HEAD, {"role": "assistant", "content": "wörd"})
    data = encoder.feed([ROLE, role_and_word, WORD, STOP, USAGE])
    given = [orjson.loads(line[6:]) for line in data.split(b"\n\n") if line]
    assert [chunk["choices"][0]["delta"] for chunk in given] == [{"content": "wörd"}, {"content": "wörd"}, {}]
    assert {(chunk["id"], chunk["model"], chunk["created"]) for chunk in given} == {("old", "first", 1)}


def test_requests_and_answers_stay_as_they_are() -> None:
    chat, body = Chat(), {"model": "m"}
    assert chat.request_to_chat(body) is body
    assert chat.request_from_chat(body) is body
    assert chat.answer_to_chat(body) is body
    assert chat.answer_from_chat(body, {}) is body


def test_the_two_names_of_thoughts() -> None:
    assert thought({"reasoning_content": "a"}) == "a"
    assert thought({"reasoning": "b", "reasoning_content": None}) == "b"
    assert thought({"reasoning": {"effort": "low"}}) == thought({}) == ""
