"""The script with which the echo provider plays the five roles: its generator makes it, and a run follows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path

import orjson
import pytest

from intermodel.cli.door import Door
from intermodel.settings import Deployment, Price, Writer
from intermodel.writer.evaluate import Run, Topic, evaluate, evaluate_all, run_of, topics
from intermodel.writer.run import go_on
from intermodel.writer.search import connect
from intermodel.writer.state import RunState
from intermodel.writer.values import Brief, Role
from scripts import scripted
from tests.support import Running, running, settings_for


@contextmanager
def playing(folder: Path) -> Iterator[Running]:
    """A node whose model is the script that ships, named as a user would."""
    price = Price(input=Decimal(1), output=Decimal(4))
    model = Deployment(provider="echo", script=Path("writer"), price=price)
    with running(settings_for(folder / "node", deployments={"scripted": model})) as node:
        yield node


async def write(node: Running, folder: Path, topic: str, rounds: int = 5) -> RunState:
    [search] = connect(Writer())
    door = Door(node.node.settings, node.url)
    return await go_on(folder, Brief(topic, "scripted", rounds=rounds), door, [search], scripted.NoFetch())


STALE = "Another prompt, another document or another way of numbering? python -m scripts.scripted"


def test_the_parts_of_one_topic_are_what_the_generator_makes() -> None:
    piece = scripted.pieces()[0]
    _, player = asyncio.run(scripted.play(piece))
    shipped = orjson.loads(scripted.OUT.read_bytes())
    assert all(entry in shipped for entry in player.script()), STALE


@pytest.mark.slow
def test_the_whole_script_is_what_the_generator_makes() -> None:
    made = asyncio.run(scripted.script())
    assert made == scripted.OUT.read_bytes(), STALE
    assert len(made) < 400_000


def test_there_is_a_part_for_each_role_of_every_topic() -> None:
    assert sorted(piece.topic for piece in scripted.pieces()) == sorted(topic.topic for topic in topics())
    entries = [entry for entry in orjson.loads(scripted.OUT.read_bytes()) if isinstance(entry, dict)]
    for role in Role:
        played = [entry for entry in entries if entry["when"][0].startswith(f"You are the {role}")]
        assert len(played) >= 10, role


def test_a_run_gets_better_from_round_to_round_and_is_accepted(tmp_path: Path) -> None:
    topic = topics()[0]
    with playing(tmp_path) as node:
        state = asyncio.run(write(node, tmp_path / "run", topic.topic))
    assert (state.standing, state.ending, state.why) == ("finished", "accepted", "")
    assert [one.score for one in state.rounds] == sorted(one.score for one in state.rounds)
    assert len(state.rounds) == 3
    run = run_of(topic, tmp_path / "run")
    assert run.article
    assert run.article.edited
    assert run.one.dollars
    assert run.every.dollars
    assert run.one.dollars < run.every.dollars
    assert run.one.calls < run.every.calls == sum(one.calls for one in state.spent.values())
    [line] = evaluate([run]).lines
    assert line.first.recall < line.rounds[1].recall < line.best.recall == line.final.recall == 1.0
    assert len(line.first.wrong) == 2, "a wrong number, and a citation that leads nowhere"
    assert line.best.precision == 1.0


def test_one_round_ends_with_a_draft_that_the_editor_could_mend(tmp_path: Path) -> None:
    with playing(tmp_path) as node:
        state = asyncio.run(write(node, tmp_path / "run", topics()[0].topic, rounds=1))
    assert (state.standing, state.ending) == ("finished", "rounds")
    assert "[24]" not in (tmp_path / "run" / "article.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_all_ten_topics_are_written_and_judged(tmp_path: Path) -> None:
    """What a script plays says nothing of whether refining helps; that every topic can be judged is what is tested."""
    with playing(tmp_path) as node:

        async def write_one(topic: Topic) -> Run:
            await write(node, tmp_path / topic.id, topic.topic)
            return run_of(topic, tmp_path / topic.id)

        report = asyncio.run(evaluate_all(write_one, topics()))
        again = asyncio.run(evaluate_all(write_one, topics()))
    assert again == report, "a second time asks nothing, and comes to the same"
    assert [line.why for line in report.lines] == [""] * 10
    assert report.recall.gain.low is not None
    assert report.recall.gain.low > 0.2
    assert report.precision.best.mean == 1.0
    assert report.dollars_per_point is not None


def test_the_script_does_not_obey_the_injected_page() -> None:
    played = orjson.loads(scripted.OUT.read_bytes())
    assert "MegaHost" not in str(played)
