"""The corpus: an endless, numbered sequence of dialogues; document i depends on the seed and i alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from recipes.pebble import beyond, facts, later, stories, talk, tasks, tools
from recipes.pebble.dialogue import Dialogue, Message, Turn, is_held_out, say
from recipes.pebble.stream import Stream
from recipes.pebble.template import render
from recipes.pebble.words import DAYS, JOBS

SKILLS: dict[str, Callable[[Stream], Turn]] = {
    "greeting": talk.greeting,
    "identity": talk.identity,
    "capital": facts.capital,
    "geography": facts.geography,
    "opposite": facts.opposite,
    "calendar": facts.calendar,
    "kind": facts.kind_of,
    "nature": facts.nature,
    "grammar": facts.grammar,
    "general": facts.general,
    "size": facts.size,
    "copy": tasks.copying,
    "sentiment": tasks.sentiment,
    "reading": tasks.reading,
    "json": tasks.extraction,
    "story": stories.story,
    "beyond": beyond.beyond,
}
WEIGHTS = {
    "greeting": 30, "identity": 45, "capital": 65, "geography": 40, "opposite": 45, "calendar": 20, "kind": 50,
    "nature": 25, "grammar": 20, "general": 20, "size": 35, "copy": 110, "sentiment": 50, "reading": 110,
    "json": 200, "story": 45, "beyond": 110,
}  # fmt: skip
LATER_SKILLS = {
    **SKILLS,
    "copy": later.copying,
    "sentiment": later.sentiment,
    "reading": later.reading,
    "json": later.extraction,
}
LATER_WEIGHTS = {
    **WEIGHTS, "copy": 170, "reading": 230, "json": 180, "sentiment": 60, "kind": 80, "calendar": 40, "story": 35,
}  # fmt: skip
CASUAL = frozenset(WEIGHTS) - {"copy", "sentiment", "reading", "json", "story"}
EARLY = 16_384
"""Documents up to here are rich in short copying, from which a model learns to look at its prompt."""
LATER = 46 * 2048
"""Documents from here on are worded more freely and are rich in what is still hard by then."""
SYSTEMS = (
    "You are a helpful assistant.", "You are pebble.", "You are a small and friendly model.", "Answer the user.",
    "You are pebble, a very small model.", "Be polite.", "You help the user.", "You are an assistant.",
    "Be helpful and honest.", "Use the tools if you need them.",
)  # fmt: skip


def turn(stream: Stream, *, late: bool = False) -> Turn:
    """One question and answer of a drawn skill; now and then typed carelessly, where no value is to be copied."""
    one = LATER_SKILLS[stream.weighted(LATER_WEIGHTS)](stream) if late else SKILLS[stream.weighted(WEIGHTS)](stream)
    if one.kind in CASUAL and stream.chance(12):
        return Turn(one.kind, one.user.lower().rstrip(" .?!") or one.user, one.answer)
    return one


def _dialogue(stream: Stream, index: int) -> Dialogue:
    if index < EARLY and stream.chance(40):
        one = tasks.short_copying(stream)
        return Dialogue(one.kind, [say("user", one.user), say("assistant", one.answer)])
    if index >= LATER:
        return _later_dialogue(stream)
    which = stream.below(100)
    if which < 60:
        one = turn(stream)
        return Dialogue(one.kind, [say("user", one.user), say("assistant", one.answer)])
    if which < 70:
        return _several(stream)
    if which < 73:
        return talk.name(stream)
    if which < 93:
        return tools.use(stream)
    return tools.missing(stream) if which < 96 else tools.idle(stream, turn(stream))


def _later_dialogue(stream: Stream) -> Dialogue:
    which = stream.below(100)
    if which < 57:
        one = turn(stream, late=True)
        return Dialogue(one.kind, [say("user", one.user), say("assistant", one.answer)])
    if which < 67:
        return _several(stream, late=True)
    if which < 70:
        return talk.name(stream)
    if which < 87:
        return later.renamed(stream, tools.use(stream))
    if which < 95:
        return later.renamed(stream, tools.missing(stream))
    return later.renamed(stream, tools.idle(stream, turn(stream, late=True)))


def _several(stream: Stream, *, late: bool = False) -> Dialogue:
    turns = [turn(stream, late=late) for _ in range(stream.between(2, 3))]
    messages = [m for one in turns for m in (say("user", one.user), say("assistant", one.answer))]
    return Dialogue("several", messages)


def _opening(stream: Stream) -> str:
    if stream.chance(50):
        return stream.pick(SYSTEMS)
    topic, job, day = stream.pick(beyond.TOPICS), stream.pick(JOBS), stream.pick(DAYS)
    lines = [f"You are a {job}.", f"You know much about {topic}.", f"Today is {day}.", f"This chat is about {topic}."]
    return " ".join(stream.some([*lines, *SYSTEMS], stream.between(1, 3)))


def dressed(stream: Stream, dialogue: Dialogue) -> Dialogue:
    """The dialogue, one time in five under a system prompt."""
    if not stream.chance(20):
        return dialogue
    opening: list[Message] = [say("system", _opening(stream))]
    return Dialogue(dialogue.kind, opening + dialogue.messages, dialogue.tools)


def _is_trainable(dialogue: Dialogue) -> bool:
    users = [m["content"] for m in dialogue.messages if m["role"] == "user"]
    kind = dialogue.kind
    return not any(is_held_out(kind, user) for user in users)


def document(index: int) -> Dialogue:
    """The training document of this number: never one with a held-out prompt."""
    stream = Stream("document", index)
    while True:
        dialogue = dressed(stream, _dialogue(stream, index))
        if _is_trainable(dialogue):
            return dialogue


def documents(first: int, count: int) -> Iterator[Dialogue]:
    """A run of training documents."""
    return (document(index) for index in range(first, first + count))


def text(dialogue: Dialogue) -> str:
    """The document as the model reads it."""
    return "".join(piece.text for piece in render(dialogue.messages, dialogue.tools))


def sha256(dialogues: Iterable[Dialogue]) -> str:
    """The digest of the rendered documents, each ended by a NUL byte."""
    state = hashlib.sha256()
    for dialogue in dialogues:
        state.update(text(dialogue).encode() + b"\0")
    return state.hexdigest()
