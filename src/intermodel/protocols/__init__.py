"""Hides: how each protocol writes a conversation, an answer, a stream, an error and what was used.

Promises: any conversation's form to any other by way of OpenAI's chat form; what has no place there is refused by name.
Does not know: connections, deployments, callers, money.
"""

from intermodel.protocols.dialect import Body, Chunk, Decoder, Dialect, Encoder, Inbound, Outbound, Resumed
from intermodel.protocols.kinds import choices_of, inbound, is_read, outbound, usage_in, watch_of
from intermodel.protocols.watch import Watch

__all__ = [
    "Body",
    "Chunk",
    "Decoder",
    "Dialect",
    "Encoder",
    "Inbound",
    "Outbound",
    "Resumed",
    "Watch",
    "choices_of",
    "inbound",
    "is_read",
    "outbound",
    "usage_in",
    "watch_of",
]
