"""What a call used, in one shape for every vendor."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. The indented counts are *part of* the one above them, as OpenAI counts; Anthropic's are added up.

    ::

        input                    everything that was read
            cached_input         of it, read from the vendor's prompt cache
            cache_write          of it, written to that cache (Anthropic bills it apart)
            audio_input          of it, audio
            image_input          of it, images
        output                   everything that was made
            reasoning            of it, thought and not said
            audio_output         of it, audio
            image_output         of it, images

    `estimated` says that no upstream reported these numbers.
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
