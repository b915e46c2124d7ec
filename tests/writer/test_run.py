"""A run from start to end, against a real node: its token and budget, its files, what it leaves when it fails."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from intermodel.cli.door import Door
from intermodel.core import Conflict, Invalid, NotFound, OverBudget, Refused, Unavailable, Upstream
from intermodel.ledger import verify
from intermodel.settings import Deployment, Price
from intermodel.writer import export, reader
from intermodel.writer.journal import Journal
from intermodel.writer.outcome import post_of
from intermodel.writer.run import go_on
from intermodel.writer.state import RunState, state_of
from intermodel.writer.topic import check_topic
from intermodel.writer.values import MOST_TOPIC, Brief, Ending
from tests.support import Running, running, settings_for
from tests.writer.script import BETTER, EDITED, PLAN, TOPIC, WORSE, Web, entry, written

BRIEF = Brief(TOPIC, "scripted", words=20)
CALLS = 9
LEFT = ["article.bundle.json", "article.html", "article.json", "article.md", "scores.svg"]


SETTLED = WORSE.replace(" [9]", "")


@contextmanager
def node_with(folder: Path, entries: dict[str, list[dict[str, Any]]] | None = None, **more: Any) -> Iterator[Running]:
    """A node whose model follows the script; a call costs about a cent."""
    price = Price(input=Decimal(1), output=Decimal(100))
    scripted = Deployment(provider="echo", script=written(folder, **entries or {}), price=price, **more)
    with running(settings_for(folder / "data", deployments={"scripted": scripted})) as node:
        yield node


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with node_with(tmp_path_factory.mktemp("node")) as served:
        yield served


def write(node: Running, folder: Path, brief: Brief = BRIEF, web: Web | None = None) -> RunState:
    found = web or Web()
    return asyncio.run(go_on(folder, brief, Door(node.node.settings, node.url), [found], found))


def document(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "article.json").read_bytes())
    return told


def receipts(node: Running, folder: Path) -> dict[str, int]:
    """What the run's calls came to, as the node's own receipts say."""
    journal = Journal(folder)
    try:
        ids = [call.receipt for call in journal.calls()]
    finally:
        journal.close()
    found = asyncio.run_coroutine_threadsafe(_find(node, ids), node.loop).result(10)
    return {one["id"]: one["spent"] for one in found}


async def _find(node: Running, ids: list[str]) -> list[dict[str, Any]]:
    return [await node.node.gateway.accounts.receipts.find(one) for one in ids]


def left_over(node: Running) -> tuple[list[str], list[str]]:
    """Tokens of writers that are valid, and their budgets."""

    async def look() -> tuple[list[str], list[str]]:
        tokens = [one.name for one in await node.node.tokens.all() if one.revoked is None]
        budgets = [one.name for one in await node.node.gateway.accounts.budgets.all()]
        return [one for one in tokens if one.startswith("writer ")], budgets

    return asyncio.run_coroutine_threadsafe(look(), node.loop).result(10)


def test_a_run_leaves_the_post_and_all_about_it(node: Running, tmp_path: Path) -> None:
    state = write(node, tmp_path)
    assert (state.standing, state.ending, state.why) == ("finished", "accepted", "")
    assert sorted(file.name for file in tmp_path.glob("*.*") if file.name[:1] in "as") == LEFT
    told, spent = document(tmp_path), receipts(node, tmp_path)
    assert told["best"]["draft"] == EDITED
    assert sorted(told["receipts"]) == sorted(spent)
    assert len(spent) == CALLS == sum(one["calls"] for one in told["bill"].values())
    assert Decimal(told["dollars"]) == Decimal(sum(spent.values())) / 10**9 == state.dollars
    assert state.dollars is not None
    assert state.dollars > 0
    assert left_over(node) == ([], [])
    article = export.read(tmp_path)
    assert article is not None
    assert (article.best.draft, article.ending, article.brief) == (EDITED, Ending.ACCEPTED, BRIEF)
    assert state.post == post_of(article)
    assert state.document()["post"] == told["post"]
    assert (state.post.round, state.post.score, state.post.because, state.post.edited) == (2, 9, "score", True)


def test_what_is_signed_verifies_offline(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    report = verify((tmp_path / "article.bundle.json").read_bytes(), [node.node.ledger.verifier])
    assert report.good, report.document()
    bundle = json.loads((tmp_path / "article.bundle.json").read_bytes())
    entry = asyncio.run_coroutine_threadsafe(
        node.node.ledger.about(export.digest_of((tmp_path / "article.md").read_bytes())), node.loop
    ).result(10)[-1]
    assert entry.statement is not None
    said = entry.statement.predicate
    assert said["topic"] == TOPIC
    assert [one["score"] for one in said["rounds"]] == [4, 9]
    assert said["models"]["writer"] == {"address": "scripted"}
    assert [one["digest"] for one in said["sources"]] == ["sha256:" + "0" * 64] * 2
    assert bundle["entries"]


def test_a_second_start_asks_spends_and_signs_nothing(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    before = {name: (tmp_path / name).read_bytes() for name in LEFT}
    entries = node.node.ledger.log.size
    state = write(node, tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in LEFT} == before
    assert node.node.ledger.log.size - entries <= 1  # nothing but receipts of before
    assert sum(one.calls for one in state.spent.values()) == CALLS


def test_it_waits_and_goes_on_as_its_reader_says(node: Running, tmp_path: Path) -> None:
    brief = replace(BRIEF, pause=True)
    state = write(node, tmp_path, brief)
    assert (state.standing, document(tmp_path)["standing"]) == ("waiting", "waiting")
    assert document(tmp_path)["best"]["draft"] == SETTLED
    assert state.post is not None
    assert (state.post.round, state.post.because, state.post.edited) == (1, "only", False)
    assert (
        "[9]"
        not in (tmp_path / "article.md").read_text("utf-8").partition("## Not verified")[0].partition("---\n\n")[2]
    )
    assert left_over(node)[0] == []
    with pytest.raises(Conflict, match="no round 2"):
        reader.choose(tmp_path, "accept", number=2)
    reader.choose(tmp_path, "revise", "Say more.")
    state = write(node, tmp_path, brief)
    assert (state.standing, state.ending) == ("finished", "accepted")
    assert document(tmp_path)["best"]["draft"] == EDITED


def test_a_draft_that_cites_what_is_not_there_is_exported_without_that(node: Running, tmp_path: Path) -> None:
    brief = replace(BRIEF, pause=True)
    write(node, tmp_path, brief)
    reader.choose(tmp_path, "accept")
    state = write(node, tmp_path, brief)
    assert (state.standing, state.ending, document(tmp_path)["best"]["draft"]) == ("finished", "reader", SETTLED)
    assert "taken out: [9]" in state.why


def test_the_plan_is_shown_and_changed(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    assert reader.plan_of(tmp_path).model_dump() == PLAN
    for wrong, said in (
        (b"{", "Invalid JSON"), (b'{"title": "x"}', "audience"), (b"x" * 100_001, "at most"),
        (json.dumps(PLAN | {"sections": []}).encode(), "no section"), (json.dumps(PLAN | {"x": 1}).encode(), "x:"),
    ):  # fmt: skip
        with pytest.raises(Invalid, match=said):
            reader.edit_plan(tmp_path, wrong)
    reader.edit_plan(tmp_path, json.dumps(PLAN | {"title": "Another"}).encode())
    state = write(node, tmp_path)
    assert state.standing == "finished"
    assert document(tmp_path)["plan"]["title"] == "Another"
    assert sum(one.calls for one in state.spent.values()) == CALLS + 4


# Money


def budget_of(node: Running) -> dict[str, int]:
    found = asyncio.run_coroutine_threadsafe(node.node.gateway.accounts.budgets.all(), node.loop).result(10)
    return {one.name: one.spent for one in found}


def test_the_budget_holds_over_starts_and_is_raised(tmp_path: Path) -> None:
    with node_with(tmp_path, {"writer": [entry("writer", BETTER)]}) as node:
        folder = tmp_path / "run"
        poor = replace(BRIEF, dollars="0.262")  # the critic sets about 0.25 aside
        state = write(node, folder, poor)
        assert (state.standing, state.ending) == ("finished", "budget")
        assert "Round 2 was not finished." in state.why
        assert (document(folder)["best"]["draft"], (folder / "article.md").exists()) == (BETTER, True)
        spent = receipts(node, folder)
        for _ in range(2):  # each with a new token
            write(node, folder, poor)
            assert receipts(node, folder) == spent
        state = write(node, folder, replace(BRIEF, dollars="3"))
        assert (state.ending, document(folder)["best"]["draft"]) == ("accepted", EDITED)
        assert left_over(node) == ([], [])


def test_what_another_node_was_paid_counts_too(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with node_with(tmp_path) as first, node_with(tmp_path / "other") as second:
        spent = asyncio.run(Door(first.node.settings, first.url).enter("aaaa", Decimal(1), Decimal("0.4")))
        assert spent
        found = asyncio.run_coroutine_threadsafe(first.node.gateway.accounts.budgets.all(), first.loop).result(10)
        assert [(one.name, one.ceiling, one.who) for one in found] == [("writer-aaaa", 600_000_000, "writer aaaa")]
        with pytest.raises(OverBudget, match=r"The \$1 of this run are spent"):
            asyncio.run(Door(second.node.settings, second.url).enter("aaaa", Decimal(1), Decimal(1)))


def test_without_a_ceiling_there_is_no_budget(node: Running, tmp_path: Path) -> None:
    assert write(node, tmp_path, replace(BRIEF, dollars="")).ending == "accepted"


# What goes wrong


def test_what_was_found_is_kept_where_there_is_no_draft(tmp_path: Path) -> None:
    with node_with(tmp_path, {"writer": [entry("writer", "") | {"fail": 400}]}) as node:
        folder = tmp_path / "run"
        with pytest.raises((Upstream, Invalid)):
            write(node, folder)
        told, state = document(folder), state_of(folder)
        assert (state.standing, told["standing"], told["best"], told["rounds"]) == ("failed", "failed", None, [])
        assert told["plan"] == PLAN
        assert [one["url"] for one in told["notes"]["sources"]] == list(Web().pages)
        assert len(told["notes"]["claims"]) == 2
        assert told["remark"]
        assert export.read(folder) is None
        assert left_over(node)[0] == []


def test_half_of_the_research_is_kept_too(tmp_path: Path) -> None:
    failing = [entry("researcher", "", "The Llama licence asks") | {"fail": 503}]
    with node_with(tmp_path, {"researcher": failing}) as node:
        folder = tmp_path / "run"
        with pytest.raises((Upstream, Unavailable)):
            write(node, folder)
    told = document(folder)
    assert (told["plan"], len(told["notes"]["sources"]), len(told["notes"]["claims"])) == (None, 1, 1)
    assert "not asked before the run ended" in json.dumps(told["notes"]["gaps"])
    (tmp_path / "mended").mkdir()
    with node_with(tmp_path / "mended") as node:
        assert write(node, folder).ending == "accepted"
        assert document(folder)["best"]["draft"] == EDITED


def test_no_source(node: Running, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        write(node, tmp_path, web=Web(pages={}))
    told, state = document(tmp_path), state_of(tmp_path)
    assert (state.standing, told["notes"]["sources"]) == ("failed", [])
    assert write(node, tmp_path).ending == "accepted"


def test_a_round_that_fails_leaves_the_best_draft(tmp_path: Path) -> None:
    failing = [entry("writer", "", "Problems to mend") | {"fail": 401}]
    with node_with(tmp_path, {"writer": [*failing, entry("writer", BETTER)]}) as node:
        folder = tmp_path / "run"
        state = write(node, folder, replace(BRIEF, accept=10))
    assert (state.standing, state.ending, document(folder)["best"]["draft"]) == ("failed", "failed", BETTER)
    assert "Round 2 was not finished." in state.why
    assert (folder / "article.md").exists()
    assert not (folder / "article.bundle.json").exists()


def test_one_process_at_a_time(node: Running, tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with journal.held(), pytest.raises(Conflict, match="going on in another process"):
        write(node, tmp_path)
    journal.close()
    write(node, tmp_path)
    with pytest.raises(Conflict, match="another topic"):
        write(node, tmp_path, replace(BRIEF, topic="Something else"))


def test_a_token_that_is_no_admin(node: Running, tmp_path: Path) -> None:
    made = asyncio.run_coroutine_threadsafe(node.node.tokens.create("plain"), node.loop).result(10)[1]
    settings = node.node.settings.model_copy(update={"token": SecretStr(made)})
    with pytest.raises(Refused, match="The writer makes a token and a budget of its own"):
        asyncio.run(go_on(tmp_path, BRIEF, Door(settings, node.url), [Web()], Web()))
    assert state_of(tmp_path).standing == "failed"


def test_a_folder_that_cannot_be_used(node: Running, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invalid, match="cannot be used"):
        write(node, tmp_path / "file")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "journal.sqlite3").write_text("no database at all, just a text")
    with pytest.raises(Invalid, match="cannot be used"):
        write(node, tmp_path / "broken")


class Slow(Door):
    """A node that takes its time to make a token."""

    def _enter(self, *args: Any) -> str:
        time.sleep(0.5)
        return super()._enter(*args)


def test_no_token_is_left_where_a_run_is_stopped_as_it_begins(node: Running, tmp_path: Path) -> None:
    async def go() -> None:
        door = Slow(node.node.settings, node.url)
        task = asyncio.create_task(go_on(tmp_path, BRIEF, door, [Web()], Web()))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    before = left_over(node)[0]
    asyncio.run(go())
    assert state_of(tmp_path).standing == "stopped"
    assert left_over(node)[0] == before


@pytest.mark.parametrize(
    ("topic", "said"), [(" \n", "is empty"), ("x" * 100_000, f"at most {MOST_TOPIC:,}"), ("a\x1b[2Jb", r"\\x1b")]
)
def test_topics_that_are_none(topic: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        check_topic(topic)


def test_a_topic_in_other_letters() -> None:
    assert check_topic("  Was eine offene\nLizenz erlaubt: 開放 ") == "Was eine offene Lizenz erlaubt: 開放"
