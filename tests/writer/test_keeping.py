"""What a run's folder keeps: the post of before until there is another, and what people wrote into it."""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from intermodel.cli.door import Door
from intermodel.core import Conflict, IntermodelError, NotFound, Upstream
from intermodel.node import _forget_run
from intermodel.writer import reader
from intermodel.writer.journal import FILE, Journal
from intermodel.writer.keeping import check_free
from intermodel.writer.listed import new_id
from intermodel.writer.run import go_on
from intermodel.writer.runs import Runs
from intermodel.writer.state import state_of
from tests.support import Running
from tests.writer.script import PAGES, Web, entry
from tests.writer.test_run import BRIEF, LEFT, document, node_with, write


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with node_with(tmp_path_factory.mktemp("node")) as served:
        yield served


def files(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in LEFT}


def test_a_post_stays_where_the_next_start_comes_to_none(node: Running, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write(node, folder)
    before = files(folder)
    (tmp_path / "other").mkdir()
    with node_with(tmp_path / "other", {"writer": [entry("writer", "") | {"fail": 400}]}) as other:
        reader.edit_plan(folder, reader.plan_of(folder).model_copy(update={"title": "New"}).model_dump_json().encode())
        with pytest.raises(IntermodelError):
            write(other, folder)
    assert files(folder) == before
    state = state_of(folder)
    assert (state.standing, bool(state.why), document(folder)["standing"]) == ("failed", True, "finished")


def test_a_folder_with_a_strangers_post_holds_no_run(node: Running, tmp_path: Path) -> None:
    (tmp_path / "article.md").write_text("mine")
    with pytest.raises(Conflict, match=r"article\.md is there already"):
        write(node, tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["article.md"]
    (tmp_path / "journal.sqlite3").touch()
    check_free(tmp_path)


def test_what_was_edited_by_hand_is_put_aside(node: Running, tmp_path: Path) -> None:
    state = write(node, tmp_path, replace(BRIEF, pause=True))
    assert state.kept == []
    post = tmp_path / "article.md"
    post.write_text("first")
    write(node, tmp_path, replace(BRIEF, pause=True))
    post.write_text("second")
    state = write(node, tmp_path)
    assert state.standing == "finished"
    assert state.kept == ["article.edited.md", "article.edited-2.md"]
    assert [(tmp_path / name).read_text() for name in state.kept] == ["first", "second"]
    assert state.document()["kept"] == state.kept
    assert post.read_text().startswith("---\ntitle:")


@pytest.mark.parametrize("name", ["article.html", "article.json", "scores.svg", "article.bundle.json"])
def test_no_file_that_was_changed_by_hand_is_overwritten(node: Running, tmp_path: Path, name: str) -> None:
    write(node, tmp_path)
    (tmp_path / name).write_text("mine")
    state = write(node, tmp_path, replace(BRIEF, rounds=1))
    stem, _, ending = name.rpartition(".")
    kept = f"{stem}.edited.{ending}"
    assert state.kept == [kept]
    assert (tmp_path / kept).read_text() == "mine"
    assert (tmp_path / name).read_text() != "mine"
    assert write(node, tmp_path).kept == [kept], "what the run wrote itself is put nowhere"


def test_a_bundle_that_was_changed_stays_as_long_as_its_post(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    (tmp_path / "article.bundle.json").write_text("mine")
    assert write(node, tmp_path).kept == []
    assert (tmp_path / "article.bundle.json").read_text() == "mine"


def test_files_of_a_run_that_noted_the_post_alone_are_its_own(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE)) as journal, journal:
        journal.execute("delete from told where kind = 'wrote' and data not like '%article.md%'")
        journal.execute("""update told set data = json_remove(data, '$.file') where kind = 'wrote'""")
    assert write(node, tmp_path, replace(BRIEF, rounds=1)).kept == []
    (tmp_path / "article.html").write_text("mine")
    assert write(node, tmp_path).kept == ["article.edited.html"]


def test_what_is_written_into_a_run_before_it_wrote_is_put_aside(node: Running, tmp_path: Path) -> None:
    with closing(Journal(tmp_path)) as journal:
        journal.begin(BRIEF)
    (tmp_path / "scores.svg").write_text("mine")
    assert write(node, tmp_path).kept == ["scores.edited.svg"]


def test_a_post_that_the_run_itself_wrote_is_put_nowhere(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path, replace(BRIEF, pause=True))
    assert write(node, tmp_path).kept == []
    assert write(node, tmp_path).kept == []


def test_a_signed_post_that_was_edited_is_written_again_and_not_signed_again(node: Running, tmp_path: Path) -> None:
    write(node, tmp_path)
    before = files(tmp_path)
    (tmp_path / "article.md").write_text("mine")
    write(node, tmp_path)
    assert files(tmp_path) == before
    assert (tmp_path / "article.edited.md").read_text() == "mine"


# Sources


def look(node: Running, folder: Path, *webs: Web) -> None:
    pages = Web({url: text for web in webs for url, text in web.pages.items()})
    asyncio.run(go_on(folder, BRIEF, Door(node.node.settings, node.url), list(webs), pages))


def test_the_next_back_end_is_asked_where_nothing_of_the_first_can_be_read(node: Running, tmp_path: Path) -> None:
    broken, good = Web({"https://broken.example/": "", "https://bare.example/": "Short."}, "first"), Web(name="second")
    look(node, tmp_path, broken, good)
    told = document(tmp_path)
    assert [one["url"] for one in told["notes"]["sources"]] == list(PAGES)
    assert {one["what"] for one in told["notes"]["gaps"]} == {"https://broken.example/", "https://bare.example/"}
    assert broken.searched == good.searched


def test_a_back_end_that_serves_is_the_only_one_that_is_asked(node: Running, tmp_path: Path) -> None:
    good, other = Web(name="first"), Web(name="second")
    look(node, tmp_path, good, other)
    assert other.searched == []


def test_sources_of_which_a_model_makes_nothing_are_not_said_to_be_missing(tmp_path: Path) -> None:
    with node_with(tmp_path, {"researcher": [entry("researcher", "no JSON", "Sentences of the source")]}) as node:
        with pytest.raises(Upstream) as told:
            look(node, tmp_path / "run", Web())
        said = str(told.value)
        assert "2 sources on 'What an open licence really allows' could be read" in said
        assert "'scripted'" in said
        assert "--researcher-model" in said
        assert "retries" not in said
    whys = [one.why for one in state_of(tmp_path / "run").steps if one.state == "failed"]
    assert whys == ["'scripted' gave no usable answer to the researcher in 5 tries. Give this role another model."] * 2


def test_no_source_is_still_no_source(node: Running, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No source was found"):
        look(node, tmp_path, Web({}), Web({}))


def test_a_run_that_is_removed_leaves_no_budget_and_no_token(tmp_path: Path) -> None:
    with node_with(tmp_path) as node:
        name = new_id()
        folder = tmp_path / "writer" / name
        write(node, folder, replace(BRIEF, pause=True))
        assert [len(listed) for listed in listed_of(node)] == [1, 1]

        async def remove() -> None:
            forget = functools.partial(_forget_run, node.node.tokens, node.node.gateway.accounts.budgets)
            await Runs(tmp_path / "writer", ["false"], forget=forget).remove(name)

        asyncio.run_coroutine_threadsafe(remove(), node.loop).result(10)
        assert listed_of(node) == ([], [])
        assert not folder.exists()


def listed_of(node: Running) -> tuple[list[str], list[str]]:
    """Tokens and budgets of writers, ended ones too."""

    async def look() -> tuple[list[str], list[str]]:
        tokens = [one.name for one in await node.node.tokens.all() if one.name.startswith("writer ")]
        return tokens, [one.name for one in await node.node.gateway.accounts.budgets.all()]

    return asyncio.run_coroutine_threadsafe(look(), node.loop).result(10)


def test_nothing_is_listed_of_a_run_that_is_over(node: Running, tmp_path: Path) -> None:
    tokens, budgets = listed_of(node)
    write(node, tmp_path, replace(BRIEF, pause=True))
    assert [len(listed) for listed in listed_of(node)] == [len(tokens) + 1, len(budgets) + 1]
    write(node, tmp_path)
    assert listed_of(node) == (tokens, budgets)
