"""A scripted model that plays the five roles on one small topic, and the sources that it reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intermodel.core import Upstream
from intermodel.writer.look import Hit, Page

TOPIC = "What an open licence really allows"
PAGES = {
    "https://one.example/apache": "The Apache licence was published in 2004. It allows commercial use of the work.",
    "https://two.example/llama": "The Llama licence asks companies with more than 700 million users for a permission.",
}
PLAN = {
    "title": "What it allows",
    "audience": "engineers",
    "sections": [{"heading": "Freely", "claims": [1]}, {"heading": "With a limit", "claims": [2]}],
    "open_questions": [],
}
WORSE = """# What it allows

## Freely

Apache allows commercial use since 2005 [1].

## With a limit

Llama has one [9]."""
BETTER = WORSE.replace("2005", "2004").replace("Llama has one [9]", "Llama asks above 700 million users [2]")
EDITED = BETTER.replace("Apache allows", "The Apache licence allows")


def review(score: int, *problems: str, questions: tuple[str, ...] = ()) -> str:
    scores = dict.fromkeys(("accuracy", "coverage", "structure", "style"), score)
    told = [{"quote": "Llama", "why": why, "fix": "Say it.", "severity": "should"} for why in problems]
    return json.dumps({"scores": scores, "problems": told, "questions": list(questions)})


def says(text: str, sentence: int) -> dict[str, Any]:
    return {"claims": [{"text": text, "sentence": sentence}]}


def entry(role: str, content: Any, *when: str) -> dict[str, Any]:
    return {
        "when": [f"You are the {role}", *when],
        "content": content if isinstance(content, str) else json.dumps(content),
    }


def script(**changed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Its entries; `changed` come before those of their role."""
    roles = {
        "researcher": [
            entry("researcher", says("Apache allows commercial use.", 2), "The Apache licence was"),
            entry("researcher", says("Llama asks above 700 million users.", 1), "The Llama licence asks"),
            entry("researcher", {"questions": ["apache licence", "llama licence"]}),
        ],
        "planner": [entry("planner", PLAN)],
        "writer": [entry("writer", BETTER, "Problems to mend"), entry("writer", WORSE)],
        "critic": [entry("critic", review(9), "2 of at most"), entry("critic", review(6, "It says nothing."))],
        "editor": [entry("editor", EDITED)],
    }  # fmt: skip
    return [one for role, entries in roles.items() for one in (*changed.get(role, ()), *entries)]


def written(folder: Path, **changed: list[dict[str, Any]]) -> Path:
    file = folder / "script.json"
    file.write_text(json.dumps(script(**changed)))
    return file


@dataclass
class Web:
    """A search and its pages, without a network; it counts what was asked of it."""

    pages: dict[str, str] = field(default_factory=lambda: dict(PAGES))
    name: str = "web"
    down: bool = False
    searched: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)

    async def search(self, query: str, limit: int) -> list[Hit]:
        self.searched.append(query)
        if self.down:
            raise Upstream("The search engine does not answer.")
        return [Hit(url, f"Page {i}") for i, url in enumerate(self.pages, 1)][:limit]

    async def fetch(self, url: str) -> Page:
        self.fetched.append(url)
        if not self.pages[url]:
            raise Upstream("The page could not be read.")
        return Page(url, f"Title of {url}", self.pages[url], "sha256:" + "0" * 64)

    async def close(self) -> None:
        pass
