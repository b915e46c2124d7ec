"""Words that nothing has, and what they may have been meant for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.records.catalogue import Catalogue, Count, Entry, Query
from intermodel.records.catalogue.query import Missing
from intermodel.records.catalogue.words import like
from intermodel.storage import Database

ENTRIES = [
    *(Entry(f"a/llama-{i}") for i in range(5)), Entry("a/lime"), Entry("a/lame"), Entry("a/lima"), Entry("a/lamb"),
    Entry("b/mistral"), Entry("b/secret-palace", readers=("ann",)), Entry("c/palate"),
]  # fmt: skip


async def missing(database: Database, text: str, **asked: object) -> tuple[Missing, ...]:
    catalogue = Catalogue(database, batch=4, stored_from=6)
    await catalogue.put(ENTRIES)
    found = await catalogue.search(Query(text, **asked))  # type: ignore[arg-type]
    assert not (found.missing and found.total)
    assert found.document()["missing"] == [one.document() for one in found.missing]
    return found.missing


async def test_a_misspelt_word_is_told_with_what_things_have(database: Database) -> None:
    likely = (Count("llama", 5), Count("lamb", 1), Count("lame", 1))
    assert await missing(database, "Lama") == (Missing("lama", likely),)
    assert await missing(database, "mistrall llama") == (Missing("mistrall", (Count("mistral", 1),)),)
    assert await missing(database, "imstral") == (Missing("imstral", (Count("mistral", 1),)),)


async def test_words_that_are_there_are_not_missing(database: Database) -> None:
    assert await missing(database, "llama") == ()
    assert await missing(database, "llama mistral") == ()  # each somewhere, both nowhere
    assert await missing(database, "llama", facets={"kind": ("weights",)}) == ()
    assert await missing(database, "mistr", typing=True) == ()
    assert await missing(database, "-") == ()


async def test_nothing_is_proposed_for_what_is_like_nothing(database: Database) -> None:
    assert await missing(database, "zzyzx") == (Missing("zzyzx", ()),)
    assert await missing(database, "q") == (Missing("q", ()),)
    assert await missing(database, "模型") == (Missing("模", ()), Missing("型", ()))
    many = await missing(database, "lama " + " ".join(f"palat{i}" for i in range(9)))
    assert [bool(one.instead) for one in many] == [True] * 4 + [False] * 6


@pytest.mark.parametrize(
    ("who", "told"), [((), ("palate",)), (("ann",), ("palace", "palate")), (None, ("palace", "palate"))]
)
async def test_private_words_are_proposed_to_readers_alone(
    database: Database, who: tuple[str, ...] | None, told: tuple[str, ...]
) -> None:
    found = await missing(database, "palade" if who == () else "palaxe palabe", visible_to=who)
    assert await missing(database, "secret", visible_to=()) == (Missing("secret", ()),)
    assert all({count.value for count in one.instead} <= set(told) for one in found)
    one = await missing(database, "palaqe", visible_to=who)
    assert tuple(count.value for count in one[0].instead) == told


async def test_what_is_gone_is_not_proposed(database: Database) -> None:
    catalogue = Catalogue(database)
    await catalogue.put(ENTRIES)
    await catalogue.remove(["b/mistral"])
    assert (await catalogue.search(Query("mistrall"))).missing == (Missing("mistrall", ()),)


@given(st.text("abc1", min_size=1, max_size=6), st.data())
def test_all_that_is_one_letter_off_is_alike(word: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(word)))
    letter = data.draw(st.sampled_from("abcz09"))
    off = {word[:at] + letter + word[at:], word[:at] + word[at + 1 :], word[:at] + letter + word[at + 1 :]}
    if at < len(word) - 1:
        off.add(word[:at] + word[at + 1] + word[at] + word[at + 2 :])
    assert off - {word} <= like(word)
    assert word not in like(word)
    assert all(word in like(one) for one in off - {word})


def test_the_text_with_another_word() -> None:
    assert Query("Lama chat lama").instead("lama", "llama") == "llama chat"
