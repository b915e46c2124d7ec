"""Which protocol goes with which kind of call."""

from __future__ import annotations

from intermodel.core import Call, Kind, Usage, counted
from intermodel.protocols import anthropic_answer, openai_watch, responses_watch
from intermodel.protocols.anthropic import Messages
from intermodel.protocols.anthropic_watch import MessagesWatch
from intermodel.protocols.chat import Chat
from intermodel.protocols.dialect import Body, Inbound, Outbound
from intermodel.protocols.opaque import OpaqueWatch
from intermodel.protocols.openai_watch import OpenAIWatch
from intermodel.protocols.responses import Responses
from intermodel.protocols.responses_watch import ResponsesWatch
from intermodel.protocols.watch import Watch

_CHAT, _MESSAGES, _RESPONSES = Chat(), Messages(), Responses()
# completions: their chunks have `text` where chat's have `delta`, and nothing here minds
_INBOUND: dict[Kind, Inbound] = {
    Kind.CHAT: _CHAT,
    Kind.COMPLETION: _CHAT,
    Kind.MESSAGES: _MESSAGES,
    Kind.RESPONSES: _RESPONSES,
}
_OUTBOUND: dict[Kind, Outbound] = {
    Kind.CHAT: _CHAT,
    Kind.COMPLETION: _CHAT,
    Kind.MESSAGES: _MESSAGES,
    Kind.RESPONSES: _RESPONSES,
}
_TEXTS = frozenset({Kind.CHAT, Kind.COMPLETION, Kind.EMBEDDING, Kind.MESSAGES, Kind.RESPONSES})


def inbound(kind: Kind) -> Inbound:
    """The protocol in which a conversation, or a plain completion, was asked for."""
    return _INBOUND[kind]


def outbound(kind: Kind) -> Outbound:
    """The protocol of an answer, for one that can be read here."""
    return _OUTBOUND[kind]


def is_read(kind: Kind) -> bool:
    """Whether answers in this protocol can be read into chat form, and not only watched."""
    return kind in _OUTBOUND


def watch_of(kind: Kind, call: Call, *, hide_usage: bool) -> Watch:
    """A watch over a stream in the protocol of `kind` that answers `call`."""
    if kind in (Kind.CHAT, Kind.COMPLETION):
        return OpenAIWatch(choices_of(call), hide_usage=hide_usage)
    if kind is Kind.MESSAGES:
        return MessagesWatch()
    return ResponsesWatch() if kind is Kind.RESPONSES else OpaqueWatch()


def usage_in(kind: Kind, answer: Body) -> Usage | None:
    """What a whole answer says that it used."""
    usage = answer.get("usage")
    if not isinstance(usage, dict):
        return None
    if kind is Kind.MESSAGES:
        return anthropic_answer.usage_of(usage)
    tier = answer.get("service_tier")
    if kind is Kind.RESPONSES or (kind not in _TEXTS and ("input_tokens" in usage or "output_tokens" in usage)):
        return responses_watch.usage_of(usage, tier)  # images and transcriptions are counted in these words
    if kind is Kind.RERANK and "prompt_tokens" not in usage:
        return Usage(input=counted(usage.get("total_tokens")))
    return openai_watch.usage_of(usage, tier)


def choices_of(call: Call) -> int:
    """How many answers the call asks for: `n`, for each prompt of a completion."""
    if call.only_text:
        return int(call.body.get("n") or 1)
    prompt = call.body.get("prompt")
    several = call.kind is Kind.COMPLETION and isinstance(prompt, list) and not isinstance(prompt[0], int)
    return int(call.body.get("n") or 1) * (len(prompt) if several and prompt else 1)
