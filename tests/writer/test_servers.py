"""Runs on servers as people have them: no JSON schemas, small contexts, models that think aloud."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from intermodel.cli.door import Door
from intermodel.cli.progress import show_end
from intermodel.core import Invalid, NotFound
from intermodel.settings import Deployment, Price
from intermodel.web.pages.writing import shown
from intermodel.writer import export
from intermodel.writer.agents import Agents
from intermodel.writer.fit import THOUGHTS, Fit, is_too_long, smaller
from intermodel.writer.journal import Journal
from intermodel.writer.listed import new_id
from intermodel.writer.look import Looking, Page
from intermodel.writer.loop import Writing
from intermodel.writer.reader import plan_of
from intermodel.writer.run import go_on
from intermodel.writer.runs import Run
from intermodel.writer.state import RunState, state_of
from intermodel.writer.values import Article, Brief, Role
from tests.support import Running, running, settings_for
from tests.web.test_pages import visit
from tests.web.test_writer_pages import text
from tests.writer.llama import Llama, limit, served
from tests.writer.script import BETTER, EDITED, PLAN, TOPIC, Web

BRIEF = Brief(TOPIC, "m", words=20)


class Direct(httpx2.AsyncBaseTransport):
    """The server without a network and a node between."""

    def __init__(self, llama: Llama) -> None:
        self._llama = llama

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        status, document = self._llama.answer(json.loads(await request.aread()))
        return httpx2.Response(status, json=document if "error" in document or status == 200 else {"error": document})


def play(folder: Path, llama: Llama, web: Web | None = None, brief: Brief = BRIEF) -> Article:
    async def go() -> Any:
        agents = Agents(brief, journal, "http://node/v1", "-", {}, Direct(llama))
        try:
            found = web or Web()
            return await Writing(brief, journal, agents, Looking(journal, [found], found)).run()
        finally:
            await agents.close()

    journal = Journal(folder)
    try:
        journal.begin(brief)
        told = asyncio.run(go())
    finally:
        journal.close()
    assert isinstance(told, Article)
    return told


def think_in_marks(text: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return {"content": f"<think>\nThey want {{something}}.\n</think>\n\n{text}"}, "stop"


def think_aside(text: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    return {"content": text, "reasoning_content": "They want {something}."}, "stop"


def chatter(text: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if text.startswith("{"):
        return {"content": f"Sure! Here it is:\n```json\n{text}\n```\nAnything else?"}, "stop"
    return {"content": f"```markdown\n{text}\n```"}, "stop"


def think_for_long(text: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Until nothing is left of a usual answer's tokens."""
    if limit(body) < THOUGHTS:
        return {"content": "", "reasoning_content": "On and on"}, "length"
    return {"content": text, "reasoning_content": "On and on, to the end."}, "stop"


@pytest.mark.parametrize("schema", [True, False])
@pytest.mark.parametrize("talk", [think_in_marks, think_aside, chatter])
def test_a_run_on_a_model_that_does_not_come_to_the_point(tmp_path: Path, talk: Any, schema: bool) -> None:
    llama = Llama(schema, talk=talk)
    told = play(tmp_path, llama)
    assert (told.best.draft, told.edited, told.best.verdict.score) == (EDITED, True, 9)
    assert len(llama.asked) - llama.refused == 1 + 2 + 1 + 2 + 1, "no answer had to be asked for once more"
    assert plan_of(tmp_path).model_dump() == PLAN
    [drafted] = shown(Run("r", tmp_path, state_of(tmp_path), "running")).rounds
    assert drafted.text == BETTER
    assert not any("reasoning_content" in message for body in llama.asked for message in body["messages"])


def test_a_server_without_schemas_is_asked_in_words_from_then_on(tmp_path: Path) -> None:
    llama = Llama(schema=False)
    told = play(tmp_path, llama)
    assert (told.best.draft, llama.refused) == (EDITED, 1)
    planned = next(body for body in llama.asked if "You are the planner" in body["messages"][0]["content"])
    assert [message["role"] for message in planned["messages"]] == ["system", "user"]
    assert '"open_questions"' in planned["messages"][0]["content"]
    assert "response_format" not in planned
    assert state_of(tmp_path).learned == ["The server of 'm' takes no JSON schema: it is asked for JSON in words."]
    count = len(llama.asked)
    assert play(tmp_path, llama) == told
    assert len(llama.asked) == count, "nothing is asked twice, not even what was refused"


def test_another_refusal_is_not_taken_for_one_of_schemas(tmp_path: Path) -> None:
    class Strict(Llama):
        def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if "You are the planner" not in body["messages"][0]["content"]:
                return super().answer(body)
            self.asked.append(body)
            return 400, {"error": {"message": "temperature is out of range", "code": 400}}

    with pytest.raises(Invalid, match="temperature is out of range"):
        play(tmp_path, Strict())
    assert state_of(tmp_path).learned == []
    llama = Llama()
    assert play(tmp_path, llama).best.draft == EDITED
    asked = [body for body in llama.asked if "You are the planner" in body["messages"][0]["content"]]
    assert ["response_format" in body for body in asked] == [True]


def test_a_model_that_thinks_its_answer_away_gets_more_tokens(tmp_path: Path) -> None:
    llama = Llama(talk=think_for_long)
    told = play(tmp_path, llama)
    assert told.best.draft == EDITED
    most = [limit(body) for body in llama.asked]
    assert most[0] < THOUGHTS < min(most[1:])
    assert [one.startswith("'m' thinks aloud") for one in state_of(tmp_path).learned] == [True]
    count = len(llama.asked)
    play(tmp_path, llama)
    assert len(llama.asked) == count
    with_void = Journal(tmp_path)
    assert [one.void for one in with_void.calls()] == [True] + [False] * (count - 1)
    with_void.close()


def test_what_was_learned_before_a_guess_that_was_wrong_stays_known(tmp_path: Path) -> None:
    class Strict(Llama):
        def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if limit(body) < THOUGHTS or "Sentences of the source" in body["messages"][-1]["content"]:
                return super().answer(body)
            if "You are the researcher" not in body["messages"][0]["content"]:
                return super().answer(body)
            self.asked.append(body)
            return 400, {"error": {"message": "temperature is out of range", "code": 400}}

    llama = Strict(talk=think_for_long)
    told = play(tmp_path, llama)
    questions = llama.asked[:3]
    assert [limit(body) >= THOUGHTS for body in questions] == [False, True, True]
    assert ["response_format" in body for body in questions] == [True, True, False]
    assert all(limit(body) >= THOUGHTS for body in llama.asked[1:])
    assert "response_format" in llama.asked[3], "that it takes no schema was no more than a guess"
    assert [one.startswith("'m' thinks aloud") for one in state_of(tmp_path).learned] == [True]
    count = len(llama.asked)
    assert play(tmp_path, llama) == told
    assert len(llama.asked) == count, "nothing is asked twice"


# Small contexts


class Long(Web):
    """Pages of 60,000 characters each."""

    async def fetch(self, url: str) -> Page:
        long = " ".join(f"Licence {i} allows commercial use {'of the work ' * 30}." for i in range(150))
        return Page(url, "A long page", long + " It is of 2004, and asks 700 million users.", "sha256:" + "0" * 64)


@pytest.mark.parametrize("schema", [True, False])
def test_a_context_smaller_than_the_sources_trims_and_says_so(tmp_path: Path, schema: bool) -> None:
    llama = Llama(schema, context=8192)
    told = play(tmp_path, llama, Long())
    assert (told.best.draft, len(told.notes.sources)) == (EDITED, 2)
    state = state_of(tmp_path)
    assert "'m' has a context of 8,192 tokens: what it is asked is cut to that." in state.learned
    sources = [one for one in state.steps if one.step.startswith("source:")]
    assert sources
    assert all(one.left_out > 0 and one.context == 8192 for one in sources)
    assert "have no room in a context of 8,192 tokens." in sources[0].account
    assert [one.account for one in state.steps if one.role == "planner"] == [""]
    count = len(llama.asked)
    assert play(tmp_path, llama, Long()) == told
    assert len(llama.asked) == count


def test_a_claim_names_a_sentence_that_was_shown_after_the_cut_as_well(tmp_path: Path) -> None:
    llama = Llama(context=8192)
    play(tmp_path, llama, Long())
    asked = [body for body in llama.asked if "Sentences of the source" in body["messages"][-1]["content"]]
    for body in asked:
        most = body["response_format"]["json_schema"]["schema"]["$defs"]["Found"]["properties"]["sentence"]["maximum"]
        assert f"\n{most}. Licence" in body["messages"][-1]["content"]
        assert f"\n{most + 1}. Licence" not in body["messages"][-1]["content"]


def test_a_server_that_gives_no_number_is_asked_less_until_it_takes_it(tmp_path: Path) -> None:
    class Silent(Llama):
        def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            status, document = super().answer(body)
            return (status, {"error": {"message": "prompt is too long"}}) if status == 400 else (status, document)

    llama = Silent(context=6000)
    assert play(tmp_path, llama, Long()).best.draft == EDITED
    assert 1 <= llama.refused <= 4


def test_a_context_in_which_nothing_has_room_ends_with_an_account(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="maximum context length is 100 tokens"):
        play(tmp_path, Llama(context=100))


def test_a_text_that_was_broken_off_is_told(tmp_path: Path) -> None:
    def talk(text: str, body: dict[str, Any]) -> tuple[dict[str, Any], str]:
        return {"content": text}, "length" if text == BETTER else "stop"

    play(tmp_path, Llama(talk=talk))
    accounts = {one.step: one.account for one in state_of(tmp_path).steps if one.account}
    assert accounts == {"draft 1": "Its answer was broken off at 444 tokens."}


@pytest.mark.parametrize(
    ("said", "context"),
    [
        ("This model's maximum context length is 8192 tokens. However, you requested 9012 tokens (7512 in the", 8192),
        ("'max_tokens' is too large: 4000. This model's maximum context length is 8192 tokens and your", 8192),
        ("request (9012 tokens) exceeds the available context size (8192 tokens), try increasing it", 8192),
        ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", 8192),
        ("`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 7512 `inputs` tokens and 1500", 8192),
        ("The number of tokens to keep is greater than the context length (n_keep: 9000>= n_ctx: 8192)", 8192),
        ("prompt is too long: 9000 tokens > 8192 maximum", 8192),
        ("Please reduce the length of the messages or completion.", None),
    ],
)
def test_what_servers_say_of_their_context(said: str, context: int | None) -> None:
    assert is_too_long("", said)
    assert smaller(Fit(32_768), said) == (Fit(context) if context else Fit(32_768, 0.6))
    assert smaller(Fit(8192), said) == Fit(8192, 0.6), "it is known already: characters make more tokens than usual"


def test_at_some_point_there_is_no_less() -> None:
    fit: Fit | None = Fit(8192)
    for _ in range(20):
        fit = fit and smaller(fit, "too long")
    assert fit is None
    assert not is_too_long("", "temperature is out of range")


# Through a node


@contextmanager
def node_before(llama: Llama, folder: Path) -> Iterator[Running]:
    with served(llama) as base:
        price = Price(input=Decimal(1), output=Decimal(10))
        with running(
            settings_for(folder / "data", deployments={"m": Deployment(base_url=base, model="llama", price=price)})
        ) as node:
            yield node


def test_a_run_on_a_real_server_behind_a_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    llama = Llama(schema=False, context=8192, talk=think_in_marks)

    def write(node: Running) -> RunState:
        web = Long()
        return asyncio.run(go_on(folder, BRIEF, Door(node.node.settings, node.url), [web], web))

    with node_before(llama, tmp_path) as node:
        folder = node.node.folder.path / "writer" / new_id()
        state = write(node)
        assert (state.standing, state.ending, state.why) == ("finished", "accepted", "")
        assert json.loads((folder / "article.json").read_bytes())["best"]["draft"] == EDITED
        assert len(state.learned) == 2
        show_end(folder, state, export.read(folder), lambda *_: "")
        with visit(node) as browser:
            page = text(browser.get(f"/writer/{folder.name}").text)
        for said in (page, " ".join(capsys.readouterr().out.split())):
            assert "have no room in a context of 8,192 tokens." in said
            assert "The server of 'm' takes no JSON schema" in said
        count = len(llama.asked)
        assert write(node).dollars == state.dollars
        assert len(llama.asked) == count
    assert {one.role: one.state for one in state.steps} == dict.fromkeys(map(str, Role), "done")
