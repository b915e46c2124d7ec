"""What the five roles hand to each other, and what a run is made of.

Models of pydantic are what a model answers with, so their schemas are what it is held to; the rest are plain values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

MOST_ROUNDS = 5
"""Rounds of one run, whatever is asked."""
MOST_TOPIC = 2000
"""Characters of a topic."""


class Role(StrEnum):
    """Who does a step; also the name of the file with its prompt."""

    RESEARCHER = "researcher"
    PLANNER = "planner"
    WRITER = "writer"
    CRITIC = "critic"
    EDITOR = "editor"


@dataclass(frozen=True, slots=True)
class Brief:
    """What is asked for. It may change between two starts of a run, but for its topic."""

    topic: str
    model: str
    models: Mapping[str, str] = field(default_factory=dict)
    """By role, where one has a model of its own."""
    rounds: int = MOST_ROUNDS
    accept: float = 8.0
    """The score, of 10, with which the critic's word ends the rounds."""
    words: int = 700
    search: tuple[str, ...] = ("folder",)
    """Back ends, in the order in which they are asked; the first that answers is taken."""
    questions: int = 4
    sources: int = 6
    pause: bool = False
    """Wait for the reader after each round."""
    dollars: str = "1"
    """The most that all calls together may cost; "" for no ceiling."""
    audience: str = ""
    """For whom the post is; "" leaves that to the planner."""
    tone: str = ""
    language: str = ""
    """By code, tag or name; "" leaves it to the models, which write in that of the topic, or English."""

    def model_of(self, role: Role) -> str:
        return self.models.get(role, self.model)


# What the roles answer with


class Answer(BaseModel):
    """Closed to what it does not know, so that nothing a model says is passed over."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Questions(Answer):
    questions: list[str]
    """What to search the web for."""


class Found(Answer):
    text: str = Field(min_length=1)
    """One statement of fact, in one sentence."""
    sentence: int
    """The number of the source's sentence that says it."""


class Findings(Answer):
    claims: list[Found]

    @staticmethod
    def of(sentences: int, least: int = 0) -> type[Findings]:
        """Held to a source of so many sentences, so that no claim can name one that is not there, and to at least so
        many claims."""
        found = create_model("Found", __base__=Found, sentence=(int, Field(ge=1, le=sentences)))
        return create_model("Findings", __base__=Findings, claims=(list[found], Field(min_length=least)))


class Section(Answer):
    heading: str
    claims: list[int]
    """Numbers of the claims that it rests on."""


class Plan(Answer):
    title: str
    audience: str
    sections: list[Section]
    open_questions: list[str] = Field(default_factory=list)


class Scores(Answer):
    """Of 10 each."""

    accuracy: int = Field(ge=0, le=10)
    coverage: int = Field(ge=0, le=10)
    structure: int = Field(ge=0, le=10)
    style: int = Field(ge=0, le=10)

    @property
    def mean(self) -> float:
        return (self.accuracy + self.coverage + self.structure + self.style) / 4


class Objection(Answer):
    quote: str
    """The words of the draft that are meant."""
    why: str
    fix: str
    severity: Literal["must", "should"]


class Review(Answer):
    scores: Scores
    problems: list[Objection]
    questions: list[str] = Field(default_factory=list)
    """What ought to be looked up before the next round."""


# What a run is made of


@dataclass(frozen=True, slots=True)
class Source:
    """A page that was read. `number` is how drafts cite it; `digest` is of the bytes that came."""

    number: int
    url: str
    title: str
    text: str
    digest: str
    fetched: str
    """When, UTC (RFC 3339)."""
    published: str = ""
    asked: str = ""
    """The address that the search gave, where it led to another one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement with the sentence of the source that says it, as it stands there."""

    number: int
    text: str
    source: int
    quote: str


@dataclass(frozen=True, slots=True)
class Gap:
    """What was looked for and not had: a search that failed, a page that was not taken, a statement nobody says."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Notes:
    """All that is known; it grows from round to round and never changes what was numbered."""

    sources: tuple[Source, ...] = ()
    claims: tuple[Claim, ...] = ()
    gaps: tuple[Gap, ...] = ()

    def source(self, number: int) -> Source | None:
        return self.sources[number - 1] if 1 <= number <= len(self.sources) else None


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a draft. `by` is who says so: `code` is certain, `critic` a model, `reader` a person."""

    quote: str
    why: str
    fix: str
    severity: Literal["must", "should"]
    by: Literal["code", "critic", "reader"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the critic makes of a draft: code first, model second. `score` is of 10."""

    score: float
    scores: Mapping[str, int]
    """Of the model; empty where it gave none that could be read."""
    problems: tuple[Problem, ...]
    questions: tuple[str, ...] = ()

    @property
    def musts(self) -> int:
        return sum(problem.severity == "must" for problem in self.problems)


@dataclass(frozen=True, slots=True)
class Round:
    """One draft and what the critic made of it. The editor's text has the number of the draft that it is of."""

    number: int
    draft: str
    verdict: Verdict


class Ending(StrEnum):
    """Why the rounds ended."""

    ACCEPTED = "accepted"
    STUCK = "stuck"
    ROUNDS = "rounds"
    READER = "reader"
    BUDGET = "budget"
    FAILED = "failed"


class Because(StrEnum):
    """Why the post is of that draft: there is no other; it has the highest score; of equals it has fewer grave
    problems, or is the first; the reader's note asked for it; the reader accepted it."""

    ONLY = "only"
    SCORE = "score"
    GRAVE = "grave"
    FIRST = "first"
    NOTE = "note"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class Article:
    """The best draft of a run and everything that it rests on. `ending` says why no better one was tried."""

    brief: Brief
    plan: Plan
    notes: Notes
    rounds: tuple[Round, ...]
    best: Round
    ending: Ending
    remark: str = ""
    """What a person should know of how it ended; "" where it ended as it should."""
    edited: bool = False
    """Whether the text is the editor's, of the best draft."""
    because: Because | None = None
    """Why `best` is of that draft; None where only the scores say it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run goes on when the reader has answered."""

    article: Article


@dataclass(frozen=True, slots=True)
class Choice:
    """What the reader says after a round: `accept` this draft, `revise` with a note, or `stop` with the best one."""

    round: int
    action: Literal["accept", "revise", "stop"]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Spent:
    """What the calls of one role came to. `dollars` is None where a price is not known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    dollars: Decimal | None = Decimal(0)
