"""The exported GGUF as the node serves it: llama.cpp through xllamacpp, one slot, one thread."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import xllamacpp

from recipes.pebble.items import Item
from recipes.pebble.template import answer


class Served:
    """A loaded GGUF that answers items greedily."""

    def __init__(self, gguf: Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pebble-")
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(gguf)
        parameters.n_ctx, parameters.n_parallel, parameters.warmup = 1024, 1, False
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
        parameters.hostnames = [os.path.join(self._folder.name, "pebble.sock")]  # noqa: PTH118
        parameters.port = 1
        parameters.use_jinja = True
        self._server = xllamacpp.Server(parameters)

    def write(self, item: Item, *, constrained: bool = False) -> str:
        """The answer as the model wrote it; tool calls are put back into their text."""
        request: dict[str, Any] = {"messages": item.messages, "temperature": 0, "max_tokens": 160}
        if item.tools:
            request["tools"] = item.tools
        if constrained:
            shape = {"name": "answer", "schema": item.schema}
            request["max_tokens"] = 600
            request["response_format"] = {"type": "json_schema", "json_schema": shape}
        reply = self._server.handle_chat_completions(request)
        if "choices" not in reply:
            return f"error: {json.dumps(reply)}"
        message = reply["choices"][0]["message"]
        for made in message.get("tool_calls") or ():
            try:
                made["function"]["arguments"] = json.loads(made["function"]["arguments"])
            except ValueError:  # the call did not end before the limit of tokens
                return f"<tool_call>\n{made['function']}"
        return answer({"content": message.get("content") or "", "tool_calls": message.get("tool_calls") or ()})
