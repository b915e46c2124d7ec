"""Records on a real ledger: telling, signing, superseding, the way up a lineage, and what cannot be read."""

from __future__ import annotations

import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from intermodel.core import Invalid, NotFound
from intermodel.core.errors import TooLarge
from intermodel.core.statements import Statement, Subject
from intermodel.engines import Library
from intermodel.engines.library import SHIPPED, SHIPPED_FILE
from intermodel.ledger import Ledger, open_ledger, verify
from intermodel.records import listed, store
from intermodel.records.catalogue import Catalogue, Query
from intermodel.records.facts import Kind
from intermodel.records.predicates import DISCLOSURE, LINEAGE, WHAT
from intermodel.records.record import CardText, Record, identity
from intermodel.records.store import Records
from intermodel.records.told import Told, graph_told
from intermodel.records.verdict import Purpose
from intermodel.storage import Blobs, Database

LLAMA = {
    "nodes": [
        {"id": "llama", "type": "model", "made_by": "Meta", "licence": "llama1"},
        {"id": "vicuna", "type": "model", "declared": "apache-2.0"},
        {"id": "quantised", "type": "model", "declared": "apache-2.0"},
    ],
    "edges": [
        {"from": "llama", "to": "vicuna", "how": "fine-tune"},
        {"from": "vicuna", "to": "quantised", "how": "quantise"},
    ],
}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[tuple[Ledger, Database]]:
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    async with open_ledger(tmp_path, database) as opened:
        yield opened, database
    await database.close()


@pytest.fixture
async def records(ledger: tuple[Ledger, Database], tmp_path: Path) -> AsyncIterator[Records]:
    opened, database = ledger
    blobs = Blobs(tmp_path / "blobs")
    made = Records(opened, Library(database, blobs), blobs, Catalogue(database), lambda name: name == "deployed")
    yield made
    await made.close()


async def tell(records: Records, address: str, **document: Any) -> None:
    await records.put(address, Told.of(document))


async def test_nothing_known_is_not_found(records: Records) -> None:
    with pytest.raises(NotFound) as caught:
        await records.of("nobody/knows")
    assert caught.value.code == "record_not_found"
    with pytest.raises(NotFound):
        await records.sign("nobody/knows")


async def test_a_deployment_is_a_service_until_somebody_says_otherwise(records: Records) -> None:
    record = await records.of("deployed")
    assert record.what.kind is not None
    assert (record.what.kind.value, record.what.kind.source) == (Kind.SERVICE, "derived:deployments")
    await tell(records, "deployed", what={"kind": "application"})
    assert (await records.of("deployed")).what.kind.value is Kind.APPLICATION  # type: ignore[union-attr]


async def test_told_again_is_not_recorded_again_and_changed_supersedes(records: Records) -> None:
    await tell(records, "thing", told_by="me", what={"parameters": 1})
    await tell(records, "thing", told_by="me", what={"parameters": 1})
    assert len((await records.of("thing")).statements) == 1
    await tell(records, "thing", told_by="me", what={"parameters": 2})
    record = await records.of("thing")
    assert [one.superseded for one in record.statements] == [False, True]
    assert record.what.parameters is not None
    assert record.what.parameters.value == 2


async def test_nothing_is_recorded_where_a_part_is_wrong(records: Records, ledger: tuple[Ledger, Database]) -> None:
    before = ledger[0].log.size
    with pytest.raises(Invalid):
        await tell(records, "thing", what={"parameters": 1}, lineage={"edges": [{"parent": "a", "how": "stolen"}]})
    with pytest.raises(Invalid):
        await tell(records, "thing/verdict", what={"parameters": 1})
    assert ledger[0].log.size == before


async def test_a_verdict_walks_statements_of_ancestors_and_the_bundle_proves_them(records: Records) -> None:
    for name, told in graph_told(LLAMA).items():
        await records.put(name, told)
    found = await records.verdict("quantised", Purpose.COMMERCIAL)
    assert (found["strict"]["outcome"], found["lenient"]["outcome"]) == ("refuse", "refuse")
    assert any("llama" in reason["words"].casefold() for reason in found["strict"]["reasons"])
    record = await records.of("quantised")
    assert record.graph.node("llama").licence == "llama1"
    assert {name for one in record.around for name in one.about} == {"llama", "vicuna"}
    report = verify(await records.bundle(record), [records.ledger.verifier])
    assert report.good
    assert {s.name for e in report.entries if e.statement for s in e.statement.subjects} == {
        "llama",
        "vicuna",
        "quantised",
    }
    passport = await records.passport("quantised", "DE")
    assert all(check.holds for check in passport.checks)
    assert {grade["framework"] for grade in passport.grades} >= {"mof", "osai", "osaid", "plain"}
    assert len(passport.verdicts) == len(Purpose)
    with pytest.raises(Invalid):
        await records.passport("quantised", "ZZ")


async def test_a_lineage_that_names_itself_is_survived(records: Records) -> None:
    """It is refused at the door; what others signed may still hold it."""
    with pytest.raises(Invalid, match="makes 'thing' from itself"):
        await tell(records, "thing", lineage={"edges": [{"parent": "thing", "how": "merge"}]})
    with pytest.raises(Invalid, match="makes 'base' from itself"):
        await tell(records, "thing", lineage={"edges": [{"parent": "base", "child": "base", "how": "copy"}]})
    edges = [{"parent": parent, "child": "thing", "how": "merge"} for parent in ("thing", "other")]
    thing = Subject("thing", identity("thing"))
    await records.ledger.record(Statement((thing,), LINEAGE, {"nodes": [{"id": "thing"}], "edges": edges}))
    await tell(records, "other", lineage={"edges": [{"parent": "thing", "how": "merge"}]})
    passport = await records.passport("thing")
    assert passport.verdicts[0]["strict"]["outcome"] == "unknown"


async def test_a_card_is_kept_to_the_letter_and_missing_ones_are_said_to_be_missing(
    records: Records, tmp_path: Path
) -> None:
    text = "---\nlicense: mit # a comment\r\nlanguage: [en]\n---\n\n# Thing  \n"
    await tell(records, "thing", card=text)
    record = await records.of("thing")
    assert record.card is not None
    assert record.card.text == text
    assert record.licence is not None
    assert (record.licence.value, record.licence.source) == ("mit", "card:license")
    shutil.rmtree(tmp_path / "blobs")
    record = await records.of("thing")
    assert record.card is None
    assert "whose text is not here" in record.problems[0]
    assert record.licence is None


async def test_a_broken_card_is_kept_and_says_so(records: Records) -> None:
    await tell(records, "thing", card="---\nlicense: [mit\n---\n# Thing\n")
    record = await records.of("thing")
    assert record.card is not None
    assert record.licence is None
    assert record.problems or record.card.problem


async def test_statements_of_other_kinds_are_shown_and_broken_ones_refused(records: Records) -> None:
    subject = Subject("thing", identity("thing"))
    await records.ledger.record(Statement((subject,), "https://example.org/scan/v1", {"clean": True}))
    with pytest.raises(Invalid, match="'colour' was unexpected"):
        await records.ledger.record(Statement((subject,), WHAT, {"facts": {"colour": "red"}}))
    record = await records.of("thing")
    assert [(one.known, one.problem, one.says) for one in record.statements] == [(False, "", "")]
    assert record.what.kind is None


async def test_the_model_that_ships(records: Records) -> None:
    library = records._library
    await library.ship(True)
    passport = await records.passport(SHIPPED)
    assert passport.record.digest == str((await library.find(SHIPPED)).digest)
    grades = {grade["framework"]: grade["outcome"] for grade in passport.grades}
    assert grades["mof"].startswith("Class I ")
    assert (grades["osaid"], grades["plain"]) == ("passed", "open source")
    sources = {line.name: [one.words for one in line.sources] for line in passport.known}
    assert sources["parameters"] == [f"read from the file {SHIPPED_FILE.name}"]
    assert sources["languages"][0].startswith("its card")
    assert passport.unknown == ()
    assert passport.parents

    await records.sign_all()
    await records.sign_all()
    signed = await records.passport(SHIPPED)
    assert sum(one.counts for one in signed.record.statements) == 4
    assert all(check.holds for check in signed.checks)
    assert not signed.disputed
    found = await records.search(Query("pebble"))
    assert [(hit.address, hit.grade, hit.licence) for hit in found.hits] == [(SHIPPED, "open source", "duties")]


async def test_what_lies_beside_a_linked_model_is_read_and_mistakes_are_noted(records: Records, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(SHIPPED_FILE, folder / "mine.gguf")
    (folder / "disclosure.yaml").write_text("disclosure: 1\nname: mine\ncolour: red\n")
    (folder / "lineage.yaml").write_text(
        "nodes: [{id: base, licence: llama2}]\nedges: [{from: base, to: local/mine, how: copy}]"
    )
    await records._library.add(folder / "mine.gguf", keep="link")
    record = await records.of("local/mine")
    assert [edge.parent for edge in record.graph.parents("local/mine")] == ["base"]
    assert any("colour" in problem for problem in record.problems)
    assert not any(str(tmp_path) in problem for problem in record.problems), "no folders of this machine"
    shutil.copy(SHIPPED_FILE, folder / "second.gguf")
    fresh = Records(records.ledger, records._library, records._blobs, records._catalogue)
    assert not (await fresh.of("local/mine")).graph.edges, "of two models in a folder it is nobody's"


async def test_lineage_of_another_source_adds_and_does_not_replace(records: Records) -> None:
    await tell(records, "thing", told_by="maker", lineage={"edges": [{"parent": "base", "how": "fine-tune"}]})
    await tell(records, "thing", told_by="critic", lineage={"edges": [{"parent": "stolen", "how": "distil"}]})
    record = await records.of("thing")
    assert {edge.parent for edge in record.graph.parents("thing")} == {"base", "stolen"}
    assert sum(one.predicate_type == LINEAGE and one.counts for one in record.statements) == 2


async def held_model(records: Records, folder: Path, card: str = "") -> str:
    folder.mkdir(parents=True)
    shutil.copy(SHIPPED_FILE, folder / f"{folder.name}.gguf")
    if card:
        (folder / "README.md").write_text(card)
    await records._library.add(folder / f"{folder.name}.gguf", keep="link")
    return f"local/{folder.name}"


async def test_what_is_said_of_the_same_bytes_under_another_name_is_no_card_and_no_licence(
    records: Records, tmp_path: Path
) -> None:
    carded = await held_model(records, tmp_path / "carded", "---\nlicense: cc-by-nc-4.0\n---\n# Carded\n")
    bare = await held_model(records, tmp_path / "bare")
    await records.sign(carded)
    record = await records.of(bare)
    assert {one.predicate_type for one in record.statements} <= {WHAT}
    assert record.card is None
    assert record.graph.node(bare).declared != "cc-by-nc-4.0"
    assert not record.disclosure.components
    await records.sign(bare)
    kinds = {one.predicate_type for one in (await records.of(bare)).statements if bare in one.about}
    assert kinds == {WHAT, DISCLOSURE, LINEAGE}


async def test_what_a_revoked_key_signed_does_not_count_and_a_new_key_supersedes(records: Records) -> None:
    await tell(records, "thing", told_by="me", what={"parameters": 1})
    old = records.ledger.keys.current.key.id
    (first,) = (await records.of("thing")).statements
    await records.ledger.rotate()
    await tell(records, "thing", told_by="me", what={"parameters": 2})
    assert [one.counts for one in (await records.of("thing")).statements] == [True, False]
    await tell(records, "other", what={"parameters": 3})
    await records.ledger.revoke(old, first.index)
    (kept, dropped) = (await records.of("thing")).statements
    assert (kept.counts, dropped.counts) == (True, False)
    assert "not in force" in dropped.problem


async def test_a_card_that_was_changed_on_the_disk_is_told(records: Records, tmp_path: Path) -> None:
    await tell(records, "thing", card="---\nlicense: mit\n---\n# Thing\n")
    for path in (tmp_path / "blobs").rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            path.write_bytes(b"\xff\xfe")
    record = await records.of("thing")
    assert record.card is None
    assert "is not what was signed" in record.problems[0]


async def test_mail_addresses_and_telephone_numbers_do_not_enter_the_ledger(records: Records, tmp_path: Path) -> None:
    who = "Ask jane.doe@uni-example.edu or call +49 30 1234567."
    card = f"---\nlicense: mit\n---\n# Thing\n\n## Training Data\n\nBooks of 1,262,976 pages. {who}\n"
    model = await held_model(records, tmp_path / "mine", card)
    await records.sign(model)
    told = {"hardware": {"presence": "open", "text": f"8 A100. {who}"}}
    await tell(records, "thing", told_by="Jane <jane.doe@uni-example.edu>", note=who, disclosure={"told": told})
    bodies = [(await records.ledger.entry(index)).statement for index in range(records.ledger.log.size)]
    signed = str([one.predicate for one in bodies if one])
    assert "jane.doe" not in signed
    assert "1234567" not in signed
    assert "8 A100. Ask [withheld] or call [withheld]." in signed
    record = await records.of(model)
    assert record.card is not None
    assert who in record.card.text


async def test_what_is_too_large_is_refused_before_anything_is_written(records: Records, tmp_path: Path) -> None:
    before = records.ledger.log.size
    with pytest.raises(TooLarge):
        await tell(records, "thing", what={"chat_template": "x" * 60_000}, card="# Thing\n")
    assert records.ledger.log.size == before
    assert not [path for path in (tmp_path / "blobs").rglob("*") if path.is_file()]


async def test_long_sections_are_signed_cut(records: Records, tmp_path: Path) -> None:
    text = "many words " * 300
    titles = ("Training Data", "Hardware", "Bias, Risks, and Limitations", "Uses", "Training Procedure")
    sections = "".join(f"## {title}\n\n{text}\n\n" for title in titles)
    model = await held_model(records, tmp_path / "mine", f"---\nlicense: mit\n---\n# T\n\n{sections}")
    await records.sign(model)
    record = await records.of(model)
    (said,) = [one for one in record.statements if one.predicate_type == DISCLOSURE]
    long = [one["text"] for one in said.predicate["told"].values() if one.get("text", "").endswith(" …")]
    assert long
    assert all(len(one) <= 1000 for one in long)


async def test_one_part_that_is_not_taken_leaves_the_others_signed(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = await held_model(records, tmp_path / "mine", "---\nlicense: mit\n---\n# T\n")
    known = records.ledger.record_all

    async def record_all(some: Any) -> Any:
        if any(one.predicate_type == WHAT for one in some):
            raise TooLarge("too long")
        return await known(some)

    monkeypatch.setattr(records.ledger, "record_all", record_all)
    record = await records.sign(model)
    assert {LINEAGE} <= {one.predicate_type for one in record.statements}
    assert WHAT not in {one.predicate_type for one in record.statements}


async def test_what_cannot_be_graded_is_not_recorded_and_stops_nobody(
    records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = await held_model(records, tmp_path / "bad", "---\nlicense: bad\n---\n")
    good = await held_model(records, tmp_path / "good", "---\nlicense: mit\n---\n")
    known = listed.entry_of

    def entry_of(record: Any, today: Any) -> Any:
        if record.licence and record.licence.value == "bad":
            raise IndexError("of a bug")
        return known(record, today)

    monkeypatch.setattr(store, "entry_of", entry_of)
    before = records.ledger.log.size
    with pytest.raises(Invalid, match="cannot be graded"):
        await tell(records, "thing", card="---\nlicense: bad\n---\n")
    assert records.ledger.log.size == before
    await records.sign_all()
    assert not (await records.of(bad)).statements or all(bad not in s.about for s in (await records.of(bad)).statements)
    assert any(good in one.about for one in (await records.of(good)).statements)


@pytest.mark.parametrize("sign", ["<", "(https:", "[", "---\n"])
def test_the_summary_of_a_hostile_card_takes_no_time(sign: str) -> None:
    text = "---\n" + sign * (1_000_000 // len(sign))
    began = time.perf_counter()
    listed._summary(Record("a", identity("a"), card=CardText(text, "", "card:README.md")))
    assert time.perf_counter() - began < 1
