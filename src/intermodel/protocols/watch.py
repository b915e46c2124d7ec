"""Looking at a stream that goes by as bytes: has it begun, is it whole, what did it use?"""

from __future__ import annotations

from typing import Protocol

from intermodel.core import Usage


class Watch(Protocol):
    """One stream of one protocol. Searches bytes; parses only the few events that it must understand."""

    @property
    def usage(self) -> Usage | None:
        """What the upstream reported so far; complete after `end`."""

    @property
    def finished(self) -> bool:
        """Whether the model has said all, so that the usage reported is that of the whole answer."""

    failed: bool
    """Whether the upstream told of an error inside the stream (after it had begun)."""

    done: bool
    """Whether the answer's end has gone by (its end mark, where the protocol has one)."""

    def begun(self, head: bytes) -> bool:
        """Whether a stream that starts with `head` holds its first token, or is over without one.

        Raises `Upstream` if it starts with an error: another candidate can still answer.
        """

    def feed(self, data: bytes) -> bytes:
        """What of `data` the client is to see now: all of it, but for a part that it did not ask for."""

    def end(self) -> bytes:
        """What is still to be sent after the upstream's last byte (a forgotten end mark, or nothing).

        Raises `Upstream` where the stream stopped before its answer was finished, for a truncated answer must not
        look like a whole one.
        """
