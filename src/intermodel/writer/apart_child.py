"""Runs in a process of its own, started by `apart`: it takes apart what strangers wrote, and may be killed at any time.

It is started as a file and imports nothing of this project. On its standard input is one line of JSON, which says what
to do, and then the bytes; on its output one JSON object.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import re
import resource
import sys
from typing import Any

_MOST_TEXT = 200_000
"""Characters of text that are handed back."""
_WEB_CODINGS = {"iso-8859-1": "cp1252", "ascii": "cp1252"}
"""What pages call Latin-1 is Windows-1252 (WHATWG Encoding, 4.2)."""
_SAID = re.compile(rb"""<meta[^>]{0,400}?charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_HIDDEN = (
    "//body//*[@hidden or @aria-hidden = 'true' or self::template or self::noscript or self::dialog[not(@open)]]"
    "|//sup[.//a[starts-with(@href, '#')]]"  # footnote marks: they would read as citations of ours
)
_UNSEEN = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|(?:font-size|opacity):0(?!\.?\d)|(?:indent|left):-\d{3}"
)
"""Styles, in small letters and without spaces, of what nobody sees."""
_INLINE = (
    "b",
    "strong",
    "i",
    "em",
    "u",
    "s",
    "code",
    "tt",
    "kbd",
    "samp",
    "var",
    "mark",
    "small",
    "big",
    "font",
    "abbr",
)
"""Emphasis, which would stand as marks within the sentences."""
_HEAD = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_TITLE = re.compile(r"^#\s+(.{1,300})$", re.MULTILINE)


def main() -> None:
    order = json.loads(sys.stdin.buffer.readline())
    _bound(order["cpu_s"], order["memory"])
    data = sys.stdin.buffer.read()
    told = _robots(order, data) if order["what"] == "robots" else _page(order, data)
    sys.stdout.write(json.dumps(told))


def _bound(cpu_s: int, memory: int) -> None:
    """By the system: it holds also where the process that would kill this one is gone."""
    for kind, most in (
        (resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, memory), (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        with contextlib.suppress(ValueError, OSError):  # not every system has each
            resource.setrlimit(kind, (most, most))


def _robots(order: dict[str, Any], data: bytes) -> dict[str, Any]:
    from protego import Protego

    rules = Protego.parse(data.decode("utf-8-sig", "replace"))
    agent = order["agent"]
    return {"allowed": rules.can_fetch(order["url"], agent), "delay": rules.crawl_delay(agent)}


def _page(order: dict[str, Any], data: bytes) -> dict[str, Any]:
    is_html = order["what"] == "html"
    text = _decoded(data, order["charset"], is_html=is_html)
    if not is_html:
        title = _TITLE.search(text[:10_000])
        return {"title": title[1].strip() if title else "", "text": text[:_MOST_TEXT], "published": ""}
    return _extracted(text, order["url"])


def _extracted(text: str, url: str) -> dict[str, Any]:
    import logging

    from lxml import etree  # type: ignore[import-untyped]
    from trafilatura.core import extract_with_metadata
    from trafilatura.utils import load_html

    logging.disable()
    tree = load_html(text)
    if tree is None:
        return {"title": "", "text": "", "published": ""}
    styled = (
        one for one in tree.xpath("//body//*[@style]") if _UNSEEN.search("".join(one.get("style").lower().split()))
    )
    for element in [*tree.xpath(_HIDDEN), *styled]:
        _drop(element)
    etree.strip_tags(tree, *_INLINE)
    found = extract_with_metadata(tree, url=url, output_format="markdown", include_comments=False)
    if found is None:
        return {"title": "", "text": "", "published": ""}
    body = _HEAD.sub("", found.text or "", count=1)
    return {"title": found.title or "", "text": body[:_MOST_TEXT], "published": found.date or ""}


def _drop(element: Any) -> None:
    """Without it and all within it; what follows it stays."""
    parent, before = element.getparent(), element.getprevious()
    if parent is None:
        return
    if element.tail:
        if before is not None:
            before.tail = (before.tail or "") + " " + element.tail
        else:
            parent.text = (parent.text or "") + " " + element.tail
    element.tail = None
    parent.remove(element)


def _decoded(data: bytes, charset: str, *, is_html: bool) -> str:
    """As the server says, or the first bytes, or the page; else UTF-8 where it is that, and Windows-1252 where not."""
    if data.startswith(codecs.BOM_UTF8):
        return data[3:].decode("utf-8", "replace")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    said = _SAID.search(data[:2048]) if is_html else None
    for name in (charset, said[1].decode() if said else ""):
        if coding := _coding(name):
            return data.decode(coding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _coding(name: str) -> str:
    """Python's name for a character set; "" for one that it does not know, or that is none."""
    try:
        found = codecs.lookup(name) if name else None
        if found is None or "\x00" in name or found.name in ("idna", "punycode", "undefined", "utf-7"):
            return ""
        b"x".decode(found.name, "replace")  # not so for `hex`, `zip` and the like
    except (LookupError, ValueError):
        return ""
    return _WEB_CODINGS.get(found.name, found.name)


if __name__ == "__main__":
    main()
