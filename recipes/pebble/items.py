"""The evaluation items: prompts that were trained on (recall), prompts that never were, and hand-written ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recipes.pebble import corpus, talk, tasks, tools
from recipes.pebble.beyond import NO_NEWS, NO_SUMS, UNKNOWN
from recipes.pebble.dialogue import Dialogue, Message, Tool, is_held_out, say
from recipes.pebble.stream import Stream
from recipes.pebble.template import answer

FILE = Path(__file__).parent / "evaluation" / "items.jsonl"
BY_HAND = Path(__file__).parent / "evaluation" / "by_hand.json"

RECALL = {
    "greeting": 40, "identity": 80, "capital": 40, "geography": 25, "opposite": 30, "calendar": 20, "kind": 30,
    "nature": 25, "grammar": 20, "general": 20, "size": 20,
}  # fmt: skip
UNSEEN = {
    "capital": 20, "geography": 15, "opposite": 15, "kind": 15, "size": 10, "copy": 40, "sentiment": 40,
    "reading": 50, "json": 60, "beyond": 50, "name memory": 20, "tool": 60, "tool answer": 40,
    "no tool": 20, "tool not needed": 20, "story": 20,
}  # fmt: skip
RECALLED_FROM, RECALLED_AMONG = 100_000, 8_000
"""The training documents that the recalled prompts are taken from."""
REFUSALS = (UNKNOWN, NO_SUMS, NO_NEWS)


@dataclass(frozen=True)
class Item:
    """One prompt with the answers that count as right."""

    id: str
    group: str
    """`recall`, `unseen` or `by hand`: figures of different groups are never added up."""
    kind: str
    messages: list[Message]
    expect: list[str]
    tools: list[Tool] = field(default_factory=list)
    schema: dict[str, Any] | None = None


Source = Callable[[Stream], Dialogue]


def _single(skill: str) -> Source:
    def source(stream: Stream) -> Dialogue:
        one = corpus.SKILLS[skill](stream)
        return Dialogue(skill, [say("user", one.user), say("assistant", one.answer)])

    return source


def _round_trip(stream: Stream) -> Dialogue:
    while True:
        dialogue = tools.use(stream)
        if len(dialogue.messages) == 4:
            return dialogue


def _first_call(stream: Stream) -> Dialogue:
    dialogue = tools.use(stream)
    return Dialogue(dialogue.kind, dialogue.messages[:2], dialogue.tools)


def _idle(stream: Stream) -> Dialogue:
    while True:
        one = corpus.turn(stream)
        if one.kind != "story":
            return tools.idle(stream, one)


def _asked_name(stream: Stream) -> Dialogue:
    while True:
        dialogue = talk.name(stream)
        if dialogue.messages[-1]["content"].startswith("Your name"):
            return dialogue


SOURCES: dict[str, Source] = {
    **{skill: _single(skill) for skill in corpus.SKILLS},
    "tool": _first_call,
    "tool answer": _round_trip,
    "no tool": tools.missing,
    "tool not needed": _idle,
    "name memory": _asked_name,
}


def _item(group: str, kind: str, number: int, dialogue: Dialogue) -> Item:
    *asked, right = dialogue.messages
    expected = answer(right)
    schema = tasks.schema_of(expected) if expected.startswith(("{", "[")) else None
    name = f"{group}/{kind}/{number}".replace(" ", "-")
    return Item(name, group, kind, asked, [expected], list(dialogue.tools), schema)


def _recalled() -> Iterator[Item]:
    """Prompts of closed lists, taken from documents that are trained on."""
    met: dict[str, set[str]] = {kind: set() for kind in RECALL}
    for dialogue in corpus.documents(RECALLED_FROM, RECALLED_AMONG):
        asked = met.get(dialogue.kind)
        if asked is None or len(dialogue.messages) != 2 or dialogue.tools:
            continue
        user = dialogue.messages[0]["content"]
        if user not in asked and len(asked) < RECALL[dialogue.kind]:
            asked.add(user)
            yield _item("recall", dialogue.kind, len(asked), dialogue)


def _unseen(kind: str, count: int) -> Iterator[Item]:
    """Prompts drawn by the same rules that are held out of training."""
    stream = Stream("evaluation", "unseen", kind)
    met: set[str] = set()
    for _ in range(30_000):
        if len(met) == count:
            return
        dialogue = SOURCES[kind](stream)
        key = json.dumps(dialogue.messages[:-1])
        if key in met or not is_held_out(dialogue.kind, dialogue.messages[0]["content"]):
            continue
        met.add(key)
        yield _item("unseen", kind, len(met), dialogue)


def _by_hand() -> Iterator[Item]:
    for kind, entries in json.loads(BY_HAND.read_text("utf-8")).items():
        for number, entry in enumerate(entries, 1):
            expect = entry.get("expect", list(REFUSALS))
            offered = [tools.tool(name, parameters, ()) for name, parameters in entry.get("tools", {}).items()]
            for one in offered:
                names = one["function"]["parameters"]["required"]
                one["function"]["parameters"]["properties"] = {name: {"type": "string"} for name in names}
            name = f"by-hand/{kind}/{number}".replace(" ", "-")
            messages = [say("user", entry["user"])]
            expect = [expect] if isinstance(expect, str) else expect
            schema = tasks.schema_of(expect[0]) if expect[0].startswith(("{", "[")) else None
            yield Item(name, "by hand", kind, messages, expect, offered, schema)


def items() -> list[Item]:
    """All items, in the order of the file."""
    order = list(RECALL)
    recalled = sorted(_recalled(), key=lambda item: order.index(item.kind))
    return [*recalled, *(item for kind, count in UNSEEN.items() for item in _unseen(kind, count)), *_by_hand()]


def serialise(listed: list[Item]) -> str:
    """The text of `evaluation/items.jsonl`."""
    rows = ({key: value for key, value in vars(item).items() if value not in ([], None)} for item in listed)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
