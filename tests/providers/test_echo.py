"""The echo provider's scripts: turns, parts, and those that ship."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from intermodel.core import Call, Invalid, Kind
from intermodel.providers.echo import SCRIPTS, Echo
from intermodel.providers.http import Http
from intermodel.settings import Deployment


def _echo(script: Path | None) -> Echo:
    return Echo("scripted", Deployment(provider="echo", script=script), "", Http())


async def _said(echo: Echo, *texts: str) -> str:
    messages = [{"role": "user", "content": text} for text in texts]
    return await _answered(echo, messages)


async def _answered(echo: Echo, messages: list[dict[str, Any]]) -> str:
    answer = await echo.call(Call(Kind.CHAT, "scripted", {"messages": messages}), "scripted")
    return str(orjson.loads(await answer.read())["choices"][0]["message"]["content"])


def _script(folder: Path, *entries: object) -> Path:
    (folder / "script.json").write_bytes(orjson.dumps(entries))
    return folder / "script.json"


async def test_a_part_is_played_each_time_its_texts_all_stand_in_the_messages(tmp_path: Path) -> None:
    echo = _echo(
        _script(tmp_path, {"when": ["critic", "draft 2"], "content": "better"}, {"when": "critic", "content": "poor"})
    )
    assert await _said(echo, "You are the critic.", "draft 1") == "poor"
    assert await _said(echo, "You are the critic.", "draft 2") == "better"
    assert await _said(echo, "You are the critic.", "draft 1") == "poor"


async def test_the_first_part_that_fits_is_taken(tmp_path: Path) -> None:
    echo = _echo(_script(tmp_path, {"when": "a", "content": "first"}, {"when": ["a", "b"], "content": "second"}))
    assert await _said(echo, "a b") == "first"


async def test_what_fits_no_part_takes_its_turn_and_parts_take_none(tmp_path: Path) -> None:
    echo = _echo(_script(tmp_path, "one", {"when": "part", "content": "played"}, "two"))
    assert [await _said(echo, text) for text in ("x", "part", "x", "x")] == ["one", "played", "two", "two"]


async def test_a_part_reads_content_that_comes_in_pieces(tmp_path: Path) -> None:
    echo = _echo(_script(tmp_path, {"when": ["left", "right"], "content": "both"}, "neither"))
    pieces = [{"type": "text", "text": "left"}, {"type": "text", "text": "right"}]
    assert await _answered(echo, [{"role": "user", "content": pieces}, {"role": "user", "content": None}]) == "both"


@pytest.mark.parametrize("when", [3, ["a", 3], None, {"a": "b"}])
def test_parts_that_name_no_texts_are_refused(tmp_path: Path, when: object) -> None:
    with pytest.raises(Invalid, match="'when' is not a text"):
        _echo(_script(tmp_path, {"when": when, "content": "x"}))


@pytest.mark.parametrize("text", [b"", b"{}", b"[1]", b"not json"])
def test_a_script_that_is_none_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "broken.json").write_bytes(text)
    with pytest.raises(Invalid, match="script of deployment 'scripted'"):
        _echo(tmp_path / "broken.json")


async def test_a_bare_name_is_a_script_that_ships() -> None:
    said = await _said(_echo(Path("writer")), "Hello!")
    assert said.startswith("This model is a script that plays the writer's five roles")


def test_a_name_that_does_not_ship_is_refused_and_those_that_do_are_named() -> None:
    with pytest.raises(Invalid) as refused:
        _echo(Path("nobody"))
    assert all(f"'{path.stem}'" in refused.value.hint for path in SCRIPTS.glob("*.json"))


async def test_a_file_of_ones_own_goes_before_one_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "writer").write_bytes(orjson.dumps(["mine"]))
    assert await _said(_echo(Path("writer")), "x") == "mine"
