"""Whose word counts: this node's, and that of signers whom the settings name. Nobody else's changes anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from intermodel.core import Invalid
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.ledger import Ledger, Verifier, dsse, open_ledger, statement, uri
from intermodel.ledger.keyring import Keyring, Period
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import COSIGNATURE
from intermodel.records.catalogue import Catalogue, Query
from intermodel.records.facts import Fact
from intermodel.records.predicates import CARD, DISCLOSURE, LINEAGE, WHAT
from intermodel.records.record import Record, identity
from intermodel.records.store import Records
from intermodel.records.told import Told
from intermodel.records.trusted import Trusted
from intermodel.records.verdict import Purpose
from intermodel.settings import Settings
from intermodel.storage import Blobs, Database

HUB, LAB, STRANGER = LocalSigner.make(), LocalSigner.make(), LocalSigner.make()
KEYS = (str(Verifier("hub.example", HUB.public)), str(Verifier("lab.example", LAB.public)))


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[tuple[Ledger, Database]]:
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    async with open_ledger(tmp_path, database) as opened:
        yield opened, database
    await database.close()


def records(ledger: tuple[Ledger, Database], tmp_path: Path, *keys: str) -> Records:
    opened, database = ledger
    blobs = Blobs(tmp_path / "blobs")
    return Records(opened, Library(database, blobs), blobs, Catalogue(database), trusted=Trusted.of(keys))


async def sign(
    ledger: Ledger, by: LocalSigner, kind: str, predicate: dict[str, Any], name: str = "thing", at: float = 1.0
) -> int:
    """Take a statement into the ledger that somebody else signed."""
    payload = statement.dumped(Statement((Subject(name, identity(name)),), kind, predicate), at)
    return (await ledger.record_envelope(dsse.seal(payload, [by]), [by.public])).index


def licensed(licence: str, name: str = "thing", **more: Any) -> dict[str, Any]:
    return {"nodes": [{"id": name, "licence": licence, **more}], "edges": []}


def without_statements(record: Record) -> dict[str, Any]:
    document = replace(record, statements=()).document()
    assert orjson.loads(orjson.dumps(document)) == document
    return document


async def test_who_is_not_listed_changes_nothing_and_is_shown(ledger: tuple[Ledger, Database], tmp_path: Path) -> None:
    node = records(ledger, tmp_path, *KEYS)
    edges = [{"parent": "base", "how": "fine-tune"}]
    await node.put("thing", Told.of({"what": {"parameters": 7}, "licence": "llama2", "lineage": {"edges": edges}}))
    before = await node.of("thing")
    for kind, predicate in (
        (WHAT, {"facts": {"parameters": 1, "context_length": 2}}),
        (LINEAGE, licensed("mit")),
        (LINEAGE, licensed("mit") | {"told_by": "Meta"}),
        (DISCLOSURE, {"told": {"hardware": {"text": "many"}}}),
        (CARD, {"digest": f"sha256:{'0' * 64}"}),
        (uri("licence"), {"licence": "mit", "from": "2024"}),
    ):
        await sign(ledger[0], STRANGER, kind, predicate)
    await sign(ledger[0], STRANGER, LINEAGE, licensed("mit", "base"), "base")
    after = await node.of("thing")
    assert without_statements(after) == without_statements(before)
    assert not after.problems
    shown = [one for one in after.statements if one.stranger]
    assert len(shown) == 6
    assert not any(one.counts or one.superseded for one in shown)
    assert {one.whose for one in shown} == {
        "somebody whose word does not count here",
        "Meta, as somebody whose word does not count here says",
    }
    assert next(one.says for one in shown if one.predicate_type == uri("licence")) == "mit from 2024"


async def test_who_is_listed_counts_and_is_named(ledger: tuple[Ledger, Database], tmp_path: Path) -> None:
    await sign(ledger[0], HUB, WHAT, {"facts": {"parameters": 7}})
    await sign(ledger[0], HUB, LINEAGE, licensed("cc-by-nc-4.0"))
    node = records(ledger, tmp_path, *KEYS)
    passport = await node.passport("thing")
    (line,) = [one for one in passport.known if one.name == "parameters"]
    assert (line.value, line.sources[0].words) == (7, "stated, signed by hub.example")
    assert line.sources[0].signer == HUB.public.id
    assert (await node.verdict("thing", Purpose.COMMERCIAL))["strict"]["outcome"] == "refuse"
    assert all(check.holds for check in passport.checks), "its signatures are verified, too"
    told = passport.record.document()["statements"]
    assert {(one["signed_by"], one["own"], one["counts"]) for one in told} == {("hub.example", False, True)}


async def test_where_they_differ_all_is_shown_and_the_order_is_that_of_the_settings(
    ledger: tuple[Ledger, Database], tmp_path: Path
) -> None:
    hub = await sign(ledger[0], HUB, WHAT, {"facts": {"parameters": 8}})
    lab = await sign(ledger[0], LAB, WHAT, {"facts": {"parameters": 9}})
    one, other = records(ledger, tmp_path, *KEYS), records(ledger, tmp_path, *reversed(KEYS))
    record = await one.of("thing")
    assert record.what.parameters == Fact(8, f"statement:{hub}"), "the first who is listed, not the last who spoke"
    assert record.others["parameters"] == (Fact(9, f"statement:{lab}"),)
    assert (await other.of("thing")).what.parameters == Fact(9, f"statement:{lab}")
    await one.put("thing", Told.of({"what": {"parameters": 7}}))
    record = await one.of("thing")
    assert record.what.parameters is not None
    assert record.what.parameters.value == 7, "this node's own word comes first"
    assert [fact.value for fact in record.others["parameters"]] == [8, 9]
    (line,) = [one for one in (await one.passport("thing")).disputed if one.name == "parameters"]
    assert [sources[0].words for _, sources in line.others] == [
        "stated, signed by hub.example",
        "stated, signed by lab.example",
    ]


@pytest.mark.parametrize(("first", "second"), [("mit", "cc-by-nc-4.0"), ("cc-by-nc-4.0", "mit")])
async def test_of_licences_that_contradict_each_other_the_narrower_binds(
    ledger: tuple[Ledger, Database], tmp_path: Path, first: str, second: str
) -> None:
    await sign(ledger[0], HUB, LINEAGE, licensed(first))
    await sign(ledger[0], LAB, LINEAGE, licensed(second))
    node = records(ledger, tmp_path, *KEYS)
    assert (await node.verdict("thing", Purpose.COMMERCIAL))["strict"]["outcome"] == "refuse"
    record = await node.of("thing")
    assert record.licence is not None
    assert record.licence.value == first
    assert [fact.value for fact in record.others["licence"]] == [second]


async def test_a_later_signer_widens_no_parents_licence(ledger: tuple[Ledger, Database], tmp_path: Path) -> None:
    edges = [{"parent": "base", "child": "thing", "how": "fine-tune"}]
    await sign(ledger[0], HUB, LINEAGE, licensed("mit") | {"nodes": [{"id": "base", "declared": "cc-by-nc-4.0"}]})
    claim = await sign(ledger[0], LAB, LINEAGE, {"nodes": [{"id": "base", "licence": "mit"}], "edges": edges})
    record = await records(ledger, tmp_path, *KEYS).of("thing")
    assert (record.graph.node("base").licence, record.graph.node("base").declared) == (None, "cc-by-nc-4.0")
    assert record.others["lineage.base"] == (Fact("mit", f"statement:{claim}"),)


async def test_the_same_is_recorded_though_a_trusted_signer_said_it(
    ledger: tuple[Ledger, Database], tmp_path: Path
) -> None:
    await sign(ledger[0], HUB, WHAT, {"facts": {"parameters": 8}})
    node = records(ledger, tmp_path, *KEYS)
    record = await node.put("thing", Told.of({"what": {"parameters": 8}}))
    assert [one.own for one in record.statements] == [True, False]
    assert all(one.counts for one in record.statements)
    await sign(ledger[0], HUB, WHAT, {"facts": {"parameters": 9}}, at=2.0)
    counts = [(one.by, one.counts) for one in (await node.of("thing")).statements]
    assert counts == [("hub.example", True), ("", True), ("hub.example", False)], "each supersedes itself alone"


async def test_an_envelope_that_several_signed(ledger: tuple[Ledger, Database], tmp_path: Path) -> None:
    said = Statement((Subject("thing", identity("thing")),), WHAT, {"facts": {"parameters": 8}})
    envelope = dsse.seal(statement.dumped(said, 1.0), [STRANGER, LAB])
    await ledger[0].record_envelope(envelope, [STRANGER.public, LAB.public])
    (one,) = (await records(ledger, tmp_path, *KEYS).of("thing")).statements
    assert (one.by, one.signer, one.counts) == ("lab.example", LAB.public.id, True)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((KEYS[0], KEYS[1][:-2] + "AA"), "Key 2 of records.trusted_signers is not to be used: The key's id"),
        ((KEYS[0], KEYS[0].replace("hub", "hob")), "Key 2"),
        ((str(Verifier("w", HUB.public, COSIGNATURE)),), "a witness's"),
        ((KEYS[0], str(Verifier("another", HUB.public))), "hub.example has the same key"),
    ],
)
def test_keys_that_are_none_are_refused(keys: tuple[str, ...], words: str) -> None:
    with pytest.raises(Invalid, match=words) as caught:
        Trusted.of(keys)
    assert caught.value.param == "records.trusted_signers"
    assert caught.value.hint


def test_settings_take_keys_alone() -> None:
    assert Settings(records={"trusted_signers": KEYS}).records.trusted_signers == KEYS
    with pytest.raises(ValueError, match=r"records\.trusted_signers\.0"):
        Settings(records={"trusted_signers": ["hub.example"]})


def ring(*keys: LocalSigner, revoked: int | None = None) -> Keyring:
    """A ledger that went over from one of these keys to the next; of the first, what it signed from there on was taken
    back."""
    periods = [
        Period(one.public, number, number if one is not keys[-1] else None, None if number else revoked)
        for number, one in enumerate(keys)
    ]
    return Keyring("intermodel/x", tuple(periods))


def test_later_keys_of_a_signers_ledger_are_that_signers_and_revoked_ones_nobodys() -> None:
    first, second, third = (LocalSigner.make() for _ in range(3))
    named = Trusted.of([str(Verifier("hub.example", second.public)), KEYS[1]])
    hub = [Verifier("hub.example", one.public) for one in (first, second, third)]
    assert named.after([]) == named
    assert named.after([ring(LAB, STRANGER)]).verifiers == (hub[1], Verifier.parse(KEYS[1]),
                                                           Verifier("lab.example", STRANGER.public))  # fmt: skip
    found = named.after([ring(first, second, third)])
    assert found.verifiers == (hub[1], hub[2], Verifier.parse(KEYS[1])), "an earlier key was not named"
    assert found.names == named.names
    gone = named.after([ring(second, third, revoked=0)])
    assert (gone.verifiers, gone.revoked) == ((hub[2], Verifier.parse(KEYS[1])), (hub[1],))


async def test_what_is_learned_of_a_signers_keys_counts_at_once(
    ledger: tuple[Ledger, Database], tmp_path: Path
) -> None:
    new = LocalSigner.make()
    node = records(ledger, tmp_path, *KEYS)
    await sign(ledger[0], HUB, WHAT, {"facts": {"parameters": 7}})
    await sign(ledger[0], new, WHAT, {"facts": {"context_length": 5}}, at=2.0)
    record = await node.of("thing")
    assert (record.what.parameters is None, record.what.context_length) == (False, None)
    named = node.trusted
    node.trust(named.after([ring(HUB, new)]))
    record = await node.of("thing")
    assert record.what.context_length is not None
    assert [(one.by, one.state, one.learned) for one in record.statements] == [
        ("hub.example", "", True),
        ("hub.example", "superseded", False),
    ]
    node.trust(named.after([ring(HUB, new, revoked=0)]))
    record = await node.of("thing")
    assert record.what.parameters is None
    assert record.what.context_length is not None
    (gone,) = [one for one in record.statements if one.problem]
    assert (gone.counts, gone.problem) == (False, "hub.example revoked the key that signed it.")
    assert any("hub.example revoked the key" in problem for problem in record.problems)
    node.trust(named)
    assert (await node.of("thing")).what.parameters is not None
    await node.close()


async def test_the_catalogue_follows_what_is_learned(ledger: tuple[Ledger, Database], tmp_path: Path) -> None:
    new = LocalSigner.make()
    node = records(ledger, tmp_path, *KEYS)
    await sign(ledger[0], new, WHAT, {"facts": {"kind": "service"}})
    await node._listing.follow()
    assert [hit.kind for hit in (await node.search(Query("thing"))).hits] == [""]
    node.trust(node.trusted.after([ring(HUB, new)]))
    await node._listing.follow()
    assert [hit.kind for hit in (await node.search(Query("thing"))).hits] == ["service"]
    await node.close()
