"""The environment in which the recipe's bits are defined, and what of the machine is written down with them."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

PROFILE = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_CBWR": "COMPATIBLE",
}
"""Read by torch and its libraries when they are loaded: one thread, AVX2, and the portable code path of MKL.

It makes matrix products equal on processors of different makers (emulated), but not the last bit of `torch.sqrt`,
which goes to MKL's vector library; see section 4 of `REPORT.md`.
"""

NEEDED_FLAGS = ("avx2", "fma")
PACKAGES = ("torch", "numpy", "tokenizers", "safetensors", "gguf", "xllamacpp")


def enter(arguments: list[str]) -> None:
    """Starts this program again under the profile, unless it runs under it already. Call before importing torch."""
    if all(os.environ.get(name) == value for name, value in PROFILE.items()):
        return
    environment = {**os.environ, **PROFILE}
    os.execve(sys.executable, [sys.executable, "-m", "recipes.pebble", *arguments], environment)  # noqa: S606


def maker() -> str:
    """Who made this processor, in its own words; empty where that cannot be read."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("vendor_id")), "")


def missing_flags() -> list[str]:
    """What this CPU lacks to give the recipe's bits; empty where that cannot be read."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return []
    lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("flags")]
    flags = set(lines[0].split()) if lines else set(NEEDED_FLAGS)
    return [flag for flag in NEEDED_FLAGS if flag not in flags]


def versions() -> dict[str, str]:
    """The versions that the bits depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
