"""Text of others, without what a reader of it would not see. Pure."""

from __future__ import annotations

import html
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\ud800-\udfff]"
    # one of these joins letters and emoji; a row of them, or of variants, writes what nobody sees
    "|[\u200c\u200d\ufe00-\ufe0f]{2,}"
)
_TAG = re.compile("<[^<>]*>")
_FORM = re.compile(r"\d{4}-\d{2}-\d{2}")


def clean(text: str) -> str:
    """Without control characters, those that have no width or turn the direction, and Unicode's tags."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNSEEN.sub("", text).replace("\u2028", "\n").replace("\u2029", "\n\n").strip()


def untagged(text: str) -> str:
    """Without HTML's tags, for ranking and short texts; what stood between them stays."""
    return html.unescape(_TAG.sub(" ", text))


def line(value: Any, most: int) -> str:
    """What should be a short text, on one line; "" where it is no text."""
    if not isinstance(value, str):
        return ""
    found = " ".join(clean(untagged(value[: 4 * most])).split())
    return found if len(found) <= most else found[: most - 1].rstrip() + "\u2026"


def day(value: Any) -> str:
    """The date (`2025-03-04`) of what back ends call a date; "" where it is none."""
    if not isinstance(value, str) or not value or len(value) > 64:
        return ""
    if _FORM.match(value):
        value = value[:10]
    try:
        return datetime.fromisoformat(value).date().isoformat()
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(value).date().isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return ""
