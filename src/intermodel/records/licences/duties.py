"""What must be done, in sentences: by the fact of a licence and its words there, which are the code for programs.

Read once from `duties.json`. Words that nobody put into a sentence give None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files

import orjson


class When(StrEnum):
    """Who must heed a duty."""

    USE = "use"
    """Whoever uses the thing, for whatever it is."""
    REDISTRIBUTE = "redistribute"
    """Whoever passes on copies, changed or not."""
    MODIFY = "modify"
    """Whoever changes it, or makes something from it, and passes that on."""
    SERVE = "serve"
    """Whoever lets others use it over a network."""
    TRAIN = "train"
    """Whoever trains other models on what it writes."""


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to do, and who must."""

    when: When
    words: str


def tasks(fact: str, words: str) -> tuple[Task, ...] | None:
    """The sentences for that fact and its words; none where another fact of the licence says it, None for no words."""
    return _sentences().get(fact, {}).get(words)


@cache
def _sentences() -> Mapping[str, Mapping[str, tuple[Task, ...]]]:
    told = orjson.loads((files(__package__) / "duties.json").read_bytes())["duties"]
    return {
        fact: {words: tuple(Task(When(one["when"]), one["say"]) for one in given) for words, given in codes.items()}
        for fact, codes in told.items()
    }
