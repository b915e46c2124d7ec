"""From questions to numbered sources and claims: search, read, and have the researcher say what each source holds.

Pages are data: no agent has a tool, so nothing that stands on a page can make one act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from intermodel.core import NotFound
from intermodel.writer.agents import Agents, Unusable
from intermodel.writer.look import Hit, Looking
from intermodel.writer.text import Part, cut, quoted, ranked, sentences
from intermodel.writer.values import Brief, Claim, Findings, Gap, Notes, Questions, Role, Source

MOST_CLAIMS = 60
MORE_SOURCES = 2
"""Sources that a later round may add."""
MOST_SENTENCES = 80
"""Of one source, the most telling ones, that are shown to the researcher."""
_SENTENCE = range(25, 600)
"""Characters of a sentence that may be worth a claim."""


@dataclass(frozen=True, slots=True)
class Research:
    brief: Brief
    agents: Agents
    looking: Looking

    async def begin(self) -> Notes:
        """Notes on the topic, searched for in its own words and with the researcher's questions.

        Raises `NotFound` where no source can be had; what was looked for can then be looked for again.
        """
        topic = [Part("Topic", self.brief.topic)]
        asked = await self._questions(topic)
        notes = await self._more(Notes(), [cut(self.brief.topic, 300), *asked], self.brief.sources, 0)
        if not notes.sources:
            self.looking.forget()
            why = " ".join(f"{cut(gap.what, 100)}: {cut(gap.why, 200)}" for gap in notes.gaps[:3])
            raise NotFound(
                f"No source was found on '{cut(self.brief.topic, 80)}'. {why}",
                hint="Try other words, or another back end with --search.",
                code="no_sources",
            )
        return notes

    async def more(self, notes: Notes, questions: Sequence[str], number: int) -> Notes:
        """The notes, with what is found on the critic's questions after round `number`."""
        return await self._more(notes, questions, MORE_SOURCES, number)

    async def _questions(self, topic: list[Part]) -> list[str]:
        try:
            asked = await self.agents.ask(Role.RESEARCHER, "questions", 0, topic, Questions, needed=False)
        except Unusable:  # the topic's own words are searched for in any case
            return []
        return [one for one in asked.questions if one.strip()][: self.brief.questions]

    async def _more(self, notes: Notes, questions: Sequence[str], most: int, number: int) -> Notes:
        hits, gaps = await self._search(questions, {source.url for source in notes.sources})
        sources, claims = list(notes.sources), list(notes.claims)
        for hit in hits:
            if len(sources) - len(notes.sources) >= most or len(claims) >= MOST_CLAIMS:
                break
            read = await self.looking.read(hit)
            if isinstance(read, Gap):
                gaps.append(read)
                continue
            page = read.page
            source = Source(len(sources) + 1, page.url, page.title, page.text, page.digest, read.at, page.published)
            found, missing = await self._claims(source, questions, number)
            gaps += missing
            if found:
                sources.append(source)
                claims += [replace(claim, number=len(claims) + i) for i, claim in enumerate(found, 1)]
        return Notes(tuple(sources), tuple(claims), (*notes.gaps, *gaps))

    async def _search(self, questions: Sequence[str], seen: set[str]) -> tuple[list[Hit], list[Gap]]:
        """Results on all questions, in turns, each page once."""
        lists: list[list[Hit]] = []
        gaps: list[Gap] = []
        for question in questions:
            hits, missing = await self.looking.search(question, self.brief.sources)
            lists.append(hits)
            gaps += missing
        ranks = range(max(map(len, lists), default=0))
        found = {hits[rank].url: hits[rank] for rank in ranks for hits in lists if rank < len(hits)}
        return [hit for url, hit in found.items() if url not in seen], gaps

    async def _claims(self, source: Source, questions: Sequence[str], number: int) -> tuple[list[Claim], list[Gap]]:
        """What a source says. A claim names the sentence that says it, by its number; others are not taken."""
        said = [sentence for sentence in sentences(source.text) if len(sentence) in _SENTENCE]
        most = min(max(self.agents.question(Role.RESEARCHER) // 250, 3), MOST_SENTENCES)
        telling = sorted(ranked(said, " ".join(questions))[:most])
        if not telling:
            return [], [Gap(source.url, "It says nothing about the topic.")]
        numbered = "\n".join(f"{i}. {said[index]}" for i, index in enumerate(telling, 1))
        parts = [
            Part("Topic", cut(self.brief.topic, 400)),
            Part(f"Sentences of the source '{cut(source.title, 80)}'", quoted(numbered)),
        ]
        try:
            held = Findings.of(len(telling))
            found = await self.agents.ask(
                Role.RESEARCHER, f"source: {cut(source.title, 60)}", number, parts, held, needed=False
            )
        except Unusable as failed:
            return [], [Gap(source.url, str(failed.error))]
        said_by = [said[telling[claim.sentence - 1]] for claim in found.claims]
        claims = zip(found.claims, said_by, strict=True)
        return [Claim(0, claim.text.strip(), source.number, quote) for claim, quote in claims], []
