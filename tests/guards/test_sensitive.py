from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.governance.tokens import well_formed
from intermodel.guards import load, redact
from intermodel.guards.personal import luhn
from intermodel.guards.sensitive import GROUPS
from intermodel.settings import GuardTable
from tests.guards.samples import CONTEXTS, LOOKALIKES, NAMED, VALUES, credit_card, intermodel_token

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
    [
        ("IBAN GB29 NWBK 6016 1331 9268 19 EUR 5", "IBAN [IBAN] EUR 5"),
        ("AT61 1904 3002 3457 3201 THIS IS IT", "[IBAN] THIS IS IT"),
        ("DE89 3704 0044 0532 0130 01", "DE89 3704 0044 0532 0130 01"),
        ("card 4111\u00a01111\u00a01111\u00a01111", "card [CREDIT_CARD]"),
        ("card " + "".join(chr(0xFEE0 + ord(c)) for c in "4111111111111111"), "card [CREDIT_CARD]"),
        ("phone +1\u2011555\u2011123\u20114567", "phone [PHONE]"),
        ("call +1 555 123 4567 1200 times", "call [PHONE] 1200 times"),
        ("0.4111111111111111 and 4111111111111111.5", "0.4111111111111111 and 4111111111111111.5"),
        ("000-12-3456 666-12-3456 912-12-3456 123-00-4567 123-45-0000", None),
        ("123-45-6789-0 and 1-123-45-6789", None),
        ("127.0.0.1 0.0.0.0 255.255.255.0 256.1.2.3 1.2.3.4 10.0.0.1.5 foo-10.0.0.12", None),
        ("http://10.20.30.40:80/", "http://[IP_ADDRESS]:80/"),
        ("::1 12:34:56 2001:10:20 aa:bb:cc:dd:ee:ff std::cafe", None),
        ("[2001:db8::1]:80, fe80::1: up", "[[IP_ADDRESS]]:80, [IP_ADDRESS]: up"),
        ("jürgen@müller.de", "[EMAIL]"),
        ("<mailto:a.b+c@example.co.uk>", "<mailto:[EMAIL]>"),
        ("call 2024-01-15 10:00, phone 12.10.2024", None),
        ('api_key = "sk-ant-api03-' + "a1" * 20 + '"', 'api_key = "[ANTHROPIC_KEY]"'),
        ("password: correcthorse; password=<your password 1>; token_password=${PASS_123456}", None),
        ("postgres://user:password@db/x", None),
        ("-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkq\\nabc\\n-----END PRIVATE KEY-----\\n", "[PRIVATE_KEY]\\n"),
        ("> -----BEGIN RSA PRIVATE KEY-----\n> MIIEvQIBADANBgkq\n> abc", "> [PRIVATE_KEY]"),
    ],
)
def test_edges(text: str, shown: str | None) -> None:
    assert redact(text, GUARD.inspect(text)) == (text if shown is None else shown)


def test_an_escaped_line_break_stays_whole() -> None:
    arguments = '{"text": "Dear all,\\nbob@example.com\\tAKIAIOSFODNN7EXAMPLE"}'
    assert redact(arguments, GUARD.inspect(arguments)) == '{"text": "Dear all,\\n[EMAIL]\\t[AWS_ACCESS_KEY]"}'
