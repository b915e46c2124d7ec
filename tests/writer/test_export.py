"""What a run leaves: Markdown, HTML, JSON, the picture of the scores."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from intermodel.core import Invalid
from intermodel.ledger import predicates
from intermodel.writer import export
from intermodel.writer.export import Account
from intermodel.writer.values import (
    Article,
    Brief,
    Claim,
    Ending,
    Gap,
    Notes,
    Plan,
    Problem,
    Round,
    Section,
    Source,
    Spent,
    Verdict,
)

DIGEST = "sha256:" + "ab" * 32
DRAFT = """# What it allows

## Freely

Apache allows commercial use [1]. It was published in 2004 [1][2].

Everybody says that this is so without a doubt."""
SOURCES = tuple(
    Source(n, f"https://{n}.example/a?b=c&d{more}", f"Title *{n}* <b>", "text", DIGEST, "2026-11-20T12:00:00Z")
    for n, more in ((1, ""), (2, ""), (3, "=<e>"))
)
ACCOUNT = Account(
    "2026-11-20T12:00:00Z",
    {"writer": Spent(2, 100, 50, Decimal("0.01")), "critic": Spent(1, 10, 5, Decimal("0.002"))},
    ["R1", "R2", "R3"],
    {"m": DIGEST},
)


def article(draft: str = DRAFT, **changed: object) -> Article:
    problems = (Problem("It was published", "The cited source does not hold 2004.", "", "must", "code"),)
    rounds = (
        Round(1, "# Old\n\nOld words.", Verdict(4.5, {"accuracy": 5}, ())),
        Round(2, draft, Verdict(8.25, {}, problems)),
    )
    made = Article(
        Brief("A topic: with a colon", "m", {"critic": "other"}, accept=8),
        Plan(
            title="Planned", audience="all", sections=[Section(heading="h", claims=[1])], open_questions=["And then?"]
        ),
        Notes(SOURCES, (Claim(1, "c", 1, "q"),), (Gap("https://gone.example", "It answered 404."),)),
        rounds,
        rounds[1],
        Ending.ACCEPTED,
    )
    return replace(made, **changed)  # type: ignore[arg-type]


def front(text: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(text.split("---\n")[1])
    return found


def test_markdown_has_all_that_a_reader_needs() -> None:
    text = export.markdown(article(), ACCOUNT)
    head = front(text)
    assert (head["title"], head["topic"], head["score"], head["rounds"], head["ending"]) == (
        "What it allows", "A topic: with a colon", 8.25, 2, "accepted",
    )  # fmt: skip
    assert head["models"] == {
        "researcher": "m", "planner": "m", "writer": "m", "critic": "other", "editor": "m",
    }  # fmt: skip
    assert "Apache allows commercial use [^1]. It was published in 2004 [^1][^2]." in text
    assert (
        f"[^1]: Title \\*1\\* \\<b\\>. <https://1.example/a?b=c&d>. Retrieved 2026-11-20T12:00:00Z. `{DIGEST}`" in text
    )
    assert "[^3]:" not in text
    assert "## Also read\n\n- Title \\*3\\*" in text
    assert "`https://3.example/a?b=c&d=<e>`" in text  # no address that can be linked
    assert "## Not verified\n\n- It was published: The cited source does not hold 2004." in text
    assert "- Everybody says that this is so without a doubt. No source is cited for it." in text
    assert "## What was not found\n\n- https://gone.example: It answered 404.\n- And then?" in text


@pytest.mark.parametrize("made", [export.markdown, export.html])
def test_a_citation_that_leads_nowhere(made: object) -> None:
    with pytest.raises(Invalid, match=r"cites \[4\], \[99\], and of 3 sources none") as told:
        made(article("# T\n\nSo [4]. And [1][99]."), ACCOUNT)  # type: ignore[operator]
    assert told.value.code == "dangling_citation"


HOSTILE = """# <script>alert(1)</script> T [1]

<img src=x onerror=alert(1)> ![p](https://evil.example/p.png) [click](javascript:alert(1)) <https://evil.example>

[1]: https://evil.example "taken over"
[^1]: a footnote of its own
[ref]: https://evil.example

[ref] [ref][] ![ref] [x][ref] <!-- a comment --> <svg/onload=alert(1)>

```
code that never ends
"""


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.found


def test_what_a_model_wrote_is_text_in_html() -> None:
    html = export.html(article(HOSTILE), ACCOUNT)
    names = [name for name, _ in tags(html)]
    assert not {"script", "img", "iframe", "object", "form", "base"} & set(names)
    links = [given["href"] for name, given in tags(html) if name == "a"]
    assert all(link and (link.startswith(("#source-", "https://1.example", "https://2.example"))) for link in links)
    assert not [given for _, given in tags(html) if any(one.startswith("on") for one in given)]
    assert names.count("svg") == 1  # the scores


def test_what_a_model_wrote_is_text_in_markdown_too() -> None:
    text = export.markdown(article(HOSTILE), ACCOUNT)
    body = text.split("---\n", 2)[2]
    rendered = MarkdownIt("commonmark", {"html": True}).render(body)  # one that allows everything
    found = tags(rendered)
    assert not {"script", "img", "svg"} & {name for name, _ in found}
    assert not [given for name, given in found if name == "a" and "evil" in (given["href"] or "")]
    assert "<h2>Not verified</h2>" in rendered  # the code block has ended
    assert text.count("\n[^1]:") == 1


TEXT_TAGS = {
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "em", "strong", "code", "pre", "hr", "br", "blockquote",
    "sup", "a", "table", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip


@given(st.text(alphabet="[]()<>!^:`~#*_ \\\n1ab&;/\"'", max_size=120))
def test_no_text_of_a_model_makes_a_tag(draft: str) -> None:
    found = tags(export.body(draft))
    assert {name for name, _ in found} <= TEXT_TAGS
    assert all((given["href"] or "").startswith("#source-") for name, given in found if name == "a")
    rendered = MarkdownIt("commonmark", {"html": True}).render(export.inert(draft))
    assert not {"a", "img", "script"} & {name for name, _ in tags(rendered)}


def test_html_stands_alone() -> None:
    html = export.html(article(), ACCOUNT)
    assert "default-src 'none'" in html
    assert not re.search(r"<(script|link|img)\b|url\(", html)
    assert '<sup class="cite"><a href="#source-2">[2]</a></sup>' in html
    assert {"source-1", "source-2", "source-3"} == {given.get("id") for name, given in tags(html) if name == "li"} - {
        None
    }
    assert "@media print" in html
    assert "prefers-color-scheme: dark" in html
    assert "Title *1* &lt;b&gt;" in html
    assert "<h1>" not in export.html(article("Just words without a heading [1]."), ACCOUNT).split("</h1>")[1]


def test_everything_as_json_and_back() -> None:
    told = article()
    document = export.document(told, ACCOUNT, "finished")
    data = json.dumps(document).encode()
    assert export.article_of(data) == told
    assert document["bill"]["writer"] == {"calls": 2, "input_tokens": 100, "output_tokens": 50, "dollars": "0.01"}
    assert (document["dollars"], document["receipts"]) == ("0.012", ["R1", "R2", "R3"])
    assert document["models"]["writer"] == {"address": "m", "digest": DIGEST}
    assert document["models"]["critic"] == {"address": "other"}
    assert document["also_read"] == [3]
    assert len(document["unverified"]) == 2
    free = replace(ACCOUNT, spent={"writer": Spent(1, 1, 1, None)})
    assert export.document(told, free, "finished")["dollars"] is None


def test_what_was_found_has_no_article() -> None:
    told = export.found(article().brief, article().notes, None, "Nobody answers.", ACCOUNT)
    assert export.article_of(json.dumps(told).encode()) is None
    assert (told["standing"], told["rounds"], told["remark"]) == ("failed", [], "Nobody answers.")


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"best": {}}', b'{"best": 1, "brief": 2}'])
def test_json_that_is_none_of_ours(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "article.json").write_bytes(data)
    with pytest.raises(Invalid, match="cannot be read"):
        export.read(tmp_path)
    assert export.read(tmp_path / "nowhere") is None


def test_scores_as_a_picture() -> None:
    told = article()
    picture = ET.fromstring(export.scores(told.rounds, 8, 2))
    ns = "{http://www.w3.org/2000/svg}"
    bars = picture.findall(f"{ns}rect")
    assert [(bar.get("class"), bar.get("height")) for bar in bars] == [("bar", "54"), ("best", "99")]
    assert picture.findtext(f"{ns}desc") == "round 1: 4.5, round 2: 8.25; 8 would be accepted."
    assert export.scores((), 8, 0) == ""


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_difference_holds_both_drafts(before: str, after: str) -> None:
    changes = export.diff(before, after)
    assert "".join(one.text for one in changes if one.kind != "new") == before
    assert "".join(one.text for one in changes if one.kind != "gone") == after


def test_a_difference_is_of_words() -> None:
    told = [(one.kind, one.text) for one in export.diff("It was 2005 then.", "It was 2004 then.")]
    assert told == [("same", "It was "), ("gone", "2005"), ("new", "2004"), ("same", " then.")]


def test_what_is_signed_keeps_its_schema() -> None:
    said = export.predicate(article(), ACCOUNT)
    predicates.check(predicates.uri("article"), said)
    assert said["counts"] == {"claims": 1, "cited": 2, "unverified": 2, "gaps": 1, "calls": 3}
    assert DRAFT not in json.dumps(said)
    with pytest.raises(Invalid):
        predicates.check(predicates.uri("article"), said | {"reader": "anna"})


def test_a_title_from_the_draft_or_the_plan() -> None:
    plan = article().plan
    assert export.title_of("no heading", plan) == "Planned"
    assert front(export.markdown(article("# A: [b] 'c' \"d\"\n\nx [1]"), ACCOUNT))["title"] == "A: [b] 'c' \"d\""
