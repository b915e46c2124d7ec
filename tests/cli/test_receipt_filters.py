"""`intermodel receipts list` refuses what no receipt can have, with what there is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cli.test_gateway_verbs import ECHO, ask, told, verb
from tests.process import Up, up


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with up(tmp_path_factory.mktemp("filters") / "data", config=ECHO) as node:
        verb(node, "routes", "set", "fast", "candidates=echo")
        ask(node, "fast")
        yield node


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--outcome", "nonsense"), "--outcome takes ok, failed, refused, broken, left, lost"),
        (("--outcome", ""), "--outcome takes ok"),
        (("--token", "billing"), "`intermodel tokens` lists them"),
        (("--model", "ecko"), "Did you mean 'echo'?"),
        (("--model", "fast"), "'fast' is a route: --route fast"),
        (("--route", "fats"), "Did you mean 'fast'?"),
        (("--route", "zzz"), "There are fast."),
        (("--since", "yesterday"), "90m, 12h or 30d"),
        (("--limit", "0"), "limit"),
    ],
)
def test_what_cannot_be_is_refused(node: Up, words: tuple[str, ...], said: str) -> None:
    assert said in " ".join(verb(node, "receipts", "list", *words, code=2).split())


def test_what_can_be_is_found_or_not(node: Up) -> None:
    assert len(told(node, "receipts", "list", "--model", "echo", "--route", "fast", "--outcome", "ok")) == 1
    for words in (
        ("--outcome", "lost"),
        ("--user", "nobody"),
        ("--token", "0" * 12),
        ("--model", "echo", "--user", "x"),
    ):
        assert told(node, "receipts", "list", *words) == []
