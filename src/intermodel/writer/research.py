"""From questions to numbered sources and claims: search, read, and have the researcher say what each source holds.

Pages are data: no agent has a tool, so nothing that stands on a page can make one act.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from intermodel.core import NotFound, Upstream
from intermodel.writer.agents import Agents, Question, Unusable
from intermodel.writer.look import Hit, Looking
from intermodel.writer.text import Part, cut, fitted, left_out, ranked, sentences
from intermodel.writer.values import Brief, Claim, Findings, Gap, Notes, Questions, Role, Source

MOST_CLAIMS = 60
MORE_SOURCES = 2
"""Sources that a later round may add."""
MOST_QUESTION = 300
"""Characters of a question as it is searched for. A critic's may repeat what stands on a page."""
MOST_SENTENCES = 80
"""Of one source, the most telling ones, that are shown to the researcher."""
SOURCE = "Sentences of the source"
"""What stands above them in a question to the researcher."""
_SENTENCE = range(25, 600)
"""Characters of a sentence that may be worth a claim."""


@dataclass(frozen=True, slots=True)
class Research:
    brief: Brief
    agents: Agents
    looking: Looking
    unusable: list[str] = field(default_factory=list)
    """Addresses of pages that were read and of which a model's answers could not be used."""

    async def begin(self) -> Notes:
        """Notes on the topic, searched for in its own words and with the researcher's questions.

        Raises `NotFound` where no source can be had, and `Upstream` where there were some and the model's answers could
        not be used; what was looked for can then be looked for again.
        """
        topic = [Part("Topic", self.brief.topic)]
        asked = await self._questions(topic)
        notes = await self._more(Notes(), [cut(self.brief.topic, 300), *asked], self.brief.sources, 0)
        if not notes.sources:
            self.looking.forget()
            if count := len(self.unusable):
                model, some = self.brief.model_of(Role.RESEARCHER), f"{count} source{'' if count == 1 else 's'}"
                raise Upstream(
                    f"{some} on '{cut(self.brief.topic, 80)}' could be read, and for none of them did '{model}' give "
                    "an answer that could be used.",
                    hint="Give the researcher another model (--researcher-model), or all roles (--model).",
                    code="unusable_answer",
                )
            why = " ".join(f"{cut(gap.what, 100)}: {cut(gap.why, 200)}" for gap in notes.gaps[:3])
            raise NotFound(
                f"No source was found on '{cut(self.brief.topic, 80)}'. {why}".rstrip(),
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
        """The notes with what is found. Where nothing of what a back end found serves, the next one is asked."""
        tried = {url for source in notes.sources for url in (source.url, source.asked)}
        found, gaps = notes, list(notes.gaps)
        for first in range(self.looking.back_ends):
            hits, missing = await self._search(questions, first)
            gaps += missing
            old = any(hit.url in tried for hit in hits) and not first
            found = await self._taken(found, [hit for hit in hits if hit.url not in tried], questions, most, number)
            if old or len(found.sources) > len(notes.sources) or len(found.claims) >= MOST_CLAIMS:
                break
            tried |= {hit.url for hit in hits}
        return replace(found, gaps=tuple(dict.fromkeys([*gaps, *found.gaps])))

    async def _taken(
        self, notes: Notes, hits: Sequence[Hit], questions: Sequence[str], most: int, number: int
    ) -> Notes:
        """The notes with what these pages say, as far as it is wanted."""
        known = {url for source in notes.sources for url in (source.url, source.asked)}
        sources, claims, gaps = list(notes.sources), list(notes.claims), list[Gap]()
        for hit in hits:
            if len(sources) - len(notes.sources) >= most or len(claims) >= MOST_CLAIMS:
                break
            if hit.url in known:
                continue
            read = await self.looking.read(hit)
            if isinstance(read, Gap):
                gaps.append(read)
                continue
            page = read.page
            if page.url in known:  # another address that leads to the same page
                continue
            source = Source(
                len(sources) + 1, page.url, page.title, page.text, page.digest, read.at, page.published,
                hit.url if hit.url != page.url else "",
            )  # fmt: skip
            found, missing = await self._claims(source, questions, number)
            gaps += missing
            if found:
                sources.append(source)
                known |= {page.url, hit.url}
                claims += [replace(claim, number=len(claims) + i) for i, claim in enumerate(found, 1)]
        return Notes(tuple(sources), tuple(claims), (*notes.gaps, *gaps))

    async def _search(self, questions: Sequence[str], first: int) -> tuple[list[Hit], list[Gap]]:
        """Results on all questions, in turns, each page once."""
        lists: list[list[Hit]] = []
        gaps: list[Gap] = []
        for question in questions:
            hits, missing = await self.looking.search(cut(question, MOST_QUESTION), self.brief.sources, first)
            lists.append(hits)
            gaps += missing
        ranks = range(max(map(len, lists), default=0))
        found = {hits[rank].url: hits[rank] for rank in ranks for hits in lists if rank < len(hits)}
        return list(found.values()), gaps

    async def _claims(self, source: Source, questions: Sequence[str], number: int) -> tuple[list[Claim], list[Gap]]:
        """What a source says. A claim names the sentence that says it, by its number; others are not taken."""
        said = [sentence for sentence in sentences(source.text) if len(sentence) in _SENTENCE]
        ranks = ranked(said, " ".join(questions))[:MOST_SENTENCES]
        if not ranks:
            return [], [Gap(source.url, "It says nothing about the topic.")]
        telling: list[int] = []

        def made(room: int) -> Question[Findings]:
            title = f"Title: {cut(' '.join(source.title.split()), min(80, room // 8))}"
            parts = [Part("Topic", cut(self.brief.topic, min(400, room // 4))), Part(SOURCE, title, others=True)]
            telling[:] = _fitting(said, ranks, room - len(fitted(parts, room)))
            numbered = "\n".join([title, *(f"{i}. {said[index]}" for i, index in enumerate(telling, 1))])
            parts[1] = Part(SOURCE, numbered, others=True)
            small = self.agents.room(Role.RESEARCHER).small  # such a model says nothing sooner than something
            held = Findings.of(len(telling), least=1 if small else 0)
            missing = sum(len(said[index]) for index in set(ranks).difference(telling))
            return Question(fitted(parts, room), held, missing + left_out(parts, room))

        try:
            step = f"source: {cut(source.title, 60)}"
            found = await self.agents.ask_fitting(Role.RESEARCHER, step, number, made, needed=False)
        except Unusable as failed:
            if failed.error.code == "unusable_answer":
                self.unusable.append(source.url)
            return [], [Gap(source.url, str(failed.error))]
        said_by = [said[telling[claim.sentence - 1]] for claim in found.claims]
        claims = zip(found.claims, said_by, strict=True)
        return [Claim(0, claim.text.strip(), source.number, quote) for claim, quote in claims], []


def _fitting(said: Sequence[str], ranks: Sequence[int], room: int) -> list[int]:
    """Of the sentences the most telling ones that have room with their numbers, in their order; one in any case."""
    found: list[int] = []
    for index in ranks:
        room -= len(said[index]) + len(f"\n{MOST_SENTENCES}. ")
        if found and room < 0:
            break
        found.append(index)
    return sorted(found)
