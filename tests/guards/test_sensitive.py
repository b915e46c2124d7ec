from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.governance.tokens import well_formed
from intermodel.guards import load, redact
from intermodel.guards.personal import luhn
from intermodel.guards.sensitive import GROUPS
from intermodel.settings import GuardTable
from tests.guards.samples import CONTEXTS, EDGES, LOOKALIKES, NAMED, VALUES, credit_card, intermodel_token

GUARD = load("pii", GuardTable())
KINDS = [(kind, make) for kind, makers in VALUES.items() for make in makers]


def found(text: str) -> list[tuple[str, str]]:
    return [(finding.kind, text[finding.start : finding.end]) for finding in GUARD.inspect(text)]


@given(st.integers(0, 2**32))
def test_values_are_found_from_their_first_character_to_their_last(seed: int) -> None:
    random = Random(seed)
    for kind, make in random.sample(KINDS, 8):
        value = make(random)
        text = random.choice(CONTEXTS).format(value)
        assert found(text) == [(kind, value)], text


@given(st.integers(0, 2**32))
def test_of_named_values_only_the_value_is_found(seed: int) -> None:
    random = Random(seed)
    for kind, makers in NAMED.items():
        before, value = random.choice(makers)(random)
        text = random.choice(CONTEXTS).format(before + value + ("@h/db" if kind == "url_password" else ""))
        assert found(text) == [(kind, value)], text


@given(st.integers(0, 2**32))
def test_what_only_looks_like_a_value_passes(seed: int) -> None:
    random = Random(seed)
    for make in random.sample(LOOKALIKES, 12):
        text = random.choice(CONTEXTS).format(make(random))
        assert found(text) == [], text


@given(st.integers(0, 2**32), st.integers(0, 15), st.integers(1, 9))
def test_one_wrong_digit_makes_no_card(seed: int, place: int, other: int) -> None:
    digits = "".join(c for c in credit_card(Random(seed)) if c.isdigit())
    place %= len(digits)
    wrong = digits[:place] + str((int(digits[place]) + other) % 10) + digits[place + 1 :]
    assert luhn(digits.encode())
    assert not luhn(wrong.encode())
    assert found(f"card {wrong}") == []


def test_all_kinds_are_sampled() -> None:
    assert GROUPS["secrets"] | GROUPS["personal"] == VALUES.keys() | NAMED.keys()


def test_a_node_s_own_tokens_are_known_by_their_checksum() -> None:
    token = intermodel_token(Random(1))
    assert well_formed(token)
    assert found(token) == [("intermodel_token", token)]
    assert found(token[:-1] + ("0" if token[-1] != "0" else "1")) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    EDGES,
)
def test_edges(text: str, shown: str | None) -> None:
    assert redact(text, GUARD.inspect(text)) == (text if shown is None else shown)


def test_an_escaped_line_break_stays_whole() -> None:
    arguments = '{"text": "Dear all,\\nbob@example.com\\tAKIAIOSFODNN7EXAMPLE"}'
    assert redact(arguments, GUARD.inspect(arguments)) == '{"text": "Dear all,\\n[EMAIL]\\t[AWS_ACCESS_KEY]"}'
