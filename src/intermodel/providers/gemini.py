"""Google's Gemini API. Chat and embeddings are translated."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import orjson

from intermodel.core import Call, Kind
from intermodel.protocols.gemini import Gemini as Dialect
from intermodel.protocols.gemini import embeddings_answer
from intermodel.protocols.gemini_request import embeddings_requests
from intermodel.providers.answer import EVENTS, JSON, Answer, Generated
from intermodel.providers.faults import failed
from intermodel.providers.http import Http, Origin, Response
from intermodel.providers.translated import Translated, object_in
from intermodel.settings import Deployment

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
TEXTS_AT_ONCE = 100
"""Most texts in one `batchEmbedContents`; a longer list is asked in several."""


class Gemini:
    """One server and key. The key goes to this origin alone, in a header, where no log of addresses sees it."""

    kinds = frozenset({Kind.CHAT, Kind.EMBEDDING})

    def __init__(self, name: str, deployment: Deployment, key: str, http: Http) -> None:
        self._name = name
        self._http = http
        self._origin = Origin(deployment.base_url or BASE_URL, private=deployment.private)
        self._silence_s = deployment.timeout_s
        self._dialect = Dialect()
        self._headers = {"Content-Type": JSON} | ({"x-goog-api-key": key} if key else {})

    async def call(self, call: Call, model: str) -> Answer:
        if call.kind is Kind.EMBEDDING:
            return await self._embeddings(call, model)
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        asked = self._dialect.request_from_chat(call.body | {"model": model})
        response = await self._post(f"/{resource(model)}:{method}", asked)
        if response.media_type not in (JSON, EVENTS):
            return response
        return Translated(response, self._dialect, call.body)

    async def _embeddings(self, call: Call, model: str) -> Answer:
        requests = embeddings_requests(call.body, resource(model))
        answers = []
        for first in range(0, len(requests), TEXTS_AT_ONCE):
            some = {"requests": requests[first : first + TEXTS_AT_ONCE]}
            response = await self._post(f"/{resource(model)}:batchEmbedContents", some)
            try:
                answers.append(await object_in(response))
            finally:
                await response.close()
        return Generated(JSON, _once(orjson.dumps(embeddings_answer(answers, call.body, model))))

    async def _post(self, path: str, body: dict[str, Any]) -> Response:
        response = await self._http.post(
            self._origin,
            path,
            orjson.dumps(body),
            headers=self._headers,
            silence_s=self._silence_s,
            name=f"'{self._name}'",
        )
        if response.status != 200:
            try:
                raise failed(self._name, response, await response.error_body())
            finally:
                await response.close()
        return response


def resource(model: str) -> str:
    """A model's name in paths; tuned ones are given with their collection (`tunedModels/NAME`)."""
    collection, _, name = model.partition("/")
    if collection in ("models", "tunedModels") and name:
        return f"{collection}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
