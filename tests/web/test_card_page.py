"""Cards as HTML: what Markdown says is set, and nothing of a card runs, loads or leads into this node."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intermodel.web.pages.card import MOST_CHARACTERS, rendered

TAGS = {
    "a", "span", "h4", "h5", "h6", "p", "pre", "code", "em", "strong", "s", "ul", "ol", "li", "blockquote", "hr", "br",
    "table", "thead", "tbody", "tr", "th", "td", "div",
}  # fmt: skip
ATTRIBUTES = {"href", "rel", "class", "tabindex", "role", "aria-label", "start"}


class Seen(HTMLParser):
    """What a browser would find in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name == "href"]


def html(text: str) -> str:
    return str(rendered(text).html)


def harmless(text: str) -> Seen:
    seen = Seen(html(text))
    assert seen.tags <= TAGS, seen.tags
    assert seen.attributes <= ATTRIBUTES, seen.attributes
    assert all(re.match(r"https?://", link, re.IGNORECASE) for link in seen.links), seen.links
    return seen


def test_the_head_is_left_out_and_headings_stand_below_the_pages_own() -> None:
    assert html("---\nlicense: mit\n---\n# One\n## Two\n###### Six") == "<h4>One</h4>\n<h5>Two</h5>\n<h6>Six</h6>\n"


def test_markdown_is_set() -> None:
    assert html("*a* **b** `c<d>`") == "<p><em>a</em> <strong>b</strong> <code>c&lt;d&gt;</code></p>\n"
    assert "<td>1</td>" in html("| a | b |\n|:--|--:|\n| 1 | 2 |")
    assert '<pre tabindex="0"><code>x &lt; 1\n</code></pre>' in html("```python\nx < 1\n```")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a <script>alert(1)</script> b",
        "<div onclick=alert(1)>x</div>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](  JaVaScRiPt:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "[x](//evil.example)",
        "[x](/signout)",
        "[x](#main)",
        "![x](data:image/svg+xml,<svg/onload=alert(1)>)",
        "![x](https://tracker.example/pixel.png)",
        '<a href="javascript:alert(1)">x</a>',
        '![x"><script>alert(1)</script>](https://a.example)',
        '[x](https://a.example/"onmouseover="alert(1))',
        "<https://a.example/'\"><script>alert(1)</script>>",
        '```"><script>alert(1)</script>\nx\n```',
        "| <script>alert(1)</script> |\n|---|\n| <img src=x> |",
        "<style>body{display:none}</style>",
        "<!-- <script> --> <script>x",
        "<form action=/signout method=post><button>x</button></form>",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "[x]: javascript:alert(1)\n\n[x]",
    ],
)
def test_nothing_of_it_runs_loads_or_leads_into_this_node(text: str) -> None:
    harmless(text)
    harmless(f"# {text}\n\n- {text}\n\n> {text}")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="<>[]()!`*_#|&\"'\\/:-= \nashtpx", max_size=120))
def test_no_text_makes_other_markup(text: str) -> None:
    harmless(text)


def test_pictures_and_links_are_words_that_lead_outside() -> None:
    seen = harmless("![A plot](https://a.example/p.png) [![badge](https://b.example/x.svg)](https://c.example)")
    assert seen.links == ["https://a.example/p.png", "https://c.example"]
    assert "Picture: A plot" in html("![A plot](https://a.example/p.png)")
    assert 'rel="noreferrer noopener nofollow"' in html("[x](https://a.example)")
    assert html("[files](../tree/main)") == "<p>files</p>\n"


def test_html_of_a_card_is_its_text() -> None:
    assert html('<div align="center"><img src="x" alt="Logo"><h1>Name</h1></div>') == "<p>Picture: Logo Name</p>\n"
    assert html("one<br/>two <b>three</b>") == "<p>one<br>two three</p>\n"
    assert html("<!-- not seen -->") == ""


def test_the_words_of_a_picture_are_looked_for_in_its_tag_alone() -> None:
    assert html('<div><img src="x"> and <b alt="no">words</b></div>') == "<p>and words</p>\n"
    assert html("<div><img alt='One'><img src=x alt = \"\"></div>") == "<p>Picture: One Picture: without words</p>\n"


@pytest.mark.parametrize("text", ['<img alt="" ' + 'alt="" ' * 8000, "<img alt=''" * 5000, "<img alt " * 6000])
def test_a_tag_without_an_end_takes_no_time(text: str) -> None:
    began = time.process_time()
    html(f"<div>\n{text}")
    assert time.process_time() - began < 0.3


def test_a_long_card_is_cut_at_a_line() -> None:
    found = rendered("a line of words\n" * MOST_CHARACTERS)
    assert found.cut
    assert len(found.html) < 2 * MOST_CHARACTERS
    assert not rendered("short").cut


def test_a_broken_head_is_no_reason_to_show_nothing() -> None:
    assert "<h4>Thing</h4>" in html("---\nlicense: [mit\n---\n# Thing")


def test_headings_that_nobody_looks_for_are_told() -> None:
    assert rendered("# Acme 7B\n## Quickstart\nRun it.").unread
    assert not rendered("# Acme 7B\n## Limitations\nMany.").unread
    assert not rendered("# Acme 7B\n## 训练数据\nx").unread
    assert not rendered("only a text").unread
