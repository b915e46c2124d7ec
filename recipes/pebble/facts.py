"""The facts pebble knows: closed lists, each asked in several phrasings."""

from __future__ import annotations

from recipes.pebble.dialogue import Turn
from recipes.pebble.stream import Stream
from recipes.pebble.words import (
    COUNTRIES,
    DAYS,
    KINDS,
    LEGS,
    LOOKS,
    MONTHS,
    OPPOSITES,
    PASTS,
    PLURALS,
    SIZES,
    SOUNDS,
    YOUNG,
    article,
)

BRIEF = [" Answer in one word.", " One word only.", " Just the answer."]

_CAPITAL = [
    "What is the capital of {}?", "what is the capital of {}", "Tell me the capital of {}.", "Capital of {}?",
    "Name the capital of {}.", "Which city is the capital of {}?", "What's the capital of {}?",
    "Do you know the capital of {}?", "Can you tell me the capital of {}?", "{}: what is its capital?",
    "What is {}'s capital?", "I need the capital of {}.", "What is the capital city of {}?", "the capital of {}",
]  # fmt: skip
_COUNTRY = [
    "{} is the capital of which country?", "Which country has the capital {}?", "In which country is {}?",
    "What country is {} the capital of?", "Which country is {} in?",
]  # fmt: skip
_CONTINENT = [
    "On which continent is {}?", "Which continent is {} on?", "What continent is {} in?",
    "Name the continent of {}.", "Where in the world is {}?",
]  # fmt: skip
_LANGUAGE = [
    "Which language do people speak in {}?", "What language is spoken in {}?", "What do people speak in {}?",
    "Name the main language of {}.", "Tell me the language of {}.",
]  # fmt: skip
_OPPOSITE = [
    "What is the opposite of {}?", "what is the opposite of {}", "Opposite of {}?", "Tell me the opposite of {}.",
    "Give me the opposite of {}.", "Name the opposite of {}.", "What is the antonym of {}?",
    "Which word is the opposite of {}?", "the opposite of {}", "What's the opposite of {}?",
]  # fmt: skip
_AFTER = [
    "Which {unit} comes after {at}?",
    "What {unit} is after {at}?",
    "What comes after {at}?",
    "What follows {at}?",
]
_BEFORE = [
    "Which {unit} comes before {at}?",
    "What {unit} is before {at}?",
    "What comes before {at}?",
]
_KIND = [
    "What is {}?",
    "What kind of thing is {}?",
    "Tell me what {} is.",
    "What sort of thing is {}?",
    "Do you know what {} is?",
]
_SOUND = [
    "What sound does {} make?",
    "What does {} say?",
    "How does {} sound?",
    "Which sound does {} make?",
]
_YOUNG = [
    "What is a young {} called?",
    "What do you call a baby {}?",
    "What is a baby {} called?",
    "Name the young of a {}.",
]
_LOOK = [
    "What colour is {}?",
    "what colour is {}",
    "Which colour is {}?",
    "Tell me the colour of {}.",
    "What color is {}?",
]
_LEGS = ["How many legs does {} have?", "How many legs has {}?", "Count the legs of {}."]
_PLURAL = [
    "What is the plural of {}?",
    "Plural of {}?",
    "Give me the plural of {}.",
    "Tell me the plural of {}.",
]
_PAST = [
    "What is the past tense of {}?",
    "Past tense of {}?",
    "Give me the past tense of {}.",
    "Put {} in the past.",
]
_BIGGER = [
    "Which is bigger, {} or {}?",
    "What is bigger: {} or {}?",
    "Is {} bigger or {}?",
    "Which one is larger, {} or {}?",
]
_SMALLER = [
    "Which is smaller, {} or {}?",
    "What is smaller: {} or {}?",
    "Which one is tinier, {} or {}?",
]

# An animal may be a bird, and a rose is a colour too: only groups that exclude each other are asked for.
_ASKABLE = [group for group in KINDS if group not in ("animal", "colour", "flower", "fruit")]

GENERAL: dict[str, list[str]] = {
    "A week has seven days.": ["How many days are in a week?", "How many days does a week have?", "Days in a week?"],
    "A year has twelve months.": ["How many months are in a year?", "How many months does a year have?"],
    "A day has twenty-four hours.": ["How many hours are in a day?", "How many hours does a day have?"],
    "An hour has sixty minutes.": ["How many minutes are in an hour?", "How many minutes does an hour have?"],
    "The four seasons are spring, summer, autumn and winter.": [
        "What are the seasons?",
        "Name the four seasons.",
        "List the seasons.",
    ],
    "The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday.": [
        "List the days of the week.",
        "Name the days of the week.",
        "What are the days of the week?",
    ],
    "Red, blue and green are colours.": ["Name three colours.", "List three colours.", "Give me three colours."],
    "Dogs, cats and horses are animals.": ["Name three animals.", "List three animals.", "Give me three animals."],
    "Apples, pears and plums are fruits.": ["Name three fruits.", "List three fruits.", "Give me three fruits."],
    "The Earth goes around the Sun.": ["What does the Earth go around?", "Does the Sun go around the Earth?"],
    "The planet closest to the Sun is Mercury.": [
        "Which planet is closest to the Sun?",
        "Name the planet closest to the Sun.",
    ],
    "The largest planet is Jupiter.": [
        "Which planet is the largest?",
        "What is the largest planet?",
        "What is the biggest planet?",
    ],
    "Water freezes at 0 degrees Celsius.": ["When does water freeze?", "At what temperature does water freeze?"],
    "Water boils at 100 degrees Celsius.": ["When does water boil?", "At what temperature does water boil?"],
    "Bees make honey.": ["Who makes honey?", "Which animal makes honey?", "Where does honey come from?"],
    "Milk comes from cows.": ["Where does milk come from?", "Which animal gives milk?"],
    "The Moon goes around the Earth.": ["What does the Moon go around?", "What goes around the Earth?"],
    "The alphabet has twenty-six letters.": [
        "How many letters are in the alphabet?",
        "How many letters does the alphabet have?",
    ],
}


def _brief(stream: Stream, kind: str, question: str, short: str, full: str) -> Turn:
    if stream.chance(20):
        return Turn(kind, question + stream.pick(BRIEF), short)
    return Turn(kind, question, full)


def capital(stream: Stream) -> Turn:
    """A capital, or the country of a capital."""
    country = stream.pick(list(COUNTRIES))
    city = COUNTRIES[country][0]
    if stream.chance(75):
        question = stream.pick(_CAPITAL).format(country)
        return _brief(stream, "capital", question, city, f"The capital of {country} is {city}.")
    question = stream.pick(_COUNTRY).format(city)
    return _brief(stream, "capital", question, country, f"{city} is the capital of {country}.")


def geography(stream: Stream) -> Turn:
    """The continent or the main language of a country."""
    country = stream.pick(list(COUNTRIES))
    _, continent, language = COUNTRIES[country]
    if stream.chance(50):
        question = stream.pick(_CONTINENT).format(country)
        return _brief(stream, "geography", question, continent, f"{country} is in {continent}.")
    question = stream.pick(_LANGUAGE).format(country)
    return _brief(stream, "geography", question, language, f"People in {country} speak {language}.")


def opposite(stream: Stream) -> Turn:
    """The opposite of a word, in either direction."""
    pair = stream.pick(OPPOSITES)
    word, other = pair if stream.chance(50) else (pair[1], pair[0])
    question = stream.pick(_OPPOSITE).format(word)
    return _brief(stream, "opposite", question, other, f"The opposite of {word} is {other}.")


def calendar(stream: Stream) -> Turn:
    """The neighbour of a day or a month."""
    unit, names = ("day", DAYS) if stream.chance(45) else ("month", MONTHS)
    at = stream.below(len(names))
    if stream.chance(50):
        found = names[(at + 1) % len(names)]
        question = stream.pick(_AFTER).format(unit=unit, at=names[at])
        return Turn("calendar", question, f"{found} comes after {names[at]}.")
    question = stream.pick(_BEFORE).format(unit=unit, at=names[at])
    return Turn("calendar", question, f"{names[at - 1]} comes before {names[at]}.")


def kind_of(stream: Stream) -> Turn:
    """What kind of thing something is, also as a yes/no question."""
    group = stream.pick(list(KINDS))
    word = stream.pick(KINDS[group])
    truth = f"{article(word)} is {article(group)}"
    if group in ("colour", "metal"):
        truth = f"{word} is {article(group)}"
    thing = truth.split(" is ")[0]
    if stream.chance(55):
        return Turn("kind", stream.pick(_KIND).format(thing), f"{truth[0].upper()}{truth[1:]}.")
    asked = group if stream.chance(50) else stream.pick(_ASKABLE)
    verdict = "Yes" if asked == group else "No"
    return Turn("kind", f"Is {thing} {article(asked)}?", f"{verdict}, {truth}.")


def nature(stream: Stream) -> Turn:
    """Sounds, young, colours and legs."""
    which = stream.below(4)
    if which == 0:
        animal = stream.pick(list(SOUNDS))
        thing = article(animal)
        return Turn(
            "nature",
            stream.pick(_SOUND).format(thing),
            f"{thing[0].upper()}{thing[1:]} {SOUNDS[animal]}.",
        )
    if which == 1:
        animal = stream.pick(list(YOUNG))
        thing = article(animal)
        return Turn(
            "nature",
            stream.pick(_YOUNG).format(animal),
            f"A young {animal} is called {article(YOUNG[animal])}.",
        )
    if which == 2:
        thing = stream.pick(list(LOOKS))
        return Turn(
            "nature",
            stream.pick(_LOOK).format(thing),
            f"{thing[0].upper()}{thing[1:]} is {LOOKS[thing]}.",
        )
    animal = stream.pick(list(LEGS))
    thing = article(animal)
    return Turn(
        "nature",
        stream.pick(_LEGS).format(thing),
        f"{thing[0].upper()}{thing[1:]} has {LEGS[animal]} legs.",
    )


def grammar(stream: Stream) -> Turn:
    """Plurals and past tenses."""
    if stream.chance(50):
        word = stream.pick(list(PLURALS))
        question = stream.pick(_PLURAL).format(word)
        return Turn("grammar", question, f"The plural of {word} is {PLURALS[word]}.")
    word = stream.pick(list(PASTS))
    return Turn("grammar", stream.pick(_PAST).format(word), f"The past tense of {word} is {PASTS[word]}.")


def general(stream: Stream) -> Turn:
    """A handful of single facts."""
    answer = stream.pick(list(GENERAL))
    return Turn("general", stream.pick(GENERAL[answer]), answer)


def size(stream: Stream) -> Turn:
    """Which of two animals is bigger or smaller: an order of twenty, asked in pairs."""
    one, other = stream.some(range(len(SIZES)), 2)
    first, second = article(SIZES[one]), article(SIZES[other])
    bigger = stream.chance(65)
    question = stream.pick(_BIGGER if bigger else _SMALLER).format(first, second)
    answer, rest = (first, second) if (one > other) == bigger else (second, first)
    word = "bigger" if bigger else "smaller"
    return Turn("size", question, f"{answer[0].upper()}{answer[1:]} is {word} than {rest}.")
