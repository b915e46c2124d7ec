"""A small server in OpenAI's form, as one that serves a 70B model behaves: what it refuses, and how its model talks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from intermodel.writer.values import Role
from tests.writer.script import BETTER, EDITED, PLAN, review, says

CHARACTERS = 3.0
"""Of its text, to a token."""
Refusal = tuple[int, dict[str, Any]]


@dataclass
class Llama:
    """What it takes and how it answers. `talk` makes of an answer what its model says of it (`message`, `finish`)."""

    schema: bool = True
    context: int = 131_072
    talk: Callable[[str, dict[str, Any]], tuple[dict[str, Any], str]] = lambda text, _: ({"content": text}, "stop")
    asked: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.asked.append(body)
        said = "\n".join(message["content"] for message in body["messages"])
        if body.get("tools") or ("response_format" in body and not self.schema):
            self.refused += 1
            return 400, {"object": "error", "message": "1 validation error: response_format: Extra inputs", "code": 400}
        tokens, most = round(len(said) / CHARACTERS), limit(body)
        if tokens + most > self.context:
            self.refused += 1
            told = (
                f"This model's maximum context length is {self.context} tokens. However, you requested "
                f"{tokens + most} tokens ({tokens} in the messages, {most} in the completion)."
            )
            return 400, {"error": {"message": told, "type": "BadRequestError", "code": 400}}
        message, finish = self.talk(usual(said), body)
        choice = {"index": 0, "message": {"role": "assistant"} | message, "finish_reason": finish}
        usage = {"prompt_tokens": tokens, "completion_tokens": 9, "total_tokens": tokens + 9}
        return 200, {
            "id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage,
        }  # fmt: skip


def limit(body: dict[str, Any]) -> int:
    """Tokens that an answer may have."""
    return int(body.get("max_tokens") or body["max_completion_tokens"])


def usual(said: str) -> str:
    """What the role that is asked answers."""
    role = next(role for role in Role if f"You are the {role}" in said)
    if role is Role.RESEARCHER:
        claims = says("It allows commercial use.", 1)
        return json.dumps(claims if "Sentences of the source" in said else {"questions": ["licence"]})
    answers = {Role.PLANNER: json.dumps(PLAN), Role.WRITER: BETTER, Role.CRITIC: review(9), Role.EDITOR: EDITED}
    return answers[role]


@contextmanager
def served(llama: Llama) -> Iterator[str]:
    """Its base URL, for the length of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = llama.answer(body)
            data = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
