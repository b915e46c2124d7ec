import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from intermodel.core import Conflict, NotFound, Unauthenticated
from intermodel.governance import Tokens
from intermodel.governance.tokens import well_formed
from intermodel.storage import Database

SECRET = b"k" * 32


@pytest.fixture
async def tokens(tmp_path: Path) -> AsyncIterator[Tokens]:
    database = Database("", default=tmp_path / "t.db")
    await database.open()
    yield Tokens(database, SECRET)
    await database.close()


async def test_a_token_is_known_by_its_text_alone(tokens: Tokens, tmp_path: Path) -> None:
    token, text = await tokens.create("app")
    caller = await tokens.verify(text)
    assert (caller.token_id, caller.name) == (token.id, "app")
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text.encode() not in kept
    assert text.split("_")[2][:64].encode() not in kept


async def test_callers_at_once_share_one_query(tokens: Tokens) -> None:
    _, text = await tokens.create("app")
    asked: list[str] = []

    def note(*said: Any) -> None:
        asked.append(said[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(tokens.verify(text))
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(asked) == 1


async def test_a_caller_who_leaves_takes_nobody_along(tokens: Tokens) -> None:
    _, text = await tokens.create("app")
    first, second = (asyncio.create_task(tokens.verify(text)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).name == "app"


@pytest.mark.parametrize("text", ["", "x", "im_", "im_000000000000_" + "0" * 72, "\udcff", "a" * 100_000])
async def test_anything_else_is_not(tokens: Tokens, text: str) -> None:
    with pytest.raises(Unauthenticated):
        await tokens.verify(text)


async def test_the_checksum_tells_a_typing_error(tokens: Tokens) -> None:
    _, text = await tokens.create("app")
    assert well_formed(text)
    assert not well_formed(text[:-1] + ("0" if text[-1] != "0" else "1"))


async def test_another_key_makes_old_tokens_void(tokens: Tokens) -> None:
    _, text = await tokens.create("app")
    with pytest.raises(Unauthenticated):
        await Tokens(tokens._database, b"other" * 7).verify(text)


async def test_a_revoked_token_ends_within_the_promised_time(tokens: Tokens) -> None:
    token, text = await tokens.create("app")
    elsewhere = Tokens(tokens._database, SECRET)
    elsewhere.REMEMBERED_S = 0.2
    await elsewhere.verify(text)
    await tokens.revoke(token.id)
    with pytest.raises(Unauthenticated):
        await tokens.verify(text)
    await asyncio.sleep(0.3)
    with pytest.raises(Unauthenticated):
        await elsewhere.verify(text)
    with pytest.raises(Unauthenticated):
        await tokens.caller(token.id)


async def test_a_token_may_end_by_itself(tokens: Tokens) -> None:
    _, text = await tokens.create("app", lasts=timedelta(seconds=-1))
    with pytest.raises(Unauthenticated):
        await tokens.verify(text)
    assert await tokens.owner() is None


async def test_revoking_needs_one_that_is_valid_and_unambiguous(tokens: Tokens) -> None:
    await tokens.create("twin")
    await tokens.create("twin")
    for which in ("twin", "nobody"):
        with pytest.raises(NotFound):
            await tokens.revoke(which)


async def test_the_token_of_the_environment_replaces_the_one_before(tokens: Tokens) -> None:
    await tokens.accept("the first of them")
    await tokens.accept("the second of them\n")
    assert (await tokens.verify("the second of them")).name == "INTERMODEL_TOKEN"
    with pytest.raises(Unauthenticated):
        await tokens.verify("the first of them")
    assert len(await tokens.all()) == 1


async def test_the_token_of_the_environment_ends_when_it_is_no_longer_given(tokens: Tokens) -> None:
    await tokens.accept("only for a while")
    await tokens.accept(None)
    with pytest.raises(Unauthenticated):
        await tokens.verify("only for a while")


async def test_a_token_of_this_node_may_be_given_in_the_environment(tokens: Tokens) -> None:
    token, text = await tokens.create("app")
    await tokens.accept(text)
    assert (await tokens.verify(text)).token_id == token.id
    await tokens.revoke(token.id)
    with pytest.raises(Conflict, match="revoked"):
        await tokens.accept(text)


async def test_a_token_of_the_environment_may_look_like_one_of_ours(tokens: Tokens) -> None:
    await tokens.accept("im_my_own_choice")
    assert (await tokens.verify("im_my_own_choice")).name == "INTERMODEL_TOKEN"


async def test_a_forgotten_token_leaves_no_trace(tokens: Tokens) -> None:
    token, text = await tokens.create("for a moment")
    await tokens.forget(token.id)
    assert await tokens.all() == []
    with pytest.raises(Unauthenticated):
        await tokens.verify(text)
