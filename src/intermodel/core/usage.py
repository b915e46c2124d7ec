"""What a call used, in one shape for every vendor."""

from __future__ import annotations

from dataclasses import dataclass

MOST_TOKENS = 10**9
"""A larger number in an answer is no count: nothing reads or makes so many tokens."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. The indented counts are *part of* the one above them, as OpenAI counts; Anthropic's are added up.

    ::

        input                    everything that was read
            cached_input         of it, read from the vendor's prompt cache
            cache_write          of it, written to that cache (Anthropic bills it apart)
                cache_write_1h   of that, kept for an hour and not for minutes; None where nobody told them apart
            audio_input          of it, audio
            image_input          of it, images
        output                   everything that was made
            reasoning            of it, thought and not said
            audio_output         of it, audio
            image_output         of it, images

    `estimated` says that no upstream reported these numbers. `tier` is what the answer said it was served at, which
    may change the price: a service tier (`default`, `priority`), a speed, a place; "" where it said nothing.
    """

    input: int = 0
    output: int = 0
    cached_input: int = 0
    cache_write: int = 0
    audio_input: int = 0
    image_input: int = 0
    reasoning: int = 0
    audio_output: int = 0
    image_output: int = 0
    estimated: bool = False
    cache_write_1h: int | None = None
    tier: str = ""


def counted(value: object) -> int:
    """A count as an upstream reports it; 0 for what is none (a text, a fraction, a negative or absurd number)."""
    return value if type(value) is int and 0 <= value <= MOST_TOKENS else 0


def tier_told(value: object) -> str:
    """A service tier as an upstream names it, in small letters; "" where it names none, `other` for what is no name.

    Several names are joined by `+`.
    """
    if value is None or value == "":
        return ""
    if value == "default":
        return "default"
    if type(value) is not str or len(value) > 32 or not value.isascii():
        return "other"
    return value.lower() if value.replace("+", "_").isidentifier() else "other"


def countable(*values: object) -> bool:
    """Whether each is a count or not there. A usage of which one is neither counts as not reported."""
    for value in values:
        if value is not None and (type(value) is not int or not 0 <= value <= MOST_TOKENS):
            return False
    return True
