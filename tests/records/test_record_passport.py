"""What stands on a passport: what is known with who says so, what is unknown, and what was verified."""

from __future__ import annotations

from typing import Any

from intermodel.core.statements import Statement, Subject
from intermodel.records.compose import compose
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.passport import Source, checks_of, compared, passport, sources
from intermodel.records.predicates import DISCLOSURE, LINEAGE, WHAT
from intermodel.records.record import Held, Record, identity
from intermodel.records.said import Said, read_statement

KEY = "c" * 64
VENDOR = {"told_by": "OpenAI", "url": "https://arxiv.org/abs/2303.08774"}


def said(index: int, predicate_type: str, predicate: dict[str, Any]) -> Said:
    statement = Statement((Subject("thing", identity("thing")),), predicate_type, VENDOR | predicate)
    return read_statement(index, KEY, 0.0, statement)


def service() -> Record:
    told = {"hardware": {"presence": "closed", "source": "section 2"}, "limitations": {"text": "It errs."}}
    return compose(
        "thing", statements=[said(3, WHAT, {"facts": {"kind": "service"}}), said(4, DISCLOSURE, {"told": told})]
    )


def test_each_fact_has_its_source_and_unknown_ones_are_named() -> None:
    found = passport(service())
    kind = next(line for line in found.what if line.name == "kind")
    assert kind.value == Kind.SERVICE
    assert kind.sources == (Source("told by OpenAI", VENDOR["url"], 3, KEY),)
    assert [line.name for line in found.known] == ["kind"]
    assert "Parameters" in found.unknown
    assert "From what it was made" in found.unknown
    assert "Chat template" not in found.unknown, "a service shows none by its nature"


def test_not_disclosed_is_not_unknown() -> None:
    lines = {line.name: line for line in passport(service()).disclosed}
    assert lines["told.hardware"].value is False
    assert lines["told.hardware"].sources[0].words == "told by OpenAI (section 2)"
    assert lines["told.limitations"].value == "It errs."
    assert lines["told.energy"].value is None
    unknown = passport(service()).unknown
    assert "Energy" in unknown
    assert "Hardware of training" not in unknown


def test_sources_in_words() -> None:
    held = Held(f"sha256:{'1' * 64}", "t.gguf", 1, WhatItIs())
    record = compose("thing", held, statements=[said(3, WHAT, {"facts": {}})])
    words = [
        one.words
        for one in sources(
            record,
            "file:t.gguf, file:config.json; card:license, and more; derived:deployments; "
            "statement:3 section 2, page 1; statement:99",
        )
    ]
    assert words == [
        "read from the file t.gguf",
        "read from the file config.json",
        "its card, “license, and more”",
        "follows from the deployments of this node",
        "told by OpenAI (section 2, page 1)",
        "stated in a statement about another thing",
    ]


def test_unknown_licences_of_ancestors_are_unknown() -> None:
    lineage = {
        "nodes": [{"id": "thing"}, {"id": "base", "licence": "mit"}, {"id": "data", "name": "Some data"}],
        "edges": [
            {"parent": "base", "child": "thing", "how": "merge"},
            {"parent": "data", "child": "base", "how": "trained-on"},
        ],
    }
    found = passport(compose("thing", statements=[said(1, LINEAGE, lineage)]))
    assert "The licence of Some data" in found.unknown
    assert "The licence of base" not in found.unknown
    assert [(edge.child, edge.parent) for edge, _ in found.parents] == [("thing", "base"), ("base", "data")]
    assert found.document()["made_from"][0]["sources"][0]["entry"] == 1


def test_side_by_side_only_what_somebody_knows() -> None:
    held = Held(f"sha256:{'1' * 64}", "t.gguf", 1, WhatItIs(parameters=Fact(7, "file:t.gguf")))
    rows = dict(compared([passport(service()), passport(compose("other", held))]))
    assert [line.value for line in rows["Parameters"]] == [None, 7]
    assert [line.value for line in rows["Kind"]] == [Kind.SERVICE, None]
    assert "Vocabulary" not in rows


def test_the_name_of_a_row_is_true_of_every_column() -> None:
    """The first claims its licence, of the second it holds."""
    claims = compose("claims", Held(f"sha256:{'1' * 64}", "t.gguf", 1, WhatItIs(), Fact("mit", "file:t.gguf")))
    assert [line.label for line in passport(claims).what if line.name == "licence"] == ["Licence it claims"]
    rows = dict(compared([passport(claims), passport(service())]))
    assert "Licence it claims" not in rows
    assert rows["Licence or terms"][0].value == "mit"


def test_who_signed_how_many_is_said_and_nobody_is_said_to_have_named_a_key() -> None:
    found = [
        ("trust", True, "a key that you named is the ledger's: 12ab"),
        ("entry 1: signature", True, "by the ledger's key 12ab"),
        ("entry 2: signature", True, "by ff00, which you named"),
        ("entry 3: signature", True, "by the ledger's key 12ab"),
        ("entry 1: inclusion", True, "it is there"),
    ]
    key, signatures, inclusion = checks_of(found, {"ff00": "acme"})
    assert (key.what, key.how) == ("The key", "is the ledger's own, for which this node vouches: 12ab")
    assert signatures.what == "Signature of 3 entries"
    assert signatures.how == "holds: 2 signed by this node's ledger, 1 signed by acme; none has been changed since"
    assert (inclusion.what, inclusion.how) == ("Inclusion of entry 1", "is proven: in the ledger's tree, at its place")
    (one,) = checks_of(found[2:3], {"ff00": "acme"})
    assert one.how == "holds: acme signed it, and it has not been changed since"
    (stranger,) = checks_of(
        [("entry 9: signature", None, "it is signed by a key that is neither the ledger's nor named by you")]
    )
    assert stranger.how.endswith("nor that of somebody whom this node trusts")


def test_what_was_verified_is_said_once_and_what_failed_each_time() -> None:
    checks = checks_of(
        [
            ("checkpoint", True, "42 entries"),
            ("entry 3: inclusion", True, "it is there"),
            ("entry 4: inclusion", True, "it is there"),
            ("entry 3: signature", True, "by the key"),
            ("entry 4: signature", False, "by nobody"),
            ("entry 3: statement", None, "opaque"),
        ]
    )
    assert [(one.what, one.holds) for one in checks] == [
        ("Checkpoint", True),
        ("Inclusion of 2 entries", True),
        ("Entry 4: signature", False),
        ("Entry 3: statement", None),
    ]
