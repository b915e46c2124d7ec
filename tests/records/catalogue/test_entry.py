from typing import Any

import orjson
import pytest

from intermodel.core import Invalid
from intermodel.records.catalogue import Count, Entry, Found, Query, size_of


def test_sizes_begin_where_they_say() -> None:
    assert size_of(0) == "under 1B"
    assert size_of(999_999_999) == "under 1B"
    assert size_of(1_000_000_000) == "1B to 3B"
    assert size_of(99_999_999_999) == "30B to 100B"
    assert size_of(100_000_000_000) == "100B and more"


def test_an_entry_is_read_as_it_was_written() -> None:
    for entry in (
        Entry("a/b"),
        Entry("h/a/b", "B", "weights", ("t",), "allow", "closed", 0, ("de", "en"), 0, ("x",), "s", 7, ()),
        Entry("a/b", readers=("ann", "bob")),
    ):
        assert Entry.of(orjson.loads(entry.written())) == entry


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"address": ""},
        {"address": " a/b"},
        {"address": "a\0b"},
        {"address": "a" * 301},
        {"address": 7},
        {"address": "a/b", "colour": "red"},
        {"address": "a/b", "popularity": -1},
        {"address": "a/b", "popularity": None},
        {"address": "a/b", "popularity": 2**31},
        {"address": "a/b", "parameters": 1.5},
        {"address": "a/b", "tier": True},
        {"address": "a/b", "tags": "x"},
        {"address": "a/b", "tags": [""]},
        {"address": "a/b", "tags": ["x", "x"]},
        {"address": "a/b", "tags": [1]},
        {"address": "a/b", "tags": [[]]},
        {"address": "a/b", "tags": ["t"] * 201},
        {"address": "a/b", "tags": None},
        {"address": "a/b", "summary": "\ud800"},
        {"address": "a/b", "summary": "x" * 4001},
        {"address": "a/b", "readers": "ann"},
    ],
)
def test_what_cannot_be_kept_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        Entry.of(wrong)


def test_a_question_from_a_url() -> None:
    asked = Query.of([("q", "llama"), ("task", "a"), ("task", "b"), ("limit", "5"), ("typing", "1")], ("ann",))
    assert asked == Query("llama", {"task": ("a", "b")}, visible_to=("ann",), typing=True, limit=5)


@pytest.mark.parametrize(
    "wrong",
    [
        [("colour", "red")],
        [("limit", "0")],
        [("limit", "201")],
        [("limit", "-1")],
        [("limit", "many")],
        [("limit", "\u0661")],
        [("typing", "maybe")],
        [("after", "page 2")],
        [("q", "x" * 1001)],
        [("q", " ".join(map(str, range(21))))],
    ],
)
def test_a_question_that_cannot_be_asked(wrong: list[tuple[str, str]]) -> None:
    with pytest.raises(Invalid):
        Query.of(wrong)


def test_nobody_has_an_empty_name() -> None:
    with pytest.raises(Invalid):
        Query(visible_to=("",))


def test_an_answer_does_not_tell_who_may_read() -> None:
    found = Found((Entry("a/b", readers=("ann",)),), 1, {"task": (Count("x", 3, False, 2),)})
    assert found.document() == {
        "data": [{"address": "a/b", "popularity": 0}],
        "total": 1,
        "counts": {"task": [{"value": "x", "count": 3, "exact": False, "within": 2}]},
        "next": "",
        "missing": [],
    }
