"""What every protocol for conversations must be able to say, and the chat form in which they meet.

The chat form is OpenAI's chat completions with what other vendors have and it has not, under these names:

- `message.reasoning_content`, `delta.reasoning_content`: what the model thought, as text (DeepSeek's and vLLM's name).
- `message.reasoning_signature`, `delta.reasoning_signature`: the vendor's seal on it, sent back in later turns.
- `usage` as OpenAI's, plus `prompt_tokens_details.cache_write_tokens` and, of them, `cache_write_1h_tokens` where that
  was told; the vendor's own numbers are not repeated.
- `service_tier` where an answer was served at another than the usual one; of a fast or a local one, the vendor's word.
- `message.refusal` and `finish_reason: "content_filter"` for an answer that a filter held back.

A chunk is one `chat.completion.chunk` as a dict. The last chunk of a stream that reports usage has `choices: []` and
`usage`, as with `stream_options.include_usage`; decoders always give it where the upstream reported anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Body = dict[str, Any]
Chunk = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resumed:
    """A stream that the client has seen the beginning of; the encoder goes on after it without beginning again.

    `id` and `model` are those the client saw, `text` what it has read so far (plain text of the first choice).
    `sequence` is the number of the last event where the protocol numbers them (Responses).
    """

    id: str
    model: str
    created: int
    text: str
    sequence: int = 0


class Decoder(Protocol):
    """Bytes of a protocol's stream, however cut, to chat chunks."""

    def feed(self, data: bytes) -> list[Chunk]:
        """The chunks that are complete with `data`; [] while an event is cut in the middle.

        Raises `Upstream` (retryable) for an error event of the protocol and for what is no such stream.
        """

    def end(self) -> list[Chunk]:
        """What is still to come once the upstream has closed. Raises `Upstream` if the answer was not finished."""


class Encoder(Protocol):
    """Chat chunks to the bytes of a protocol's stream."""

    def feed(self, chunks: Sequence[Chunk]) -> bytes: ...

    def end(self) -> bytes:
        """The protocol's end mark and what belongs before it (usage, stop). Not called after an error."""


class Inbound(Protocol):
    """A protocol in which callers speak. `asked` is their request in its own form: some of it shapes the answer."""

    def request_to_chat(self, body: Body) -> Body:
        """A request of this protocol in chat form. Raises `Invalid`, naming the field that has no place there."""

    def answer_from_chat(self, answer: Body, asked: Body) -> Body: ...

    def encoder(self, asked: Body, resumed: Resumed | None = None) -> Encoder: ...


class Outbound(Protocol):
    """A protocol in which upstreams are asked."""

    def request_from_chat(self, body: Body) -> Body:
        """A chat request in this protocol. Raises `Invalid` (`unsupported_field`), naming what has no place here."""

    def answer_to_chat(self, answer: Body) -> Body: ...

    def decoder(self) -> Decoder: ...


class Dialect(Inbound, Outbound, Protocol):
    """One protocol, for both directions."""
