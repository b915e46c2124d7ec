"""Cards are kept byte for byte; a changed field leaves all others alone; a broken head says where it is broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from intermodel.core import Conflict, Invalid
from intermodel.core.errors import TooLarge
from intermodel.records.card import HEAD_LIMIT, LIMIT, Card, disclosure_of, lineage_of, what_of
from intermodel.records.yamltext import scalar

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble/README.md"

HEAD = """\
# about this head
license: mit  # why
tags: # all of them
- a # one

- 'b'
# about the language
language: no
thing: |
  text # no comment

  more

flow: {a: 1, b: [x, 'y']}
"quoted key": >-
    folded
    text
model-index:
- name: x
  results: []
last:
"""


def card_of(head: str, body: str = "\n# Title\n", newline: str = "\n") -> Card:
    return Card.parse(f"---\n{head}---\n{body}".replace("\n", newline))


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "# Title", "---", "---\n", "---\n---", "---\n---\n", "---\n\n---\n", "--- \n---\t\nx",
        "\ufeff---\na: 1\n---\n",
        "\ufeff# x", "\n\n---\na: 1\n---\n", "---\r\na: 1\r\n---\r\nx\r\n", "---\ra: 1\r---\rx",
        "---\na: 1\r\n---\n\r\n",
        "---\n{}\n---\n", "---\na: [\n---\n", "---\na: 1\na: 2\n---\n", "---\n\ta: 1\n---\n", "---\na: \x00\n---\n",
        "---\na: 1\n", "----\na: 1\n---\n", "---\na: 1\n----\n---\n", "---\n- a\n---\n", "---\na\n---\n",
        "x\n---\na: 1\n---\n",
        "---\na: 1\n...\nb: 2\n---\n", "---\n%YAML 1.1\na: 1\n---\n", "---\na: x\x85b: c\u2028d\n---\n\u2028# x\n",
        "---\n? a\n: b\n---\n", "---\n? [a]\n: b\n---\n", "---\n: b\n---\n", "---\n*a : b\n---\n",
        "---\n&a : *a\n---\n",
    ],
)  # fmt: skip
def test_every_text_is_kept(text: str) -> None:
    card = Card.parse(text)
    assert card.text == text
    assert Card.parse(text.encode()).text == text
    _all_of(card)


def _all_of(card: Card) -> None:
    """Whatever can be asked of a card."""
    json.dumps([card.fields, str(card.mistake)], allow_nan=False).encode()
    what_of(card)
    lineage_of(card, "me/x")
    disclosure = disclosure_of(card)
    for told in disclosure.told.values():
        told.text.encode()
    assert card.text.endswith(card.body)


PIECES = st.sampled_from([
    "---", "---\n", "\n", "\r\n", "\r", "license: ", "mit", "a: ", "b: ", "- ", "[", "]", "{", "}", "&a ", "*a", "<<: ",
    "|\n", ">\n", "  ", "\t", "#", "# x", "'", '"', ":", "? ", "!!int ", "!x ", "%YAML 1.2\n", "...\n", "\ufeff",
    "\x00",
    "\x85", "\u2028", "0x1f", "1e400", ".nan", "no", "tags:\n- x\n", "model-index:\n- name: y\n  results:\n", "```\n",
    "<!--", "-->", "## Training Data\n", "### Hardware\n", "- **Hardware Type:** A100\n", "===\n", "text\n",
    "99999999999999999999",
])  # fmt: skip


@given(st.text(max_size=80) | st.lists(PIECES, max_size=25).map("".join), st.booleans())
@settings(max_examples=500, deadline=None)
def test_any_text_is_kept_and_can_be_asked(text: str, head: bool) -> None:
    text = f"---\n{text}\n---\n{text}" if head else text
    card = Card.parse(text)
    assert card.text == text
    _all_of(card)


@given(st.binary(max_size=200))
@example(b"\xff\xfe-\0-\0-\0")
def test_any_bytes_are_kept_or_refused(data: bytes) -> None:
    try:
        card = Card.parse(b"---\n" + data)
    except Invalid:
        return
    assert card.text.encode() == b"---\n" + data
    _all_of(card)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["no", "1e3", "0o7", "0x1f", "~", "null", "2023-01-01", "a: b", "- x", "#x", " x", "x ", "1_000",
                       "12:30", "=", "<<", "!x", "&a", "*a", "|", "%", "@", "`", "---", "...", "\n---\n", ".5", "+1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@pytest.mark.slow
@given(
    st.sampled_from(["license", "tags", "language", "thing", "flow", "quoted key", "model-index", "last", "new", "no"]),
    VALUES,
    st.sampled_from(["\n", "\r\n"]),
)
@settings(max_examples=500, deadline=None)
def test_one_changed_field_leaves_the_others_alone(key: str, value: Any, newline: str) -> None:
    card = card_of(HEAD, newline=newline)
    try:
        changed = card.with_({key: value})
    except (Conflict, Invalid):
        return  # refused: nothing was changed
    assert json.dumps(changed.fields.get(key)) == json.dumps(value)
    assert changed.body == card.body
    for other in card.fields.keys() - {key}:
        assert changed.fields[other] == card.fields[other]
    for line in ("# about this head", "# about the language", "- 'b'", "language: no", "tags: # all of them"):
        if line.partition(":")[0] != key and not (key == "tags" and line.startswith("-")):
            assert line + newline in changed.text


@pytest.mark.slow
@given(st.lists(PIECES, max_size=25).map("".join), st.sampled_from(["license", "a", "b", "tags", "new"]), VALUES)
@settings(max_examples=500, deadline=None)
def test_any_head_can_be_changed_or_stays(head: str, key: str, value: Any) -> None:
    card = Card.parse(f"---\n{head}\n---\n# Title\n")
    try:
        changed = card.with_({key: value})
    except (Conflict, Invalid):
        return
    assert changed.body == card.body
    assert json.dumps(changed.fields.get(key)) == json.dumps(value)
    assert {k: v for k, v in changed.fields.items() if k != key and v is not None} == {
        k: v for k, v in card.fields.items() if k != key and v is not None
    }


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4))
@settings(deadline=None)
def test_what_is_written_into_a_text_without_head_is_read_back(fields: dict[str, Any]) -> None:
    text = "# Title\n"
    try:
        card = Card.parse(text).with_(fields)
    except (Conflict, Invalid):
        return
    assert card.text.endswith(text)
    known = {key: value for key, value in fields.items() if value is not None}
    assert json.dumps(card.fields) == json.dumps(known)


def test_ordinary_values_are_never_refused() -> None:
    card = card_of(HEAD)
    for value in ("apache-2.0", "no", ["en", "no"], {"emissions": 1.5}, 3, 0.5, True, "a: b # c", [], {}, "",
    "\u00e4\u00df",
                  "two\nlines", [{"name": "x", "results": [{"task": {"type": "t"}}]}]):  # fmt: skip
        for key in (*card.fields, "new"):
            assert card.with_({key: value}).fields[key] == value


def test_comments_and_order_stay() -> None:
    changed = card_of(HEAD).with_({"last": None, "model-index": None}, license="apache-2.0", tags=["c"], new=["x"])
    assert changed.text == (
        "---\n# about this head\nlicense: apache-2.0  # why\ntags: # all of them\n- c\n# about the language\n"
        "language: no\nthing: |\n  text # no comment\n\n  more\n\nflow: {a: 1, b: [x, 'y']}\n"
        '"quoted key": >-\n    folded\n    text\nnew:\n- x\n---\n\n# Title\n'
    )


def test_heads_of_other_forms_are_changed_too() -> None:
    assert Card.parse("# x").with_(license="mit").text == "---\nlicense: mit\n---\n# x"
    assert Card.parse("\ufeff# x\r\n").with_(license="mit").text == "\ufeff---\r\nlicense: mit\r\n---\r\n# x\r\n"
    assert card_of("# hint\n{}\n").with_(license="mit").text == "---\n# hint\nlicense: mit\n---\n\n# Title\n"
    assert card_of("{a: 1, b: 2}\n").with_(a=None, c=[3]).fields == {"b": 2, "c": [3]}
    assert card_of("a: 1\n").with_(a=None).text == "---\n---\n\n# Title\n"
    assert Card.parse("---\n---\n").with_(a=1).text == "---\na: 1\n---\n"
    assert Card.parse("# x").with_(license=None).text == "# x"
    with pytest.raises(Conflict, match="other fields"):
        card_of("a: &x 1\nb: *x\n").with_(a=2)


@pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), {1: object()}, {"a"}, b"x", "\ud800"])
def test_what_no_head_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(Invalid):
        card_of(HEAD).with_(license=value)


@pytest.mark.parametrize(
    ("head", "line", "column", "said"),
    [
        ("a: 1\na: 2\n", 3, 1, "'a' stands here a second time"),
        ("x:\n  a: 1\n  a: 2\n", 4, 3, "'a' stands here a second time"),
        ("a: [\n", 3, 1, "flow"),
        ("\ta: 1\n", 2, 1, "cannot start any token"),
        ("a: 1\nb: &x [*x]\n", 3, 8, "names itself"),
        ("a: *x\n", 2, 4, "names nothing"),
        ("a: !!python/object/apply:os.system ['true']\n", 2, 4, "no meaning in a card"),
        ("- a\n", 2, 1, "has to be fields"),
        ("? [a]\n: b\n", 2, 3, "a key has to be a text"),
        ("a: 1\n...\n---x\n", 4, 1, ""),
        ("a: \u00e4\u00e4\x07\n", 2, 6, "control characters"),
        ("a: " + "[" * 100 + "]" * 100 + "\n", 2, 36, "too deep"),
        ("a: b: c\n", 2, 5, "mapping values"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_a_broken_head_says_where(head: str, line: int, column: int, said: str, newline: str) -> None:
    card = card_of(head, newline=newline)
    assert card.mistake is not None
    assert said in card.mistake.message
    assert (card.mistake.line, card.mistake.column) == (line, column)
    assert card.fields == {}
    assert card.body == "\n# Title\n".replace("\n", newline)
    with pytest.raises(Conflict, match=f"line {line}"):
        card.with_(license="mit")


def test_a_head_that_is_not_closed_is_a_mistake() -> None:
    card = Card.parse("---\nlicense: mit\n")
    assert card.mistake is not None
    assert "never closed" in card.mistake.message
    assert card.body == card.text


@pytest.mark.parametrize(
    "head",
    [
        "b: &b0 [x]\n" + "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}'] * 9)}]\n" for n in range(1, 30)),
        "a: " + "[" * 1_000_000,
        "a: " + "{b: " * 300_000,
        "".join(" " * n + "a:\n" for n in range(2000)),
        "- " * 500_000,
        "a: " + "9" * 1_000_000 + "\n",
        "#" * 3_000_000 + "\n",
        "a: \"" + "\\x41" * 500_000 + "\"\n",
        "&a " * 200_000,
        "a: [" + "a, " * 600_000 + "]\n",
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_heads_made_to_do_harm_end_soon(head: str) -> None:
    _all_of(card_of(head))


@pytest.mark.parametrize(
    "body",
    [
        "# x\n" * 200_000, "<!--" * 300_000, "<!-- x\n" * 100_000, "```\n" * 200_000, "- " + " " * 1990 + "\n" * 2000,
        ("- " + " " * 1900 + "\n") * 1000, ("**a" + " " * 1900 + "\n") * 1000, ("#" * 1999 + "\n") * 1000,
        "[" * 300_000, "# [" + "[" * 300_000, "# Training Data\n" + "*" * 300_000, "a\n===\n" * 100_000,
        "".join("#" * (1 + n % 6) + f" Training Data {n}\n" + "text " * 200 + "\n" for n in range(3000)),
        "# Training Data\n" + "{{" * 100_000, "# Training Data\n" + "<" * 300_000, "# x\n" + "- a: b\n" * 200_000,
    ],
)  # fmt: skip
@pytest.mark.timeout(60)
def test_bodies_made_to_do_harm_end_soon(body: str) -> None:
    _all_of(Card.parse(body))


def test_limits() -> None:
    with pytest.raises(TooLarge):
        Card.parse("x" * (LIMIT + 1))
    with pytest.raises(TooLarge):
        Card.parse(b"x" * (4 * LIMIT + 1))
    card = Card.parse("---\n" + "#\n" * HEAD_LIMIT + "---\n")
    assert card.mistake is not None
    assert "longer than" in card.mistake.message
    with pytest.raises(Invalid, match=r"UTF-8.*line 2"):
        Card.parse(b"a\n\xff")
    with pytest.raises(Invalid, match="half of a character"):
        Card.parse("a\ud800")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("2023-01-01", "2023-01-01"), ("1_000", "1_000"), ("12:30",
        "12:30"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("12", 12), ("-3", -3), ("0o17", 15),
        ("0x1F", 31), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), (".nan", ".nan"), (".inf", ".inf"), ("1e999",
        "1e999"),
        ("9" * 19, "9" * 19), ("9" * 5000, "9" * 5000), ("017", 17), ("\u0663", "\u0663"),
    ],
)  # fmt: skip
def test_scalars_are_those_of_the_core_schema(text: str, value: Any) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_pebbles_card_is_kept() -> None:
    data = PEBBLE.read_bytes()
    card = Card.parse(data)
    assert card.text.encode() == data
    assert card.mistake is None
    assert card.view.problems == ()
    changed = card.with_(license="mit")
    assert changed.text == card.text.replace("license: apache-2.0", "license: mit")
    assert card.with_(license="apache-2.0").text == card.text
