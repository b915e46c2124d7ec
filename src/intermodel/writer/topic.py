"""What may be asked for, as far as it can be told before anything is asked. Pure."""

from __future__ import annotations

import unicodedata

from intermodel.core import Invalid
from intermodel.writer.language import check_language
from intermodel.writer.values import MOST_TOPIC

MOST_WISH = {"audience": 300, "tone": 200, "language": 60}
"""Characters of what may be asked for besides the topic."""


def check_topic(topic: str) -> str:
    """The topic as it is worked on. Raises `Invalid`."""
    if not topic.strip():
        raise Invalid("The topic is empty.", hint='Say what to write about: intermodel write "TOPIC" --out DIR')
    if len(topic) > MOST_TOPIC:
        raise Invalid(
            f"The topic has {len(topic):,} characters; at most {MOST_TOPIC:,} are taken.",
            hint="Say in a sentence or two what the post is about; sources are searched for, not given here.",
        )
    _check_text("The topic", topic)
    return " ".join(topic.split())


def check_wish(name: str, text: str) -> str:
    """For whom, in which tone or language, as it is worked on; "" where nothing is wanted. Raises `Invalid`."""
    most = MOST_WISH[name]
    if len(text) > most:
        raise Invalid(
            f"The {name} has {len(text):,} characters; at most {most:,} are taken.", hint="Say it shorter.", param=name
        )
    _check_text(f"The {name}", text, name)
    if name == "language":
        check_language(text)
    return " ".join(text.split())


def _check_text(what: str, text: str, param: str | None = None) -> None:
    wrong = next((c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\r\t"), None)
    if wrong is not None:
        raise Invalid(f"{what} holds a character that is no text: {wrong!a}.", hint="Leave it out.", param=param)
