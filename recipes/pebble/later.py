"""What the later part of the corpus adds: freer wording, rarer values, tools under unusual names.

A model that can copy learns from these to bind a value to its owner, and to look whether a tool is there.
"""

from __future__ import annotations

import json
from typing import Any

from recipes.pebble import tasks
from recipes.pebble.beyond import TOPICS
from recipes.pebble.dialogue import Dialogue, Message, Tool, Turn
from recipes.pebble.stream import Stream
from recipes.pebble.tools import NOTES
from recipes.pebble.words import (
    CITIES,
    COLOURS,
    DAYS,
    EVENTS,
    ITEMS,
    JOBS,
    NAMES,
    PLACES,
    ROOMS,
    article,
    listed,
    split,
)

_THINGS = [word for word in tasks.PLAIN if word not in (*JOBS, *COLOURS)]
_JOINS = [". ", ". ", " and ", ", "]
_VERBS = split("likes wants sells needs sees draws carries brings")
_QUESTIONS = {
    "where": ["Where is {n}?", "In which place is {n}?", "Tell me where {n} is."],
    "who": ["Who is in the {p}?", "Who is at the {p}?", "Name the one in the {p}."],
}
_GOOD = tasks.GOOD + split("good nice best fine happy tasty fresh kind warm lucky sweet charming gentle cheerful")
_BAD = tasks.BAD + split("worst sad ugly late wrong sour stale mean rotten dull horrid cruel painful nasty")
_REVIEWS = [
    "{s} and {t}: both {a}.", "The {s} was so {a} that we came back for the {t}.", "{xa} {s}, {xb} {t}.",
    "We were there with friends. The {s} was {a}, the {t} {b}.", "Simply {a}.", "So {a}, so {b}!", "{a} {s}",
    "My friends found the {s} {a} and the {t} {b}.", "It was {xa} day with {xb} {s}.", "All in all {a}.",
    "The {a} {s} of this place!", "I have never had such {xa} {s}.", "The {s} looks {a} and feels {b}.",
]  # fmt: skip
_SENTENCES = {
    "person": [
        "Yesterday {name}, aged {age}, came to {city}.", "A letter from {name} in {city}, who is {age} now.",
        "{name} will be {age} in May and moves to {city}.", "At {age} years, {name} left {city}.",
        "Welcome to {city}, {name}! You are {age}.", "{name} of {city} won the race at {age}.",
    ],
    "worker": [
        "Our {job} in {city} is called {name}.", "{name} became a {job} and went to {city}.",
        "Ask {name}, the {job} in {city}.", "The best {job} of {city} is {name}.",
        "Did you meet the {job} {name} from {city}?",
    ],
    "order": [
        "There are {quantity} {colour} {item}s for {name} at the door.", "{name} lost {quantity} {colour} {item}s.",
        "Give {name} the {quantity} {item}s, the {colour} ones.", "We sold {quantity} {colour} {item}s to {name}.",
        "On the shelf of {name} stand {quantity} {colour} {item}s.",
    ],
    "event": [
        "Next {day} at {time}: {event} in {city}!", "The {event} in {city} begins at {time} on {day}.",
        "See you at the {event}, {day} {time}, {city}.", "Remember the {event} in {city}. It is on {day} at {time}.",
        "They moved the {event} in {city} to {day}, {time}.",
    ],
}  # fmt: skip


def _anyone(stream: Stream) -> str:
    return tasks.invented(stream) if stream.chance(30) else stream.pick(NAMES)


def _thing(stream: Stream) -> str:
    return stream.pick(_THINGS) if stream.chance(80) else tasks.invented(stream).lower()


def _different(stream: Stream, draw: Any, count: int) -> list[str]:
    drawn: list[str] = []
    while len(drawn) < count:
        one = draw(stream)
        if one not in drawn:
            drawn.append(one)
    return drawn


def _asked(stream: Stream, text: str, question: str) -> str:
    return f"{question} {text}" if stream.chance(20) else f"{text} {question}"


def _places(stream: Stream) -> Turn:
    people = _different(stream, _anyone, stream.between(1, 3))
    places = _different(stream, lambda s: s.pick(ROOMS + PLACES) if s.chance(60) else _thing(s), len(people))
    join = stream.pick(_JOINS)
    verb = stream.pick(["is", "is", "sits", "waits", "plays"])
    text = join.join(f"{n} {verb} in the {p}" for n, p in zip(people, places, strict=True)) + "."
    at = stream.below(len(people))
    question = stream.pick(_QUESTIONS[stream.pick(["where", "where", "who"])]).format(n=people[at], p=places[at])
    return Turn("reading", _asked(stream, text, question), f"{people[at]} is in the {places[at]}.")


def _deeds(stream: Stream) -> Turn:
    people = _different(stream, _anyone, stream.between(1, 3))
    things = _different(stream, _thing, len(people))
    verb, join = stream.pick(_VERBS), stream.pick(_JOINS)
    text = join.join(f"{n} {verb} the {x}" for n, x in zip(people, things, strict=True)) + "."
    at = stream.below(len(people))
    base = verb.removesuffix("s")
    question = f"What does {people[at]} {base}?" if stream.chance(50) else f"Who {verb} the {things[at]}?"
    return Turn("reading", _asked(stream, text, question), f"{people[at]} {verb} the {things[at]}.")


def _having(stream: Stream) -> Turn:
    people = _different(stream, _anyone, stream.between(1, 3))
    things = _different(stream, _thing, len(people))
    owned = [article(f"{stream.pick(COLOURS)} {thing}") for thing in things]
    join = stream.pick(_JOINS)
    text = (
        join.join(f"{n} {stream.pick(['has', 'holds', 'found'])} {x}" for n, x in zip(people, owned, strict=True)) + "."
    )
    at = stream.below(len(people))
    if stream.chance(50):
        return Turn("reading", _asked(stream, text, f"What does {people[at]} have?"), f"{people[at]} has {owned[at]}.")
    return Turn("reading", _asked(stream, text, f"Who has the {things[at]}?"), f"{people[at]} has the {things[at]}.")


def reading(stream: Stream) -> Turn:
    """A question about one to three statements: whose value is it?"""
    which = stream.below(100)
    if which < 40:
        return tasks.reading(stream)
    return _places(stream) if which < 65 else _deeds(stream) if which < 85 else _having(stream)


def copying(stream: Stream) -> Turn:
    """Copying of words, of numbers and of short phrases."""
    which = stream.below(100)
    if which < 55:
        return tasks.copying(stream)
    if which < 75:
        text = " ".join(str(stream.below(stream.pick([10, 100, 1000, 10000]))) for _ in range(stream.between(1, 3)))
    elif which < 90:
        text = stream.pick(stream.pick([TOPICS, NOTES]))
    else:
        text = " ".join(_thing(stream) for _ in range(stream.between(3, 6)))
    return Turn("copy", stream.pick(tasks.REPEAT).format(text), text)


def sentiment(stream: Stream) -> Turn:
    """Reviews in more words and more forms."""
    if stream.chance(40):
        return tasks.sentiment(stream)
    good = stream.chance(50)
    (s, t), (a, b) = stream.some(tasks.SUBJECTS, 2), stream.some(_GOOD if good else _BAD, 2)
    text = stream.pick(_REVIEWS).format(s=s, t=t, a=a, b=b, xa=article(a), xb=article(b))
    text = text[0].upper() + text[1:] if stream.chance(70) else text
    return Turn("sentiment", stream.pick(tasks.JUDGE).format(text), "positive" if good else "negative")


def extraction(stream: Stream) -> Turn:
    """Fields of a sentence as JSON, with more sentences and rarer values."""
    if stream.chance(40):
        return tasks.extraction(stream)
    shape = stream.pick(list(tasks.SHAPES))
    templates, fields = tasks.SHAPES[shape]
    values = {field: _value(stream, field) for field in fields}
    asked = stream.some(fields, stream.between(1, len(fields)))
    text = stream.pick(_SENTENCES[shape] if stream.chance(70) else templates).format(**values)
    wanted = listed([f"the {field}" for field in asked] if stream.chance(50) else asked)
    question = stream.pick(tasks.EXTRACT).format(f=wanted, t=text)
    return Turn("json", question, json.dumps({field: values[field] for field in asked}))


def _value(stream: Stream, field: str) -> Any:
    if field in ("age", "quantity"):
        return stream.between(2, 99)
    if field == "time":
        return tasks.clock(stream)
    if field in ("name", "city"):
        known = NAMES if field == "name" else CITIES
        return stream.pick(known) if stream.chance(60) else tasks.invented(stream)
    if field == "item":
        return stream.pick(ITEMS) if stream.chance(50) else _thing(stream)
    return stream.pick({"job": JOBS, "colour": COLOURS, "event": EVENTS, "day": DAYS}[field])


def renamed(stream: Stream, dialogue: Dialogue) -> Dialogue:
    """The dialogue with some of its tools under unusual names, so that names are read and not remembered."""
    names = {}
    for tool in dialogue.tools:
        old = tool["function"]["name"]
        names[old] = _unusual(stream, old) if stream.chance(40) else old
    if len(set(names.values())) < len(dialogue.tools):
        return dialogue
    tools = tuple(_with_name(tool, names[tool["function"]["name"]]) for tool in dialogue.tools)
    return Dialogue(dialogue.kind, [_calling(message, names) for message in dialogue.messages], tools)


def _unusual(stream: Stream, name: str) -> str:
    which = stream.below(3)
    if which == 0:
        return stream.pick(["my_", "do_", "run_", "fetch_", "the_"]) + name
    if which == 1:
        return name + stream.pick(["_tool", "_v2", "_api", "_service", "_now"])
    return f"{tasks.invented(stream).lower()}_{name}"


def _with_name(tool: Tool, name: str) -> Tool:
    return {**tool, "function": {**tool["function"], "name": name}}


def _calling(message: Message, names: dict[str, str]) -> Message:
    if "tool_calls" not in message:
        return message
    calls = [
        {**made, "function": {**made["function"], "name": names[made["function"]["name"]]}}
        for made in message["tool_calls"]
    ]
    return {**message, "tool_calls": calls}
