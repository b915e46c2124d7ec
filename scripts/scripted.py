"""Writes the script with which the `echo` provider plays the writer's five roles; with --check it only compares.

A post on each of the ten topics stands in `articles`: a line is a sentence, the files of the corpus that say it, and
the round from which the draft holds it. The real loop is run on the real corpus with these as its only answers, and
what was asked and answered becomes the script: so sentences, claims and sources have the numbers that a run will see.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import orjson
import yaml

from intermodel.providers.echo import SCRIPTS
from intermodel.writer.agents import Agents
from intermodel.writer.journal import Journal
from intermodel.writer.look import Fetch, Looking, Page
from intermodel.writer.loop import Writing
from intermodel.writer.research import SOURCE
from intermodel.writer.roles import prompt
from intermodel.writer.search.connect import SHIPPED
from intermodel.writer.search.folder import Folder, document
from intermodel.writer.text import cited, numbers, ranked
from intermodel.writer.values import Article, Brief, Role

ARTICLES = Path(__file__).parent / "articles"
OUT = SCRIPTS / "writer.json"
_NUMBERED = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)
_CLAIM = re.compile(r"^\d+\. (.+) \[(\d+)\]$", re.MULTILINE)
_SCORES = ("accuracy", "coverage", "structure", "style")
_FIRST, _LAST = (5, 5, 7, 7), (9, 9, 8, 9)
"""What the critic gives the first draft and the last one; between them it is in proportion."""


@dataclass(frozen=True, slots=True)
class Sentence:
    text: str
    sources: tuple[str, ...]
    """Names of the corpus's files, without `.md`; none for the writer's own words."""
    round: int


@dataclass(frozen=True, slots=True)
class Piece:
    """A post as it is in the end, and what the first drafts of it get wrong. "" parts its paragraphs."""

    topic: str
    title: str
    audience: str
    questions: tuple[str, ...]
    asks: dict[int, list[str]]
    """What the critic asks after a round."""
    slip: tuple[str, str]
    """Right, and wrong as the first draft has it."""
    polish: tuple[tuple[str, str], ...]
    """What the editor changes."""
    lines: tuple[Sentence | str, ...]
    """Sentences, headings as they stand, and "" between paragraphs."""

    @property
    def sentences(self) -> list[Sentence]:
        return [line for line in self.lines if isinstance(line, Sentence)]

    @property
    def rounds(self) -> int:
        return max(sentence.round for sentence in self.sentences)


def pieces() -> list[Piece]:
    return [_piece(path.read_text(encoding="utf-8")) for path in sorted(ARTICLES.glob("*.md"))]


def _piece(text: str) -> Piece:
    _, head, body = text.split("---\n", 2)
    told = yaml.safe_load(head)
    lines = tuple(_line(line) for line in body.strip().splitlines())
    polish = tuple((before, after) for before, after in told["polish"])
    right, wrong = told["slip"]
    return Piece(
        told["topic"], told["title"], told["audience"], tuple(told["questions"]), told["asks"], (right, wrong),
        polish, lines,
    )  # fmt: skip


def _line(line: str) -> Sentence | str:
    if not line or line.startswith("#"):
        return line
    text, sources, number = [*line.split(" | "), "", ""][:3]
    return Sentence(text, tuple(filter(None, sources.split(", "))), int(number or 1))


def draft(piece: Piece, number: int, found: dict[str, list[int]]) -> str:
    """The draft of a round, which cites sources by the numbers that a run gave them. `found`: numbers by statement."""
    lines = [f"# {piece.title}", ""]
    for line in piece.lines:
        if isinstance(line, str):
            lines.append(line)
        elif line.round <= number:
            marks = "".join(f"[{one}]" for one in found.get(line.text, ()))
            assert bool(marks) == bool(line.sources), f"round {number} of '{piece.topic}' has no source for: {line}"
            lines.append(f"{line.text[:-1]} {marks}{line.text[-1]}" if marks else line.text)
    text = re.sub(r"\n\n+", "\n\n", re.sub(r"(?<=[^\n#])\n(?=[^\n#])", " ", "\n".join(lines)))
    return _worse(piece, text, max(max(numbers, default=0) for numbers in found.values())) if number == 1 else text


def _worse(piece: Piece, text: str, sources: int) -> str:
    """With one wrong number, and one citation that leads nowhere."""
    right, wrong = piece.slip
    assert right in text, f"'{right}' is not in the first draft on '{piece.topic}'"
    head, _, tail = text.replace(right, wrong, 1).rpartition(f"[{cited(text)[-1]}]")
    return f"{head}[{sources + 9}]{tail}"


def edited(piece: Piece, text: str, found: dict[str, list[int]]) -> str:
    """The editor's wording, without a citation that leads nowhere."""
    for before, after in piece.polish:
        assert before in text, f"'{before}' is not in the draft on '{piece.topic}'"
        text = text.replace(before, after)
    there = {number for numbers in found.values() for number in numbers}
    return re.sub(r" ?\[(\d+)\]", lambda mark: mark[0] if int(mark[1]) in there else "", text)


def review(piece: Piece, number: int) -> dict[str, Any]:
    """What the critic says of a round's draft."""
    share = min((number - 1) / max(piece.rounds - 1, 1), 1.0)
    scores = [round(first + (last - first) * share) for first, last in zip(_FIRST, _LAST, strict=True)]
    problems = []
    if number == 1:
        right, wrong = piece.slip
        why, fix = f"The source says {right}.", f"Write {right}."
        problems.append({"quote": wrong, "why": why, "fix": fix, "severity": "must"})
    for sentence in piece.sentences:
        if sentence.round == number + 1:
            why = f"The draft leaves out a claim that matters: {sentence.text}"
            problems.append({"quote": "", "why": why, "fix": "Say it, with its source.", "severity": "should"})
    questions = piece.asks.get(number, [])
    return {"scores": dict(zip(_SCORES, scores, strict=True)), "problems": problems, "questions": questions}


@dataclass
class Player(httpx2.AsyncBaseTransport):
    """Answers the five roles' calls on one topic, and keeps what a script needs to do the same."""

    piece: Piece
    entries: list[dict[str, Any]] = field(default_factory=list)
    found: dict[str, list[int]] = field(default_factory=dict)
    """By statement, the numbers of the sources that say it, as the last draft was told."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        messages = orjson.loads(await request.aread())["messages"]
        said = "\n".join(message["content"] for message in messages)
        role = next(role for role in Role if _head(role) in said)
        content = getattr(self, f"_{role}")(said)
        message = {"role": "assistant", "content": content}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        told = {"id": "1", "object": "chat.completion", "created": 0, "model": "scripted", "choices": [choice]}
        return httpx2.Response(200, json=told, request=request)

    def _keep(self, role: Role, also: Sequence[str], content: str) -> str:
        entry = {"when": [_head(role), *also], "content": content}
        if entry not in self.entries:
            self.entries.append(entry)
        return content

    @property
    def _topic(self) -> str:
        return f"Topic:\n{self.piece.topic}"

    def _researcher(self, said: str) -> str:
        source = re.search(rf"^{SOURCE}:\n<.+>\nTitle: (.+)\n", said, re.MULTILINE)
        if source is None:
            return _json({"questions": self.piece.questions})
        lines = dict(_NUMBERED.findall(said[source.end() :]))
        claims = [
            {"text": sentence.text, "sentence": int(_closest(sentence.text, lines))}
            for sentence in self.piece.sentences
            if source[1] in [_title(name) for name in sentence.sources]
        ]
        shown = [f"\n{claim['sentence']}. {lines[str(claim['sentence'])][:40]}" for claim in claims]
        also = [self._topic, f"{SOURCE}:", f"\nTitle: {source[1]}\n", *dict.fromkeys(shown)]
        return self._keep(Role.RESEARCHER, also, _json({"claims": claims})) if claims else _json({"claims": []})

    def _planner(self, said: str) -> str:
        claims = {text: int(number) for number, text in reversed(_NUMBERED.findall(said))}
        sections: list[dict[str, Any]] = []
        for line in self.piece.lines:
            if isinstance(line, str) and line.startswith("## "):
                sections.append({"heading": line[3:], "claims": []})
            elif isinstance(line, Sentence) and line.text in claims:
                sections[-1]["claims"].append(claims[line.text])
        plan = {"title": self.piece.title, "audience": self.piece.audience, "sections": sections}
        asked = [question for questions in self.piece.asks.values() for question in questions]
        return self._keep(Role.PLANNER, [self._topic], _json(plan | {"open_questions": asked}))

    def _writer(self, said: str) -> str:
        listed = said[said.index("Claims, each") :].split("\n\n")[0]
        self.found = {}
        for text, number in _CLAIM.findall(listed):
            self.found.setdefault(text, []).append(int(number))
        return draft(self.piece, self._round(said) + 1, self.found)

    def _critic(self, said: str) -> str:
        return _json(review(self.piece, self._round(said)))

    def _editor(self, said: str) -> str:
        return edited(self.piece, draft(self.piece, self._round(said), self.found), self.found)

    def _round(self, said: str) -> int:
        """Of the draft that stands in a question; 0 where there is none."""
        if "Your last draft:" not in said and _head(Role.WRITER) in said:
            return 0
        return next(number for number in range(self.piece.rounds, 0, -1) if self.mark(number) in said)

    def mark(self, number: int) -> str:
        """Words of a round's draft that stand in none before it, and in no list of claims."""
        if number == 1:
            text = draft(self.piece, 1, self.found)
            at = text.index(self.piece.slip[1])
            return text[text.rfind("\n", 0, at) + 1 :].split("].")[0] + "]."
        sentence = next(one for one in self.piece.sentences if one.round == number and one.sources)
        return f"{sentence.text[:-1]} [{self.found.get(sentence.text, [0])[0]}]"

    def script(self) -> list[dict[str, Any]]:
        """What was said, with what would be said of each draft; a later draft holds what marks the ones before it."""
        researcher, _, writer, critic, editor = map(_head, Role)
        for number in range(self.piece.rounds, 0, -1):
            text, mark = draft(self.piece, number, self.found), self.mark(number)
            after = draft(self.piece, min(number + 1, self.piece.rounds), self.found)
            self.entries += [
                {"when": [writer, self._topic, mark], "content": after},
                {"when": [critic, mark], "content": _json(review(self.piece, number))},
                {"when": [editor, mark], "content": edited(self.piece, text, self.found)},
            ]
        return [
            *self.entries,
            {"when": [writer, self._topic], "content": draft(self.piece, 1, self.found)},
            {"when": [researcher, self._topic, f"{SOURCE}:"], "content": _json({"claims": []})},
            {"when": [researcher, self._topic], "content": _json({"questions": self.piece.questions})},
        ]


class NoFetch(Fetch):
    """The corpus has its texts with it."""

    async def fetch(self, url: str) -> Page:
        raise AssertionError(f"the corpus holds {url}")

    async def close(self) -> None: ...


async def play(piece: Piece) -> tuple[Article, Player]:
    """The real loop on a topic, with the standard brief."""
    player = Player(piece)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        agents = Agents(Brief(piece.topic, "scripted"), journal, "http://scripted/v1", "-", {}, player)
        article = await Writing(agents.brief, journal, agents, Looking(journal, [Folder(SHIPPED)], NoFetch())).run()
        await agents.close()
        journal.close()
    assert isinstance(article, Article)
    return article, player


async def script() -> bytes:
    """The whole of it. What nobody asks on one of the topics is answered with what this model is."""
    entries: list[Any] = []
    for piece in pieces():
        entries += (await play(piece))[1].script()
    topics = " / ".join(piece.topic for piece in pieces())
    entries.append(f"This model is a script that plays the writer's five roles, and knows no topic but these: {topics}")
    return orjson.dumps(entries, option=orjson.OPT_INDENT_2) + b"\n"


def _head(role: Role) -> str:
    return prompt(role).splitlines()[0]


def _title(name: str) -> str:
    path = SHIPPED / f"{name}.md"
    return document(path, path.name, path.read_text(encoding="utf-8")).title


def _closest(sentence: str, lines: dict[str, str]) -> str:
    """The number of the line that holds most of a sentence's numbers, and of those the one nearest in words."""
    asked = set(numbers(sentence))
    keys = list(lines)
    ranks = ranked([lines[key] for key in keys], sentence)
    return keys[max(ranks, key=lambda index: (len(asked & set(numbers(lines[keys[index]]))), -ranks.index(index)))]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def main() -> None:
    made = asyncio.run(script())
    if "--check" in sys.argv:
        sys.exit(0 if OUT.is_file() and made == OUT.read_bytes() else f"{OUT} is out of date: run scripts.scripted")
    OUT.write_bytes(made)
    print(f"{OUT}: {len(made)} bytes")


if __name__ == "__main__":
    main()
