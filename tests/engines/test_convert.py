"""The node's own conversion to GGUF: right text for what it supports, a clear refusal for the rest."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intermodel.engines.convert import Quantisation, convert

MODEL = Path(__file__).parents[2] / "src" / "intermodel" / "models" / "pebble"
WIDTH, HIDDEN, LAYERS, HEADS, KV_HEADS, VOCABULARY = 32, 64, 2, 4, 2, 260

Edit = Callable[[dict[str, Any]], None]


def _tensor_shapes() -> dict[str, tuple[int, ...]]:
    key = WIDTH // HEADS * KV_HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (VOCABULARY, WIDTH),
        "model.norm.weight": (WIDTH,),
        "lm_head.weight": (VOCABULARY, WIDTH),
    }
    for layer in range(LAYERS):
        start = f"model.layers.{layer}."
        shapes |= {
            start + "input_layernorm.weight": (WIDTH,),
            start + "post_attention_layernorm.weight": (WIDTH,),
            start + "self_attn.q_proj.weight": (WIDTH, WIDTH),
            start + "self_attn.k_proj.weight": (key, WIDTH),
            start + "self_attn.v_proj.weight": (key, WIDTH),
            start + "self_attn.o_proj.weight": (WIDTH, WIDTH),
            start + "mlp.gate_proj.weight": (HIDDEN, WIDTH),
            start + "mlp.up_proj.weight": (HIDDEN, WIDTH),
            start + "mlp.down_proj.weight": (WIDTH, HIDDEN),
        }
    return shapes


def _write_safetensors(file: Path, tensors: dict[str, np.ndarray[Any, Any]], dtype: str = "F32") -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    blobs, at = [], 0
    for name, value in tensors.items():
        blob = _encoded(value, dtype)
        header[name] = {"dtype": dtype, "shape": list(value.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def _encoded(value: np.ndarray[Any, Any], dtype: str) -> bytes:
    if dtype == "BF16":
        return (value.astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return value.astype("<f2" if dtype == "F16" else "<f4").tobytes()


def _tensors() -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(7)
    return {
        name: np.ones(shape, np.float32) if len(shape) == 1 else rng.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in _tensor_shapes().items()
    }


def _byte_letters() -> list[str]:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [value for value in range(256) if value not in plain]
    letters = {value: chr(value) for value in plain} | {value: chr(256 + at) for at, value in enumerate(rest)}
    return [letters[value] for value in range(256)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small random Llama with grouped heads, an output matrix of its own and a byte-level tokenizer."""
    it = tmp_path / "tiny"
    it.mkdir()
    vocab = {letter: at for at, letter in enumerate(_byte_letters())}
    vocab |= {"he": 256, "ll": 257, "hell": 258}
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH, "vocab_size": VOCABULARY,
        "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "max_position_embeddings": 256, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False, "eos_token_id": 259,
        "bos_token_id": 259,
    }  # fmt: skip
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {"id": 259, "content": "<|end|>", "special": True, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False},
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "vocab": vocab, "merges": ["h e", "l l", "he ll"]},
    }  # fmt: skip
    (it / "config.json").write_text(json.dumps(config))
    (it / "tokenizer.json").write_text(json.dumps(tokenizer))
    (it / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", "chat_template": "{{ messages }}"}))
    _write_safetensors(it / "model.safetensors", _tensors())
    return it


def _edit(file: Path, edit: Edit) -> None:
    value = json.loads(file.read_text())
    edit(value)
    file.write_text(json.dumps(value))


def _read(file: Path) -> Any:
    import gguf

    return gguf.GGUFReader(file)


def _tensor(reader: Any, name: str) -> Any:
    return next(tensor for tensor in reader.tensors if tensor.name == name)


def test_the_file_states_the_shape_and_the_tokenizer(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.gguf"
    convert(folder, out, quantise="f32")
    reader = _read(out)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.architecture"] == "llama"
    assert fields["llama.attention.head_count_kv"] == KV_HEADS
    assert fields["tokenizer.ggml.pre"] == "gpt-2"
    assert fields["tokenizer.ggml.merges"] == ["h e", "l l", "he ll"]
    assert fields["tokenizer.ggml.eos_token_id"] == 259
    assert fields["tokenizer.chat_template"] == "{{ messages }}"
    assert len(reader.tensors) == len(_tensor_shapes())


def test_query_rows_are_put_in_pairs_and_the_rest_stays(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.gguf"
    convert(folder, out, quantise="f32")
    reader, tensors = _read(out), _tensors()
    source = tensors["model.layers.0.self_attn.q_proj.weight"]
    head = WIDTH // HEADS
    found = _tensor(reader, "blk.0.attn_q.weight").data
    np.testing.assert_array_equal(found[0], source[0])
    np.testing.assert_array_equal(found[1], source[head // 2])
    np.testing.assert_array_equal(
        _tensor(reader, "blk.0.attn_v.weight").data, tensors["model.layers.0.self_attn.v_proj.weight"]
    )


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_weights_are_read(folder: Path, tmp_path: Path, dtype: str) -> None:
    tensors = _tensors()
    _write_safetensors(folder / "model.safetensors", tensors, dtype)
    out = tmp_path / "tiny.gguf"
    convert(folder, out, quantise="f32")
    found = _tensor(_read(out), "token_embd.weight").data
    np.testing.assert_allclose(found, tensors["model.embed_tokens.weight"], rtol=1e-2)


def test_shards_are_joined(folder: Path, tmp_path: Path) -> None:
    tensors = _tensors()
    names = sorted(tensors)
    parts = {"a.safetensors": names[:5], "b.safetensors": names[5:]}
    for file, some in parts.items():
        _write_safetensors(folder / file, {name: tensors[name] for name in some})
    index = {"weight_map": {name: file for file, some in parts.items() for name in some}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    convert(folder, tmp_path / "tiny.gguf")
    assert len(_read(tmp_path / "tiny.gguf").tensors) == len(names)


def test_merges_may_be_pairs(folder: Path, tmp_path: Path) -> None:
    _edit(folder / "tokenizer.json", lambda it: it["model"].update(merges=[["h", "e"], ["l", "l"], ["he", "ll"]]))
    convert(folder, tmp_path / "tiny.gguf")
    fields = _read(tmp_path / "tiny.gguf").fields
    assert fields["tokenizer.ggml.merges"].contents() == ["h e", "l l", "he ll"]


def test_tied_weights_need_no_output_matrix(folder: Path, tmp_path: Path) -> None:
    tensors = _tensors()
    del tensors["lm_head.weight"]
    _write_safetensors(folder / "model.safetensors", tensors)
    _edit(folder / "config.json", lambda it: it.update(tie_word_embeddings=True))
    convert(folder, tmp_path / "tiny.gguf")
    assert "output.weight" not in {tensor.name for tensor in _read(tmp_path / "tiny.gguf").tensors}


def test_a_tokenizer_that_opens_every_text_is_marked(folder: Path, tmp_path: Path) -> None:
    opening = {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<|end|>", "type_id": 0}}]}
    _edit(folder / "tokenizer.json", lambda it: it.update(post_processor=opening))
    convert(folder, tmp_path / "tiny.gguf")
    assert _read(tmp_path / "tiny.gguf").fields["tokenizer.ggml.add_bos_token"].contents() is True


def test_llama3_rope_scaling_becomes_frequency_factors(folder: Path, tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 128,
    }  # fmt: skip
    _edit(folder / "config.json", lambda it: it.update(rope_scaling=scaling))
    convert(folder, tmp_path / "tiny.gguf")
    factors = _tensor(_read(tmp_path / "tiny.gguf"), "rope_freqs.weight").data
    assert factors[0] == 1.0
    assert factors[-1] == pytest.approx(8.0)


CONFIG_REFUSALS: list[tuple[Edit, str]] = [
    (lambda it: it.update(architectures=["GPT2LMHeadModel"]), "GPT2LMHeadModel"),
    (lambda it: it.update(quantization_config={"bits": 4}), "quantised already"),
    (lambda it: it.update(attention_bias=True), "attention_bias"),
    (lambda it: it.update(hidden_act="gelu"), "gelu"),
    (lambda it: it.update(rope_scaling={"rope_type": "yarn"}), "yarn"),
    (lambda it: it.update(rope_scaling={"rope_type": "linear"}), "factor"),
    (lambda it: it.update(rope_theta=-1.0), "rope_theta"),
    (lambda it: it.pop("hidden_size"), "hidden_size"),
    (lambda it: it.update(num_hidden_layers="two"), "num_hidden_layers"),
    (lambda it: it.update(num_hidden_layers=3), "layers.2"),
    (lambda it: it.update(num_hidden_layers=1), "layers.1"),
    (lambda it: it.update(intermediate_size=96), "shape"),
    (lambda it: it.update(num_key_value_heads=3), "multiple"),
    (lambda it: it.update(vocab_size=200), "shape"),
]


@pytest.mark.parametrize(("edit", "words"), CONFIG_REFUSALS)
def test_an_unsupported_config_is_refused_by_name(folder: Path, tmp_path: Path, edit: Edit, words: str) -> None:
    _edit(folder / "config.json", edit)
    with pytest.raises(ValueError, match=words):
        convert(folder, tmp_path / "tiny.gguf")


TOKENIZER_REFUSALS: list[tuple[Edit, str]] = [
    (lambda it: it["model"].update(type="Unigram"), "Unigram"),
    (lambda it: it["model"].update(byte_fallback=True), "SentencePiece"),
    (lambda it: it.update(normalizer={"type": "NFC"}), "normalizer"),
    (lambda it: it.update(pre_tokenizer={"type": "Whitespace"}), "Whitespace"),
    (lambda it: it.update(pre_tokenizer=None), "pre-tokenizer"),
    (lambda it: it["model"]["vocab"].update(far=999), "999"),
    (lambda it: it["model"].update(vocab=["a"]), "unexpected form"),
    (lambda it: it.update(added_tokens=[{}]), "unexpected form"),
    (lambda it: it.update(pre_tokenizer=7), "unexpected form"),
]


@pytest.mark.parametrize(("edit", "words"), TOKENIZER_REFUSALS)
def test_an_unsupported_tokenizer_is_refused_and_nothing_is_left(
    folder: Path, tmp_path: Path, edit: Edit, words: str
) -> None:
    _edit(folder / "tokenizer.json", edit)
    out = tmp_path / "out" / "tiny.gguf"
    out.parent.mkdir()
    with pytest.raises(ValueError, match=words):
        convert(folder, out)
    assert list(out.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ValueError, match=name):
        convert(folder, tmp_path / "tiny.gguf")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_damaged_json_file_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=name):
        convert(folder, tmp_path / "tiny.gguf")


def _with_header(file: Path, edit: Edit) -> None:
    data = file.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])


WEIGHT_DAMAGE: list[tuple[Edit, str]] = [
    (lambda it: it["lm_head.weight"].update(shape=[2**40, 2**40]), "does not fit"),
    (lambda it: it["lm_head.weight"].update(data_offsets=[2**50, 2**51]), "does not fit"),
    (lambda it: it["lm_head.weight"].update(data_offsets=[-8, 0]), "natural number"),
    (lambda it: it["lm_head.weight"].update(dtype="F8_E4M3"), "F8_E4M3"),
    (lambda it: it["lm_head.weight"].pop("shape"), "damaged"),
    (lambda it: it.update({"lm_head.weight": 3}), "damaged"),
]


@pytest.mark.parametrize(("edit", "words"), WEIGHT_DAMAGE)
def test_sizes_in_headers_are_not_believed(folder: Path, tmp_path: Path, edit: Edit, words: str) -> None:
    _with_header(folder / "model.safetensors", edit)
    with pytest.raises(ValueError, match=words):
        convert(folder, tmp_path / "tiny.gguf")


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\xff" * 64, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"{{"]
)
def test_a_file_that_is_no_safetensors_is_refused(folder: Path, tmp_path: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        convert(folder, tmp_path / "tiny.gguf")


def test_cut_weights_are_refused(folder: Path, tmp_path: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(ValueError, match="truncated"):
        convert(folder, tmp_path / "tiny.gguf")


@pytest.mark.parametrize("named", ["../outside.safetensors", "absent.safetensors"])
def test_an_index_may_only_name_files_of_the_folder(folder: Path, tmp_path: Path, named: str) -> None:
    (tmp_path / "outside.safetensors").write_bytes(b"")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": named}}))
    with pytest.raises(ValueError, match="not a file of the folder"):
        convert(folder, tmp_path / "tiny.gguf")


def test_a_good_file_stays_when_a_conversion_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny.gguf"
    convert(folder, out)
    before = out.read_bytes()
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match=r"model\.safetensors"):
        convert(folder, out)
    assert out.read_bytes() == before


def _served_text(gguf: Path, prompt: str, socket: Path, count: int) -> str:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.n_parallel, parameters.warmup = 256, 1, False
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.hostnames, parameters.port = [str(socket)], 1
    request = {"prompt": prompt, "temperature": 0, "max_tokens": count, "seed": 1}
    return str(xllamacpp.Server(parameters).handle_completions(request)["choices"][0]["text"])


def _reference_text(folder: Path, prompt: str, count: int) -> str:
    transformers = pytest.importorskip("transformers", reason="transformers is only in the training environment")
    pytest.importorskip("torch", reason="torch is only in the training environment")
    words = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    model = transformers.LlamaForCausalLM.from_pretrained(folder)
    asked = words(prompt, return_tensors="pt", add_special_tokens=False)
    written = model.generate(
        input_ids=asked["input_ids"], attention_mask=asked["attention_mask"], do_sample=False, max_new_tokens=count,
        pad_token_id=0,
    )  # fmt: skip
    return str(words.decode(written[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))


def test_a_random_model_writes_what_transformers_writes(folder: Path, tmp_path: Path) -> None:
    expected = _reference_text(folder, "hello", 12)
    convert(folder, tmp_path / "tiny.gguf", quantise="f32")
    found = _served_text(tmp_path / "tiny.gguf", "hello", tmp_path / "s.sock", 12)
    # Bytes that are no UTF-8 are shown in ways of their own; what is before them has to be the same.
    assert found.split("\ufffd")[0][:4] == expected.split("\ufffd")[0][:4]


@pytest.mark.parametrize("quantise", ["f32", "f16"])
def test_pebble_writes_what_transformers_writes(tmp_path: Path, quantise: Quantisation) -> None:
    if not (MODEL / "model.safetensors").is_file():
        pytest.skip("pebble's weights are not built yet")
    source = tmp_path / "pebble"
    shutil.copytree(MODEL, source)
    prompt = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
    expected = _reference_text(source, prompt, 24)
    convert(source, tmp_path / "pebble.gguf", quantise=quantise)
    assert _served_text(tmp_path / "pebble.gguf", prompt, tmp_path / "s.sock", 24).strip() == expected.strip()
