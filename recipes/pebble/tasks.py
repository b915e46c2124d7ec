"""Skills that read their prompt: copying, reading, sentiment, JSON extraction. Most prompts occur once."""

from __future__ import annotations

import json
from typing import Any

from recipes.pebble.dialogue import Turn
from recipes.pebble.stream import Stream
from recipes.pebble.words import (
    CITIES,
    COLOURS,
    COUNTRIES,
    DAYS,
    EVENTS,
    ITEMS,
    JOBS,
    KINDS,
    NAMES,
    PLACES,
    ROOMS,
    SYLLABLES,
    article,
    listed,
    split,
)

PLAIN = sorted({word for words in KINDS.values() for word in words} | {*ITEMS, *COLOURS, *JOBS, *PLACES})

KNOWN = frozenset(word.lower() for word in (*PLAIN, *NAMES, *CITIES, *COUNTRIES))

REPEAT = [
    "Repeat: {}",
    "Repeat after me: {}",
    "Say: {}",
    "Copy this: {}",
    "Write: {}",
    "Repeat these words: {}",
]
_FIRST = ["What is the first word of: {}", "Give me the first word of: {}", "First word: {}"]
_LAST = ["What is the last word of: {}", "Give me the last word of: {}", "Last word: {}"]
_REVERSE = ["Write in reverse order: {}", "Reverse: {}", "Turn around: {}"]

GOOD = split(
    "great lovely wonderful excellent perfect delicious friendly superb amazing fantastic charming brilliant "
    "beautiful helpful pleasant outstanding delightful comfortable"
)
BAD = split(
    "terrible awful horrible boring rude dirty slow broken disappointing noisy useless bad poor ugly cold "
    "dreadful unpleasant annoying"
)
SUBJECTS = split(
    "food soup service room hotel film book phone staff waiter music garden bed coffee price show actor plot "
    "camera screen lamp chair pizza tea view museum driver trip train song"
)
_REVIEW = [
    "The {s} was {a}.", "The {s} was {a} and the {t} was {b}.", "What {xa} {s}!", "I found the {s} {a}.",
    "The {s} is {a}, really {b}.", "We had {xa} {s} and {xb} {t}.", "Such {xa} {s}.", "{xa} and {b} {s}.",
    "My {s} was {a}.", "This {s} is {a}. I would say {b}.", "I think the {s} was {a} and {b}.",
]  # fmt: skip
_PRAISE = [
    "I loved the {s}.",
    "I would come back for the {s}.",
    "I recommend the {s}.",
    "I really enjoyed the {s}.",
]
_BLAME = [
    "I hated the {s}.",
    "I want my money back for the {s}.",
    "I do not recommend the {s}.",
    "Never again this {s}.",
]
JUDGE = [
    "Is this review positive or negative? {}", "Positive or negative? {}", "Classify the sentiment: {}",
    "What is the sentiment of this review? {}", "Good or bad review? {}", "Sentiment: {}",
    "Decide whether this is positive or negative: {}",
]  # fmt: skip

_WHERE = [
    "{n} is in the {p}.",
    "{n} went to the {p}.",
    "{n} walked to the {p}.",
    "{n} sits in the {p}.",
]
_HAS = ["{n} has {x}.", "{n} bought {x}.", "{n} found {x}.", "{n} holds {x}."]

_PERSON = [
    "{name} is {age} years old and lives in {city}.", "{name}, {age}, lives in {city}.",
    "In {city} lives {name}, who is {age}.", "My friend {name} from {city} is {age}.",
    "{name} is from {city} and {age} years old.", "Here is {name} from {city}, aged {age}.",
]  # fmt: skip
_WORKER = [
    "{name} works as a {job} in {city}.", "{name} is a {job} from {city}.", "The {job} {name} lives in {city}.",
    "In {city} we met {name}, a {job}.", "{city} has a new {job}: {name}.", "{name}, a {job}, moved to {city}.",
]  # fmt: skip
_ORDER = [
    "{name} orders {quantity} {colour} {item}s.", "Please send {quantity} {colour} {item}s to {name}.",
    "{quantity} {colour} {item}s for {name}.", "{name} wants {quantity} {item}s in {colour}.",
    "I need {quantity} {colour} {item}s. My name is {name}.", "{name} bought {quantity} {colour} {item}s.",
]  # fmt: skip
_EVENT = [
    "The {event} is on {day} at {time} in {city}.", "On {day} at {time} there is a {event} in {city}.",
    "Come to the {event} in {city} on {day} at {time}.", "{city}: {event}, {day}, {time}.",
    "We have a {event} on {day}, {time}, in {city}.", "There will be a {event} in {city}, {day} at {time}.",
]  # fmt: skip
EXTRACT = [
    "Extract {f} as JSON: {t}", "Give me {f} as JSON: {t}", "Write {f} as JSON. {t}", "Find {f}. Answer in JSON. {t}",
    "Return JSON with {f}: {t}", "{t} Extract {f} as JSON.", "{t} Give {f} in JSON.", "JSON with {f}, please: {t}",
]  # fmt: skip

SHAPES: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "person": (_PERSON, ("name", "age", "city")),
    "worker": (_WORKER, ("name", "job", "city")),
    "order": (_ORDER, ("name", "quantity", "colour", "item")),
    "event": (_EVENT, ("event", "day", "time", "city")),
}
NUMBERS = frozenset({"age", "quantity"})
LONGEST = 40
"""The characters that a schema allows in a value: a small model that has lost its way would else never end it."""


def invented(stream: Stream) -> str:
    """A made-up proper name of two or three syllables that is no word of the corpus."""
    while True:
        word = "".join(stream.pick(SYLLABLES) for _ in range(stream.between(2, 3)))
        if word not in KNOWN:
            return word.capitalize()


def person(stream: Stream) -> str:
    """A first name, now and then a made-up one."""
    return invented(stream) if stream.chance(12) else stream.pick(NAMES)


def city(stream: Stream) -> str:
    """A city, now and then a made-up one."""
    return invented(stream) if stream.chance(12) else stream.pick(CITIES)


def clock(stream: Stream) -> str:
    """A time of day."""
    return f"{stream.between(1, 23)}:{stream.pick(['00', '15', '30', '45'])}"


def copying(stream: Stream) -> Turn:
    """Repeat, first word, last word, reverse: reading the prompt and nothing else."""
    words = [stream.pick(PLAIN) if stream.chance(80) else invented(stream).lower() for _ in range(stream.between(2, 6))]
    text = " ".join(words)
    which = stream.below(100)
    if which < 55:
        return Turn("copy", stream.pick(REPEAT).format(text), text)
    if which < 70:
        return Turn("copy", stream.pick(_FIRST).format(text), words[0])
    if which < 85:
        return Turn("copy", stream.pick(_LAST).format(text), words[-1])
    words = words[:4]
    return Turn("copy", stream.pick(_REVERSE).format(" ".join(words)), " ".join(reversed(words)))


def short_copying(stream: Stream) -> Turn:
    """Repeat one to three words."""
    text = " ".join(stream.pick(PLAIN + NAMES + CITIES) for _ in range(stream.between(1, 3)))
    return Turn("copy", stream.pick(REPEAT).format(text), text)


def _review(stream: Stream, s: str, t: str, a: str, b: str) -> str:
    text = stream.pick(_REVIEW).format(s=s, t=t, a=a, b=b, xa=article(a), xb=article(b))
    return text[0].upper() + text[1:]


def sentiment(stream: Stream) -> Turn:
    """Whether a review praises or blames."""
    good = stream.chance(50)
    words, verbs = (GOOD, _PRAISE) if good else (BAD, _BLAME)
    (s, t), (a, b) = stream.some(SUBJECTS, 2), stream.some(words, 2)
    text = _review(stream, s, t, a, b) if stream.chance(80) else stream.pick(verbs).format(s=s)
    if stream.chance(25):
        text += " " + stream.pick(verbs).format(s=t)
    verdict = "positive" if good else "negative"
    if stream.chance(25):
        return Turn("sentiment", f"Give the sentiment as JSON: {text}", json.dumps({"sentiment": verdict}))
    return Turn("sentiment", stream.pick(JUDGE).format(text), verdict)


def _where(stream: Stream) -> Turn:
    people = stream.some(NAMES, stream.between(2, 3))
    places = stream.some(ROOMS + PLACES, len(people))
    text = " ".join(stream.pick(_WHERE).format(n=n, p=p) for n, p in zip(people, places, strict=True))
    at = stream.below(len(people))
    if stream.chance(60):
        return Turn("reading", f"{text} Where is {people[at]}?", f"{people[at]} is in the {places[at]}.")
    return Turn("reading", f"{text} Who is in the {places[at]}?", f"{people[at]} is in the {places[at]}.")


def _owns(stream: Stream) -> Turn:
    people = stream.some(NAMES, 2)
    things = stream.some(ITEMS, 2)
    colours = stream.some(COLOURS, 2)
    owned = [f"{article(c)} {thing}" for c, thing in zip(colours, things, strict=True)]
    text = " ".join(stream.pick(_HAS).format(n=n, x=x) for n, x in zip(people, owned, strict=True))
    at = stream.below(2)
    which = stream.below(3)
    if which == 0:
        return Turn("reading", f"{text} What does {people[at]} have?", f"{people[at]} has {owned[at]}.")
    if which == 1:
        return Turn("reading", f"{text} Who has the {things[at]}?", f"{people[at]} has the {things[at]}.")
    return Turn("reading", f"{text} What colour is the {things[at]}?", f"The {things[at]} is {colours[at]}.")


def reading(stream: Stream) -> Turn:
    """A question about two or three sentences."""
    return _where(stream) if stream.chance(50) else _owns(stream)


def _value(stream: Stream, field: str) -> Any:
    if field == "age":
        return stream.between(2, 99)
    if field == "quantity":
        return stream.between(2, 99) if stream.chance(50) else stream.between(2, 9)
    if field == "time":
        return clock(stream)
    if field in ("name", "city"):
        return person(stream) if field == "name" else city(stream)
    return stream.pick({"job": JOBS, "colour": COLOURS, "item": ITEMS, "event": EVENTS, "day": DAYS}[field])


def extraction(stream: Stream) -> Turn:
    """Named fields of one sentence as a JSON object, in the order asked for."""
    if stream.chance(12):
        things = stream.some(PLAIN, stream.between(2, 4))
        question = stream.pick(["Write as a JSON list: {}", "Make a JSON list of {}", "JSON list, please: {}"])
        return Turn("json", question.format(listed(things)), json.dumps(things))
    templates, fields = SHAPES[stream.pick(list(SHAPES))]
    values = {field: _value(stream, field) for field in fields}
    asked = stream.some(fields, stream.between(1, len(fields)))
    if stream.chance(50):
        asked.sort(key=fields.index)
    text = stream.pick(templates).format(**values)
    wanted = listed([f"the {field}" for field in asked] if stream.chance(50) else asked)
    question = stream.pick(EXTRACT).format(f=wanted, t=text)
    return Turn("json", question, json.dumps({field: values[field] for field in asked}))


def schema_of(answer: str) -> dict[str, Any]:
    """The JSON schema that an extraction's right answer satisfies, as a careful caller would write it: with bounds."""
    value = json.loads(answer)
    text = {"type": "string", "maxLength": LONGEST}
    if isinstance(value, list):
        return {"type": "array", "items": text, "maxItems": 8}
    types: dict[str, Any] = {key: {"type": "integer"} if key in NUMBERS else text for key in value}
    if "sentiment" in types:
        types["sentiment"] = {"type": "string", "enum": ["positive", "negative"]}
    return {"type": "object", "properties": types, "required": list(types), "additionalProperties": False}
