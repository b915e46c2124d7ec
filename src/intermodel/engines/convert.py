"""Turns a local Hugging Face folder of a Llama-type model into one GGUF file, without torch.

Promises a file that gives the same greedy text as transformers, or a `ValueError` that names what is missing or
not supported, why, and what to do. Knows nothing of engines, stores or downloads.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
from numpy.typing import NDArray

from intermodel.engines import vocabulary
from intermodel.engines.tensorfile import Entry, entries

__all__ = ["Quantisation", "convert"]

Quantisation = Literal["f32", "f16", "q8_0"]
Json = dict[str, Any]

_ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM")
_TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
_LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


@dataclass(frozen=True)
class _Shape:
    """The numbers of `config.json` that decide the tensors."""

    vocabulary: int
    width: int
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    context: int
    epsilon: float
    theta: float
    scaling: Json
    tied: bool


def convert(folder: Path, out: Path, *, quantise: Quantisation = "f16") -> None:
    """Writes the model in `folder` to the GGUF file `out`, whole or not at all.

    `folder` holds `config.json`, `tokenizer.json` and safetensors weights of a Llama-type model with a byte-level
    BPE tokenizer. Raises `ValueError` for anything else; `out` is replaced only by a complete file.
    """
    try:
        _convert(folder, out, quantise)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"a JSON file of the folder has an unexpected form ({error}); it is damaged") from error


def _convert(folder: Path, out: Path, quantise: Quantisation) -> None:
    config = _json(folder, "config.json")
    shape = _shape(config)
    sources = vocabulary.Sources(
        config=config,
        tokenizer=_json(folder, "tokenizer.json"),
        settings=_json(folder, "tokenizer_config.json", optional=True),
        generation=_json(folder, "generation_config.json", optional=True),
        template=_text(folder / "chat_template.jinja"),
    )
    plan = list(_plan(shape, entries(folder)))
    descriptor, name = tempfile.mkstemp(prefix=out.name + ".", suffix=".part", dir=out.parent)
    os.close(descriptor)
    part = Path(name)
    try:
        writer = gguf.GGUFWriter(part, "llama")
        writer.add_name(str(config.get("_name_or_path") or folder.resolve().name))
        _write_shape(writer, shape, quantise)
        vocabulary.write(writer, sources, shape.vocabulary)
        _write_tensors(writer, plan, shape, quantise)
        writer.close()
        part.chmod(0o644)
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _json(folder: Path, name: str, *, optional: bool = False) -> Json:
    file = folder / name
    if not file.is_file():
        if optional:
            return {}
        raise ValueError(f"no {name} in the folder: it is needed; take the model's whole folder")
    try:
        value = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{name} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no JSON object")
    return value


def _text(file: Path) -> str | None:
    return file.read_text("utf-8") if file.is_file() else None


def _natural(config: Json, key: str, default: int | None = None) -> int:
    value = config.get(key)
    value = default if value is None else value
    if type(value) is not int or not 0 < value < 2**31:
        raise ValueError(f"config.json: {key} is {value!r}; a natural number is needed")
    return value


def _refuse_foreign(config: Json) -> None:
    named = config.get("architectures") or []
    if not any(name in _ARCHITECTURES for name in named):
        raise ValueError(f"architecture {named} is not supported; supported are {', '.join(_ARCHITECTURES)}")
    if config.get("quantization_config"):
        raise ValueError("the weights are quantised already (quantization_config); convert the original weights")
    for key in ("attention_bias", "mlp_bias", "sliding_window"):
        if config.get(key):
            raise ValueError(f"config.json: {key} = {config[key]!r} is not supported")
    if config.get("hidden_act", "silu") != "silu":
        raise ValueError(f"config.json: hidden_act {config['hidden_act']!r} is not supported; only silu is")


def _shape(config: Json) -> _Shape:
    _refuse_foreign(config)
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    width, heads = _natural(config, "hidden_size"), _natural(config, "num_attention_heads")
    theta, epsilon = (
        rope.get("rope_theta") or config.get("rope_theta") or 10_000.0,
        config.get("rms_norm_eps", 1e-6),
    )
    if not all(isinstance(number, int | float) and number > 0 for number in (theta, epsilon)):
        raise ValueError("config.json: rope_theta and rms_norm_eps have to be positive numbers")
    shape = _Shape(
        vocabulary=_natural(config, "vocab_size"),
        width=width,
        hidden=_natural(config, "intermediate_size"),
        layers=_natural(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=_natural(config, "num_key_value_heads", heads),
        head=_natural(config, "head_dim", max(1, width // heads)),
        context=_natural(config, "max_position_embeddings"),
        epsilon=float(epsilon),
        theta=float(theta),
        scaling=_scaling(rope),
        tied=bool(config.get("tie_word_embeddings", False)),
    )
    if shape.head % 2 or heads % shape.kv_heads:
        raise ValueError("config.json: head_dim has to be even, and heads a multiple of key-value heads")
    return shape


def _scaling(rope: Json) -> Json:
    kind = rope.get("rope_type") or rope.get("type") or "default"
    if kind == "default":
        return {}
    needed = {
        "linear": ("factor",),
        "llama3": (
            "factor",
            "low_freq_factor",
            "high_freq_factor",
            "original_max_position_embeddings",
        ),
    }
    if kind not in needed:
        raise ValueError(f"rope scaling {kind!r} is not supported; supported are default, linear and llama3")
    for key in needed[kind]:
        if not isinstance(rope.get(key), int | float) or rope[key] <= 0:
            raise ValueError(f"config.json: rope scaling {kind!r} needs a positive {key}")
    return {"kind": kind, **{key: float(rope[key]) for key in needed[kind]}}


def _write_shape(writer: gguf.GGUFWriter, shape: _Shape, quantise: Quantisation) -> None:
    writer.add_file_type(_TYPES[quantise][1])
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head)
    writer.add_value_length(shape.head)
    writer.add_rope_dimension_count(shape.head)
    writer.add_rope_freq_base(shape.theta)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    if shape.scaling.get("kind") == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(shape.scaling["factor"])


def _plan(shape: _Shape, found: dict[str, Entry]) -> Iterator[tuple[str, Entry]]:
    """The GGUF name of every tensor with its source, after a check that all fit and none is left over."""
    left = {name: entry for name, entry in found.items() if not name.endswith("rotary_emb.inv_freq")}

    def take(name: str, *wanted: int) -> Entry:
        entry = left.pop(name, None)
        if entry is None:
            raise ValueError(f"tensor {name!r} is missing; take the model's whole folder")
        if entry.shape != wanted:
            raise ValueError(f"tensor {name!r} has the shape {entry.shape}, but config.json asks for {wanted}")
        return entry

    width, query, key = shape.width, shape.heads * shape.head, shape.kv_heads * shape.head
    sizes: dict[str, tuple[int, ...]] = {
        "attn_q": (query, width), "attn_k": (key, width), "attn_v": (key, width), "attn_output": (width, query),
        "ffn_gate": (shape.hidden, width), "ffn_up": (shape.hidden, width), "ffn_down": (width, shape.hidden),
        "attn_norm": (width,), "ffn_norm": (width,),
    }  # fmt: skip
    yield "token_embd.weight", take("model.embed_tokens.weight", shape.vocabulary, width)
    yield "output_norm.weight", take("model.norm.weight", width)
    if shape.tied:
        left.pop("lm_head.weight", None)
    else:
        yield "output.weight", take("lm_head.weight", shape.vocabulary, width)
    for layer in range(shape.layers):
        for source, target in _LAYER_TENSORS.items():
            entry = take(f"model.layers.{layer}.{source}.weight", *sizes[target])
            yield f"blk.{layer}.{target}.weight", entry
    if left:
        raise ValueError(f"tensor {min(left)!r} belongs to no Llama; the model has parts that are not supported")


def _values(name: str, entry: Entry, shape: _Shape) -> NDArray[np.float32]:
    values = entry.values()
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads}.get(name.split(".")[-2])
    if heads is None:
        return values
    # llama.cpp rotates neighbouring pairs, Hugging Face the two halves of a head.
    halves = values.reshape(heads, 2, shape.head // 2, shape.width)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _stored_as(entry: Entry, quantise: Quantisation) -> gguf.GGMLQuantizationType:
    if len(entry.shape) == 1:
        return gguf.GGMLQuantizationType.F32
    if quantise == "q8_0" and entry.shape[-1] % 32:
        return gguf.GGMLQuantizationType.F16
    return _TYPES[quantise][0]


def _write_tensors(
    writer: gguf.GGUFWriter, plan: list[tuple[str, Entry]], shape: _Shape, quantise: Quantisation
) -> None:
    factors = _llama3_factors(shape)
    if factors is not None:
        writer.add_tensor_info("rope_freqs.weight", factors.shape, factors.dtype, factors.nbytes)
    for name, entry in plan:
        kind = _stored_as(entry, quantise)
        block, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        size = math.prod(entry.shape) // block * block_bytes
        row = (*entry.shape[:-1], entry.shape[-1] // block * block_bytes)
        if kind is gguf.GGMLQuantizationType.Q8_0:
            writer.add_tensor_info(name, row, np.dtype(np.uint8), size, raw_dtype=kind)
        else:
            plain = np.dtype(np.float32 if kind is gguf.GGMLQuantizationType.F32 else np.float16)
            writer.add_tensor_info(name, entry.shape, plain, size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    if factors is not None:
        writer.write_tensor_data(factors)
    for name, entry in plan:
        writer.write_tensor_data(gguf.quants.quantize(_values(name, entry, shape), _stored_as(entry, quantise)))


def _llama3_factors(shape: _Shape) -> NDArray[np.float32] | None:
    it = shape.scaling
    if it.get("kind") != "llama3":
        return None
    rates = shape.theta ** -(np.arange(0, shape.head, 2, dtype=np.float64) / shape.head)
    turns = it["original_max_position_embeddings"] * rates / (2 * math.pi)
    smooth = np.clip((turns - it["low_freq_factor"]) / (it["high_freq_factor"] - it["low_freq_factor"]), 0, 1)
    factors: NDArray[np.float32] = (1 / ((1 - smooth) / it["factor"] + smooth)).astype(np.float32)
    return factors
