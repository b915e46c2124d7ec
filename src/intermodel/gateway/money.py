"""How much a call may cost at most, and what it did cost: the numbers that budgets are asked with."""

from __future__ import annotations

from typing import Any

from intermodel.accounts import Price
from intermodel.core import Call, Capability, Kind, Usage
from intermodel.gateway.choose import Target
from intermodel.protocols import choices_of

OUTPUT_TOKENS = 8192
"""What one answer is held to under a budget, where neither the call nor the deployment names a limit."""

IMAGE_TOKENS = 16_384
"""Most tokens that vendors count for one picture (Anthropic, Google and OpenAI stay below)."""

_LIMIT = {Kind.CHAT: "max_completion_tokens", Kind.COMPLETION: "max_tokens", Kind.RESPONSES: "max_output_tokens",
          Kind.MESSAGES: "max_tokens"}  # fmt: skip
"""The field in which each protocol bounds an answer."""

_FIELDS = tuple(dict.fromkeys(("max_tokens", *_LIMIT.values())))

COUNTED = frozenset(_LIMIT) | {Kind.EMBEDDING}
"""Kinds whose use is counted in tokens of text."""

_ENCODED = frozenset({"data", "url", "image_url", "file_data"})
"""Fields that may hold encoded bytes, which are not counted as text."""


def limited(call: Call, target: Target) -> int:
    """The most tokens that all answers to `call` may have together."""
    if call.kind not in _LIMIT:
        return 0
    return (_named(call.body) or target.output_tokens or OUTPUT_TOKENS) * choices_of(call)


def held(call: Call, tokens: int) -> dict[str, Any]:
    """The call's body, which names `tokens` as the limit of one answer where it named none."""
    field = _LIMIT.get(call.kind)
    if field is None or _named(call.body) is not None:
        return call.body
    return call.body | {field: tokens // choices_of(call)}


def _named(body: dict[str, Any]) -> int | None:
    """The limit of one answer that a request sets itself, in whichever field."""
    least = None
    for field in _FIELDS:
        value = body.get(field)
        if isinstance(value, int) and (least is None or value < least):
            least = value
    return least


def most_read(call: Call) -> int:
    """A bound on the tokens of a request: no tokenizer makes more tokens than there are bytes."""
    if call.size and Capability.VISION not in call.needs and call.kind in _LIMIT:
        return call.size + 64
    if call.kind is Kind.IMAGE or call.kind is Kind.SPEECH:
        return len(str(call.body.get("input") or call.body.get("prompt") or "").encode())
    return _bytes_of(call.body) + 64


def _bytes_of(value: Any) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    if isinstance(value, list):
        return sum(map(_bytes_of, value)) + 8 * len(value)
    if isinstance(value, dict):
        return sum(IMAGE_TOKENS if key in _ENCODED else _bytes_of(one) + len(key) for key, one in value.items())
    return 8


def about_read(call: Call) -> int:
    """The likely tokens of a request, where nobody counted them: a token in four bytes (OpenAI's rule of thumb)."""
    plain = call.size and Capability.VISION not in call.needs
    return -(-(call.size if plain else _bytes_of(call.body)) // 4)


def likely(call: Call) -> int:
    """The tokens for which a call is counted until it is known how many they were."""
    return about_read(call) + min(_named(call.body) or 0, OUTPUT_TOKENS)


def estimated(call: Call, events: int) -> Usage:
    """What a call used that was not seen to its end: its request, and about a token for each event that came."""
    return Usage(input=about_read(call), output=events, estimated=True)


def cost_of(price: Price | None, usage: Usage) -> int:
    """Nano-dollars; 0 where no price is known."""
    return price.cost(usage) if price is not None else 0
