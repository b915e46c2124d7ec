"""/api/v1/records and the pages about records: who may, what is answered, and that nobody's text becomes markup."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest

from intermodel.core.statements import Statement, Subject
from intermodel.ledger import Verifier, dsse, statement, verify
from intermodel.ledger.keys import LocalSigner
from intermodel.records.predicates import WHAT
from intermodel.records.record import identity
from intermodel.settings import Deployment, Engines, Records
from tests.support import Running, running, settings_for

HOSTILE = "</pre></script><script>alert(1)</script><img src=x onerror=alert(2)>'\"&amp;{{ 7*7 }}"
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
PEBBLE = "intermodel/pebble"
GPT_4 = {
    "told_by": "OpenAI",
    "url": "https://arxiv.org/abs/2303.08774",
    "maker": "OpenAI",
    "terms": "openai-terms-2023-03",
    "what": {"kind": "service", "modalities": ["text", "image"]},
    "disclosure": {"told": {"hardware": {"presence": "closed", "source": "section 2"}}},
}
VICUNA = {
    "declared": "apache-2.0",
    "what": {"kind": "weights"},
    "lineage": {
        "nodes": [{"id": "llama", "licence": "llama1"}],
        "edges": [{"parent": "llama", "how": "fine-tune", "shipped_as": "delta-weights"}],
    },
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    settings = settings_for(
        tmp_path_factory.mktemp("records") / "data",
        engines=Engines(shipped=True),
        deployments={"echo": Deployment(provider="echo"), "team/echo": Deployment(provider="echo")},
    )
    with running(settings) as served:
        for name, told in (("openai/gpt-4", GPT_4), ("vicuna", VICUNA)):
            assert api(served, "PUT", f"/records/{name}", told).status_code == 200
        until = time.monotonic() + 20
        while not api(served, "GET", f"/records/{PEBBLE}").json()["statements"]:
            assert time.monotonic() < until, "what is read of the shipped model was not signed"
            time.sleep(0.05)
        yield served


def api(node: Running, method: str, path: str, document: Any = None, **more: Any) -> httpx2.Response:
    headers = more.pop("headers", node.headers)
    return httpx2.request(method, f"{node.url}/api/v1{path}", json=document, headers=headers, timeout=30, **more)


def plain(node: Running) -> dict[str, str]:
    """The headers of a new token that may not change the node."""
    return {"Authorization": f"Bearer {api(node, 'POST', '/tokens', {'name': 'plain'}).json()['token']}"}


def page(node: Running, path: str) -> httpx2.Response:
    with httpx2.Client(base_url=node.url, headers=HTML, timeout=30) as client:
        client.post("/signin", data={"token": node.token})
        return client.get(path)


# The API


def test_the_shipped_models_record_is_signed_and_complete(node: Running) -> None:
    record = api(node, "GET", f"/records/{PEBBLE}").json()
    assert (record["digest_of"], record["what"]["parameters"]["value"]) == ("file", 1_262_976)
    assert record["what"]["parameters"]["source"] == "file:pebble-q8_0.gguf"
    assert record["what"]["languages"]["source"] == "card:language"
    passport = api(node, "GET", f"/records/{PEBBLE}/passport").json()
    assert passport["unknown"] == []
    assert all(check["holds"] for check in passport["verified"])
    grades = {grade["framework"]: grade["outcome"] for grade in passport["grades"]}
    assert grades["mof"].startswith("Class I ")
    assert grades["osaid"] == "passed"
    assert api(node, "GET", f"/records/{PEBBLE}/grades").json()["data"] == passport["grades"]


def test_a_descendant_is_refused_with_the_reason_and_the_tag_is_flagged(node: Running) -> None:
    verdict = api(node, "GET", "/records/vicuna/verdict?purpose=commercial&place=DE").json()
    assert (verdict["strict"]["outcome"], verdict["lenient"]["outcome"]) == ("refuse", "refuse")
    assert any("llama" in reason["node"] for reason in verdict["strict"]["reasons"])
    assert verdict["flags"]


def test_the_bundle_is_verified_without_the_node(node: Running) -> None:
    answer = api(node, "GET", "/records/openai%2Fgpt-4/bundle")
    report = verify(answer.content, [node.node.records.ledger.verifier])
    assert report.good
    assert len(report.entries) == 3


def test_bills_of_material(node: Running) -> None:
    assert api(node, "GET", f"/records/{PEBBLE}/bom").json()["bomFormat"] == "CycloneDX"
    for name in ("spdx", "spdx3"):
        assert "@graph" in api(node, "GET", f"/records/{PEBBLE}/bom?format={name}").json()
    for name, version in (("cyclonedx", "1.6"), ("cyclonedx-1.7", "1.7")):
        assert api(node, "GET", f"/records/{PEBBLE}/bom?format={name}").json()["specVersion"] == version


def test_search_finds_by_words_and_facets(node: Running) -> None:
    found = api(node, "GET", "/records?q=pebble").json()
    assert [hit["address"] for hit in found["data"]] == [PEBBLE]
    either = api(node, "GET", "/records?kind=service&kind=weights").json()
    assert {hit["address"] for hit in either["data"]} == {PEBBLE, "openai/gpt-4", "vicuna"}
    assert api(node, "GET", "/records?colour=red").status_code == 400
    assert [hit["address"] for hit in api(node, "GET", "/records?q=pebb&typing=true").json()["data"]] == [PEBBLE]
    assert api(node, "GET", "/records?q=pebb&typing=false").json()["data"] == []


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("licence=no", "allow, duties, refuse, unknown"),
        ("grade=free", "open source, open access, closed, unknown"),
        ("size=7B", "under 1B, 1B to 3B"),
        ("kind=model", "weights, adapter, service, dataset, application, unknown"),
        ("tier=high", "a number, unknown"),
    ],
)
def test_a_value_that_no_facet_has_is_refused_with_those_that_it_has(node: Running, query: str, hint: str) -> None:
    """Nothing found would read as an answer."""
    answer = api(node, "GET", f"/records?{query}")
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == query.partition("=")[0]
    assert hint in answer.json()["error"]["message"] + str(answer.json()["error"])
    assert page(node, f"/records?{query}").status_code == 400
    assert api(node, "GET", "/records?tier=3&licence=unknown&task=whatever").status_code == 200


def test_a_key_that_stands_twice_is_refused_and_named(node: Running) -> None:
    """Which of the two counts is not defined, and what is told is signed."""
    for path, body, key in (
        ("/records/x/dup", b'{"what":{"kind":"weights"},"what":{"kind":"service"}}', "what"),
        ("/records/x/dup", b'{"what":{"kind":"weights","kind":"service"}}', "kind"),
        ("/routes/dup", b'{"candidates":["a"],"candidates":["b"]}', "candidates"),
    ):
        answer = httpx2.put(f"{node.url}/api/v1{path}", content=body, headers=node.headers, timeout=30)
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, key)
        assert f"'{key}' stands in it twice" in error["message"]
    assert api(node, "GET", "/records/x/dup").status_code == 404


def test_a_telling_says_what_is_new_and_what_may_be_a_slip(node: Running) -> None:
    told = {"licence": "mitt", "what": {"kind": "weights"}}
    made = api(node, "PUT", "/records/slip", told).json()
    assert made["new"] == sorted(said["index"] for said in made["statements"])
    assert made["cautions"] == ["No licence of the name 'mitt' is known here; did you mean mit?"]
    assert api(node, "PUT", "/records/slip", told).json()["new"] == []
    assert api(node, "POST", f"/records/{PEBBLE}/sign").json()["new"] == []
    assert api(node, "GET", "/records/slip/passport").json()["cautions"] == made["cautions"]
    assert "did you mean mit?" in page(node, "/records/slip").text


def test_nothing_is_made_from_itself(node: Running) -> None:
    edge = {"parent": "a/self", "child": "a/self", "how": "fine-tune"}
    answer = api(node, "PUT", "/records/a/self", {"lineage": {"edges": [edge]}})
    assert answer.status_code == 400
    assert "makes 'a/self' from itself" in answer.json()["error"]["message"]
    assert api(node, "GET", "/records/a/self").status_code == 404


def test_reading_takes_any_token_and_writing_an_admins(node: Running) -> None:
    caller = plain(node)
    for path in ("", f"/{PEBBLE}", f"/{PEBBLE}/passport", "/vicuna/verdict", "/vicuna/bundle", "/vicuna/bom"):
        assert api(node, "GET", f"/records{path}", headers=caller).status_code == 200, path
        assert api(node, "GET", f"/records{path}", headers={}).status_code == 401, path
    assert api(node, "PUT", "/records/mine", {"licence": "mit"}, headers=caller).status_code == 403
    assert api(node, "POST", f"/records/{PEBBLE}/sign", headers=caller).status_code == 403
    assert api(node, "PUT", "/records/mine", {"licence": "mit"}, headers={}).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "document", "status", "param"),
    [
        ("GET", "/records/nobody", None, 404, None),
        ("GET", "/records/nobody/passport", None, 404, None),
        ("GET", "/records/echo/bundle", None, 404, None),
        ("POST", "/records/nobody/sign", None, 404, None),
        ("GET", "/records/vicuna/verdict?purpose=theft", None, 400, "purpose"),
        ("GET", "/records/vicuna/verdict?place=ZZ", None, 400, "place"),
        ("GET", "/records/vicuna/verdict?on=yesterday", None, 400, "on"),
        ("GET", "/records/vicuna/bom?format=pdf", None, 400, "format"),
        ("PUT", "/records/mine", {}, 400, None),
        ("PUT", "/records/mine", {"licnece": "mit"}, 400, "licnece"),
        ("PUT", "/records/mine", {"what": {"colour": "red"}}, 400, "facts"),
        ("PUT", "/records/mine", {"lineage": {"edges": [{"parent": "a", "how": "stolen"}]}}, 400, "edges.0.how"),
        ("PUT", "/records/a/b/c", {"licence": "mit"}, 400, None),
        ("PUT", "/records/mine/passport", {"licence": "mit"}, 405, None),
        ("DELETE", "/records/vicuna", None, 405, None),
    ],
)
def test_mistakes_are_told(
    node: Running, method: str, path: str, document: Any, status: int, param: str | None
) -> None:
    answer = api(node, method, path, document)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text
    assert api(node, "GET", "/records/mine").status_code == 404, "nothing was recorded"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{}", "neither a bundle nor a DSSE envelope"),
        (b'{"payload": 123456789012345678901234567890}', "'signatures' is missing"),
        (b'{"payload": 1e999}', "not valid JSON"),
        (b'{"payload": "e30=", "payload": "e30=", "payloadType": "x", "signatures": []}', "stands in it twice"),
        (b'{"type": "urn:intermodel:bundle:v1"}', "checkpoint"),
    ],
)
def test_what_is_no_bundle_is_told_and_read_as_it_is_spelled(node: Running, body: bytes, words: str) -> None:
    headers = node.headers | {"content-type": "application/json"}
    answer = httpx2.post(f"{node.url}/api/v1/records", content=body, headers=headers, timeout=30)
    assert (answer.status_code, words in answer.json()["error"]["message"]) == (400, True), answer.text


def test_an_envelope_is_kept_to_the_byte(tmp_path: Path) -> None:
    made = Statement((Subject("thing", identity("thing")),), WHAT, {"facts": {"parameters": 7}})
    signer = LocalSigner.make()
    sealed = dsse.seal(statement.dumped(made, 1.0), [signer])
    envelope = orjson.dumps(orjson.loads(sealed), option=orjson.OPT_INDENT_2)
    trusted = Records(trusted_signers=(str(Verifier("hub.example", signer.public)),))
    with running(settings_for(tmp_path / "data", records=trusted)) as served:
        sent = {"content": envelope, "headers": served.headers | {"content-type": "application/json"}}
        taken = httpx2.post(f"{served.url}/api/v1/records", **sent).json()  # type: ignore[arg-type]
        assert taken["left_out"] == []
        (entry,) = orjson.loads(api(served, "GET", "/records/thing/bundle").content)["entries"]
        assert base64.b64decode(entry["envelope"]) == envelope


def test_a_deployment_has_a_record_that_says_little(node: Running) -> None:
    record = api(node, "GET", "/records/team/echo").json()
    assert record["what"]["kind"] == {"value": "service", "source": "derived:deployments", "others": []}
    assert record["statements"] == []


def test_a_broken_card_is_told_and_breaks_nothing(node: Running) -> None:
    assert api(node, "PUT", "/records/broken", {"card": "---\nlicense: [mit\n---\n# Thing"}).status_code == 200
    record = api(node, "GET", "/records/broken").json()
    assert "could not be read" in record["problems"][0]
    assert record["licence"] is None
    assert page(node, "/records/broken").status_code == 200


# The pages


def test_a_misspelt_search_leads_to_the_right_one(node: Running) -> None:
    assert api(node, "GET", "/records?q=vicunna").json()["missing"][0]["instead"][0]["value"] == "vicuna"
    text = page(node, "/records?q=Vicunna&kind=weights").text
    assert (
        'No record has the word <strong>vicunna</strong>. Did you mean <a href="/records?q=vicuna&amp;kind=weights">'
        in text
    )
    assert "vicuna</a> (1 record)?" in text
    assert "word <strong>zzyzx</strong>." in page(node, "/records?q=zzyzx").text


def test_a_passport_answers_all_questions(node: Running) -> None:
    text = page(node, "/records/vicuna").text
    for question in (
        "What is it?",
        "From what was it made?",
        "How open is it?",
        "What may I do with it?",
        "What must I then do?",
        "Who says so?",
        "What is unknown?",
    ):
        assert question in text
    assert text.count('<svg class="lineage') == 2
    assert "fine-tuned from" in text
    assert "/api/v1/records/vicuna/bundle" in text
    assert "is the ledger&#39;s own, for which this node vouches" in text
    assert "you named" not in text
    assert "signed by this node&#39;s ledger" in text
    for wrong in (">1 facts", "all 1 changes", "?. ", ".. "):
        assert wrong not in text, wrong


def test_what_a_vendor_keeps_back_is_not_disclosed_and_not_unknown(node: Running) -> None:
    text = page(node, "/records/openai/gpt-4").text
    assert "not disclosed" in text
    assert "Told by OpenAI" in text
    assert 'href="https://arxiv.org/abs/2303.08774"' in text


def test_a_place_changes_the_question(node: Running) -> None:
    assert "commercially in Germany?" in page(node, f"/records/{PEBBLE}?place=DE").text
    assert page(node, f"/records/{PEBBLE}?place=ZZ").status_code == 400


def test_side_by_side(node: Running) -> None:
    answer = page(node, f"/records/compare?a={PEBBLE}&b=vicuna&c=openai/gpt-4")
    assert answer.status_code == 200
    assert re.findall(r'<th scope="col"><a href="/records/([^"]+)"', answer.text) == [PEBBLE, "vicuna", "openai/gpt-4"]
    template = re.search(r"Chat template</th>(.*?)</tr>", answer.text, re.DOTALL)
    assert template is not None
    assert '<details class="folded">' in template[1]
    assert 'data-of="vicuna"' in template[1]
    licence = re.search(r"Licence or terms</th>(.*?)</tr>", answer.text, re.DOTALL)
    assert licence is not None
    assert licence[1].count("as it claims") == 1, "vicuna's tag"
    assert page(node, "/records/compare?a=vicuna").status_code == 200
    assert page(node, "/records/compare?a=vicuna&b=nobody").status_code == 404


def test_finding_on_a_page(node: Running) -> None:
    found = page(node, "/records?q=pebble&kind=weights")
    assert f'href="/records/{PEBBLE}"' in found.text
    assert 'href="/records?q=pebble"' in found.text, "leaving the facet"
    assert "Nothing found" in page(node, "/records?q=nothingofthatname").text
    assert page(node, "/records?colour=red").status_code == 400


def test_nobodys_text_is_markup(node: Running) -> None:
    told = {
        "told_by": HOSTILE,
        "url": "javascript:alert(1)",
        "name": HOSTILE,
        "maker": HOSTILE,
        "note": HOSTILE,
        "declared": HOSTILE,
        "what": {"architecture": HOSTILE, "languages": [HOSTILE], "chat_template": HOSTILE * 10},
        "disclosure": {
            "told": {"risks": {"text": HOSTILE, "source": HOSTILE}},
            "components": {"api": {"note": HOSTILE}},
        },
        "lineage": {"nodes": [{"id": HOSTILE, "licence": HOSTILE}], "edges": [{"parent": HOSTILE, "how": "merge"}]},
        "card": f"---\nlicense: mit\n---\n# {HOSTILE}",
    }
    assert api(node, "PUT", "/records/hostile", told).status_code == 200
    for path in ("/records/hostile", "/records?q=hostile", "/records/compare?a=hostile&b=vicuna"):
        text = page(node, path).text
        assert "<script>alert" not in text, path
        assert "<img src=x" not in text, path
        assert 'href="javascript' not in text, path


def test_only_who_is_signed_in_sees_records(node: Running) -> None:
    answer = httpx2.get(f"{node.url}/records/vicuna", headers=HTML)
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/signin")


def test_duties_are_sentences_by_who_must_heed_them(node: Running) -> None:
    text = page(node, f"/records/{PEBBLE}").text
    assert "If you pass on copies" in text
    assert "Keep the copyright and licence notices with every copy." in text
    assert "Apache License 2.0, section 4" in text
    assert "keep-notices" not in text


def test_what_the_law_may_ask_says_what_would_settle_it(node: Running) -> None:
    text = page(node, f"/records/{PEBBLE}").text
    assert "These may apply" in text
    assert "It has 1,262,976 parameters" in text
    assert "settles it" in text


def test_a_card_is_set_as_a_page_and_its_text_is_beside_it(node: Running) -> None:
    card = "---\nlicense: mit\n---\n# Carded\n\n**Bold** ![plot](https://a.example/x.png) <script>alert(1)</script>\n"
    assert api(node, "PUT", "/records/carded", {"card": card}).status_code == 200
    text = page(node, "/records/carded").text
    assert "<h4>Carded</h4>" in text
    assert "<strong>Bold</strong>" in text
    assert "# Carded" in text, "as it came"
    assert "None of its headings is one that is looked for here" in text
    assert "<script>alert" not in text
    assert "<img src=" not in text.partition("<main")[2]


def test_a_part_beside_it_is_told_as_one(node: Running) -> None:
    told = {
        "licence": "mit",
        "lineage": {
            "nodes": [{"id": "guard", "licence": "cc-by-nc-4.0"}],
            "edges": [{"parent": "guard", "how": "bundles"}],
        },
    }
    assert api(node, "PUT", "/records/guarded", told).status_code == 200
    verdict = api(node, "GET", "/records/guarded/verdict?purpose=commercial").json()
    assert verdict["strict"]["outcome"] == "allow-with-duties"
    assert verdict["warnings"]
    text = page(node, "/records/guarded").text
    assert "ships with" in text
    assert "As to guard, which ships beside it:" in text
    assert api(node, "GET", "/records/guarded/bom").status_code == 200
    assert '"contains"' in api(node, "GET", "/records/guarded/bom?format=spdx3").text
