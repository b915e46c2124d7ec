"""Writes the tokenizer of a Hugging Face folder into a GGUF file.

Promises that llama.cpp cuts text as the folder's own tokenizer does, or a `ValueError`. Knows nothing of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gguf

__all__ = ["Sources", "write"]

Json = dict[str, Any]

_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_PRE_TOKENIZERS = {
    ("ByteLevel",): "gpt-2",
    ("Digits", "ByteLevel"): "smollm",
    (_WORDS + r"\p{N}{1,3}" + _REST, "ByteLevel"): "llama-bpe",
    (_WORDS + r"\p{N}" + _REST, "ByteLevel"): "qwen2",
}


@dataclass(frozen=True)
class Sources:
    """The parsed files of a folder that say how text becomes tokens; those that are absent are empty."""

    config: Json
    tokenizer: Json
    settings: Json
    generation: Json
    template: str | None


def _pre_tokenizer(tokenizer: Json) -> str:
    outer = tokenizer.get("pre_tokenizer") or {}
    parts = outer.get("pretokenizers", [outer])
    known = []
    for part in parts:
        kind = part.get("type")
        if kind == "Split":
            kind = (part.get("pattern") or {}).get("Regex")
        if kind == "Digits" and not part.get("individual_digits"):
            kind = None
        if kind == "ByteLevel" and part.get("add_prefix_space"):
            kind = None
        known.append(kind)
    name = _PRE_TOKENIZERS.get(tuple(known))
    if name is None:
        raise ValueError(f"tokenizer.json: the pre-tokenizer {known} is not one that llama.cpp is known to match")
    return name


def write(writer: gguf.GGUFWriter, sources: Sources, size: int) -> None:
    """Writes tokens, merges, special tokens and the chat template; `size` is the number of rows of the embedding.

    Raises `ValueError` for a tokenizer that llama.cpp would not follow exactly.
    """
    tokenizer = sources.tokenizer
    model = tokenizer.get("model") or {}
    if model.get("type") != "BPE" or model.get("byte_fallback"):
        raise ValueError(
            f"tokenizer.json: a {model.get('type')} tokenizer"
            f"{' of SentencePiece kind (byte_fallback)' if model.get('byte_fallback') else ''} is not supported; "
            "only byte-level BPE is. Use a GGUF file of this model instead"
        )
    if tokenizer.get("normalizer") is not None:
        raise ValueError("tokenizer.json: a normalizer is not supported")
    tokens, types = _vocabulary(model.get("vocab") or {}, tokenizer.get("added_tokens") or [], size)
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in model.get("merges") or []]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    _write_special(writer, sources, {token: at for at, token in enumerate(tokens)})


def _opens_with_a_token(tokenizer: Json) -> bool:
    outer = tokenizer.get("post_processor") or {}
    for part in outer.get("processors", [outer]):
        if part.get("type") == "TemplateProcessing" and part.get("single"):
            return "SpecialToken" in part["single"][0]
    return False


def _vocabulary(vocab: Json, added: list[Json], size: int) -> tuple[list[str], list[int]]:
    kinds = gguf.TokenType
    tokens = [f"[PAD{at}]" for at in range(size)]
    types = [int(kinds.UNUSED)] * size
    listed = [(token, at, kinds.NORMAL) for token, at in vocab.items()]
    listed += [(a["content"], a["id"], kinds.CONTROL if a.get("special") else kinds.USER_DEFINED) for a in added]
    for token, at, kind in listed:
        if type(at) is not int or not 0 <= at < size:
            raise ValueError(f"tokenizer.json: token {token!r} has the id {at!r}, outside the {size} of config.json")
        tokens[at], types[at] = token, int(kind)
    return tokens, types


def _write_special(writer: gguf.GGUFWriter, sources: Sources, ids: dict[str, int]) -> None:
    settings, generation = sources.settings, sources.generation

    def id_of(which: str) -> int | None:
        token = settings.get(f"{which}_token")
        token = token.get("content") if isinstance(token, dict) else token
        found = generation.get(f"{which}_token_id", sources.config.get(f"{which}_token_id"))
        found = found[0] if isinstance(found, list) and found else found
        value = ids.get(token) if isinstance(token, str) else found
        return value if type(value) is int and 0 <= value < len(ids) else None

    for which, write in (
        ("bos", writer.add_bos_token_id),
        ("eos", writer.add_eos_token_id),
        ("pad", writer.add_pad_token_id),
        ("unk", writer.add_unk_token_id),
    ):
        value = id_of(which)
        if value is not None:
            write(value)
    writer.add_add_bos_token(bool(settings.get("add_bos_token", _opens_with_a_token(sources.tokenizer))))
    template = settings.get("chat_template")
    if isinstance(template, list):
        template = next((t.get("template") for t in template if t.get("name") == "default"), None)
    template = sources.template or template
    if isinstance(template, str):
        writer.add_chat_template(template)
    _write_sampling(writer, generation)


def _write_sampling(writer: gguf.GGUFWriter, generation: Json) -> None:
    """What generation_config.json states becomes llama.cpp's default, where a request does not say otherwise."""
    if generation.get("do_sample") is False:
        writer.add_sampling_temp(0.0)
        return
    for key, write in (("temperature", writer.add_sampling_temp), ("top_p", writer.add_sampling_top_p)):
        if isinstance(value := generation.get(key), int | float):
            write(float(value))
    if type(top_k := generation.get("top_k")) is int:
        writer.add_sampling_top_k(top_k)
