"""What may be written about, as far as it can be told before anything is asked. Pure."""

from __future__ import annotations

import unicodedata

from intermodel.core import Invalid
from intermodel.writer.values import MOST_TOPIC


def check_topic(topic: str) -> str:
    """The topic as it is worked on. Raises `Invalid`."""
    if not topic.strip():
        raise Invalid("The topic is empty.", hint='Say what to write about: intermodel write "TOPIC" --out DIR')
    if len(topic) > MOST_TOPIC:
        raise Invalid(
            f"The topic has {len(topic):,} characters; at most {MOST_TOPIC:,} are taken.",
            hint="Say in a sentence or two what the post is about; sources are searched for, not given here.",
        )
    wrong = next((c for c in topic if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t"), None)
    if wrong is not None:
        raise Invalid(f"The topic holds a character that is no text: {wrong!a}.", hint="Leave it out.")
    return " ".join(topic.split())
