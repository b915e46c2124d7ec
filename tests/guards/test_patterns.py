import re
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.guards import hidden, sensitive
from intermodel.guards.patterns import parse

WORDS = ["".join(letters) for length in range(6) for letters in product("ab-", repeat=length)]

small_patterns = st.recursive(
    st.sampled_from(["a", "b", "-", "[ab]", r"\b", "a?", "b{2}", "(?i:B)"]),
    lambda inner: (
        st.lists(inner, min_size=2, max_size=3).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda several: f"(?:{'|'.join(several)})")
        | st.tuples(inner, st.sampled_from(["?", "{2}", "{1,2}", "{0,3}", "{2,9}"])).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        )
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(source=small_patterns)
def test_no_beginning_of_a_match_is_forgotten(source: str) -> None:
    pattern = parse(source)
    whole, loose, begun = (re.compile(side) for side in (pattern.whole, pattern.loose, pattern.begun))
    for word in WORDS:
        assert bool(whole.fullmatch(word)) == bool(re.fullmatch(source, word))
        if whole.fullmatch(word):
            assert len(word) <= pattern.longest
            assert loose.fullmatch(word)
            assert all(begun.fullmatch(word[:end]) for end in range(len(word) + 1)), word


@pytest.mark.parametrize(
    "source",
    ["a*", "a+", "a{2,}", "(a)", "(?=a)", "a{0}", "a)", "(?:a", r"\w", ".", "[a", "^a", "$", r"a\?", "[!-~]"],
)
def test_what_is_unbounded_or_unknown_is_no_pattern(source: str) -> None:
    with pytest.raises(ValueError, match="not a bounded pattern"):
        parse(source)


def test_what_is_held_back_is_bounded() -> None:
    assert sensitive.rules().longest < 600
    assert hidden.rules().longest < 200
