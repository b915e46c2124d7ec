"""The look at a chat request that spares most of them the form: it lets nothing through that the form refuses."""

from __future__ import annotations

import contextlib
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Call, Capability, Invalid, Kind
from intermodel.web.openai_requests import _Chat, call_of, examined, is_plain

PLAIN: dict[str, Any] = {
    "model": "echo",
    "messages": [
        {"role": "system", "content": "Be brief.", "name": "x"},
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {}}]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ],
    "stream": True,
    "n": 1,
    "temperature": 1,
    "top_p": 0.5,
    "max_tokens": 256,
    "max_completion_tokens": None,
    "seed": -7,
    "user": "me",
    "metadata": {"a": "b"},
    "service_tier": "default",
}

numbers = st.one_of(st.integers(-3, 22), st.floats(-3, 3, allow_nan=False), st.just(2**63), st.just(-(2**63)))
scalars = st.one_of(st.none(), st.booleans(), numbers, st.sampled_from(["", "a", "x" * 512, "x" * 513]))
parts = st.fixed_dictionaries({}, optional={"type": st.sampled_from(["text", "image_url", 7]), "text": scalars})
contents = st.one_of(scalars, st.lists(st.one_of(parts, scalars), max_size=3))
said = ["system", "developer", "user", "assistant", "tool", "function", "king", 7, None, [], True]
roles: st.SearchStrategy[Any] = st.sampled_from(said)
messages = st.fixed_dictionaries({}, optional={"role": roles, "content": contents, "name": scalars})
anything = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.just("type"), scalars, max_size=1))
fields = dict.fromkeys((*_Chat.model_fields, "user", "schema"), anything)
chats = st.fixed_dictionaries(
    {"model": st.one_of(st.just("echo"), anything), "messages": st.one_of(st.lists(messages, max_size=3), anything)},
    optional={name: value for name, value in fields.items() if name not in ("model", "messages")},
)
changes = st.tuples(st.just(PLAIN), st.dictionaries(st.sampled_from(list(fields)), anything, max_size=2))


@given(st.one_of(chats, changes.map(lambda pair: pair[0] | pair[1])))
def test_what_is_plain_is_right_and_the_same_call(given: dict[str, Any]) -> None:
    body = orjson.loads(orjson.dumps(given))
    looked: Call | None = None
    with contextlib.suppress(Invalid):
        looked = examined(Kind.CHAT, body, max_choices=8, request_id="r", size=7)
    if is_plain(body):
        assert call_of(Kind.CHAT, body, max_choices=8, request_id="r", size=7) == looked


def test_the_common_case_is_plain() -> None:
    assert is_plain(PLAIN)
    assert call_of(Kind.CHAT, PLAIN, max_choices=8).needs == {Capability.CHAT}
    for more in ({"tools": [{"type": "custom"}]}, {"logprobs": True}, {"response_format": {"type": "text"}}):
        assert not is_plain(PLAIN | more), more
