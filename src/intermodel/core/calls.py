"""One call of a model, as the gateway and the providers pass it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is asked of a model, and in whose form; the value is the path below ``/v1`` where it is asked.

    CHAT is the form into which and from which the other conversations (RESPONSES, MESSAGES) are translated.
    """

    CHAT = "chat/completions"
    COMPLETION = "completions"
    EMBEDDING = "embeddings"
    RESPONSES = "responses"
    """OpenAI's Responses, stateless."""
    MESSAGES = "messages"
    """Anthropic's Messages."""
    RERANK = "rerank"
    TRANSCRIPTION = "audio/transcriptions"
    SPEECH = "audio/speech"
    IMAGE = "images/generations"

    @property
    def conversation(self) -> bool:
        """Whether it can be said in the other conversations' forms too."""
        return self in _CONVERSATIONS


_CONVERSATIONS = frozenset({Kind.CHAT, Kind.RESPONSES, Kind.MESSAGES})


class Capability(StrEnum):
    """What a call may need of a model. Deployments state theirs as data; unknown ones are not refused for it."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    LOGPROBS = "logprobs"
    RERANK = "rerank"
    TRANSCRIPTION = "transcription"
    SPEECH = "speech"
    IMAGE = "image"
    """Makes images; VISION reads them."""
    CONTINUES = "continues"
    """Goes on from the words of a last assistant message instead of answering it."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart form (RFC 7578)."""

    field: str
    filename: str
    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the edge has parsed and checked.

    `model` is the address or the route as the caller wrote it; `body` is the request in the form of `kind` and is
    never changed: a provider that must say something else upstream sends a copy. `upload` is the rest of a form with
    files (transcriptions), whose plain fields are in `body`.
    """

    kind: Kind
    model: str
    body: dict[str, Any]
    stream: bool = False
    needs: frozenset[Capability] = field(default_factory=frozenset)
    request_id: str = ""
    upload: tuple[Upload, ...] = ()
    size: int = 0
    """Bytes of the request as it came, where that is known."""
    trace: str = ""
    """The caller's W3C `traceparent`, as it came."""
    only_text: bool = field(default=False, compare=False)
    """Whether it is seen to hold nothing but texts: no tool, no file, no image. False where nobody looked."""
