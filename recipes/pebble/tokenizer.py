"""pebble's tokenizer: byte-level BPE, digits one by one, trained on the first documents of the corpus.

No merge joins a space to a letter. So a word is the same tokens after a space, after a quotation mark and at
the start of a line, and copying it is copying. Text is still cut as `smollm` cuts it, which llama.cpp knows.
"""

from __future__ import annotations

import hashlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from recipes.pebble.corpus import documents
from recipes.pebble.template import MARKERS, SPECIAL, render

VOCABULARY = 1536
TRAINED_ON = 40_000
END, PAD = "<|im_end|>", "<|endoftext|>"


def train() -> Tokenizer:
    """The tokenizer; the same bytes on every run."""
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    bytewise = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alone = pre_tokenizers.Split(Regex(r" (?=[\p{L}\p{N}])"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([alone, digits, bytewise])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[*SPECIAL, *MARKERS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = (_spoken(i) for i in range(TRAINED_ON))
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, bytewise])
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKERS])
    return tokenizer


def _spoken(index: int) -> str:
    pieces = (piece.text for document in documents(index, 1) for piece in render(document.messages, document.tools))
    text = "".join(pieces)
    for token in (*SPECIAL, *MARKERS):
        text = text.replace(token, "\n")
    return text


def sha256(tokenizer: Tokenizer) -> str:
    """The digest of the tokenizer's file."""
    return hashlib.sha256(serialise(tokenizer).encode()).hexdigest()


def serialise(tokenizer: Tokenizer) -> str:
    """The text of `tokenizer.json`."""
    return str(tokenizer.to_str(pretty=True)) + "\n"
