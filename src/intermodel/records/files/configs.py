"""What the JSON files beside the weights say: configuration, tokenizer, adapter. Pure: documents in, facts out.

Sources: the files as transformers, peft and diffusers write them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from intermodel.records.facts import Fact, Kind, WhatItIs

T = TypeVar("T")
Json = Mapping[str, Any]

LONGEST_NAME = 300
LONGEST_TEMPLATE = 100_000
"""Characters of a chat template: the longest in use have about 20,000."""
MOST = 2**40
"""Of tokens, in a context or a vocabulary. transformers writes 10^30 where it does not know."""

PRECISIONS = {
    "float32": "F32", "float": "F32", "float16": "F16", "half": "F16", "bfloat16": "BF16", "float64": "F64",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "int8": "I8",
}  # fmt: skip
_CONTEXT = (
    "max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length",
    "max_seq_length", "max_target_positions",
)  # fmt: skip
_INNER = ("text_config", "llm_config", "language_config", "thinker_config", "decoder")
"""Where a model of several kinds of input keeps the configuration of its language model."""
_SIDES = {"vision": "image", "visual": "image", "image": "image", "audio": "audio", "speech": "audio", "video": "video"}
_HEARS = ("whisper", "wav2vec2", "hubert", "speech_to_text", "wavlm", "seamless_m4t")
_SEES = ("vit", "convnext", "swin", "resnet", "deit", "beit", "dinov2", "detr", "segformer")
_GENERIC = ("PreTrainedTokenizerFast", "PreTrainedTokenizer", "TokenizersBackend")


def fact(value: T | None, source: str) -> Fact[T] | None:
    """A fact where there is a value."""
    return None if value is None else Fact(value, source)


def name_in(value: Any) -> str | None:
    """A text that can stand as a name: of some characters, not too many, none of them halves."""
    if isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_NAME and _whole(value):
        return value.strip()
    return None


def count_in(value: Any) -> int | None:
    """A number of tokens."""
    return value if type(value) is int and 0 < value < MOST else None


def template_in(value: Any) -> str | None:
    """A chat template: a text, or the one named `default` of several."""
    if isinstance(value, list):
        named = [one for one in value if isinstance(one, dict)]
        value = next((one.get("template") for one in named if one.get("name") == "default"), None)
    return value if isinstance(value, str) and 0 < len(value) <= LONGEST_TEMPLATE and _whole(value) else None


def _whole(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def of_config(config: Json, source: str) -> WhatItIs:
    """What a `config.json` of transformers or diffusers says."""
    inner = list(_inner(config))
    dtype = next((found for one in inner for key in ("dtype", "torch_dtype") if (found := one.get(key))), None)
    dtype = dtype.removeprefix("torch.") if isinstance(dtype, str) else None
    return WhatItIs(
        architecture=fact(_architecture(config), source),
        precision=fact(PRECISIONS.get(dtype or ""), source),
        context_length=fact(_first(inner, _CONTEXT), source),
        vocabulary=fact(_first(inner, ("vocab_size", "padded_vocab_size")), source),
        modalities=fact(_modalities(config), source),
    )


def _inner(config: Json, depth: int = 0) -> Iterator[Json]:
    """The configuration and those of its language model inside it, the outermost first."""
    yield config
    for key in _INNER:
        if isinstance(inside := config.get(key), dict) and depth < 3:
            yield from _inner(inside, depth + 1)


def _first(configs: list[Json], keys: tuple[str, ...]) -> int | None:
    return next((found for one in configs for key in keys if (found := count_in(one.get(key))) is not None), None)


def _architecture(config: Json) -> str | None:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return name_in(first) or name_in(config.get("_class_name")) or name_in(config.get("model_type"))


def _modalities(config: Json) -> tuple[str, ...] | None:
    """Of input and output, where the configuration shows them; None where it is silent."""
    model = config.get("model_type")
    model = model if isinstance(model, str) else ""
    found = dict.fromkeys(kind for key, kind in _SIDES.items() if isinstance(config.get(f"{key}_config"), dict))
    if config.get("video_token_id") is not None or config.get("video_token_index") is not None:
        found["video"] = None
    if model.startswith(_HEARS):
        found["audio"] = None
    if model in _SEES:
        found["image"] = None
    if _reads_text(config, bool(found)):
        found = {"text": None} | found
    return tuple(found) or None


def _reads_text(config: Json, other: bool) -> bool:
    if any(isinstance(config.get(key), dict) for key in _INNER):
        return True
    named = (_architecture(config) or "").rpartition("For")[2]
    words = named.startswith(("CausalLM", "MaskedLM", "Seq2SeqLM", "ConditionalGeneration", "SpeechSeq2Seq", "CTC"))
    return words or (not other and count_in(config.get("vocab_size")) is not None)


def of_tokenizer(document: Json, source: str) -> WhatItIs:
    """What a `tokenizer.json` says: the kind of its model, and how many tokens there are."""
    model = document.get("model")
    if not isinstance(model, dict):
        return WhatItIs()
    vocab = model.get("vocab")
    tokens: set[Any] = set()
    if isinstance(vocab, dict):
        tokens.update(vocab)
    elif isinstance(vocab, list):
        tokens.update(one[0] for one in vocab if isinstance(one, list) and one and isinstance(one[0], str))
    added = document.get("added_tokens")
    for one in added if isinstance(added, list) else ():
        if isinstance(one, dict) and isinstance(one.get("content"), str):
            tokens.add(one["content"])
    return WhatItIs(tokenizer=fact(name_in(model.get("type")), source), vocabulary=fact(len(tokens) or None, source))


def of_tokenizer_config(document: Json, source: str) -> WhatItIs:
    """What a `tokenizer_config.json` says. A class that any tokenizer may have is no fact."""
    named = name_in(document.get("tokenizer_class"))
    return WhatItIs(
        tokenizer=fact(None if named in _GENERIC else named, source),
        context_length=fact(count_in(document.get("model_max_length")), source),
        chat_template=fact(template_in(document.get("chat_template")), source),
    )


def of_adapter(document: Json, source: str) -> tuple[WhatItIs, Fact[str] | None, Fact[str] | None]:
    """What peft's `adapter_config.json` says: that it is an adapter, of what, and made by which method."""
    base = fact(name_in(document.get("base_model_name_or_path")), source)
    return WhatItIs(kind=Fact(Kind.ADAPTER, source)), base, fact(name_in(document.get("peft_type")), source)
