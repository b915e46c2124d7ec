"""Short stories from a grammar: six sentences, a hero who keeps name and kind, a good end."""

from __future__ import annotations

from recipes.pebble.dialogue import Turn
from recipes.pebble.stream import Stream
from recipes.pebble.words import COLOURS, ITEMS, NAMES, article, split

HEROES = split("fox cat dog rabbit mouse bear owl frog duck horse robot dragon snail hen goat bee")
HOMES = split("forest village garden valley castle barn meadow cave harbour lighthouse")
MOODS = split("small brave shy kind clever lazy curious quiet merry old")

_ASK = [
    "Tell me a story about {}.",
    "Tell a short story about {}.",
    "Write a story about {}.",
    "A story about {}, please.",
    "I want a story about {}.",
]
_ANY = [
    "Tell me a story.",
    "Tell me a short story.",
    "Write a story.",
    "A story, please.",
    "Can you tell me a story?",
]
_OPEN = [
    "Once there was {m} {h} named {n}.",
    "Once upon a time, {m} {h} named {n} lived in a {p}.",
    "In a {p} lived {m} {h} named {n}.",
]
_LOSS = [
    "One day {n} lost {x}.",
    "One morning {n} looked for {x}, but it was gone.",
    "One day {x} of {n} fell into the river.",
]
_MEET = ["{n} met {f}, {a}.", "Then {f}, {a}, came by.", "{n} asked {f}, {a}, for help."]
_SEEK = [
    "They looked behind every tree.",
    "They walked through the rain all day.",
    "Together they looked until the evening.",
    "They asked everyone they met.",
]
_FIND = [
    "At last they found it under a stone.",
    "At last {f} saw it in the grass.",
    "In the evening {n} found it in the sand.",
]
_END = [
    "{n} was happy, and the two stayed friends.",
    "{n} thanked {f}, and they had tea.",
    "From that day on {n} and {f} were friends.",
]


PARTS = (_OPEN, _LOSS, _MEET, _SEEK, _FIND, _END)


def story(stream: Stream) -> Turn:
    """A story, about a hero that the prompt may name."""
    hero, other = stream.some(HEROES, 2)
    name, friend = stream.some(NAMES, 2)
    which = stream.below(10)
    asked = f"{article(hero)} named {name}" if which < 4 else article(hero)
    question = stream.pick(_ANY) if which > 7 else stream.pick(_ASK).format(asked)
    slots = {
        "m": article(stream.pick(MOODS)), "h": hero, "n": name, "p": stream.pick(HOMES), "f": friend,
        "a": article(other), "x": f"the {stream.pick(COLOURS)} {stream.pick(ITEMS)}",
    }  # fmt: skip
    lines = [stream.pick(part).format(**slots) for part in PARTS]
    return Turn("story", question, " ".join(lines))


def sentence_patterns() -> list[list[str]]:
    """Regular expressions for the sentences of a story, place by place: what a well-formed story is made of."""
    slots = {
        "m": r"an? \w+",
        "a": r"an? \w+",
        "x": r"the \w+ \w+",
        "n": r"\w+",
        "h": r"\w+",
        "p": r"\w+",
        "f": r"\w+",
    }
    return [[sentence.replace(".", r"\.").format(**slots) for sentence in part] for part in PARTS]
