"""The corpus: the same everywhere, without held-out prompts, and rendered as the chat template renders it."""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Iterator
from typing import Any

import jinja2
import jinja2.sandbox
import pytest

from recipes.pebble import corpus, items, stories, tasks
from recipes.pebble.dialogue import Dialogue, is_held_out
from recipes.pebble.scoring import is_story
from recipes.pebble.stream import Stream, digest
from recipes.pebble.template import CHAT_TEMPLATE, prompt, render
from recipes.pebble.words import article, listed


@functools.cache
def _items() -> list[items.Item]:
    return items.items()


DOCUMENTS = 84 * 2048
FIRST_DOCUMENTS = "060b68d7caebaa91680f1a7402a439761be958563c6e4a16ed33d95f614e6a33"


def _plain(user: str) -> str:
    return user.lower().rstrip(" .?!")


def _users(dialogue: Dialogue) -> Iterator[str]:
    return (message["content"] for message in dialogue.messages if message["role"] == "user")


def test_a_stream_is_fixed_by_its_label() -> None:
    assert [Stream("a", 1).draw() for _ in range(3)] == [Stream("a", 1).draw() for _ in range(3)]
    assert Stream("a", 1).draw() != Stream("a", 2).draw()
    assert Stream("known").draw() == int.from_bytes(hashlib.shake_256(b"pebble-1\x1fknown\x1f0").digest(4), "big")


def test_draws_stay_in_their_bounds() -> None:
    stream = Stream("bounds")
    assert {stream.between(3, 5) for _ in range(200)} == {3, 4, 5}
    assert sorted(stream.some("abc", 3)) == ["a", "b", "c"]
    assert {stream.weighted({"a": 1, "b": 0}) for _ in range(50)} == {"a"}
    assert digest("x") == digest("x") != digest("y")


def test_the_first_documents_are_the_same_everywhere() -> None:
    assert corpus.sha256(corpus.documents(0, 2000)) == FIRST_DOCUMENTS


def test_a_document_depends_on_its_number_alone() -> None:
    alone = corpus.document(17)
    assert list(corpus.documents(16, 2))[1] == alone


def test_no_held_out_prompt_is_trained_on() -> None:
    for dialogue in (*corpus.documents(20_000, 1500), *corpus.documents(120_000, 1500)):
        assert not any(is_held_out(dialogue.kind, user) for user in _users(dialogue))


def test_holding_out_ignores_case_and_full_stops() -> None:
    held = next(text for at in itertools.count() if is_held_out("copy", text := f"Repeat: word {at}"))
    assert is_held_out("copy", held.lower() + " ?")
    assert not is_held_out("greeting", held)


def test_every_item_is_on_the_right_side_of_the_line() -> None:
    for item in _items():
        if item.group != "by hand" and item.kind not in ("greeting", "identity"):
            user = next(message["content"] for message in item.messages if message["role"] == "user")
            assert is_held_out(item.kind, user) == (item.group == "unseen")


def test_the_items_are_those_of_the_file() -> None:
    assert items.serialise(_items()) == items.FILE.read_text("utf-8")


def test_there_are_enough_items() -> None:
    listed_items = _items()
    assert len({item.id for item in listed_items}) == len(listed_items) >= 500


def test_hand_written_prompts_are_never_trained_on() -> None:
    by_hand = {_plain(item.messages[0]["content"]) for item in _items() if item.group == "by hand"}
    trained = {_plain(user) for dialogue in corpus.documents(120_000, 4_000) for user in _users(dialogue)}
    assert not by_hand & trained


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    # Python's own spacing of JSON, as transformers and llama.cpp write it.
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string(CHAT_TEMPLATE)


def _jinja(messages: list[dict[str, Any]], tools: tuple[dict[str, Any], ...], *, ask: bool = False) -> str:
    return _template().render(messages=messages, tools=list(tools) or None, add_generation_prompt=ask)


def test_the_jinja_template_writes_what_training_read() -> None:
    for dialogue in (*corpus.documents(40_000, 300), *corpus.documents(120_000, 300)):
        text = "".join(piece.text for piece in render(dialogue.messages, dialogue.tools))
        assert _jinja(dialogue.messages, dialogue.tools) == text
    *asked, _ = dialogue.messages
    assert _jinja(asked, dialogue.tools, ask=True) == prompt(asked, dialogue.tools)


def test_only_what_the_assistant_writes_is_an_answer() -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]
    assert [piece.text for piece in render(messages) if piece.is_answer] == ["Hello!<|im_end|>"]
    assert "".join(piece.text for piece in render(messages)) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello!<|im_end|>\n"
    )


def test_extractions_satisfy_their_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    stream = Stream("schema test")
    for _ in range(200):
        answer = tasks.extraction(stream).answer
        jsonschema.validate(json.loads(answer), tasks.schema_of(answer))


def test_every_story_follows_the_grammar() -> None:
    stream = Stream("story test")
    for _ in range(100):
        told = stories.story(stream)
        assert is_story(told.user, told.answer)
        assert not is_story(told.user, told.answer + " The end.")


def test_articles_and_lists_read_as_english() -> None:
    assert (article("owl"), article("cat")) == ("an owl", "a cat")
    assert (listed(["a"]), listed(["a", "b", "c"])) == ("a", "a, b and c")


@pytest.mark.slow
def test_recalled_prompts_were_trained_on_and_the_others_never() -> None:
    trained = {_plain(user) for dialogue in corpus.documents(0, DOCUMENTS) for user in _users(dialogue)}
    for item in _items():
        user = next(message["content"] for message in item.messages if message["role"] == "user")
        assert (_plain(user) in trained) == (item.group == "recall"), item.id
