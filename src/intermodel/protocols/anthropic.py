"""Anthropic's Messages, both ways. Version 2023-06-01 of the API; docs/protocols.md tells what is said how."""

from __future__ import annotations

from intermodel.protocols import anthropic_from_chat, anthropic_to_chat
from intermodel.protocols.anthropic_answer import answer_from_chat, answer_to_chat
from intermodel.protocols.anthropic_stream import MessagesDecoder, MessagesEncoder
from intermodel.protocols.dialect import Body, Decoder, Encoder, Resumed
from intermodel.protocols.refusal import well_formed


class Messages:
    """The dialect of `Kind.MESSAGES`. In `Resumed`, `sequence` is the number of the open block of text."""

    def request_to_chat(self, body: Body) -> Body:
        with well_formed(anthropic_from_chat.MESSAGES):
            return anthropic_to_chat.request_to_chat(body)

    def request_from_chat(self, body: Body) -> Body:
        with well_formed(anthropic_to_chat.CHAT):
            return anthropic_from_chat.request_from_chat(body)

    def answer_to_chat(self, answer: Body) -> Body:
        return answer_to_chat(answer)

    def answer_from_chat(self, answer: Body, asked: Body) -> Body:
        return answer_from_chat(answer, asked)

    def decoder(self) -> Decoder:
        return MessagesDecoder()

    def encoder(self, asked: Body, resumed: Resumed | None = None) -> Encoder:
        return MessagesEncoder(asked, resumed)
