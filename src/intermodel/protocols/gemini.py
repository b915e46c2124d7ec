"""Google's Gemini API, as upstreams speak it: requests into it, answers and streams out of it.

Source: the Gemini API reference, v1beta: "models.generateContent", "models.streamGenerateContent" (each event of
`alt=sse` is a GenerateContentResponse), "models.batchEmbedContents"; its guide to thought signatures.
"""

from __future__ import annotations

import base64
import secrets
import sys
import time
from array import array

import orjson

from intermodel.core import Fault, Upstream, countable, counted
from intermodel.protocols.chat import as_promised, broken_off, chunk_of, parsed, usage_of_counts
from intermodel.protocols.dialect import Body, Chunk
from intermodel.protocols.faults import told
from intermodel.protocols.gemini_conversation import seal
from intermodel.protocols.gemini_request import request_from_chat
from intermodel.protocols.refusal import well_formed
from intermodel.protocols.sse import Events

_FINISH = {"STOP": "stop", "MAX_TOKENS": "length"} | dict.fromkeys(
    ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "IMAGE_SAFETY",
     "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
    "content_filter",
)  # fmt: skip
"""Any other reason (MALFORMED_FUNCTION_CALL, OTHER, ...) tells that the model failed to answer."""


class Gemini:
    """A `Dialect` in one direction: nothing asks this node in it."""

    def request_from_chat(self, body: Body) -> Body:
        with well_formed("OpenAI's chat completions"):
            return request_from_chat(body)

    def answer_to_chat(self, answer: Body) -> Body:
        with as_promised():
            reading = _Reading(answer)
            choices = [_whole(reading.choice(candidate, "message")) for candidate in _candidates(answer)]
            if not choices:
                raise Upstream("The upstream's answer holds no candidate.", code="upstream_protocol")
            used = {"usage": _usage(answer["usageMetadata"])} if answer.get("usageMetadata") else {}
            return chunk_of(reading.head) | {"object": "chat.completion", "choices": choices} | used

    def decoder(self) -> GeminiDecoder:
        return GeminiDecoder()


class GeminiDecoder:
    """Server-sent events to chat chunks, one of each."""

    def __init__(self) -> None:
        self._events = Events()
        self._reading: _Reading | None = None
        self._usage: Body = {}
        self._unfinished: set[int] = set()

    def feed(self, data: bytes) -> list[Chunk]:
        return self._chunks(self._events.feed(data))

    def end(self) -> list[Chunk]:
        chunks = self._chunks(self._events.end())
        if self._reading is None or self._unfinished:
            raise broken_off()
        if self._usage:
            chunks.append(chunk_of(self._reading.head, usage=_usage(self._usage)))
        return chunks

    def _chunks(self, events: list[tuple[bytes, bytes]]) -> list[Chunk]:
        chunks = []
        with as_promised():
            for _, data in events:
                said = parsed(data)
                self._usage = said.get("usageMetadata") or self._usage
                choices = [self._choice(said, candidate) for candidate in _candidates(said)]
                if choices and self._reading:
                    chunks.append(chunk_of(self._reading.head) | {"choices": choices})
        return chunks

    def _choice(self, said: Body, candidate: Body) -> Body:
        if self._reading is None:
            self._reading = _Reading(said)
        choice = self._reading.choice(candidate, "delta")
        mark = self._unfinished.discard if choice["finish_reason"] else self._unfinished.add
        mark(choice["index"])
        return choice


class _Reading:
    """What is known of an answer: its head, and how many calls each candidate has made."""

    def __init__(self, said: Body) -> None:
        identity = said.get("responseId") or secrets.token_hex(12)
        self.head = (f"chatcmpl-{identity}", int(time.time()), said.get("modelVersion") or "")
        self._identity = identity
        self._calls: dict[int, int] = {}

    def choice(self, candidate: Body, name: str) -> Body:
        """A choice of the chat form; `name` is "message", or "delta" for a part of one."""
        index = candidate.get("index") or 0
        is_first = index not in self._calls
        self._calls.setdefault(index, 0)
        said: Body = {"role": "assistant"} if is_first else {}
        for part in (candidate.get("content") or {}).get("parts") or ():
            self._take(part, said, index)
        finish = _finish(candidate, called=self._calls[index] > 0)
        choice = {"index": index, name: said, "finish_reason": finish}
        if logprobs := _logprobs(candidate.get("logprobsResult")):
            choice["logprobs"] = {"content": logprobs, "refusal": None}
        return choice

    def _take(self, part: Body, said: Body, index: int) -> None:
        if "functionCall" in part:
            said.setdefault("tool_calls", []).append(self._call(part, index))
        elif "text" in part:
            name = "reasoning_content" if part.get("thought") else "content"
            said[name] = said.get(name, "") + part["text"]
        elif unknown := part.keys() - {"thought", "thoughtSignature", "partMetadata"}:
            raise Upstream(
                f"The model answered with {min(unknown)}, which has no place in a chat.", fault=Fault.UNSUPPORTED
            )
        if signature := part.get("thoughtSignature"):
            place = "call" if "functionCall" in part else "text"
            said["reasoning_signature"] = said.get("reasoning_signature", "") + seal(place, signature)

    def _call(self, part: Body, index: int) -> Body:
        function = part["functionCall"]
        number = self._calls[index]
        self._calls[index] += 1
        call = {
            "index": number,
            "id": function.get("id") or f"call_{self._identity}_{index}_{number}",
            "type": "function",
            "function": {"name": function["name"], "arguments": orjson.dumps(function.get("args") or {}).decode()},
        }
        if signature := part.get("thoughtSignature"):  # as in Google's own OpenAI-compatible API
            call["extra_content"] = {"google": {"thought_signature": signature}}
        return call


def _candidates(said: Body) -> list[Body]:
    """Raises `Upstream` where there is an error in their place."""
    if said.get("error"):
        raise told(said["error"])
    reason = (said.get("promptFeedback") or {}).get("blockReason")
    if reason and not said.get("candidates"):
        raise Upstream(
            f"Google's filter held the request back ({reason}).", code="content_filter", fault=Fault.FILTERED
        )
    candidates: list[Body] = said.get("candidates") or []
    return candidates


def _whole(choice: Body) -> Body:
    """A choice that is not part of a stream."""
    if choice["finish_reason"] is None:
        raise Upstream("The upstream did not say why its answer ended.", code="upstream_protocol")
    message = choice["message"]
    for call in message.get("tool_calls") or ():
        del call["index"]
    content = None if "tool_calls" in message else ""
    choice["message"] = {"role": "assistant", "content": content, "refusal": None} | message
    return {"logprobs": None} | choice


def _finish(candidate: Body, *, called: bool) -> str | None:
    reason = candidate.get("finishReason")
    if reason is None:
        return None
    if reason not in _FINISH:
        said = candidate.get("finishMessage") or reason
        raise Upstream(f"The model failed to answer: {said}", code=reason.lower())
    return "tool_calls" if called and reason == "STOP" else _FINISH[reason]


def _logprobs(result: Body | None) -> list[Body]:
    if not result:
        return []
    chosen = result.get("chosenCandidates") or []
    tops = result.get("topCandidates") or [{}] * len(chosen)
    return [
        _logprob(one) | {"top_logprobs": [_logprob(each) for each in top.get("candidates") or ()]}
        for one, top in zip(chosen, tops, strict=False)
    ]


def _logprob(candidate: Body) -> Body:
    token = candidate.get("token") or ""
    return {"token": token, "logprob": candidate.get("logProbability") or 0.0, "bytes": list(token.encode())}


def _usage(found: Body) -> Body:
    """Thoughts are not among the candidates' tokens there; what tools gave is not among the prompt's."""
    names = ("thoughtsTokenCount", "promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount")
    if not countable(*map(found.get, names)):
        return usage_of_counts(0, 0)
    thoughts = found.get("thoughtsTokenCount") or 0
    usage = usage_of_counts(
        (found.get("promptTokenCount") or 0) + (found.get("toolUsePromptTokenCount") or 0),
        (found.get("candidatesTokenCount") or 0) + thoughts,
        cached=counted(found.get("cachedContentTokenCount")),
        reasoning=thoughts,
    )
    for details, name in (("promptTokensDetails", "prompt"), ("candidatesTokensDetails", "completion")):
        for one in found.get(details) or ():
            if one.get("modality") in ("AUDIO", "IMAGE") and one.get("tokenCount"):
                kind = f"{one['modality'].lower()}_tokens"
                usage.setdefault(f"{name}_tokens_details", {})[kind] = one["tokenCount"]
    return usage


def embeddings_answer(answers: list[Body], asked: Body, model: str) -> Body:
    """`batchEmbedContents`, one or several, in OpenAI's form; `asked` is the request in that form."""
    write = _as_base64 if asked.get("encoding_format") == "base64" else list
    with as_promised():
        vectors = [one["values"] for answer in answers for one in answer["embeddings"]]
        data = [{"object": "embedding", "index": i, "embedding": write(vector)} for i, vector in enumerate(vectors)]
        counts = [(answer.get("usageMetadata") or {}).get("promptTokenCount") for answer in answers]
    whole: Body = {"object": "list", "data": data, "model": model}
    if all(counts):  # older models do not tell
        whole["usage"] = {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
    return whole


def _as_base64(vector: list[float]) -> str:
    """Little-endian floats of 32 bits, as OpenAI writes them."""
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats).decode()
