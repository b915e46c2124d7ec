"""Does refining help? The first draft against the best one, over topics whose facts are known. Pure but for `run_of`.

Two measures, both proxies that need no model and no person:

- **Recall**: the share of a topic's must-have facts that a draft states. A fact is stated where all patterns of one of
  its alternatives occur within two sentences that follow each other. A paraphrase that no pattern foresaw is missed.
- **Precision of citations**: of the sentences that cite and hold something that can be checked (a number, a quotation,
  a must-have fact), the share whose cited sources hold all of it. A source that says the same number of something else
  is not noticed.

A run of several rounds contains the run of one round, so every topic is compared with itself. Intervals are of 95 %, by
bootstrap over topics (percentiles, 10,000 times, a fixed seed); the difference is resampled in pairs.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from pydantic import TypeAdapter, ValidationError

from intermodel.core import IntermodelError, Invalid, NotFound, OverBudget, Refused, Unauthenticated, Unavailable
from intermodel.writer.check import QUOTATION
from intermodel.writer.export import read
from intermodel.writer.journal import Called, Journal
from intermodel.writer.text import CITED, cited, folded, numbers, sentences, unheld, without_blocks, words
from intermodel.writer.values import Article, Notes, Role, Spent

RESAMPLED = 10_000
SEED = 2026
_STOPS = (OverBudget, Refused, Unauthenticated, Unavailable)
"""What every further run would meet too."""


# Topics


@dataclass(frozen=True, slots=True)
class Fact:
    """What a good draft must say. `any`: alternatives, each a list of patterns that must all occur (case is ignored);
    `sources`: names of files that hold it."""

    id: str
    text: str
    any: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Topic:
    id: str
    topic: str
    facts: tuple[Fact, ...]


def topics(file: Path | None = None) -> list[Topic]:
    """Those of a file; without one the ten that ship. Raises `Invalid`."""
    try:
        data = file.read_bytes() if file else (resources.files("intermodel.writer") / "topics.json").read_bytes()
        found = TypeAdapter(list[Topic]).validate_json(data)
        for pattern in {p for topic in found for fact in topic.facts for one in fact.any for p in one}:
            _pattern(pattern)
    except (OSError, ValidationError, re.error) as error:
        raise Invalid(
            f"The topics in {file} cannot be read: {str(error)[:300]}",
            hint='It is a JSON list of {"id", "topic", "facts": [{"id", "text", "any": [["pattern"]]}]}.',
        ) from None
    if not found or not all(topic.facts for topic in found) or len({topic.id for topic in found}) < len(found):
        raise Invalid(f"The topics in {file} are none, lack facts, or two have one id.")
    return found


@functools.lru_cache(maxsize=4096)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# What a draft is worth


def states(text: str, fact: Fact) -> bool:
    """Whether a text says it, within two sentences that follow each other."""
    said = [CITED.sub("", sentence) for sentence in sentences(text)]
    pairs = [" ".join(said[at : at + 2]) for at in range(max(len(said) - 1, 1))]
    return any(all(_pattern(one).search(pair) for one in every) for pair in pairs for every in fact.any)


def missed(draft: str, facts: Sequence[Fact]) -> list[str]:
    """The facts that a draft does not state, by id."""
    return [fact.id for fact in facts if not states(draft, fact)]


@dataclass(frozen=True, slots=True)
class Citing:
    """Sentences that cite: those that can be checked, those of them that hold, and the words of those that do not."""

    checked: int
    held: int
    wrong: tuple[str, ...] = ()
    unchecked: int = 0

    @property
    def precision(self) -> float | None:
        return self.held / self.checked if self.checked else None


def citing(draft: str, notes: Notes, facts: Sequence[Fact]) -> Citing:
    said = [sentence for sentence in sentences(without_blocks(draft)) if cited(sentence)]
    told = [(sentence, _holds(sentence, notes, facts)) for sentence in said]
    wrong = tuple(sentence for sentence, holds in told if holds is False)
    held = sum(holds is True for _, holds in told)
    return Citing(held + len(wrong), held, wrong, len(told) - held - len(wrong))


def _holds(sentence: str, notes: Notes, facts: Sequence[Fact]) -> bool | None:
    """Whether the sources that a sentence cites hold what it says; None where nothing in it can be checked."""
    sources = [source for number in cited(sentence) if (source := notes.source(number))]
    if len(sources) < len(cited(sentence)):
        return False
    asked = numbers(sentence)
    quoted = [folded(one).strip(" .,;") for one in QUOTATION.findall(CITED.sub("", sentence)) if len(words(one)) > 3]
    stated = [fact for fact in facts if states(sentence, fact)]
    if not (asked or quoted or stated):
        return None
    return (
        not unheld(sentence, [source.text for source in sources])
        and all(any(one in folded(source.text) for source in sources) for one in quoted)
        and all(any(states(source.text, fact) for source in sources) for fact in stated)
    )


# Runs


@dataclass(frozen=True, slots=True)
class Run:
    """A run on a topic. `one` is what its first round took, with research, plan and editing; `every` what all took.
    Without an article, `why` says what kept it from one; `unfinished`: nobody has tried it to its end."""

    topic: Topic
    article: Article | None
    one: Spent = field(default_factory=Spent)
    every: Spent = field(default_factory=Spent)
    why: str = ""
    unfinished: bool = False


def run_of(topic: Topic, folder: Path) -> Run:
    """A run from its folder. Raises `NotFound`, `Invalid`."""
    article = read(folder)
    with closing(Journal.there(folder)) as journal:
        calls = journal.calls()
    first = [call for call in calls if _of_one_round(call.role, call.round)]
    return Run(topic, article, _spent(first), _spent(calls), "" if article else "It has no draft.", article is None)


def _of_one_round(role: str, number: int) -> bool:
    """Whether a run of one round would have made the call too."""
    if role in (Role.WRITER, Role.CRITIC):
        return number <= 1
    return role != Role.RESEARCHER or number == 0


def _spent(calls: Sequence[Called]) -> Spent:
    known = [call.nano for call in calls if call.nano is not None]
    dollars = Decimal(sum(known)) / 10**9 if len(known) == len(calls) else None
    return Spent(len(calls), sum(call.input for call in calls), sum(call.output for call in calls), dollars)


async def evaluate_all(
    write_one: Callable[[Topic], Awaitable[Run]], told: Sequence[Topic], kept: Callable[[Topic], Run] | None = None
) -> Report:
    """Have each topic written, one after the other, and judge them. `write_one` goes on where it was, so this does too.

    A topic that fails by itself counts, with nothing found, and with what it took, as `kept` has it: what there is of
    its run (`run_of`). What every further one would meet ends it: the report is then of what was reached, and says
    which topics are missing and why.
    """
    runs: list[Run] = []
    stopped = ""
    for topic in told:
        if stopped:
            runs.append(Run(topic, None, why=stopped, unfinished=True))
            continue
        try:
            runs.append(await write_one(topic))
        except _STOPS as error:
            stopped = str(error)
            runs.append(Run(topic, None, why=stopped, unfinished=True))
        except IntermodelError as error:
            there = await asyncio.to_thread(_there, topic, kept)
            runs.append(replace(there, article=None, why=str(error), unfinished=False))
    return evaluate(runs)


def _there(topic: Topic, kept: Callable[[Topic], Run] | None) -> Run:
    with suppress(NotFound, Invalid):  # it failed before it began
        return kept(topic) if kept else Run(topic, None)
    return Run(topic, None)


# The report


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft. `precision` is None where no citation could be checked."""

    recall: float
    precision: float | None
    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    score: float | None = None
    """The critic's, of 10."""


@dataclass(frozen=True, slots=True)
class Line:
    """One topic: every round's draft, the first, the best, and the text that the editor made of the best."""

    id: str
    topic: str
    facts: int
    rounds: tuple[Judged, ...]
    first: Judged
    best: Judged
    final: Judged
    best_round: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Mean:
    """Over `n` topics, with its interval; that is None for fewer than two."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Measure:
    first: Mean
    best: Mean
    gain: Mean
    """Of the best over the first, in pairs."""


@dataclass(frozen=True, slots=True)
class Report:
    lines: tuple[Line, ...]
    recall: Measure
    precision: Measure
    one: Spent
    every: Spent
    unfinished: tuple[tuple[str, str], ...] = ()
    """Topics that do not count, and why."""

    @property
    def points(self) -> float | None:
        """Percentage points of recall that further rounds bring on average; None where they bring none."""
        gain = self.recall.gain.mean
        return 100 * gain if gain is not None and gain > 1e-9 else None

    @property
    def dollars_per_point(self) -> float | None:
        """Of one topic, for one point of recall more; None without a gain, or a price."""
        if self.points is None or self.one.dollars is None or self.every.dollars is None:
            return None
        return float(self.every.dollars - self.one.dollars) / len(self.lines) / self.points

    @property
    def tokens_per_point(self) -> float | None:
        if self.points is None:
            return None
        more = _tokens(self.every) - _tokens(self.one)
        return more / len(self.lines) / self.points

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        made = asdict(self) | {
            "dollars_per_point": self.dollars_per_point, "tokens_per_point": self.tokens_per_point,
            "resampled": RESAMPLED, "seed": SEED,
        }  # fmt: skip
        for spent in (made["one"], made["every"]):
            spent["dollars"] = None if spent["dollars"] is None else str(spent["dollars"])
        found: dict[str, Any] = orjson.loads(orjson.dumps(made))
        return found


def evaluate(runs: Sequence[Run]) -> Report:
    """Raises `Invalid` where no run was tried to its end."""
    tried = [run for run in runs if not run.unfinished]
    unfinished = tuple((run.topic.id, run.why) for run in runs if run.unfinished)
    if not tried:
        why = unfinished[0][1] if unfinished else "No topic was given."
        raise Invalid(f"There is no draft to judge. {why}", hint="Resume the evaluation.", code="nothing_to_judge")
    lines = tuple(_line(run) for run in tried)
    recall = _measure([(line.first.recall, line.best.recall) for line in lines])
    precision = _measure([(line.first.precision, line.best.precision) for line in lines])
    return Report(
        lines, recall, precision, _sum(run.one for run in tried), _sum(run.every for run in tried), unfinished
    )


def judge(draft: str, notes: Notes, facts: Sequence[Fact], score: float | None = None) -> Judged:
    gone, found = tuple(missed(draft, facts)), citing(draft, notes, facts)
    return Judged(1 - len(gone) / len(facts), found.precision, gone, found.wrong, score)


def _line(run: Run) -> Line:
    facts, article = run.topic.facts, run.article
    if article is None:
        none = Judged(0.0, None, tuple(fact.id for fact in facts), ())
        return Line(run.topic.id, run.topic.topic, len(facts), (), none, none, none, 0, run.why)
    rounds = tuple(judge(one.draft, article.notes, facts, one.verdict.score) for one in article.rounds)
    place = next(at for at, one in enumerate(article.rounds) if one.number == article.best.number)
    final = judge(article.best.draft, article.notes, facts)
    best = rounds[place]
    return Line(run.topic.id, run.topic.topic, len(facts), rounds, rounds[0], best, final, article.best.number)


def _measure(pairs: Sequence[tuple[float | None, float | None]]) -> Measure:
    both = [(first, best) for first, best in pairs if first is not None and best is not None]
    gains = [best - first for first, best in both]
    return Measure(mean([pair[0] for pair in both]), mean([pair[1] for pair in both]), mean(gains))


def mean(values: Sequence[float]) -> Mean:
    """With a percentile bootstrap over the values. The seed is fixed, so what is resampled together stays together."""
    if not values:
        return Mean(None, None, None, 0)
    told = np.asarray(values, dtype=float)
    if len(told) < 2:
        return Mean(round(float(told[0]), 6), None, None, 1)
    picks = np.random.default_rng(SEED).integers(0, len(told), size=(RESAMPLED, len(told)))
    low, high = np.percentile(told[picks].mean(axis=1), [2.5, 97.5])
    return Mean(round(float(told.mean()), 6), round(float(low), 6), round(float(high), 6), len(told))


def _tokens(spent: Spent) -> int:
    return spent.input_tokens + spent.output_tokens


def _sum(spent: Iterable[Spent]) -> Spent:
    every = list(spent)
    known = [one.dollars for one in every if one.dollars is not None]
    dollars = sum(known, Decimal(0)) if len(known) == len(every) else None
    calls, read = sum(one.calls for one in every), sum(one.input_tokens for one in every)
    return Spent(calls, read, sum(one.output_tokens for one in every), dollars)
