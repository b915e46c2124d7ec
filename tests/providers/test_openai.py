"""What is sent to OpenAI-compatible servers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from intermodel.core import Call, Kind, Upstream
from intermodel.providers.openai import OpenAI
from intermodel.settings import Deployment


class Noted:
    """An HTTP client that notes what it is to send, and reaches nobody."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    async def post(self, _origin: object, _path: str, body: bytes, **_more: Any) -> Any:
        self.sent.append(orjson.loads(body))
        raise Upstream("nobody is there")


@pytest.mark.parametrize(
    ("host", "asked", "sent"),
    [
        ("localhost:11434", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("localhost:11434", {"max_completion_tokens": 5, "max_tokens": 7}, {"max_tokens": 7}),
        ("localhost:11434", {"max_tokens": 7}, {"max_tokens": 7}),
        ("api.openai.com", {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("acme.openai.azure.com", {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
    ],
)
async def test_a_limit_is_sent_under_the_name_that_the_server_knows(
    host: str, asked: dict[str, int], sent: dict[str, int]
) -> None:
    http = Noted()
    provider = OpenAI("a", Deployment(base_url=f"https://{host}/v1"), "", http)  # type: ignore[arg-type]
    body = {"model": "a", "messages": [{"role": "user", "content": "hi"}], **asked}
    with pytest.raises(Upstream):
        await provider.call(Call(Kind.CHAT, "a", body), "m")
    assert http.sent == [{"model": "m", "messages": body["messages"], **sent}]
    assert body.keys() >= asked.keys(), "the call itself is never changed"
