"""How much a call may cost at most, and what it did cost: the numbers that budgets are asked with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from intermodel.accounts import MOST_NANO, Price
from intermodel.accounts.prices import CHEAPER_TIERS, USUAL_TIERS
from intermodel.core import MOST_TOKENS, Call, Capability, Kind, Usage, tier_told
from intermodel.gateway.choose import Target
from intermodel.protocols import choices_of

OUTPUT_TOKENS = 8192
"""What one answer is held to under a budget, where neither the call nor the deployment names a limit."""

IMAGE_TOKENS = 16_384
"""Most tokens that vendors count for one picture (Anthropic, Google and OpenAI stay below)."""

_LIMITS = {
    Kind.CHAT: ("max_completion_tokens", "max_tokens"),
    Kind.COMPLETION: ("max_tokens",),
    Kind.RESPONSES: ("max_output_tokens",),
    Kind.MESSAGES: ("max_tokens",),
}
"""The fields in which each protocol bounds an answer; the first is the one to be set."""

COUNTED = frozenset(_LIMITS) | {Kind.EMBEDDING}
"""Kinds whose use is counted in tokens of text."""

_LISTS = frozenset({"messages", "input"})
"""Where a request has what people and models said: images stand nowhere else."""

_CALLERS_TOOLS = ("function", "custom", "bash_", "text_editor_", "computer_", "memory_")
"""Kinds of tools that work at the caller, as their names begin."""

_FILES = frozenset({"file", "input_file", "video_url", "input_video", "video", "container_upload", "item_reference"})
"""Parts of a message that are read as more than their bytes."""

_ELSEWHERE = frozenset({"web_search_options", "mcp_servers", "container", "previous_response_id", "conversation"})
"""Fields of a request that have the vendor read what is not in it."""

_ADDRESS_BYTES = 8192
"""A longer address is no address."""


_TIERS = ("speed", "service_tier", "inference_geo")
"""Fields in which a call asks for what changes its price: of Anthropic's, of OpenAI's and Anthropic's."""


def tier_asked(call: Call) -> str:
    """What the call asks for that changes its price, as `Usage.tier` tells it; "" for the usual."""
    body = call.body
    if "service_tier" in body or "speed" in body or "inference_geo" in body:
        return "+".join(tier for field in _TIERS if (tier := _tier_in(body, field)))
    return ""


def _tier_in(body: dict[str, Any], field: str) -> str:
    asked = body.get(field)  # speech has a speed too, which is a number
    tier = tier_told(asked) if isinstance(asked, str) else ""
    return "" if tier in USUAL_TIERS else tier


def price_at(price: Price | None, tier: str) -> Price | None:
    """The price that bounds what a call costs which asks for that tier; None where nobody knows one."""
    if price is None or not tier:
        return price
    found = price.at(tier)
    return price if found is None and tier in CHEAPER_TIERS else found


Bill = tuple[int | None, int, Price | None]
"""What an attempt cost, in nano-dollars (None: nobody knows), what budgets are charged for it (what it cost, else what
bounds it), and at which price (None: nobody knows)."""


def billed(listed: Price | None, tier: str, call: Call, usage: Usage | None, held: int | None) -> Bill:
    """What an attempt came to that was served at `tier`, where `listed` is the price of its deployment.

    `held` is what was set aside for it; None where no budget binds. An estimate comes to no more than that.
    """
    price = listed.at(tier) if listed is not None and tier else listed
    if price is None or usage is None:
        return _unknown_price(listed, tier, usage, held) if price is None else _unknown_usage(price, held)
    known = True
    if usage.cache_write:
        if usage.cache_write_1h is None and keeps_an_hour(call):  # how much of it is kept so long, nobody told
            usage, known = replace(usage, cache_write_1h=usage.cache_write), False
        known = known and price.knows(usage)
    cost = min(price.cost(usage), MOST_NANO)
    if usage.estimated and held is not None and cost > held:
        cost = held
    return cost if known else None, cost, price


def _unknown_price(listed: Price | None, tier: str, usage: Usage | None, held: int | None) -> Bill:
    """Of a tier that costs less than the usual one, the usual price bounds what it cost."""
    if held is None or listed is None:
        return None, held or 0, None
    usual = min(listed.cost(usage), MOST_NANO) if usage is not None else held
    if tier not in CHEAPER_TIERS:
        return None, max(held, usual), None
    return None, min(held, usual) if usage is not None and usage.estimated else usual, None


def _unknown_usage(price: Price, held: int | None) -> Bill:
    """Nobody told what was used: what the request alone costs is known, and all that can be known of others."""
    if price.by_request:
        cost = min(price.cost(_NONE), MOST_NANO)
        return cost, cost, price
    return None, held or 0, price


def keeps_an_hour(call: Call) -> bool:
    """Whether the call asks its vendor to keep what it reads for longer than the usual minutes."""
    if call.kind not in (Kind.CHAT, Kind.MESSAGES) or (call.only_text and "cache_control" not in call.body):
        return False
    return _keeps_long(call.body)


def _keeps_long(value: Any) -> bool:
    if isinstance(value, dict):
        asked = value.get("cache_control")
        if isinstance(asked, dict) and asked.get("ttl", "5m") != "5m":
            return True
        return any(_keeps_long(one) for one in value.values() if isinstance(one, (dict, list)))
    return isinstance(value, list) and any(map(_keeps_long, value))


def limited(call: Call, target: Target) -> int:
    """The most tokens that all answers to `call` may have together."""
    if call.kind not in _LIMITS:
        return 0
    one = _named(call)
    return min(one if one is not None else target.output_tokens or OUTPUT_TOKENS, MOST_TOKENS) * answers(call)


def answers(call: Call) -> int:
    """How many answers the call pays for; `best_of` are made where only `n` are given."""
    if call.only_text and "n" not in call.body:
        return 1
    best = call.body.get("best_of") if call.kind is Kind.COMPLETION else None
    several = max(1, choices_of(call))
    if type(best) is not int or best <= 1:
        return several
    each = max(1, int(call.body.get("n") or 1))
    return several // each * max(best, each)


def held(call: Call, tokens: int) -> dict[str, Any]:
    """The call's body, whose answers are held to `tokens` together: by the limit that it names, or else by one more."""
    fields = _LIMITS.get(call.kind)
    if fields is None:
        return call.body
    most = max(1, tokens // answers(call))
    named = {field: value for field in fields if (value := call.body.get(field)) is not None}
    if named and all(type(value) is int and 0 < value <= most for value in named.values()):
        return call.body
    kept = {field: min(value, most) for field, value in named.items() if type(value) is int and value > 0}
    body = {field: value for field, value in call.body.items() if field not in named}
    return body | (kept or {fields[0]: 1 if named else most})


def _named(call: Call) -> int | None:
    """The limit of one answer that a request sets itself; of several the largest, for servers go by either."""
    largest = None
    for field in _LIMITS.get(call.kind, ()):
        value = call.body.get(field)
        if type(value) is int and value >= 0 and (largest is None or value > largest):
            largest = max(1, value)
    return largest


def most_read(call: Call) -> int:
    """A bound on the tokens of a request: no tokenizer makes more tokens than there are bytes."""
    if call.size and Capability.VISION not in call.needs and call.kind in _LIMITS:
        return call.size + 64
    if call.kind is Kind.RERANK:  # each document is read with the query
        documents = call.body.get("documents")
        several = len(documents) if isinstance(documents, list) else 1
        return (_bytes_of(call.body.get("query")) + 64) * max(1, several) + _bytes_of(call.body)
    return _bytes_said(call.body) + 64


def _bytes_said(body: dict[str, Any]) -> int:
    """The bytes of a request, each image among its messages as `IMAGE_TOKENS`."""
    return sum(_bytes_of(value, images=key in _LISTS) + len(key) + 8 for key, value in body.items())


def _bytes_of(value: Any, *, images: bool = False) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode(errors="surrogatepass"))
    if isinstance(value, list):
        return sum(_bytes_of(one, images=images) for one in value) + 8 * len(value)
    if isinstance(value, dict):
        if images and _is_image(value):
            return IMAGE_TOKENS
        return sum(_bytes_of(one, images=images) + len(key) for key, one in value.items())
    return 8


def _is_image(block: dict[str, Any]) -> bool:
    """Whether a part of a message is an image and nothing else: by its address, its bytes, or its file's id."""
    kind = block.get("type")
    if kind == "image_url" and block.keys() <= {"type", "image_url"}:
        image = block.get("image_url")
        return isinstance(image, dict) and image.keys() <= {"url", "detail"} and _is_address(image.get("url"))
    if kind == "input_image" and block.keys() <= {"type", "image_url", "file_id", "detail"}:
        return _is_address(block.get("image_url") or "https:") and len(str(block.get("file_id"))) < _ADDRESS_BYTES
    if kind != "image" or not block.keys() <= {"type", "source", "cache_control"}:
        return False
    source = block.get("source")
    if not isinstance(source, dict):
        return False
    pictured = str(source.get("media_type") or "").startswith("image/")
    return (source.get("type") == "base64" and pictured) or _is_address(source.get("url"))


def _is_address(url: Any) -> bool:
    if not isinstance(url, str):
        return False
    return url.startswith("data:image/") or (url.startswith("http") and len(url) <= _ADDRESS_BYTES)


def unbounded(call: Call, price: Price | None) -> str:
    """What of a call no budget can bound at that price, as a field of it or as its kind; "" where all is bounded.

    None: nobody knows the price at the tier that the call asks for.
    """
    if price is None:
        return next(field for field in _TIERS if _tier_in(call.body, field))
    if price.by_request:
        return ""
    if call.kind is Kind.TRANSCRIPTION:
        return "file"
    if call.kind in (Kind.IMAGE, Kind.SPEECH) and not price.makes_free:
        return call.kind.value
    return _unbounded_field(call) if call.kind.conversation else ""


def _unbounded_field(call: Call) -> str:
    body = call.body
    if call.only_text and _ELSEWHERE.isdisjoint(body):
        return ""
    for field in _ELSEWHERE:
        if body.get(field):
            return field
    if any(_is_vendors(tool) for tool in body.get("tools") or ()):
        return "tools"
    for field in _LISTS:
        turns = body.get(field)
        for turn in turns if isinstance(turns, list) else ():
            if _is_file(turn) or any(map(_is_file, _parts(turn))):
                return field
    return ""


def _parts(turn: Any) -> list[Any]:
    found = (turn.get("content") or turn.get("output")) if isinstance(turn, dict) else None
    return found if isinstance(found, list) else []


def _is_vendors(tool: Any) -> bool:
    """Whether a tool works at the vendor, which bills what it gives as read."""
    kind = tool.get("type") if isinstance(tool, dict) else None
    return kind is not None and not str(kind).startswith(_CALLERS_TOOLS)


def _is_file(block: Any) -> bool:
    """Whether a part of a message is read as more than its bytes say: a document's pages, a video, a file elsewhere."""
    if not isinstance(block, dict):
        return False
    source = block.get("source")
    if block.get("type") == "document":
        return not isinstance(source, dict) or source.get("type") not in ("text", "content")
    if block.get("type") == "tool_result":
        return any(map(_is_file, _parts(block)))
    return block.get("type") in _FILES


def about_read(call: Call) -> int:
    """The likely tokens of a request, where nobody counted them: a token in four bytes (OpenAI's rule of thumb)."""
    plain = call.size and Capability.VISION not in call.needs
    return -(-(call.size if plain else _bytes_said(call.body)) // 4)


def likely(call: Call) -> int:
    """The tokens for which a call is counted until it is known how many they were."""
    return about_read(call) + min(_named(call) or 0, OUTPUT_TOKENS)


def estimated(call: Call, made: int) -> Usage:
    """What a call used that was not seen to its end: its request, and what was made as far as that came."""
    return Usage(input=about_read(call), output=made, estimated=True)


def used(call: Call, reported: Usage | None, made: int, *, whole: bool) -> Usage | None:
    """What a call used: as reported, and at least `made` where that was not of the `whole` answer; else estimated.

    None where nothing was reported of a kind that is not counted in tokens of text.
    """
    if reported is None or not (reported.input or reported.output):
        if call.kind not in COUNTED:
            return reported
        guess = estimated(call, made)
        return replace(guess, tier=reported.tier) if reported is not None and reported.tier else guess
    if whole or made <= reported.output:
        return reported
    return replace(reported, output=made, estimated=True)


_NONE = Usage()
