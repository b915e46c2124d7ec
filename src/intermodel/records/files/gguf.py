"""What GGUF files state, read by the engines' bounded reader in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intermodel.core import Invalid
from intermodel.engines import environment
from intermodel.engines.facts import INSPECTOR
from intermodel.records.files.documents import called, opened

CHILD = Path(__file__).with_name("gguf_child.py")
TIMEOUT_S = 60
KINDS = ("model", "adapter", "mmproj", "imatrix")


@dataclass(frozen=True, slots=True)
class Stated:
    """One header's statements, checked for their types. Empty or 0 where it is silent."""

    values: Mapping[str, Any]
    parameters: int
    tokens: int
    quantisation: str

    def text(self, key: str) -> str:
        value = self.values.get(key)
        return value if isinstance(value, str) else ""

    def number(self, key: str) -> int:
        value = self.values.get(key)
        return value if type(value) is int and value > 0 else 0

    @property
    def kind(self) -> str:
        """`model`, `adapter`, `mmproj` or `imatrix`."""
        kind = self.text("general.type") or "model"
        return "mmproj" if self.text("general.architecture") == "clip" else kind

    @property
    def parts(self) -> int:
        return self.number("split.count") or 1


def read_all(paths: Sequence[Path]) -> list[Stated | Invalid]:
    """What each file states, or why it could not be read; in their order."""
    found: list[Stated | Invalid] = []
    good: list[Path] = []
    for path in paths:
        try:
            with opened(path):
                good.append(path)
                found.append(_unread(path))
        except Invalid as error:
            found.append(error)
    lines = iter(_lines(good))
    wanted = set(good)
    return [_stated(path, next(lines, "")) if path in wanted else one for path, one in zip(paths, found, strict=True)]


def _lines(paths: Sequence[Path]) -> list[str]:
    if not paths:
        return []
    command = [sys.executable, "-P", str(CHILD), str(INSPECTOR), *(str(path.absolute()) for path in paths)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S, env=environment.cleaned(),
            check=False,
        )  # fmt: skip
        said = done.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    return said.decode(errors="replace").splitlines()


def _stated(path: Path, line: str) -> Stated | Invalid:
    try:
        said = json.loads(line)
    except ValueError:
        return _unread(path)
    if "problem" in said:
        return Invalid(
            f"{called(path)} cannot be read. {said['problem']}", hint=said["hint"], code="invalid_model_file"
        )
    return Stated(said["values"], said["parameters"], said["tokens"], said["quantisation"])


def _unread(path: Path) -> Invalid:
    return Invalid(
        f"{called(path)} cannot be read. Its header could not be read within the limits.",
        hint="Copy or download the file again.",
        code="invalid_model_file",
    )
