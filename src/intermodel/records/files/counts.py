"""How many parameters tensors hold, and in which precision most of them are. Pure.

Several methods of quantisation pack weights into wider integers, and lay scales beside them; the header alone does not
say so, the configuration does. Sources: the formats as written by AutoGPTQ, AutoAWQ, bitsandbytes, compressed-tensors,
MLX and the MXFP4 of gpt-oss. As on the Hub, every other tensor counts with all its items.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from intermodel.records.files.safetensors import BITS, Tensor

BESIDE = (
    ".qzeros", ".scales", ".g_idx", ".biases", ".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
    ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4", ".weight_scale", ".weight_scale_inv",
    ".weight_zero_point", ".weight_shape", ".weight_g_idx", ".input_scale", ".SCB", ".weight_format", "_scales",
)  # fmt: skip
"""How names end of what a method of quantisation lays beside the weights: no parameters of the model."""
CONTAINERS = ("I32", "U32", "U8", "I16", "U16")
"""Types of integers into which several weights are packed."""


@dataclass(frozen=True, slots=True)
class Packing:
    """Tensors whose names end so, and whose items are containers, hold weights of `bits` each."""

    suffix: str
    bits: int
    precision: str


@dataclass(frozen=True, slots=True)
class Counted:
    """`parameters` and `precision` are None where they cannot be told, and `note` then says why."""

    parameters: int | None
    precision: str | None
    note: str = ""


def packing_of(config: Mapping[str, Any]) -> Packing | None:
    """How the weights are packed, by a `config.json`; None where they are not, or in no known way."""
    stated = config.get("quantization_config")
    if isinstance(stated, dict):
        return _transformers(stated)
    stated = config.get("quantization")
    if isinstance(stated, dict) and (bits := _bits(stated.get("bits"))):
        return Packing(".weight", bits, f"INT{bits}")  # MLX
    return None


def _transformers(stated: Mapping[str, Any]) -> Packing | None:
    method = stated.get("quant_method")
    if method in ("gptq", "awq") and (bits := _bits(stated.get("bits", stated.get("w_bit")))):
        return Packing(".qweight", bits, f"INT{bits}")
    if method == "bitsandbytes" and stated.get("load_in_4bit") is True:
        kind = stated.get("bnb_4bit_quant_type")
        return Packing(".weight", 4, kind.upper() if kind in ("nf4", "fp4") else "INT4")
    if method == "mxfp4":
        return Packing("_blocks", 4, "MXFP4")
    if method == "compressed-tensors":
        for group in _values(stated.get("config_groups")):
            weights = group.get("weights") if isinstance(group, dict) else None
            if isinstance(weights, dict) and (bits := _bits(weights.get("num_bits"))):
                return Packing(".weight_packed", bits, f"INT{bits}")
    return None


def counted(tensors: Iterable[tuple[str, Tensor]], packing: Packing | None) -> Counted:
    """The parameters in all tensors, and the precision of most of them."""
    beside = BESIDE if packing else (".weight_scale_inv",)
    by_type: collections.Counter[str] = collections.Counter()
    for name, tensor in tensors:
        if name.endswith(beside):
            continue
        if packing and tensor.dtype in CONTAINERS and name.endswith(packing.suffix):
            by_type[packing.precision] += tensor.items * BITS[tensor.dtype] // packing.bits
        else:
            by_type[tensor.dtype] += tensor.items
    if not by_type:
        return Counted(None, None, "no tensor holds weights")
    most = by_type.most_common(1)[0][0]
    if most in CONTAINERS:
        return Counted(None, None, f"most of it is {most}: weights packed in a way that no configuration here explains")
    return Counted(by_type.total(), most)


def _bits(value: Any) -> int:
    return value if type(value) is int and 1 <= value <= 8 else 0


def _values(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else ()
