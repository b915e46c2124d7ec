"""What a run leaves: Markdown, HTML, JSON, the picture of the scores."""

from __future__ import annotations

import json
import re
import time
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
from intermodel.writer.loop import settled
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
    assert "## What was not found\n\n- https\\://gone.example: It answered 404.\n- And then?" in text


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


EVIL = [
    "> [foo]: https://evil.example\n\nSee [foo] [1].",
    "- [foo]: https://evil.example\n\nSee [foo] [1].",
    "[a\\]b]: https://evil.example\n\nSee [a\\]b] [1].",
    "[a\nb]: https://evil.example\n\nSee [a b] [1].",
    f"[{'x' * 900}]: https://evil.example\n\nSee [{'x' * 900}] [1].",
    "At https://evil.example and HTTP://evil.example and www.evil.example and ftp://evil.example [1].",
    "- a\n  ```\nhttps://evil.example [1]",
    "\r```\rhttps://evil.example\r```\rhttps://evil.example [1]",
    "```\n\n```\n\nhttps://evil.example [1]",
    "\\\\\\[^2]: https://evil.example [1]",
]  # fmt: skip


@pytest.mark.parametrize("draft", EVIL)
def test_no_address_of_a_model_is_live(draft: str) -> None:
    """Not even where a reader of Markdown makes links of what only looks like an address (GFM, 6.9): such a reader
    looks at pieces of text between what is escaped."""
    body = export.markdown(article(draft), replace(ACCOUNT, digests={})).split("---\n", 2)[2]
    body = body[: body.index("## ")]
    reader = MarkdownIt("commonmark").disable("text_join")
    assert not [given for name, given in tags(reader.render(body)) if name == "a"], body
    pieces = [piece.content for one in reader.parse(body) for piece in one.children or () if piece.type == "text"]
    assert not [piece for piece in pieces if re.search(r"(https?|ftp)://|www\.", piece, re.IGNORECASE)], body
    links = [given["href"] for name, given in tags(export.body(draft)) if name == "a"]
    assert set(links) <= {"#source-1"}


def test_a_block_of_code_stays_as_it_was_written() -> None:
    code = "```sh\ncurl http://localhost:8000/v1  # List<String> a[1](x)\n```"
    text = export.markdown(article(f"# T\n\nSo [1]:\n\n{code}\n\nSee http://x.example."), ACCOUNT)
    assert "curl http://localhost:8000/v1  # List<String> a[" in text
    assert "See http\\://x.example." in text
    assert "http://localhost:8000/v1  # List&lt;String&gt; a[" in export.body(code)


@pytest.mark.parametrize("fence", ["```", "~~~~ x", "- a\n  ```", "> ```", "```\na\n``", "```\na\n```"])
def test_a_block_of_code_that_never_ends_takes_nothing_with_it(fence: str) -> None:
    text = export.markdown(article(f"So [1].\n\n{fence}\n"), ACCOUNT).split("---\n", 2)[2]
    assert "<h2>Also read</h2>" in MarkdownIt().render(text)


@pytest.mark.parametrize("draft", ["Go [9](http://x) on [1].", "See [0001] and [\u0661] and &#91;9&#93; here [1]."])
def test_only_a_citation_becomes_a_footnote(draft: str) -> None:
    told = settled(article(draft))
    text = export.markdown(told, ACCOUNT).split("---\n", 2)[2]
    assert set(re.findall(r"\[\^([^\]]*)\]", text)) == {"1"}
    assert set(re.findall(r'href="#source-([^"]*)"', export.body(told.best.draft))) == {"1"}


def test_what_nobody_sees_is_left_out() -> None:
    told = article("# T\u202e\x1b[31m\n\nSo [1].")
    plan = replace(told, plan=told.plan.model_copy(update={"open_questions": ["And\x07 \u202ethen?"]}))
    text = export.markdown(plan, ACCOUNT)
    assert front(text)["title"] == "T[31m"
    assert "- And then?" in text


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


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the model is open. " * 240, "the model is free. " * 240),
        ("the model is open. " * 240, "the open model is. " * 240),
        ("a b " * 1500, "b a c " * 1000),
        ("A. " * 8000, "B. A. " * 4000),
        ("a b\n" * 3000, "b a c\n" * 2000),
    ],
)
def test_a_difference_costs_little_whatever_the_drafts_say(before: str, after: str) -> None:
    began = time.process_time()
    changes = export.diff(before, after)
    assert time.process_time() - began < 5  # it was more than 16
    assert "".join(one.text for one in changes if one.kind != "new") == before
    assert "".join(one.text for one in changes if one.kind != "gone") == after


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
