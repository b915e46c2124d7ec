"""A llama of about 100 kB with seeded random weights: it answers at once, and nothing sensible."""

from __future__ import annotations

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
