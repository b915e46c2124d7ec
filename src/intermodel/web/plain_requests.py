"""Requests that pass through to OpenAI-compatible deployments: ranks, speech, pictures, and files to transcribe.

Only what this node needs is checked; the rest is the upstream's to judge. Source: OpenAI's API reference, and Cohere's
and Jina's for `rerank`, whose common form other servers took over.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from intermodel.core import Call, Capability, Invalid, Kind, Upload
from intermodel.web.http import Scope, header, parse_object
from intermodel.web.openai_requests import MODEL_LENGTH

_NEEDS = {
    Kind.RERANK: Capability.RERANK,
    Kind.SPEECH: Capability.SPEECH,
    Kind.IMAGE: Capability.IMAGE,
    Kind.TRANSCRIPTION: Capability.TRANSCRIPTION,
}
_REQUIRED = {Kind.RERANK: ("query", "documents"), Kind.SPEECH: ("input", "voice"), Kind.IMAGE: ("prompt",),
             Kind.TRANSCRIPTION: ()}  # fmt: skip


async def call_of(kind: Kind, scope: Scope, body: bytes) -> Call:
    """The call that a request of one of these kinds asks for. Raises `Invalid`, whose `param` is the field at fault."""
    uploads: tuple[Upload, ...] = ()
    if kind is Kind.TRANSCRIPTION:
        given, uploads = await _form(scope, body)
        if not any(upload.field == "file" for upload in uploads):
            raise _missing("file", "Send the recording as a file of the form.")
    else:
        given = parse_object(body)
    model = given.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= MODEL_LENGTH:
        raise _missing("model", "Name a model; GET /v1/models lists them.")
    for field in _REQUIRED[kind]:
        if given.get(field) in (None, "", []):
            raise _missing(field, "See the API reference of OpenAI for its form.")
    streams = given.get("stream") in (True, "true") or given.get("stream_format") == "sse"
    return Call(
        kind, model, given, streams, frozenset({_NEEDS[kind]}), scope["request_id"], upload=uploads, size=len(body)
    )


async def _form(scope: Scope, body: bytes) -> tuple[dict[str, Any], tuple[Upload, ...]]:
    if not header(scope, b"content-type").startswith(b"multipart/form-data"):
        raise Invalid("The request is not a form with a file (multipart/form-data).", hint="Send the file in a form.")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(
            Headers(scope=scope), stream(), max_files=4, max_fields=64, max_part_size=len(body) + 1
        ).parse()
    except (MultiPartException, KeyError, UnicodeDecodeError) as error:
        raise Invalid(f"The form cannot be read: {error}.", hint="Is its boundary right?") from None
    fields: dict[str, Any] = {}
    uploads = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            media_type = value.content_type or "application/octet-stream"
            uploads.append(Upload(name, value.filename or "file", media_type, await value.read()))
        elif name in fields:
            earlier = fields[name]
            fields[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            fields[name] = value
    return fields, tuple(uploads)


def _missing(field: str, hint: str) -> Invalid:
    return Invalid(f"'{field}': this field is missing or empty.", hint=hint, param=field)
