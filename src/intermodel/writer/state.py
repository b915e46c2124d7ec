"""How a run stands, read from its folder: the same for the terminal, `--json` and the page, whoever goes on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from intermodel.writer.journal import Journal, Told
from intermodel.writer.outcome import Post, post_from
from intermodel.writer.values import Spent

ARTICLE = "article.json"
"""The file with everything of a draft; it is there once a run has ended, or waits."""
Standing = Literal["new", "running", "waiting", "stopped", "failed", "finished"]


@dataclass(frozen=True, slots=True)
class StepState:
    """A step as it stands: `started`, `done`, `replayed` or `failed` (and why)."""

    role: str
    step: str
    round: int
    state: str
    seconds: float
    input: int
    output: int
    why: str
    left_out: int = 0
    """Characters of its question that had no room in the model's context."""
    context: int = 0
    """Tokens of that context."""
    cut_at: int = 0
    """So many tokens, after which a text was broken off; 0 where it came to its end."""

    @property
    def account(self) -> str:
        """What was left out of it, in words; "" where nothing was."""
        return account_of(self.left_out, self.context, self.cut_at)


def account_of(left_out: int, context: int, cut_at: int) -> str:
    """What is left out of a step, in words."""
    asked = f"{left_out:,} characters of what it was to read have no room in a context of {context:,} tokens."
    broken = f"Its answer was broken off at {cut_at:,} tokens."
    return " ".join(text for text, there in ((asked, left_out), (broken, cut_at)) if there)


@dataclass(frozen=True, slots=True)
class RoundState:
    """A round that is over. `best` is the number of the best draft so far."""

    round: int
    score: float
    scores: Mapping[str, int]
    problems: int
    best: int
    sources: int


@dataclass(frozen=True, slots=True)
class RunState:
    """`stopped` can be gone on with; `failed` too, and `why` says what kept it. `last` is the newest event's number."""

    topic: str
    brief: Mapping[str, Any]
    began: float
    standing: Standing
    why: str
    hint: str
    ending: str
    steps: Sequence[StepState]
    rounds: Sequence[RoundState]
    gaps: Sequence[Mapping[str, str]]
    """Searches and pages that failed: `what` and `why`."""
    learned: Sequence[str]
    """What models turned out to take, each once."""
    kept: Sequence[str]
    """Files with what somebody had changed by hand in one of the run's, before another took its place."""
    post: Post | None
    """What the folder's post is; None where it has none yet, or one of before this was told."""
    spent: Mapping[str, Spent]
    last: int

    @property
    def dollars(self) -> Decimal | None:
        """What all calls came to; None where a price is not known."""
        told = [one.dollars for one in self.spent.values()]
        return None if None in told else sum((one for one in told if one is not None), Decimal(0))

    def document(self) -> dict[str, Any]:
        """For `--json` and the API."""
        spent = {
            role: asdict(one) | {"dollars": None if one.dollars is None else str(one.dollars)}
            for role, one in self.spent.items()
        }
        total = None if self.dollars is None else str(self.dollars)
        return asdict(self) | {"spent": spent, "dollars": total}


def state_of(folder: Path) -> RunState:
    """Raises `NotFound` where the folder holds no run."""
    journal = Journal.there(folder)
    try:
        told = journal.told()
        brief = journal.brief()
        ends = [one for one in told if one.kind in ("started", "waiting", "failed", "finished")]
        last = ends[-1] if ends else None
        return RunState(
            brief.topic if brief else "",
            asdict(brief) if brief else {},
            journal.began(),
            _standing(last, going_on=journal.is_held()),
            str(last.data.get("why", "")) if last else "",
            str(last.data.get("hint", "")) if last else "",
            str(last.data.get("ending", "")) if last else "",
            _steps(told),
            _rounds(told),
            [
                {"what": t.data["what"], "why": t.data["why"]}
                for t in told
                if t.kind in ("search", "page") and t.data["why"]
            ],
            list(dict.fromkeys(str(one.data["why"]) for one in told if one.kind == "learned")),
            [str(one.data["file"]) for one in told if one.kind == "edited"],
            next((post_from(one.data["post"]) for one in reversed(told) if one.data.get("post")), None),
            journal.spent(),
            told[-1].number if told else 0,
        )
    finally:
        journal.close()


def _standing(last: Told | None, *, going_on: bool) -> Standing:
    """A process that was killed leaves `started` behind, and nobody who holds the run."""
    if going_on:
        return "running"
    if last is None:
        return "new"
    return "stopped" if last.kind == "started" else last.kind  # type: ignore[return-value]


def _steps(told: Sequence[Told]) -> list[StepState]:
    """Each step once, as it was told of last, in the order in which they first began."""
    began: dict[str, float] = {}
    done: dict[str, StepState] = {}
    found: dict[str, StepState] = {}
    for one in told:
        if one.kind != "step":
            continue
        data, name = one.data, one.data["step"]
        if data["state"] == "started":
            began[name] = one.at
        found[name] = StepState(
            data["role"], name, data["round"], data["state"], round(one.at - began.get(name, one.at), 3),
            data.get("input", 0), data.get("output", 0), data.get("why", ""), data.get("left_out", 0),
            data.get("context", 0), data.get("cut_at", 0),
        )  # fmt: skip
        if data["state"] == "done":
            done[name] = found[name]
        elif data["state"] == "replayed":
            found[name] = done.get(name, found[name])  # what it took then
    return list(found.values())


def _rounds(told: Sequence[Told]) -> list[RoundState]:
    """The rounds as they were last played: a changed plan makes them anew."""
    found: dict[int, RoundState] = {}
    for one in told:
        if one.kind == "round":
            data = one.data
            found = {number: state for number, state in found.items() if number < data["round"]}
            found[data["round"]] = RoundState(
                data["round"], data["score"], data["scores"], data["problems"], data["best"], data["sources"]
            )
    return list(found.values())
