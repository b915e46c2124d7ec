"""The pages about the ledger: who sees what, that all of it is told, and that they bear what they are given."""

from __future__ import annotations

import html
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest

from intermodel.core import Invalid
from intermodel.core.statements import Statement
from intermodel.ledger import Entry, Ledger, Verifier, dsse, open_ledger, predicates, statement, uri, verify
from intermodel.ledger.cosigners import STANDINGS
from intermodel.ledger.entry import entry_of
from intermodel.ledger.keys import LocalSigner
from intermodel.ledger.note import Checkpoint, Note, signed
from intermodel.ledger.remote import FOLDER, Standings
from intermodel.ledger.watch import Watch
from intermodel.ledger.withdrawal import withdrawal_of
from intermodel.ledger.witness import request
from intermodel.records.trusted import NOBODY, Trusted
from intermodel.settings import Ledger as Options
from intermodel.storage import Database
from intermodel.web.pages.entries import PAGE, Asking, Entries, Wanted
from intermodel.web.pages.ledger import MOST_PLACES
from intermodel.web.pages.statements import TITLES, signed_by, title_of
from intermodel.web.pages.words import machine, moment
from tests.evidence import HOSTILE, LATER, OPAQUE, Others, begin, graded, on, opaque, record, take
from tests.gateway.calling import until
from tests.support import Running, running, settings_for
from tests.web.test_gateway_pages import text, token, visit_as
from tests.web.test_pages import visit

VICUNA = {
    "declared": "apache-2.0",
    "what": {"kind": "weights"},
    "lineage": {"edges": [{"parent": "llama", "how": "fine-tune"}]},
}
LLAMA = {"licence": "llama1", "what": {"kind": "weights"}}


@dataclass(frozen=True)
class Set:
    """A node, and which entries its ledger has of what kind."""

    node: Running
    others: Others
    proof: Path
    records: list[int]
    """What vicuna's record rests on: first its own, the last its ancestor's."""
    receipts: int
    receipt: str
    grades: list[int]
    friends: int
    strangers: int
    opaque: int
    withdrawal: int
    """It takes back the grade 6."""
    cosigned: int
    rotated: int
    revoked: int


def put(node: Running, name: str, told: Mapping[str, object]) -> list[int]:
    answer = httpx2.put(f"{node.url}/api/v1/records/{name}", json=told, headers=node.headers, timeout=30)
    answer.raise_for_status()
    return list(answer.json()["new"])


def call(node: Running) -> str:
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    answer = httpx2.post(f"{node.api}/chat/completions", json=body, headers=node.headers, timeout=30)
    return str(answer.headers["x-intermodel-receipt"])


def sealed(node: Running) -> int:
    """The entry that covers the calls so far."""
    accounts = node.node.gateway.accounts
    assert accounts.seals is not None
    on(node, accounts.receipts.list(limit=1))  # brings them into the database
    on(node, accounts.seals.seal())
    return on(node, node.node.ledger.of_type(predicates.RECEIPTS))[-1].index


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    data, others = tmp_path_factory.mktemp("ledger") / "data", Others.make()
    data.mkdir()
    proof = others.fork(data)
    with running(others.settings(data)) as node:
        receipt = call(node)
        records = put(node, "llama", LLAMA) + put(node, "vicuna", VICUNA)
        grades = record(node, *(graded(number) for number in range(PAGE + 5)))
        friends = take(node, others.friend, graded(77))
        strangers = take(node, LocalSigner.make(), graded(78))
        other = record(node, opaque({"builder": HOSTILE}, HOSTILE))[0]
        bad = on(node, node.node.ledger.entry(grades[6]))
        assert bad.statement is not None
        withdrawal = record(node, withdrawal_of(bad.digest, bad.statement, f"wrong {HOSTILE}"))[0]
        cosigned = others.cosign(node)
        rotated = on(node, node.node.ledger.rotate("the year is over")).index
        old = node.node.ledger.keys.periods[0].key.id
        revoked = on(node, node.node.ledger.revoke(old, rotated, f"stolen {HOSTILE}")).index
        yield Set(node, others, proof, [records[-1], records[0]], sealed(node), receipt, grades, friends, strangers,
                  other, withdrawal, cosigned, rotated, revoked)  # fmt: skip


def get(told: Set, path: str) -> httpx2.Response:
    with visit(told.node) as browser:
        return browser.get(path)


def listed(answer: httpx2.Response) -> list[int]:
    """The entries of the list, in its order."""
    return [int(one) for one in re.findall(r'<th scope="row"><a href="/ledger/entries/(\d+)"', answer.text)]


# Who sees what


@pytest.mark.parametrize("path", ["/ledger", "/ledger/entries/0", "/ledger/entries/x", "/ledger/predicates/key"])
def test_a_stranger_sees_nothing(told: Set, path: str) -> None:
    with visit(told.node, signed_in=False) as browser:
        assert browser.get(path).status_code == 303


def test_a_plain_token_sees_what_records_rest_on_and_nothing_else(told: Set) -> None:
    secret, size = token(told.node, "plain"), told.node.node.ledger.log.size
    with visit_as(told.node, secret) as browser:
        for hidden in ("/ledger", "/ledger?type=x", *(f"/ledger/entries/{one}" for one in (
            0, told.receipts, told.grades[0], told.friends, told.opaque, told.rotated, size, 10**9, "x", "-1",
        ))):  # fmt: skip
            answer = browser.get(hidden)
            assert answer.status_code == 403, hidden
            assert "--admin" in answer.text
            assert str(told.proof) not in answer.text
            assert 'href="/ledger"' not in answer.text
            assert f"It has {size}" not in text(answer)
        assert 'href="/ledger"' not in browser.get("/").text
        passport = browser.get("/records/vicuna").text
        for index in told.records:
            assert f'href="/ledger/entries/{index}"' in passport
            answer = browser.get(f"/ledger/entries/{index}")
            assert answer.status_code == 200, index
            assert 'href="/ledger' not in answer.text.replace('href="/ledger/predicates/', "")
            assert "/api/v1/ledger/" not in answer.text
            (bundle,) = re.findall(r'href="(/api/v1/records/[^"]+/bundle)"', answer.text)
            report = verify(browser.get(bundle).content, [told.node.node.ledger.verifier])
            assert report.good
            assert index in [one.index for one in report.entries]
        assert browser.get("/ledger/predicates/what").status_code == 200


def test_an_admin_finds_it(told: Set) -> None:
    assert '<a href="/ledger">Ledger</a>' in get(told, "/").text
    assert get(told, f"/ledger/entries/{told.records[0]}").status_code == 200


# The ledger


def test_the_checkpoint_to_the_letter_and_who_signed_it(told: Set) -> None:
    answer, ledger = get(told, "/ledger"), told.node.node.ledger
    (shown,) = re.findall(r'<code id="note">(.*?)</code>', answer.text, re.DOTALL)
    note = Note.parse(html.unescape(shown).encode())
    head = Checkpoint.parse(note.text)
    assert note.signed_by([ledger.verifier])
    assert (head.size, head.root) == (ledger.log.size, ledger.log.root(head.size))
    said = text(answer)
    assert head.root.hex() in said
    assert f"witness.example, {moment(LATER)} UTC" in said
    assert f"up to {told.cosigned} entries; {head.size - told.cosigned} came since" in said
    (cosigned,) = re.findall(r'<code id="cosigned-note">(.*?)</code>', answer.text, re.DOTALL)
    assert Note.parse(html.unescape(cosigned).encode()).signed_by([told.others.cosigner])
    assert f">{ledger.verifier}<" in html.unescape(answer.text)


def test_a_fork_is_told_first_with_the_place_of_its_proof(told: Set) -> None:
    answer = get(told, "/ledger")
    (alarm,) = re.findall(r'role="alert">(.*?)</div>', answer.text, re.DOTALL)
    assert answer.text.index('role="alert"') < answer.text.index('class="sums"')
    assert "other.example" in alarm
    assert str(told.proof) in alarm
    (entry,) = re.findall(r"/ledger/entries/(\d+)", alarm)
    stated = on(told.node, told.node.node.ledger.entry(int(entry)))
    assert stated.statement is not None
    assert stated.statement.predicate["fork"] is True
    assert title_of(stated) in text(get(told, f"/ledger/entries/{entry}"))


def test_keys_and_what_became_of_them(told: Set) -> None:
    answer, ledger = get(told, "/ledger"), told.node.node.ledger
    new, old = re.findall(r'<li aria-label="Key.*?</li>', answer.text, re.DOTALL)
    assert ledger.keys.periods[0].key.id in old
    assert ledger.keys.periods[1].key.id in new
    assert "Signs now" in new
    assert f"Signs from entry {told.rotated + 1} on, since <time" in new
    assert f"/ledger/entries/{told.rotated}" in new
    assert "the year is over" in new
    assert f"Signed the entries 0 to {told.rotated}" in old
    assert f"What it signed from entry {told.rotated} on does not count" in old
    assert f"/ledger/entries/{told.revoked}" in old
    assert "stolen &lt;/code&gt;" in old


def test_witnesses_and_followed_ledgers(told: Set) -> None:
    end = time.monotonic() + 15
    while (said := text(get(told, "/ledger"))).count("could not be reached") < 2:
        assert time.monotonic() < end, said
        time.sleep(0.05)
    assert re.search(r"witness\.example http://127\.0\.0\.1:9/witness Trouble It could not be reached.*? never", said)
    assert re.search(r"other\.example http://127\.0\.0\.1:9/ledger Contradiction It could not.*? root \w{16}… 2", said)


def test_filters_and_pages(told: Set) -> None:
    ledger = told.node.node.ledger
    first = get(told, "/ledger")
    assert listed(first) == list(range(ledger.log.size - 1, ledger.log.size - 1 - PAGE, -1))
    older = html.unescape(re.search(r'href="(/ledger\?[^"]*)#entries">Older', first.text)[1])  # type: ignore[index]
    assert max(listed(get(told, older))) == min(listed(first)) - 1
    grades = get(told, f"/ledger?type={uri('grade')}")
    assert listed(grades) == [told.strangers, told.friends, *reversed(told.grades)][:PAGE]
    friend = told.others.friend.public.id
    assert f'<option value="{friend}">friend.example' in first.text
    assert listed(get(told, f"/ledger?signer={friend}")) == [told.friends]
    assert listed(get(told, f"/ledger?signer={friend}&type={uri('key')}")) == []
    assert listed(get(told, f"/ledger?digest={graded(3).subjects[0].digest}")) == [told.grades[3]]
    assert listed(get(told, f"/ledger?digest={graded(3).subjects[0].digest[7:].upper()}")) == [told.grades[3]]
    assert listed(get(told, f"/ledger?type={quote(OPAQUE)}")) == [told.opaque]
    assert listed(get(told, f"/ledger?before={told.grades[2]}&type={uri('grade')}")) == [told.grades[1], told.grades[0]]
    nothing = get(told, f"/ledger?type={quote(HOSTILE)}")
    assert "No entry is like that" in nothing.text
    assert "<script>alert" not in nothing.text
    assert get(told, "/ledger?before=x&type=&signer=").status_code == 200


@pytest.mark.parametrize("query", ["signer=x", "digest=sha256:12", f"digest={'g' * 64}"])
def test_what_no_entry_is_like(told: Set, query: str) -> None:
    answer = get(told, f"/ledger?{query}")
    assert answer.status_code == 400
    assert "hexadecimal digits" in text(answer)


def test_whose_word_each_is(told: Set) -> None:
    for index, whose in (
        (told.friends, "friend.example"),
        (told.strangers, "somebody whose word does not count here"),
        (told.grades[0], "this node"),
        (told.rotated, "a key of this node that does not count there"),
    ):
        assert f"Signed by {whose}" in text(get(told, f"/ledger/entries/{index}"))
        assert whose in text(get(told, f"/ledger?before={index + 1}"))


def test_who_is_trusted_since_the_start_is_known_by_name(told: Set) -> None:
    records, late = told.node.node.records, LocalSigner.make()
    index, before = take(told.node, late, graded(80)), records.trusted
    address = f"/ledger/entries/{index}"
    assert "Signed by somebody whose word does not count here" in text(get(told, address))
    told.node.loop.call_soon_threadsafe(records.trust, Trusted((*before.verifiers, Verifier("late", late.public))))
    try:
        until(lambda: "Signed by late" in text(get(told, address)))
        assert "late" in text(get(told, f"/ledger?signer={late.public.id}"))
    finally:
        told.node.loop.call_soon_threadsafe(records.trust, before)


# One entry


def test_an_entry_is_told_proven_and_taken_along(told: Set) -> None:
    index = told.grades[3]
    answer, ledger = get(told, f"/ledger/entries/{index}"), told.node.node.ledger
    said, entry = text(answer), on(told.node, ledger.entry(index))
    assert f"Entry {index} In the tree" in said
    assert '<a href="/ledger/predicates/grade">How open a thing is</a>' in answer.text
    assert moment(entry.at) in said
    assert entry.signer in said
    assert graded(3).subjects[0].digest in said
    assert '"framework": "mof"' in said
    head = Checkpoint.parse(Note.parse(ledger.checkpoint()).text)
    assert head.root.hex() in said
    for one in ledger.log.inclusion(index, head.size):
        assert one.hex() in said
    proof = said[said.index("The proof") : said.index("Take it with you")]
    assert proof.count("Yes") == 7
    assert " No " not in proof
    (bundle, name) = re.findall(r'href="(/api/v1/ledger/\d+/bundle)" download="([^"]+)"', answer.text)[0]
    (command,) = re.findall(r'<code id="verify">(.*?)</code>', answer.text, re.DOTALL)
    verb, what, file, flag, key = shlex.split(html.unescape(command))
    assert (verb, what, file, flag) == ("intermodel", "verify", name, "--key")
    report = verify(get(told, bundle).content, [Verifier.parse(key)])
    assert report.good
    assert [one.index for one in report.entries] == [index]


def test_what_an_entry_is_about_leads_to_its_record(told: Set) -> None:
    own, ancestor = (get(told, f"/ledger/entries/{one}").text for one in told.records)
    assert '<a href="/records/vicuna">vicuna</a>' in own
    assert '<a href="/records/llama">llama</a>' in ancestor
    assert 'href="/records/' not in get(told, f"/ledger/entries/{told.grades[0]}").text
    assert "vicuna from llama (fine-tune)" in text(get(told, f"/ledger/entries/{told.records[0]}"))


def test_an_opaque_statement_is_shown_as_one(told: Set) -> None:
    answer = get(told, f"/ledger/entries/{told.opaque}")
    said = text(answer)
    assert "opaque : of a kind that is not read here" in said
    assert f'<a href="{OPAQUE}" rel="noreferrer nofollow">' in answer.text
    assert "what its predicate means is not read here" in said
    assert "fits the schema" not in said
    assert "<script>alert" not in answer.text
    assert "onerror=alert(2)&gt;" in answer.text
    assert HOSTILE in html.unescape(answer.text)


def test_a_statement_that_was_taken_back_and_what_takes_it_back(told: Set) -> None:
    taken, by = (get(told, f"/ledger/entries/{one}") for one in (told.grades[6], told.withdrawal))
    said = text(taken)
    assert re.search(r"Withdrawn by this node, \d\d \w+ \d{4}, [\d:]+ UTC : wrong </code>", said)
    assert f'(<a href="/ledger/entries/{told.withdrawal}">entry {told.withdrawal}</a>)' in taken.text
    assert "<script>alert" not in taken.text + by.text
    assert f'<a href="/ledger/entries/{told.grades[6]}">Entry {told.grades[6]}</a>, which it takes back' in by.text
    assert "thing-6" in text(by)
    assert "Withdrawn" not in text(get(told, f"/ledger/entries/{told.grades[7]}"))


def test_the_list_marks_what_was_taken_back(told: Set) -> None:
    answer = get(told, f"/ledger?before={told.grades[8]}")
    bad, good = (
        re.search(rf'<a href="/ledger/entries/{told.grades[number]}".*?</tr>', answer.text, re.DOTALL)
        for number in (6, 7)
    )
    assert bad is not None
    assert good is not None
    assert ">Withdrawn by this node</span>" in bad[0]
    assert "Withdrawn" not in good[0]


def test_a_statement_that_much_was_said_after_is_not_looked_for_without_end(told: Set) -> None:
    first, *more = record(told.node, *(graded(900, score=number) for number in range(MOST_PLACES + 1)))
    early, late = (on(told.node, told.node.node.ledger.entry(index)) for index in (first, more[-1]))
    assert early.statement is not None
    assert late.statement is not None
    lost, found = record(
        told.node, withdrawal_of(early.digest, early.statement, "no"), withdrawal_of(late.digest, late.statement, "no")
    )
    assert f"Entry {more[-1]}</a>, which it takes back" in get(told, f"/ledger/entries/{found}").text
    answer = get(told, f"/ledger/entries/{lost}")
    assert f"the statement that it takes back {early.digest}" in text(answer)
    assert f'href="/ledger/entries/{first}"' not in answer.text


def test_who_entered_it_is_told_to_admins(told: Set) -> None:
    assert "Entered by the token" in text(get(told, f"/ledger/entries/{told.records[0]}"))
    assert "Entered by" not in text(get(told, f"/ledger/entries/{told.grades[0]}"))
    with visit_as(told.node, token(told.node, "another")) as browser:
        assert "Entered by" not in text(browser.get(f"/ledger/entries/{told.records[0]}"))


def test_receipts_lead_to_their_calls(told: Set) -> None:
    answer = get(told, f"/ledger/entries/{told.receipts}")
    assert "That a call was made" in answer.text
    assert f'<a href="/calls/{told.receipt}">' in answer.text
    assert get(told, f"/calls/{told.receipt}").status_code == 200


def test_receipts_that_are_kept_no_longer_and_those_on_the_next_page(told: Set) -> None:
    ledger = told.node.node.ledger
    gone = [(f"{number:026d}", b"%d" % number) for number in range(90)]
    entry = on(told.node, ledger.seal([*gone])).index
    first = get(told, f"/ledger/entries/{entry}")
    assert "That 90 calls were made" in first.text
    assert text(first).count("kept no longer") == 40
    assert "/calls/0" not in first.text
    assert f"{39:026d}" in first.text
    last = get(told, f"/ledger/entries/{entry}?from=80")
    assert f"{89:026d}" in last.text
    assert text(last).count("kept no longer") == 10
    assert get(told, f"/ledger/entries/{entry}?from=900").status_code == 200
    assert get(told, f"/ledger/entries/{entry}?from=x").status_code == 200


@pytest.mark.parametrize("index", ["9999", "-1", "01", "1e3", "9" * 30, "x", "0.5", "%3Cscript%3E", "٣"])
def test_no_such_entry(told: Set, index: str) -> None:
    answer = get(told, f"/ledger/entries/{index}")
    assert answer.status_code == 404
    assert "The ledger has no entry" in answer.text
    assert "Traceback" not in answer.text
    assert "<script>" not in answer.text


def test_the_last_moment_there_is(told: Set) -> None:
    index = take(told.node, told.others.friend, graded(79), "9999-12-31T23:59:59.999999Z")
    for path in ("/ledger", f"/ledger/entries/{index}"):
        assert "31 Dec 9999, 23:59:59 UTC" in html.unescape(get(told, path).text)


# What each kind says


@pytest.mark.parametrize("name", predicates.NAMES)
def test_each_predicate_is_explained(told: Set, name: str) -> None:
    answer = get(told, f"/ledger/predicates/{name}")
    assert answer.status_code == 200
    assert f"<h1>{TITLES[name]}</h1>" in answer.text
    said = html.unescape(answer.text)
    assert uri(name) in said
    for field, one in predicates.schema(name)["properties"].items():
        assert f"<code>{field}</code>" in said
        assert one["description"].split("`")[0] in said


def test_no_such_predicate(told: Set) -> None:
    assert get(told, "/ledger/predicates/nothing").status_code == 404
    assert get(told, "/ledger/predicates/..%2Fkey").status_code == 404


# A ledger with nothing in it, and one that was damaged


def test_a_new_ledger(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data")) as node, visit(node) as browser:
        answer = browser.get("/ledger")
        assert answer.status_code == 200
        said = text(answer)
        assert "So far the ledger says by which key it is signed, and nothing else." in said
        assert "Cosigned by nobody no witness is asked" in said
        assert listed(answer) == [0]
        assert 'role="alert"' not in answer.text
        assert "no time; its newest entry was made" in said
        first = browser.get("/ledger/entries/0")
        assert "The first key" in first.text
        assert "The hash of this entry and 0 others lead to the root of the tree of 1 entry" in text(first)


def test_a_damaged_tile(tmp_path: Path) -> None:
    data = tmp_path / "data"
    begin(data, *(graded(number) for number in range(520)))
    tile = data / "ledger/tile/entries/001"
    tile.write_bytes(tile.read_bytes().replace(b"mof", b"MOF").replace(b"eyJ", b"eyK"))
    with running(settings_for(data)) as node, visit(node) as browser:
        bad = browser.get("/ledger/entries/300")
        assert bad.status_code == 503
        assert "The ledger was changed" in bad.text
        assert str(tile) in bad.text
        assert "Traceback" not in bad.text
        assert browser.get("/ledger/entries/515").status_code == 200
        page = browser.get("/ledger?before=513")
        assert page.status_code == 503
        said = text(page)
        assert "entry 511 does not match the tree" in said
        assert "intermodel doctor" in said
        assert said.count("It cannot be read") == PAGE - 1
        assert listed(page) == list(range(512, 512 - PAGE, -1))
        assert "Signs now" in said, "the rest is shown"


def test_a_witness_key_that_cannot_be_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(settings_for(data)) as node, visit(node) as browser:
        file = data / "ledger-witness/verifier"
        file.parent.mkdir()
        file.write_text("no key")
        answer = browser.get("/ledger")
        assert answer.status_code == 503
        said = text(answer)
        assert f"The witness's name and key cannot be read: {file}" in said
        assert "Signs now" in said, "the rest is shown"
        assert listed(answer) == [0]


def test_a_published_ledger_says_so(tmp_path: Path) -> None:
    with running(settings_for(tmp_path / "data", ledger=Options(publish=True))) as node, visit(node) as browser:
        assert 'href="/ledger/checkpoint"' in browser.get("/ledger").text


def test_a_witness_that_saw_another_tree_a_doubt_and_this_node_as_a_witness(tmp_path: Path) -> None:
    data, others, signer = tmp_path / "data", Others.make(), LocalSigner.make()
    doubted = Verifier("doubted.example", signer.public)
    watch = Watch(data / FOLDER, [doubted])
    notes = [bytes(signed(Checkpoint(doubted.name, size, bytes(32)).text, doubted.name, signer)) for size in (2, 3)]
    watch.see(notes[0])
    with pytest.raises(Invalid, match="does not hold"):
        watch.see(notes[1], [bytes(32)])
    trouble = "It cosigned 9 entries of this ledger, which has 1: entries were lost."
    Standings(data / FOLDER / STANDINGS, [f"{others.cosigner}"], "the witness").ill(
        f"{others.cosigner}", trouble, fork=True
    )
    options = others.settings(data).ledger.model_copy(update={"witness_for": (f"{doubted}",)})
    with running(settings_for(data, ledger=options)) as node, visit(node) as browser:
        assert "It has cosigned nothing yet" in text(browser.get("/ledger"))
        seen = httpx2.post(f"{node.url}/witness/add-checkpoint", content=request(0, [], notes[0]))
        assert seen.status_code == 200
        answer = browser.get("/ledger")
        said = text(answer)
        assert answer.status_code == 200
        assert f"The witness witness.example contradicts this ledger: {trouble}" in said
        assert "The ledger doubted.example may contradict itself: 2 entries with root" in said
        assert re.search(r"This node as a witness.*doubted\.example : cosigned up to 2 entries, root 0{64}", said)


# Lists, without a node


NOW = 1_800_000_000.0
DAY = 86_400.0


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    """Entries of four days: 1, 2, 3 and 4 of them, the last day's made now."""
    times = chain([NOW - 3 * DAY], (NOW - (3 - day) * DAY for day in range(4) for _ in range(day + 1)), repeat(NOW))
    database = Database("", default=tmp_path / "test.db")
    await database.open()
    async with open_ledger(tmp_path, database, clock=lambda: next(times)) as opened:
        for number in range(10):
            await opened.record(graded(number))
        yield opened
    await database.close()


async def test_entries_by_day(ledger: Ledger) -> None:
    plot = await Entries(ledger, lambda: NOBODY).by_day(NOW)
    assert plot is not None
    assert len(plot.times) == 30
    assert [(machine(at)[:10], values) for at, values in plot.rows][:5] == [
        (machine(NOW - day * DAY)[:10], [float(count)]) for day, count in enumerate((4, 3, 2, 2, 0))
    ]
    cut = await Entries(ledger, lambda: NOBODY, looked_at=8).by_day(NOW)
    assert cut is not None
    assert [values for _, values in cut.rows] == [[4.0], [3.0]], "of the day before not all were looked at"
    assert await Entries(ledger, lambda: NOBODY, looked_at=3).by_day(NOW) is None


async def test_those_of_a_signer_are_looked_for_a_stretch_at_a_time(ledger: Ledger) -> None:
    friend = LocalSigner.make()
    entries = Entries(ledger, lambda: Trusted((Verifier("friend", friend.public),)), looked_at=4)
    wanted = Wanted(signer=friend.public.id)
    first = await entries.list(wanted, Asking())
    assert (first.lines, first.low) == ([], 7)
    assert first.older == f"/ledger?signer={friend.public.id}&before=7"
    last = await entries.list(Wanted(signer=friend.public.id, before="3"), Asking())
    assert (last.lines, last.older) == ([], "")
    own = await entries.list(Wanted(signer=ledger.keys.current.key.id), Asking())
    assert [one.index for one in own.lines] == [10, 9, 8, 7]


async def test_an_entry_that_is_no_statement(ledger: Ledger) -> None:
    entry = entry_of(3, b"no envelope")
    assert title_of(entry) == "No statement that can be read"
    assert signed_by(entry, ledger.keys, NOBODY).counts is None


async def test_who_took_what_back(ledger: Ledger) -> None:
    friend, stranger = LocalSigner.make(), LocalSigner.make()
    trusted = Trusted((Verifier("friend", friend.public),))

    async def told(signer: LocalSigner, said: Statement) -> Entry:
        return await ledger.record_envelope(dsse.seal(statement.dumped(said, NOW), [signer]), [signer.public])

    async def taken_back(entry: Entry, by: LocalSigner | None) -> None:
        assert entry.statement is not None
        said = withdrawal_of(entry.digest, entry.statement, "wrong")
        await (told(by, said) if by else ledger.record(said))

    own, own_too = await ledger.entry(1), await ledger.entry(2)
    theirs, aside = await told(friend, graded(20)), await told(friend, graded(21))
    claimed = await told(stranger, graded(22))
    for entry, by in ((own, None), (own_too, stranger), (theirs, friend), (aside, None), (claimed, stranger)):
        await taken_back(entry, by)
    found = (await Entries(ledger, lambda: trusted).list(Wanted(), Asking())).lines
    marks = {one.index: [(by.by, by.aside, by.sure) for by in one.withdrawn] for one in found if one.withdrawn}
    assert marks == {
        own.index: [(f"the ledger {ledger.origin}", False, True)],
        theirs.index: [("friend", False, True)],
        aside.index: [(f"the ledger {ledger.origin}", True, True)],
        claimed.index: [(f"the key {stranger.public.id[:16]}", False, False)],
    }
