"""A card's Markdown as HTML for a page of ours. Pure.

Everything that is written out is made here from tokens, or escaped: a card's own HTML is taken down to its text, so
nothing of it runs. Pictures are not loaded, but linked by their words; links lead only to other sites, and tell them
nothing of this one. Headings stand below those of the page.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, cast

from markupsafe import Markup

from intermodel.core import Invalid
from intermodel.records.card import Card, headings_known

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererHTML
    from markdown_it.token import Token

MOST_CHARACTERS = 60_000
"""Characters of a card that are set as HTML; the rest is in its text."""
BELOW = 3
"""Levels that a page's own headings take."""

_UNSEEN = re.compile(r"<!--.*?(?:-->|\Z)|<(script|style|template)\b.*?(?:</\1\s*>|\Z)", re.DOTALL | re.IGNORECASE)
_IMAGE = re.compile(r"<img\b[^<>]*>", re.IGNORECASE)
_ALT = re.compile(r"\balt\s*=\s*(?:\"([^\"<>]*)\"|'([^'<>]*)')", re.IGNORECASE)
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_OUTSIDE = re.compile(r"https?://[^\s]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A card for a page; `cut` where it goes on, and `unread` where its headings are none that are known here."""

    html: Markup
    cut: bool = False
    unread: bool = False


@lru_cache(16)
def rendered(text: str) -> Rendered:
    """The body of a card as HTML. A card that cannot be read as one is rendered whole."""
    try:
        card = Card.parse(text)
        body, unread = card.body, bool(card.sections) and not headings_known(card)
    except Invalid:
        body, unread = text, False
    cut = len(body) > MOST_CHARACTERS
    if cut:
        body = body[: body.rfind("\n", 0, MOST_CHARACTERS) + 1 or MOST_CHARACTERS]
    return Rendered(Markup(_markdown().render(body, {})), cut, unread)  # noqa: S704 - see `_markdown`


@cache
def _markdown() -> MarkdownIt:
    """CommonMark with tables. Its own renderer escapes texts and attributes; our rules write the rest."""
    from markdown_it import MarkdownIt  # only who reads a card needs it

    made = MarkdownIt("commonmark", {"linkify": False, "typographer": False}).enable(["table", "strikethrough"])
    cast("RendererHTML", made.renderer).rules.update(_RULES)
    return made


Tokens = Sequence["Token"]
Env = MutableMapping[str, Any]


def _heading_open(tokens: Tokens, index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return f"<h{_level(tokens[index])}>"


def _heading_close(tokens: Tokens, index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return f"</h{_level(tokens[index])}>\n"


def _level(token: Token) -> int:
    return min(6, int(token.tag[1:]) + BELOW)


def _link_open(tokens: Tokens, index: int, _options: Mapping[str, Any], env: Env) -> str:
    to = str(tokens[index].attrGet("href") or "")
    env["link"] = bool(_OUTSIDE.fullmatch(to))
    return _opened(to) if env["link"] else ""


def _link_close(_tokens: Tokens, _index: int, _options: Mapping[str, Any], env: Env) -> str:
    return "</a>" if env.pop("link", False) else ""


def _opened(to: str) -> str:
    return f'<a href="{escape(to)}" rel="noreferrer noopener nofollow">'


def _image(tokens: Tokens, index: int, _options: Mapping[str, Any], env: Env) -> str:
    token = tokens[index]
    words = f"Picture: {escape(token.content.strip()[:300]) or 'without words'}"
    to = str(token.attrGet("src") or "")
    linked = not env.get("link") and _OUTSIDE.fullmatch(to)  # a picture in a link is that link's text
    return f'<span class="picture-of">{_opened(to)}{words}</a></span>' if linked else f"<span>{words}</span>"


def _html(tokens: Tokens, index: int, _options: Mapping[str, Any], _env: Env) -> str:
    """HTML in a card: the text between its tags, and the words of its pictures."""
    token = tokens[index]
    seen = _IMAGE.sub(_picture, _UNSEEN.sub("", token.content))
    text = escape(_TAG.sub(" " if token.type == "html_block" else "", seen), quote=False)
    if token.type == "html_inline":
        return "<br>" if re.fullmatch(r"<br\s*/?>", token.content, re.IGNORECASE) else text
    return f"<p>{' '.join(text.split())}</p>\n" if text.strip() else ""


def _picture(found: re.Match[str]) -> str:
    words = _ALT.search(found[0])
    return f"Picture: {words[1] or words[2] or 'without words'} " if words else found[0]


def _code(tokens: Tokens, index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return f'<pre tabindex="0"><code>{escape(tokens[index].content, quote=False)}</code></pre>\n'


def _table_open(_tokens: Tokens, _index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return '<div class="scroll" tabindex="0" role="region" aria-label="Table"><table>\n'


def _table_close(_tokens: Tokens, _index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return "</table></div>\n"


def _cell(tokens: Tokens, index: int, _options: Mapping[str, Any], _env: Env) -> str:
    return f"<{tokens[index].tag}>"  # without the style that tells its alignment, which our pages do not permit


_RULES = cast(
    "dict[str, Any]",
    {
        "heading_open": _heading_open,
        "heading_close": _heading_close,
        "link_open": _link_open,
        "link_close": _link_close,
        "image": _image,
        "html_block": _html,
        "html_inline": _html,
        "fence": _code,
        "code_block": _code,
        "table_open": _table_open,
        "table_close": _table_close,
        "th_open": _cell,
        "td_open": _cell,
    },
)
