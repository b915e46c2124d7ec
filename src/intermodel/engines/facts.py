"""What a model file says of itself, read without trusting the file."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import stat
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from intermodel.core import Capability, Digest, Invalid
from intermodel.engines import environment

INSPECTOR = Path(__file__).with_name("inspect_gguf.py")
TIMEOUT_S = 60


_SPEAKS = frozenset({
    Capability.CHAT, Capability.COMPLETION, Capability.EMBEDDING, Capability.TOOLS, Capability.JSON_SCHEMA,
    Capability.LOGPROBS, Capability.CONTINUES,
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Facts:
    """A GGUF header's statements. Counts are 0 and texts empty where the header is silent."""

    architecture: str
    name: str
    licence: str
    parameters: int
    quantisation: str
    """The file type as llama.cpp names it: `Q8_0`, `Q4_K_M`, `F16`."""
    context_length: int
    """Tokens the model was trained to attend to."""
    embedding_length: int
    block_count: int
    head_count: int
    head_count_kv: int
    key_length: int
    value_length: int
    vocabulary: int
    tokenizer: str
    chat_template: str
    pooling: str
    """How the model itself makes one embedding of many (`mean`, `cls`, `last`); empty for a generating model."""

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Facts:
        """The facts as `dataclasses.asdict` gave them; keys of other versions are left out."""
        fields = {f.name: (0 if f.type == "int" else "") for f in dataclasses.fields(cls)}
        return cls(**{name: stored.get(name, default) for name, default in fields.items()})

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What llama.cpp can do with such a model."""
        if self.pooling:
            return frozenset({Capability.EMBEDDING})
        return _SPEAKS


@dataclass(frozen=True, slots=True)
class Model:
    """A model file on this machine."""

    address: str
    digest: Digest
    size: int
    path: Path
    facts: Facts
    added: datetime


async def inspect(path: Path) -> Facts:
    """The facts of a GGUF file, read in a child process under limits of time and memory.

    Raises `Invalid` with the reason for anything that is not a whole GGUF model.
    """
    _check_regular(path)
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        str(INSPECTOR),
        str(path),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment.cleaned(),
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            out, _ = await child.communicate()
        said = json.loads(out) if child.returncode == 0 else {}
    except (TimeoutError, ValueError):
        said = {}
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if "facts" in said:
        return Facts.from_json(said["facts"])
    raise Invalid(
        f"{path.name} cannot be served. {said.get('problem', 'Its header could not be read within the limits.')}",
        hint=said.get("hint", "Copy or download the file again."),
        code="invalid_model_file",
    )


def _check_regular(path: Path) -> None:
    """Refuse what cannot be a file of weights before anything opens it: a FIFO would block, a device never end."""
    try:
        found = path.stat()
    except OSError as error:
        raise Invalid(
            f"{path} cannot be read: {error.strerror}.",
            hint="Check the name and permissions.",
            code="invalid_model_file",
        ) from None
    if stat.S_ISREG(found.st_mode) and found.st_size > 0:
        return
    what = "a folder" if stat.S_ISDIR(found.st_mode) else "empty" if stat.S_ISREG(found.st_mode) else "not a file"
    raise Invalid(f"{path.name} is {what}.", hint="Give a GGUF file.", code="invalid_model_file")
