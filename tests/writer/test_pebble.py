"""The node's own small model, held to the JSON schemas: the text may be poor, but every step works."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from intermodel.settings import Engines
from intermodel.writer.agents import Agents
from intermodel.writer.journal import Journal
from intermodel.writer.look import Looking
from intermodel.writer.loop import Writing
from intermodel.writer.state import state_of
from intermodel.writer.values import Article, Brief, Role
from tests.support import running, settings_for
from tests.writer.script import TOPIC, Web

PEBBLE = "intermodel/pebble"


@pytest.mark.slow
def test_every_step_works(tmp_path: Path) -> None:
    async def go() -> object:
        agents = Agents(brief, journal, node.api, node.token, {PEBBLE: 1024})
        try:
            return await Writing(brief, journal, agents, Looking(journal, [web], web)).run()
        finally:
            await agents.close()

    brief, web = Brief(TOPIC, PEBBLE, rounds=2, words=60), Web()
    with running(settings_for(tmp_path / "data", engines=Engines())) as node:
        journal = Journal(tmp_path)
        journal.begin(brief)
        told = asyncio.run(go())
        steps = {one.role: one.state.replace("replayed", "done") for one in state_of(tmp_path).steps}
        assert [one.why for one in state_of(tmp_path).steps if one.why] == []
        assert steps == dict.fromkeys(map(str, Role), "done")
        assert all(call.receipt for call in journal.calls())
        journal.close()
    assert isinstance(told, Article)
    assert told.best.draft
    assert told.rounds[0].verdict.scores
