"""One call of a model, as the gateway and the providers pass it on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What is asked of a model; the value is the path below ``/v1`` in OpenAI's protocol."""

    CHAT = "chat/completions"
    COMPLETION = "completions"
    EMBEDDING = "embeddings"


class Capability(StrEnum):
    """What a call may need of a model. Deployments state theirs as data; unknown ones are not refused for it."""

    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    VISION = "vision"
    LOGPROBS = "logprobs"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that the edge has parsed and checked.

    `model` is the address or alias as the caller wrote it; `body` is the request in OpenAI's form and is
    never changed: a provider that must say something else upstream sends a copy.
    """

    kind: Kind
    model: str
    body: dict[str, Any]
    stream: bool = False
    needs: frozenset[Capability] = field(default_factory=frozenset)
    request_id: str = ""
