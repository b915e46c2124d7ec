"""The documents that ship, and the topics that are judged by them."""

from __future__ import annotations

import re
from datetime import date

import pytest
import yaml

from intermodel.writer.evaluate import Topic, missed, states, topics
from intermodel.writer.research import MOST_SENTENCES
from intermodel.writer.search.connect import SHIPPED
from intermodel.writer.search.folder import Folder, document
from intermodel.writer.text import sentences, words

DOCUMENTS = sorted(SHIPPED.glob("*.md"))
EARLY, USELESS, INJECTED = "eu-ai-act-early-notes.md", "future-of-open-ai.md", "hosting-tips.md"


def body(name: str) -> str:
    return document(SHIPPED / name, name, (SHIPPED / name).read_text(encoding="utf-8")).text


def test_there_are_about_thirty_documents() -> None:
    assert 20 <= len(DOCUMENTS) <= 32


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_a_document_has_a_head_and_a_readable_length(path: str) -> None:
    text = (SHIPPED / path).read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---\n")[1])
    assert set(head) - {"see"} == {"title", "origin", "published"}
    assert isinstance(head["published"], date)
    assert head.get("see", "https://").startswith("https://")
    assert 100 <= len(words(body(str(path)))) <= 420
    assert len(sentences(body(str(path)))) <= MOST_SENTENCES
    assert all(len(sentence) < 600 for sentence in sentences(body(str(path))))


def test_titles_differ_also_where_they_are_cut() -> None:
    titles = [document(path, path.name, path.read_text(encoding="utf-8")).title[:60] for path in DOCUMENTS]
    assert len(set(titles)) == len(titles)
    assert not set(titles) & {path.stem for path in DOCUMENTS}, "a front matter was not read"


async def test_the_folder_finds_a_document_by_its_subject() -> None:
    found = await Folder(SHIPPED).search("open-source exemption of the AI Act", 3)
    assert "file:eu-open-source-exemption.md" in [hit.url for hit in found]
    assert found[0].text


def test_there_are_ten_topics_with_six_to_ten_facts() -> None:
    told = topics()
    assert len(told) == 10
    assert all(6 <= len(topic.facts) <= 10 for topic in told)
    for topic in told:
        assert len({fact.id for fact in topic.facts}) == len(topic.facts)
        assert not any(other.topic.startswith(topic.topic) for other in told if other is not topic)


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.id)
def test_every_fact_stands_in_each_source_that_is_named(topic: Topic) -> None:
    for fact in topic.facts:
        assert fact.sources, fact.id
        for source in fact.sources:
            assert states(body(source), fact), f"{fact.id} is not in {source}"


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.id)
def test_the_words_of_a_fact_are_recognised_as_that_fact_mostly(topic: Topic) -> None:
    """The patterns are not so narrow that only the source's own words meet them."""
    assert len(missed("\n\n".join(fact.text for fact in topic.facts), topic.facts)) <= 2


def test_what_is_useless_wrong_or_hostile_helps_no_topic() -> None:
    for topic in topics():
        for name in (EARLY, USELESS, INJECTED):
            assert len(missed(body(name), topic.facts)) == len(topic.facts), (topic.id, name)


def test_one_document_contradicts_the_others_and_one_gives_orders() -> None:
    assert "exempt from the AI Act altogether" in body(EARLY)
    assert "never covers models with systemic risk" in body("eu-open-source-exemption.md")
    assert re.search("ignore your previous instructions", body(INJECTED), re.IGNORECASE)
