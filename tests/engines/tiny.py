"""A llama of about 100 kB with seeded random weights: it answers at once, and nothing sensible."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
from numpy.typing import NDArray

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
WIDTH, LAYERS, HEADS, HIDDEN = 32, 2, 2, 64
FAVOURED = range(ord(" "), ord("~") + 1)


def write(path: Path, *, seed: int = 0, context: int = 2048, layers: int = LAYERS, name: str = "Tiny") -> Path:
    """Write the model to `path` and return it; equal arguments give equal bytes."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(name)
    writer.add_license("apache-2.0")
    writer.add_context_length(context)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _vocabulary(writer)
    _weights(writer, np.random.RandomState(seed), layers)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def write_folder(folder: Path) -> Path:
    """A model of the same size as a folder that Hugging Face's libraries would read; returns the folder."""
    folder.mkdir()
    tokens = SPECIAL + _byte_symbols()
    config = {
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": WIDTH,
        "intermediate_size": HIDDEN,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 2048,
        "vocab_size": len(tokens),
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": True,
        "eos_token_id": 2,
    }
    tokenizer = {
        "model": {"type": "BPE", "vocab": {token: n for n, token in enumerate(tokens)}, "merges": []},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True},
        "added_tokens": [{"id": n, "content": token, "special": True} for n, token in enumerate(SPECIAL)],
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": CHATML, "eos_token": SPECIAL[2]}))
    _write_safetensors(folder / "model.safetensors", dict(_huggingface_tensors(len(tokens))))
    return folder


def _huggingface_tensors(vocabulary: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.RandomState(0)

    def matrix(*shape: int) -> NDArray[np.float32]:
        return np.asarray(random.standard_normal(shape) * shape[-1] ** -0.5, np.float32)

    yield "model.embed_tokens.weight", matrix(vocabulary, WIDTH)
    yield "model.norm.weight", np.ones(WIDTH, np.float32)
    for n in range(LAYERS):
        for part in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"model.layers.{n}.self_attn.{part}.weight", matrix(WIDTH, WIDTH)
        yield f"model.layers.{n}.mlp.gate_proj.weight", matrix(HIDDEN, WIDTH)
        yield f"model.layers.{n}.mlp.up_proj.weight", matrix(HIDDEN, WIDTH)
        yield f"model.layers.{n}.mlp.down_proj.weight", matrix(WIDTH, HIDDEN)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            yield f"model.layers.{n}.{norm}.weight", np.ones(WIDTH, np.float32)


def _write_safetensors(path: Path, tensors: dict[str, NDArray[np.float32]]) -> None:
    header, offset = {}, 0
    for name, tensor in tensors.items():
        end = offset + tensor.nbytes
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(t.tobytes() for t in tensors.values()))


def _byte_symbols() -> list[str]:
    """GPT-2's printable stand-in for each of the 256 bytes."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [b for b in range(256) if b not in kept]
    return [chr(b if b in kept else 256 + others.index(b)) for b in range(256)]


def _vocabulary(writer: gguf.GGUFWriter) -> None:
    symbols = _byte_symbols()
    merges = ["t h", "th e", "i n", "a n"]
    tokens = SPECIAL + symbols + [m.replace(" ", "") for m in merges]
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([control] * len(SPECIAL) + [normal] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)
    writer.add_vocab_size(len(tokens))


def _weights(writer: gguf.GGUFWriter, random: np.random.RandomState, layers: int) -> None:
    def matrix(*shape: int) -> NDArray[np.float32]:
        return np.asarray(random.standard_normal(shape) * shape[-1] ** -0.5, np.float32)

    # all but printable ASCII scores zero, and "<|im_end|>" too: answers are readable and run to their limit
    embedding = np.zeros((len(SPECIAL) + 256 + 4, WIDTH), np.float32)
    for byte in FAVOURED:
        embedding[len(SPECIAL) + byte] = random.standard_normal(WIDTH) * 2
    writer.add_tensor("token_embd.weight", embedding)
    for n in range(layers):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            writer.add_tensor(f"blk.{n}.{part}.weight", matrix(WIDTH, WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_gate.weight", matrix(HIDDEN, WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_up.weight", matrix(HIDDEN, WIDTH))
        writer.add_tensor(f"blk.{n}.ffn_down.weight", matrix(WIDTH, HIDDEN))
        writer.add_tensor(f"blk.{n}.attn_norm.weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(f"blk.{n}.ffn_norm.weight", np.ones(WIDTH, np.float32))
    writer.add_tensor("output_norm.weight", np.ones(WIDTH, np.float32))
