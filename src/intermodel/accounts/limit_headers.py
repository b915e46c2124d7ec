"""What is left of rate limits, in the words of OpenAI's and of Anthropic's answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

Headers = tuple[tuple[bytes, bytes], ...]


class State(NamedTuple):
    """One limit and what counts against it; `reset_s` is how long until nothing does, if nothing more comes."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    requests: int
    tokens: int
    reset_s: float


def headers(states: Iterable[State]) -> Headers:
    """OpenAI's `x-ratelimit-*`, for requests and for tokens of the limit that has least left.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    """
    requests, tokens = [], []
    for most_requests, most_tokens, has_requests, has_tokens, reset_s in states:
        if most_requests is not None:
            requests.append((most_requests - has_requests, most_requests, reset_s))
        if most_tokens is not None:
            tokens.append((most_tokens - has_tokens, most_tokens, reset_s))
    return _three(_REQUESTS, requests) + _three(_TOKENS, tokens)


def _names(kind: str) -> tuple[bytes, ...]:
    return tuple(f"x-ratelimit-{what}-{kind}".encode() for what in ("limit", "remaining", "reset"))


_REQUESTS, _TOKENS = _names("requests"), _names("tokens")


def _three(names: tuple[bytes, ...], levels: list[tuple[int, int, float]]) -> Headers:
    if not levels:
        return ()
    left, most, reset_s = levels[0] if len(levels) == 1 else min(levels)
    return (names[0], b"%d" % most), (names[1], b"%d" % max(left, 0)), (names[2], b"%.3fs" % reset_s)


_ANTHROPIC = {
    f"x-ratelimit-{ours}-{kind}".encode(): f"anthropic-ratelimit-{kind}-{ours}".encode()
    for kind in ("requests", "tokens")
    for ours in ("limit", "remaining", "reset")
}


def in_anthropic_words(of_openai: Headers, now: datetime) -> Headers:
    """The same as Anthropic says it (`anthropic-ratelimit-*`), which gives the time of the reset, not how long it is.

    https://docs.anthropic.com/en/api/rate-limits#response-headers
    """
    return tuple((_ANTHROPIC[name], _at(value, now) if b"-reset-" in name else value) for name, value in of_openai)


def _at(reset: bytes, now: datetime) -> bytes:
    moment = now.astimezone(UTC) + timedelta(seconds=float(reset.removesuffix(b"s")))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
