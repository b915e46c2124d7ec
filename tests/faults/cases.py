"""The faults of an upstream, and what its callers must see of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Form = Literal["whole", "stream", "messages"]
ALL: tuple[Form, ...] = ("whole", "stream", "messages")
STREAMS: tuple[Form, ...] = ("stream", "messages")


@dataclass(frozen=True)
class Case:
    """A fault, by the name under which `server` has it. `silent`: only a deadline ends it."""

    fault: str
    how: str
    forms: tuple[Form, ...] = ALL
    silent: bool = False


CASES = [
    Case("the connection is refused", "refused"),
    Case("the name does not resolve", "no-name"),
    Case("the certificate is self-signed", "self-signed"),
    Case("it speaks no HTTP", "no-http"),
    Case("reset before the answer", "reset-before"),
    Case("reset before the first token", "reset-begun", STREAMS),
    Case("reset in the middle", "reset-after"),
    Case("reset in the middle of an event", "reset-in-event", STREAMS),
    Case("silent before the answer", "silent-before", silent=True),
    Case("silent before the first token", "silent-begun", STREAMS, silent=True),
    Case("silent in the middle", "silent-between", silent=True),
    Case("nothing but comments in the middle", "only-comments", STREAMS, silent=True),
    Case("a byte from time to time", "dripping", silent=True),
    Case("a byte from time to time, in the middle", "dripping-later", STREAMS, silent=True),
    Case("an error as a 200 answer", "error-in-200"),
    Case("an error in the stream, before the first token", "error-first", STREAMS),
    Case("an error in the stream, later", "error-later", STREAMS),
    Case("the stream ends before the first token", "no-end-begun", STREAMS),
    Case("the stream ends in the middle", "no-end", STREAMS),
    Case("the stream is whole but for its end mark", "no-done", STREAMS),
    Case("the stream is not closed after its end mark", "never-closed", STREAMS),
    Case("the stream goes on after its end mark", "goes-on", STREAMS),
    Case("nothing but an event that is not JSON", "malformed-first", STREAMS),
    Case("an event that is not JSON, later", "malformed-later", STREAMS),
    Case("events cut anywhere, in a letter too", "split", STREAMS),
    Case("JSON that is cut off", "bad-json", ("whole",)),
    Case("JSON that is no object", "no-object", ("whole",)),
    Case("JSON of another shape", "wrong-shape"),
    Case("an empty answer", "empty"),
    Case("a web page", "page"),
    Case("a redirect", "redirect"),
    Case("fewer bytes than its length says", "length-too-long"),
    Case("more bytes than its length says", "length-too-short"),
    Case("a length that is no number", "length-no-number"),
    Case("an answer, or an event, that is too large", "oversized"),
    *(Case(f"status {status}", f"status-{status}", ("whole", "stream"))
      for status in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 501, 502, 503, 504, 529, 299, 799)),
    Case("status 429, Retry-After 1", "status-429-1", ("whole", "stream")),
    Case("status 429, Retry-After 60", "status-429-60", ("whole", "stream")),
    Case("status 503, Retry-After 60", "status-503-60", ("whole", "stream")),
]  # fmt: skip
