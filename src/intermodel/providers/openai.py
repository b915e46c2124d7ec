"""Any OpenAI-compatible server. Both sides speak the same protocol, so answers pass through as bytes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import orjson

from intermodel.core import Call, Kind, Upload
from intermodel.providers.answer import JSON, Answer
from intermodel.providers.faults import failed
from intermodel.providers.http import Http, Origin
from intermodel.settings import Deployment

_NEW_NAME = ("openai.com", "azure.com")
"""Ends of the hosts that know `max_completion_tokens`. Many others silently ignore it, and know `max_tokens` alone."""

_KINDS = frozenset(Kind) - {Kind.MESSAGES, Kind.RESPONSES}


class OpenAI:
    """One server and key. The key goes to this origin alone."""

    def __init__(self, name: str, deployment: Deployment, key: str, http: Http) -> None:
        self.kinds = _KINDS | {Kind(kind) for kind in deployment.speaks}
        self._name = name
        self._http = http
        self._origin = Origin(deployment.base_url, private=deployment.private)
        self._silence_s = deployment.timeout_s
        self._knows_new_name = (deployment.host or "").endswith(_NEW_NAME)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._json = {"Content-Type": JSON, **self._headers}

    async def call(self, call: Call, model: str) -> Answer:
        said = call.body | {"model": model}
        if "max_completion_tokens" in said and not self._knows_new_name and call.kind is Kind.CHAT:
            said.setdefault("max_tokens", said.pop("max_completion_tokens"))
        body, headers = orjson.dumps(said), self._json
        if call.upload:
            boundary = secrets.token_hex(16)
            body = form_data(said, call.upload, boundary)
            headers = {"Content-Type": f"multipart/form-data; boundary={boundary}", **self._headers}
        response = await self._http.post(
            self._origin,
            f"/{call.kind.value}",
            body,
            headers=headers,
            silence_s=self._silence_s,
            name=f"'{self._name}'",
        )
        if response.status != 200:
            try:
                raise failed(self._name, response, await response.error_body())
            finally:
                await response.close()
        return response


def form_data(fields: dict[str, Any], uploads: Sequence[Upload], boundary: str) -> bytes:
    """A form with files as RFC 7578 writes it; a list is a field that is repeated."""
    parts = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            text = one if isinstance(one, str) else orjson.dumps(one).decode()
            parts.append(_part(boundary, _disposition(name), "", text.encode()))
    for upload in uploads:
        disposition = f'{_disposition(upload.field)}; filename="{_quoted(upload.filename)}"'
        parts.append(_part(boundary, disposition, upload.media_type, upload.content))
    return b"".join(parts) + f"--{boundary}--\r\n".encode()


def _part(boundary: str, disposition: str, media_type: str, content: bytes) -> bytes:
    typed = f"Content-Type: {media_type}\r\n" if media_type else ""
    return f"--{boundary}\r\nContent-Disposition: {disposition}\r\n{typed}\r\n".encode() + content + b"\r\n"


def _disposition(name: str) -> str:
    return f'form-data; name="{_quoted(name)}"'


def _quoted(text: str) -> str:
    """As browsers escape names in forms (WHATWG HTML, multipart/form-data)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
