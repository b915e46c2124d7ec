"""Answers of models that think aloud, wrap what they say, or talk around it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from intermodel.writer.said import Said, object_in, plain, said

PLAN = '{"title": "A {b}", "sections": []}'


def answer(content: Any, finish: str = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": content} | more
    return json.dumps({"id": "1", "choices": [{"index": 0, "finish_reason": finish, "message": message}]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        PLAN,
        f"\n{PLAN}\n",
        f"```json\n{PLAN}\n```",
        f"```\n{PLAN}```",
        f"Here is the plan:\n\n{PLAN}\n\nShall I go on?",
        f"<think>A title, {{x}}, no.</think>\n\n{PLAN}",
        f"<think>\n\n</think>\n\n```json\n{PLAN}\n```",
        f"<thinking>One.</thinking><thinking>Two.</thinking>{PLAN}",
        f'Okay, the user wants {{"title": "x"}}.\nSo I say it.\n</think>\n\n{PLAN}',
        f"[THINK]Hm.[/THINK]{PLAN}",
        f"◁think▷Hm.◁/think▷ {PLAN}",
        [{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": PLAN}],
    ],
)
def test_a_typed_answer_is_found(content: Any) -> None:
    assert json.loads(said(answer(content), structured=True).text) == json.loads(PLAN)
    assert json.loads(json.loads(plain(answer(content), structured=True))["choices"][0]["message"]["content"])


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_in_a_field_of_their_own_are_left_out(field: str) -> None:
    told = answer(PLAN, **{field: '{"title": "no"}'})
    assert said(told, structured=True) == Said(PLAN, thought=True)
    assert json.loads(plain(told, structured=True))["choices"][0]["message"] == {"role": "assistant", "content": PLAN}
    put_aside = answer(None, **{field: PLAN})  # as some servers do with an answer that is held to a schema
    assert said(put_aside, structured=True) == Said(PLAN, thought=True)
    assert said(put_aside, structured=False).text == ""
    assert said(answer("", "length", **{field: PLAN}), structured=True) == Said("", cut=True, thought=True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<think>Hm.</think>\n\n# A post\n\nIt is so.", "# A post\n\nIt is so."),
        ("Hm.\nHm.\n</think>\n# A post", "# A post"),
        ("```markdown\n# A post\n\n```sh\nls\n```\n```", "# A post\n\n```sh\nls\n```\n"),
        ("```\n# A post\n```\n", "# A post\n"),
    ],
)
def test_a_text_is_what_was_said(content: str, text: str) -> None:
    assert said(answer(content), structured=False).text == text


@pytest.mark.parametrize(
    "content",
    [
        "# A post\n\nA model writes `<think>` and then `</think>`.",
        "# A post\n\n```\n<think>\nHm.\n</think>\n42\n```",
        "```\na\n```\n\nand\n\n```\nb\n```",
        "",
    ],
)
def test_a_text_about_thinking_stays_as_it_is(content: str) -> None:
    told = answer(content)
    assert said(told, structured=False) == Said(content)
    assert plain(told, structured=False) is told


def test_thoughts_that_were_broken_off_are_no_answer() -> None:
    assert said(answer("<think>On and on", "length"), structured=False) == Said("", cut=True, thought=True)
    assert said(answer("# A post", "length"), structured=False) == Said("# A post", cut=True)


@pytest.mark.parametrize("rubbish", [b"", b"[]", b'{"choices": []}', b'{"choices": [{"message": null}]}', answer(3)])
def test_what_is_no_answer_says_nothing(rubbish: bytes) -> None:
    assert said(rubbish, structured=True).text == ""


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text",
    [
        "{" * 500_000,
        '{"a":' * 100_000,
        "<think>" * 100_000,
        "</think" * 100_000,
        "{}" * 99,
        "` " * 100_000,
        "``` " + " " * 200_000,
        "```" + " " * 200_000 + "\n",
        "<think></think>" * 20_000,
        "\n" * 200_000,
    ],
)
def test_hostile_answers_take_no_time(text: str) -> None:
    assert object_in(text) in ("", "{}")
    said(answer(text), structured=False)
