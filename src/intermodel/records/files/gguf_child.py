"""Prints what the headers of GGUF files state, a line of JSON a file. Run by path, in a process of its own.

Takes the path of the engines' inspector, then files. The inspector's bounded reader is used as it is; what a node can
serve is not asked here, since a part of a model, an adapter or a projector has a record too.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import sys
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 * 1024**3
CPU_S = 50
KEYS = (
    "general.type",
    "general.architecture",
    "general.languages",
    "split.count",
    "split.no",
    "tokenizer.ggml.model",
    "tokenizer.chat_template",
    "clip.has_vision_encoder",
    "clip.has_audio_encoder",
)
"""What is kept as it stands."""


def _inspector(path: str) -> Any:
    spec = importlib.util.spec_from_file_location("inspect_gguf", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["inspect_gguf"] = module
    spec.loader.exec_module(module)
    return module


def stated(header: Any) -> dict[str, Any]:
    """What is kept of a header: some values as they stand, and counts."""
    arch = header.values.get("general.architecture")
    kept = {key: header.values[key] for key in KEYS if key in header.values}
    kept |= {
        short: header.values[key]
        for short in ("context_length", "vocab_size")
        if (key := f"{arch}.{short}") in header.values
    }
    return {
        "values": kept,
        "parameters": header.parameters,
        "items_by_type": dict(header.bytes_by_type),
        "tokens": header.lengths.get("tokenizer.ggml.tokens", 0),
    }


def main() -> None:
    reader = _inspector(sys.argv[1])
    for limit, amount in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S)):
        resource.setrlimit(limit, (amount, amount))
    for name in sys.argv[2:]:
        path = Path(name)
        try:
            with path.open("rb") as file:
                header = reader.Header(file, path.stat().st_size)
            said = stated(header) | {
                "quantisation": reader._quantisation(header.values.get("general.file_type"), header.bytes_by_type)
            }
        except reader.Problem as problem:
            said = {"problem": str(problem), "hint": problem.hint}
        except OSError as error:
            said = {"problem": f"The file cannot be read: {error.strerror}.", "hint": "Check its permissions."}
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
