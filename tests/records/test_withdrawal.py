"""Statements that are taken back: whose withdrawal counts, that nothing is concluded any more, in whichever order."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intermodel.core import Conflict, Invalid, NotFound
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.engines.library import SHIPPED_FILE
from intermodel.gateway.known import KnownOfRecords
from intermodel.ledger import Verifier, dsse, open_ledger, statement, verify
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.ledger.withdrawal import digest_of, withdrawal_of
from intermodel.records.catalogue import Catalogue, Query
from intermodel.records.compose import compose
from intermodel.records.predicates import DISCLOSURE, LINEAGE, WHAT
from intermodel.records.record import Record, identity
from intermodel.records.said import Said, after_withdrawals, read_statement
from intermodel.records.store import Records
from intermodel.records.told import Told
from intermodel.records.trusted import Trusted
from intermodel.records.verdict import Purpose
from intermodel.storage import Blobs, Database

HUB, LAB, STRANGER = LocalSigner.make(), LocalSigner.make(), LocalSigner.make()
KEYS = (str(Verifier("hub.example", HUB.public)), str(Verifier("lab.example", LAB.public)))
THING = Subject("thing", identity("thing"))


@asynccontextmanager
async def opened(folder: Path, trusted: Sequence[str] = KEYS) -> AsyncIterator[Records]:
    folder.mkdir(exist_ok=True)
    database = Database("", default=folder / "test.db")
    await database.open()
    async with open_ledger(folder, database) as ledger:
        blobs = Blobs(folder / "blobs")
        records = Records(ledger, Library(database, blobs), blobs, Catalogue(database), trusted=Trusted.of(trusted))
        yield records
        await records.close()
    await database.close()


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    async with opened(tmp_path / "node") as found:
        yield found


async def tell(records: Records, address: str = "thing", **told: Any) -> Record:
    return await records.put(address, Told.of(told))


def signed(said: Statement, *by: LocalSigner, at: float = 1.0) -> bytes:
    return dsse.seal(statement.dumped(said, at), by)


def what(**facts: Any) -> Statement:
    return Statement((THING,), WHAT, {"facts": facts})


def taking_back(envelope: bytes, *by: LocalSigner, reason: str = "wrong", at: float = 9.0) -> bytes:
    payload = dsse.parse(envelope).payload
    return signed(withdrawal_of(digest_of(payload), statement.read(payload).statement, reason), *by, at=at)


def states(record: Record) -> dict[int, str]:
    return {one.index: one.state for one in record.statements if one.predicate_type != WITHDRAWAL}


# what it does


async def test_nothing_is_concluded_from_what_was_withdrawn_and_it_is_shown_with_the_reason(records: Records) -> None:
    disclosed = {"components": {"parameters": {"presence": "open", "licence": "mit"}}}
    first = await tell(
        records,
        what={"parameters": 7},
        licence="mit",
        disclosure=disclosed,
        lineage={"edges": [{"parent": "base", "how": "fine-tune"}]},
        card="---\nlicense: mit\n---\n# T\n",
    )
    assert first.licence is not None
    made = await records.withdraw("thing", "It was another model. Ask me@example.org.")
    assert (made.withdrawn, made.aside, made.again) == (first.new, (), ())
    record = await records.of("thing")
    assert (record.what.parameters, record.licence, record.card) == (None, None, None)
    assert not record.graph.edges
    assert not record.disclosure.components
    assert (await records.verdict("thing", Purpose.COMMERCIAL))["strict"]["outcome"] == "unknown"
    assert states(record) == dict.fromkeys(first.new, "withdrawn")
    (by,) = next(one for one in record.statements if one.index == first.new[0]).withdrawals
    assert (by.entry, by.by, by.aside) == (made.new[0], "this node", False)
    assert by.reason == "It was another model. Ask [withheld]."
    assert by.at > 0
    passport = await records.passport("thing")
    assert all(check.holds for check in passport.checks)
    assert json.loads(orjson.dumps(passport.document()))["record"]["statements"][-1]["state"] == "withdrawn"


async def test_the_catalogue_and_routes_follow(records: Records) -> None:
    await tell(records, what={"parameters": 7}, licence="mit")
    child = await tell(records, "child", licence="mit", lineage={"edges": [{"parent": "thing", "how": "quantise"}]})
    known = KnownOfRecords(records, clock=iter(range(0, 1000, 100)).__next__)
    asked = [("commercial", "")]
    assert (await known.known(["child"], asked))["child"].verdicts["commercial", ""].allows is True
    assert {hit.address for hit in (await records.search(Query("thing"))).hits} == {"thing"}
    await records.withdraw("thing", "mistyped")
    await records._listing.follow()
    assert not (await records.search(Query("thing"))).hits, "nothing is left of it to be found"
    (hit,) = (await records.search(Query("child"))).hits
    assert hit.licence == "", "what was made of it is listed anew"
    assert (await known.known(["child"], asked))["child"].verdicts["commercial", ""].allows is None
    await tell(records, licence="mit")
    assert [hit.licence for hit in (await records.search(Query("thing"))).hits] == ["duties"]
    assert child.new


async def test_what_it_superseded_counts_again_and_what_is_told_anew_counts(records: Records) -> None:
    (first,) = (await tell(records, what={"parameters": 7})).new
    (second,) = (await tell(records, what={"parameters": 8})).new
    made = await records.withdraw(second, "a slip")
    assert made.again == (first,)
    record = await records.of("thing")
    assert record.what.parameters is not None
    assert record.what.parameters.value == 7
    assert states(record) == {first: "", second: "withdrawn"}
    anew = await tell(records, what={"parameters": 8})
    assert len(anew.new) == 1, "told again it is new, for what was withdrawn says nothing"
    assert states(anew) == {first: "superseded", second: "withdrawn", anew.new[0]: ""}
    assert not (await tell(records, what={"parameters": 8})).new


async def test_all_that_this_node_said_is_taken_back_at_once_also_what_was_superseded(records: Records) -> None:
    for number in (1, 2):
        await tell(records, what={"parameters": number}, licence="mit")
    await records.ledger.record_envelope(signed(what(context_length=5), HUB), [HUB.public])
    made = await records.withdraw("thing", "all of it")
    assert len(made.withdrawn) == 3, "the licence was told once, for it did not change"
    record = await records.of("thing")
    assert (record.what.parameters, record.licence) == (None, None)
    assert record.what.context_length is not None, "that is another's word"
    with pytest.raises(NotFound, match="said nothing of 'thing' that stands"):
        await records.withdraw("thing", "again")


async def test_an_entry_that_was_withdrawn_before_is_not_withdrawn_again(records: Records) -> None:
    (index,) = (await tell(records, what={"parameters": 7})).new
    await records.withdraw(index, "a slip")
    size = records.ledger.log.size
    assert (await records.withdraw(index, "another reason")).new == ()
    assert records.ledger.log.size == size


async def test_what_is_never_withdrawn_and_what_is_wrong(records: Records) -> None:
    (index,) = (await tell(records, what={"parameters": 7})).new
    (withdrawal,) = (await records.withdraw(index, "a slip")).new
    size = records.ledger.log.size
    with pytest.raises(Conflict, match="Tell the statement anew"):
        await records.withdraw(withdrawal, "no slip after all")
    with pytest.raises(Conflict, match="keys is not withdrawn"):
        await records.withdraw(0, "a slip")
    with pytest.raises(Invalid, match="needs a reason"):
        await records.withdraw(index, "  ")
    with pytest.raises(NotFound):
        await records.withdraw(99, "a slip")
    with pytest.raises(NotFound):
        await records.withdraw("nobody/knows", "a slip")
    assert records.ledger.log.size == size


async def test_a_withdrawal_of_a_withdrawal_changes_nothing(records: Records) -> None:
    """It is refused at the door; what others signed may still hold it."""
    one = signed(what(parameters=7), HUB)
    back = taking_back(one, HUB)
    said = Statement(
        (Subject("urn:intermodel:statement", digest_of(dsse.parse(back).payload)),
         *statement.read(dsse.parse(back).payload).statement.subjects),
        WITHDRAWAL, {"statement": digest_of(dsse.parse(back).payload), "reason": "right after all"},
    )  # fmt: skip
    again = signed(said, HUB, at=10.0)
    with pytest.raises(Invalid, match="takes back another one") as caught:
        await records.take(again)
    assert "tells it anew" in caught.value.hint
    for envelope in (one, back, again):
        await records.ledger.record_envelope(envelope, [HUB.public])
    record = await records.of("thing")
    assert record.what.parameters is None
    assert not any(by for one in record.statements if one.predicate_type == WITHDRAWAL for by in one.withdrawals)


# whose withdrawal counts


async def test_a_signer_takes_back_its_own_word_and_nobody_elses(records: Records) -> None:
    ours, theirs = signed(what(parameters=7), HUB), signed(what(context_length=5), LAB)
    for envelope in (ours, theirs, taking_back(ours, LAB), taking_back(theirs, STRANGER)):
        signer = dsse.parse(envelope).signatures[0].keyid
        key = next(one.public for one in (HUB, LAB, STRANGER) if one.public.id == signer)
        await records.ledger.record_envelope(envelope, [key])
    assert set(states(await records.of("thing")).values()) == {""}
    await records.take(taking_back(ours, HUB))
    record = await records.of("thing")
    assert sorted(states(record).values()) == ["", "withdrawn"]
    assert record.what.parameters is None
    (by,) = next(one for one in record.statements if one.withdrawn).withdrawals
    assert (by.by, by.reason, by.at) == ("hub.example", "wrong", 9.0)


async def test_keys_under_one_name_are_one_signers(tmp_path: Path) -> None:
    new = LocalSigner.make()
    keys = (KEYS[0], str(Verifier("hub.example", new.public)))
    async with opened(tmp_path / "node", keys) as records:
        one = signed(what(parameters=7), HUB)
        await records.take(one)
        await records.take(taking_back(one, new))
        assert set(states(await records.of("thing")).values()) == {"withdrawn"}


async def test_this_node_with_another_key_is_still_this_node_and_a_revoked_key_takes_nothing_back(
    records: Records,
) -> None:
    (index,) = (await tell(records, what={"parameters": 7})).new
    old = records.ledger.keys.current.key.id
    await records.ledger.rotate()
    (by,) = (await records.withdraw(index, "a slip")).new
    assert states(await records.of("thing")) == {index: "withdrawn"}
    newer = records.ledger.keys.current.key.id
    await records.ledger.rotate()
    await records.ledger.revoke(newer, by)
    assert states(await records.of("thing")) == {index: ""}, "whoever had the key may have said it"
    assert old != newer


async def test_a_node_sets_another_signers_word_aside_for_itself(tmp_path: Path) -> None:
    """It is no word of that signer: what that one replaced does not come back, and other nodes go on believing it."""
    early, late = signed(what(parameters=7), HUB, at=1.0), signed(what(parameters=8), HUB, at=2.0)
    async with opened(tmp_path / "node") as records:
        for envelope in (early, late):
            await records.take(envelope)
        index = next(one.index for one in (await records.of("thing")).statements if one.counts)
        made = await records.withdraw(index, "we measured it")
        assert (made.aside, made.again) == ((index,), ())
        record = await records.of("thing")
        assert record.what.parameters is None
        assert sorted(states(record).values()) == ["set aside here", "superseded"]
        (by,) = next(one for one in record.statements if one.aside).withdrawals
        assert (by.by, by.aside) == ("this node", True)
        bundle, key = await records.bundle(record), str(records.ledger.verifier)
        await records.take(taking_back(late, HUB))
        assert (await records.of("thing")).what.parameters is not None, "now its signer stands by what it said before"
    async with opened(tmp_path / "other", (*KEYS, key)) as other:
        await other.take(bundle)
        record = await other.of("thing")
        assert record.what.parameters is not None
        assert record.what.parameters.value == 8
        assert [one.says for one in record.statements if one.predicate_type == WITHDRAWAL]


async def test_of_two_who_signed_the_other_still_stands_for_it(records: Records) -> None:
    both = signed(what(parameters=7), HUB, LAB)
    await records.take(both)
    assert (await records.of("thing")).statements[0].by == "hub.example"
    await records.take(taking_back(both, HUB))
    record = await records.of("thing")
    assert record.what.parameters is not None
    (one,) = [one for one in record.statements if one.predicate_type == WHAT]
    assert (one.by, one.signer, one.state) == ("lab.example", LAB.public.id, "")
    await records.take(taking_back(both, LAB))
    assert (await records.of("thing")).what.parameters is None


async def test_an_envelope_that_is_spelled_otherwise_is_withdrawn_too(records: Records) -> None:
    one = signed(what(parameters=7), HUB)
    await records.take(taking_back(one, HUB))
    await records.take(orjson.dumps(orjson.loads(one), option=orjson.OPT_INDENT_2))
    assert (await records.of("thing")).what.parameters is None


async def test_one_that_names_other_things_takes_nothing_back(records: Records) -> None:
    """Who asks for a thing would not find it."""
    one = signed(what(parameters=7), HUB)
    digest = digest_of(dsse.parse(one).payload)
    said = Statement((Subject("other", identity("other")),), WITHDRAWAL, {"statement": digest, "reason": "wrong"})
    for envelope in (one, signed(said, HUB, at=2.0)):
        await records.take(envelope)
    assert (await records.of("thing")).what.parameters is not None


async def test_a_withdrawal_of_the_same_bytes_under_another_name_is_shown_where_its_statement_is(
    records: Records, tmp_path: Path
) -> None:
    named = {}
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        shutil.copy(SHIPPED_FILE, tmp_path / name / f"{name}.gguf")
        await records._library.add(tmp_path / name / f"{name}.gguf", keep="link")
        named[name] = {one.predicate_type: one.index for one in (await records.sign(f"local/{name}")).statements}
    made = await records.withdraw(named["one"][LINEAGE], "wrong")
    other = await records.of("local/other")
    assert made.new[0] not in {one.index for one in other.statements}
    made = await records.withdraw(named["one"][WHAT], "wrong")
    assert made.new[0] in {one.index for one in (await records.of("local/other")).statements}


async def test_what_a_node_reads_again_it_does_not_sign_again_by_itself(records: Records, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    shutil.copy(SHIPPED_FILE, tmp_path / "mine" / "mine.gguf")
    await records._library.add(tmp_path / "mine" / "mine.gguf", keep="link")
    await records.sign_all()
    await records.withdraw("local/mine", "not to be said")
    size = records.ledger.log.size
    await records.sign_all()
    assert records.ledger.log.size == size
    record = await records.of("local/mine")
    assert record.what.parameters is not None, "its file says it"
    assert not record.withdrawn
    assert len((await records.sign("local/mine")).new) == 3, "who demands it gets it"


# bundles


async def test_a_bundle_carries_withdrawals_and_verify_names_them(records: Records, tmp_path: Path) -> None:
    kept = (await tell(records, what={"parameters": 7}, licence="mit")).new
    await tell(records, "child", lineage={"edges": [{"parent": "thing", "how": "quantise"}]})
    (by,) = (await records.withdraw(kept[0], "a slip")).new
    key = records.ledger.verifier
    report = verify(await records.bundle(await records.of("thing")), [key])
    assert report.good, "both hold, and both are shown"
    shown = {one.index: [(w.entry, w.reason, w.aside) for w in one.withdrawn] for one in report.entries}
    assert shown == {kept[0]: [(by, "a slip", False)], kept[1]: [], by: []}
    exported = await records.ledger.bundle([kept[0], *await records.ledger.withdrawals([kept[0]])])
    assert [one.index for one in verify(exported, [key]).entries] == [kept[0], by]
    async with opened(tmp_path / "other", [str(key)]) as other:
        await other.take(await records.bundle(await records.of("thing")))
        record = await other.of("thing")
        assert record.what.parameters is None
        assert record.licence is not None


async def test_the_statement_may_come_after_its_withdrawal(tmp_path: Path) -> None:
    async with opened(tmp_path / "node") as records:
        one = signed(what(parameters=7), HUB)
        await records.take(taking_back(one, HUB))
        with_it = await records.of("thing")
        assert [said.says for said in with_it.statements]
        await records.take(one)
        assert set(states(await records.of("thing")).values()) == {"withdrawn"}
        assert not (await records.search(Query("thing"))).hits


# in any order

SIGNERS: Mapping[str, tuple[LocalSigner, int]] = {"hub.example": (HUB, 1), "lab.example": (LAB, 2), "": (STRANGER, 0)}
NAMES = st.sampled_from(list(SIGNERS))
WORDS = st.builds(
    lambda who, kind, number, at: (who, kind, number, at),
    NAMES, st.sampled_from((WHAT, LINEAGE, DISCLOSURE)), st.integers(1, 3), st.integers(1, 2),
)  # fmt: skip


def word(kind: str, number: int) -> Statement:
    licence = ("mit", "cc-by-nc-4.0", "llama2")[number - 1]
    predicates: dict[str, dict[str, Any]] = {
        WHAT: {"facts": {"parameters": number}},
        LINEAGE: {"nodes": [{"id": "thing", "licence": licence}], "edges": []},
        DISCLOSURE: {"told": {"hardware": {"text": f"{number} boards"}}},
    }
    return Statement((THING,), kind, predicates[kind])


def said(index: int, who: str, one: Statement, at: float) -> Said:
    """As the evidence gives it; "us" is this node."""
    read = read_statement(index, who, at, one, digest_of(statement.dumped(one, at)))
    if who == "us":
        return replace(read, own=True)
    return replace(read, by=who, rank=SIGNERS[who][1], stranger=not who)


def concluded(some: Sequence[tuple[str, Statement, float]]) -> dict[str, Any]:
    """What the record of the thing says, without the places of the entries."""
    statements = after_withdrawals([said(index, *one) for index, one in enumerate(some, 1)])
    document = compose("thing", statements=statements).document()
    places = {f"statement:{one.index}": one.digest for one in statements}
    told = sorted((one.digest, one.state, sorted(w.by for w in one.withdrawals)) for one in statements)
    text = orjson.dumps(
        {key: document[key] for key in ("what", "licence", "disclosure", "disputes", "lineage")}
    ).decode()
    for place, digest in sorted(places.items(), key=lambda one: -len(one[0])):
        text = text.replace(f'"{place}"', f'"{digest}"')
    return {"told": told, "record": json.loads(text)}


@given(
    words=st.lists(WORDS, min_size=1, max_size=6, unique=True),
    back=st.lists(st.tuples(st.integers(0, 5), st.sampled_from([*SIGNERS, "us"])), max_size=6, unique=True),
    seed=st.integers(0, 2**32),
)
def test_in_whichever_order_they_come_one_thing_follows(
    words: list[tuple[str, str, int, int]], back: list[tuple[int, str]], seed: int
) -> None:
    entries = [(who, word(kind, number), float(at)) for who, kind, number, at in words]
    for which, who in back:
        _, one, at = entries[which % len(words)]
        entries.append((who, withdrawal_of(digest_of(statement.dumped(one, at)), one, "wrong"), 9.0))
    shuffled = random.Random(seed).sample(entries, len(entries))
    assert concluded(shuffled) == concluded(entries)


@given(st.lists(st.one_of(st.integers(1, 3), st.integers(-9, -1)), max_size=12))
def test_the_newest_that_this_node_did_not_take_back_holds(steps: list[int]) -> None:
    """A positive number is told; a negative one takes back one of what was told so far."""
    entries: list[tuple[str, Statement, float]] = []
    told: list[tuple[int, int]] = []  # place and number
    for at, step in enumerate(steps, 1):
        if step > 0:
            told.append((len(entries), step))
            entries.append(("us", word(WHAT, step), float(at)))
        elif told:
            place, _ = told.pop(step % len(told))
            _, one, when = entries[place]
            entries.append(("us", withdrawal_of(digest_of(statement.dumped(one, when)), one, "wrong"), float(at)))
    statements = after_withdrawals([said(index, *one) for index, one in enumerate(entries, 1)])
    found = compose("thing", statements=statements).what.parameters
    assert (found.value if found else None) == (told[-1][1] if told else None)
