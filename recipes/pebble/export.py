"""The model folder: Hugging Face files, and the GGUF that the node's own converter makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from intermodel.engines.convert import convert
from recipes.pebble.model import Shape
from recipes.pebble.template import CHAT_TEMPLATE
from recipes.pebble.tokenizer import END, PAD, serialise

GGUF = "pebble-q8_0.gguf"


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _config(shape: Shape, tokenizer: Tokenizer) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "attention_bias": False,
        "bos_token_id": tokenizer.token_to_id("<|im_start|>"),
        "eos_token_id": tokenizer.token_to_id(END),
        "head_dim": shape.width // shape.heads,
        "hidden_act": "silu",
        "hidden_size": shape.width,
        "initializer_range": 0.02,
        "intermediate_size": shape.hidden,
        "max_position_embeddings": shape.context,
        "mlp_bias": False,
        "model_type": "llama",
        "num_attention_heads": shape.heads,
        "num_hidden_layers": shape.layers,
        "num_key_value_heads": shape.heads,
        "pad_token_id": tokenizer.token_to_id(PAD),
        "rms_norm_eps": shape.epsilon,
        "rope_theta": shape.theta,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": shape.vocabulary,
    }


def write_folder(folder: Path, shape: Shape, tokenizer: Tokenizer, weights: Mapping[str, Tensor]) -> None:
    """Writes every file of the model that follows from its weights and its tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(shape, tokenizer)
    _write_json(folder / "config.json", config)
    generation = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    _write_json(folder / "generation_config.json", {**generation, "do_sample": False, "max_new_tokens": 200})
    (folder / "tokenizer.json").write_text(serialise(tokenizer), "utf-8")
    settings = {
        "add_bos_token": False,
        "add_prefix_space": False,
        "bos_token": "<|im_start|>",
        "chat_template": CHAT_TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": END,
        "model_max_length": shape.context,
        "pad_token": PAD,
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    _write_json(folder / "tokenizer_config.json", settings)
    tensors = {name: value.detach().contiguous() for name, value in sorted(weights.items())}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    convert(folder, folder / GGUF, quantise="q8_0")
