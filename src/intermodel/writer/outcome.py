"""Which draft the post of a run is, why that one, and what is wrong with it: for people and for programs. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from intermodel.writer.values import Article, Because, Problem, Round

_WHY = {
    Because.ONLY: "the only draft",
    Because.SCORE: "the highest score",
    Because.GRAVE: "of equal scores the one with fewer grave problems",
    Because.FIRST: "of equal scores the first",
    Because.NOTE: "the draft that your note asked for",
    Because.READER: "the draft that you accepted",
}


@dataclass(frozen=True, slots=True)
class Post:
    """The post of a run. `score` is that of the draft of its round; the editor's text is not judged anew."""

    round: int
    score: float
    because: str
    """Why it is that draft, as `Because` has it."""
    edited: bool
    problems: Mapping[str, Mapping[str, int]]
    """How many, by who found them (`code`, `critic`): in the `draft`, and in the `post`, which code alone has checked;
    what the critic said there is of the draft."""

    def document(self) -> dict[str, Any]:
        """For JSON; `post_from` reads it again."""
        return asdict(self)


def because_of(rounds: Sequence[Round], best: Round) -> Because:
    """Why `best` is the best of these, as `loop.best_of` chooses it."""
    equal = [one for one in rounds if one is not best and one.verdict.score == best.verdict.score]
    if len(rounds) == 1:
        return Because.ONLY
    if not equal:
        return Because.SCORE
    return Because.FIRST if any(one.verdict.musts == best.verdict.musts for one in equal) else Because.GRAVE


def post_of(article: Article) -> Post:
    best = article.best
    draft = next((one for one in article.rounds if one.number == best.number), best)
    problems = {"draft": _counted(draft.verdict.problems), "post": _counted(best.verdict.problems)}
    because = article.because or because_of(article.rounds, draft)
    return Post(best.number, best.verdict.score, because, article.edited, problems)


def post_from(told: Mapping[str, Any]) -> Post:
    return Post(**told)


def said_of(post: Post, *, waiting: bool = False) -> str:
    """In a few sentences; `waiting`: there may be a better one yet."""
    subject = "So far the post" if waiting else "The post"
    by_editor = ", polished by the editor" if post.edited else ""
    why = _WHY[Because(post.because)]
    return f"{subject} is the draft of round {post.round}{by_editor}: {post.score:g} of 10, {why}. {_problems(post)}"


def _problems(post: Post) -> str:
    draft, text = post.problems["draft"], post.problems["post"]
    code, critic = draft.get("code", 0), draft.get("critic", 0)
    found = f"{code} found by code, {critic} said by the critic"
    if not post.edited:
        return f"Problems: {code + critic} ({found})." if code + critic else "No problem is known of it."
    again = f"its {critic} and the score are" if critic else "the score is"
    unread = f"The critic has not read the editor's text: {again} of the draft."
    if not code + critic + text.get("code", 0):
        return f"No problem is known of either text. {unread}"
    return f"Problems: {code + critic} in that draft ({found}); in the post code finds {text.get('code', 0)}. {unread}"


def _counted(problems: Sequence[Problem]) -> dict[str, int]:
    return {"code": 0, "critic": 0} | Counter(problem.by for problem in problems)
