"""What a model is, from its own files; which of them wins where they disagree."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from intermodel.core import IntermodelError, Invalid, NotFound
from intermodel.records import files
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.files import counts
from intermodel.records.files.safetensors import BITS, Tensor
from intermodel.records.lineage import Edge, How
from tests.engines import tiny

PEBBLE = Path(__file__).parents[2] / "src/intermodel/models/pebble"
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 4096, "vocab_size": 32000,
    "torch_dtype": "bfloat16",
}  # fmt: skip


def tensors(path: Path, shapes: dict[str, tuple[str, list[int]]]) -> Path:
    """A safetensors file of zeros."""
    at, header = 0, {}
    for name, (dtype, shape) in shapes.items():
        size = int(np.prod(shape, dtype=np.int64)) * BITS[dtype] // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    raw = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(raw)) + raw)
        file.truncate(8 + len(raw) + at)
    return path


def write(folder: Path, **documents: Any) -> None:
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))


def test_pebble_says_what_it_is() -> None:
    found = files.look(PEBBLE)
    what = found.what
    assert what.kind == Fact(Kind.WEIGHTS, "file:model.safetensors")
    assert what.architecture == Fact("LlamaForCausalLM", "file:config.json")
    assert what.parameters == Fact(1_262_976, "file:model.safetensors")
    assert what.precision == Fact("F32", "file:model.safetensors")
    assert what.formats is not None
    assert what.formats.value == ("safetensors", "gguf")
    assert what.context_length == Fact(1024, "file:config.json")
    assert what.modalities == Fact(("text",), "file:config.json")
    assert what.tokenizer == Fact("BPE", "file:tokenizer.json")
    assert what.vocabulary == Fact(1536, "file:config.json")
    assert what.chat_template is not None
    assert what.chat_template.source == "file:tokenizer_config.json"
    assert found.notes == ("precision: F32 (file:model.safetensors), Q8_0 (file:pebble-q8_0.gguf)",)


def test_a_quantised_file_counts_its_weights() -> None:
    what = files.read(PEBBLE / "pebble-q8_0.gguf")
    assert (what.parameters, what.precision, what.formats) == (
        Fact(1_262_976, "file:pebble-q8_0.gguf"),
        Fact("Q8_0", "file:pebble-q8_0.gguf"),
        Fact(("gguf",), "file:pebble-q8_0.gguf"),
    )
    assert what.tokenizer == Fact("gpt2", "file:pebble-q8_0.gguf")


def test_files_alone(tmp_path: Path) -> None:
    path = tensors(tmp_path / "x.safetensors", {"a": ("F16", [10, 10]), "b": ("F32", [3])})
    assert files.read(path).parameters == Fact(103, "file:x.safetensors")
    assert files.read(path).precision == Fact("F16", "file:x.safetensors")
    write(tmp_path, config=CONFIG)
    assert files.read(tmp_path / "config.json").context_length == Fact(4096, "file:config.json")
    for name in ("README.md", "x.json"):
        (tmp_path / name).write_text("{}")
        with pytest.raises(Invalid, match="no model file"):
            files.read(tmp_path / name)
    with pytest.raises(NotFound):
        files.read(tmp_path / "gone")


def test_shards_are_counted_together(tmp_path: Path) -> None:
    names = [f"model-{n:05d}-of-00003.safetensors" for n in (1, 2, 3)]
    for n, name in enumerate(names):
        tensors(tmp_path / name, {f"layer.{n}": ("BF16", [100])})
    write(tmp_path, **{"model.safetensors.index": {"weight_map": {f"layer.{n}": name for n, name in enumerate(names)}}})
    assert files.read(tmp_path).parameters == Fact(300, f"file:{names[0]} and 2 more")
    (tmp_path / "model.safetensors.index.json").unlink()
    assert files.read(tmp_path).parameters == Fact(300, f"file:{names[0]} and 2 more")
    (tmp_path / names[1]).unlink()
    found = files.look(tmp_path)
    assert found.what.parameters is None
    assert "2 of 3 parts" in found.notes[0]


def test_an_index_that_lies_leaves_the_count_unknown(tmp_path: Path) -> None:
    tensors(tmp_path / "a.safetensors", {"x": ("F32", [4])})
    write(tmp_path, config=CONFIG)
    for weight_map, said in (
        ({"x": "a.safetensors", "y": "../../etc/passwd"}, "names 1 files that are not here"),
        ({"x": 1}, "no usable weight_map"),
        ([], "no usable weight_map"),
        ({"x": "\ud800"}, "not here"),
    ):
        write(tmp_path, **{"model.safetensors.index": {"weight_map": weight_map}})
        found = files.look(tmp_path)
        assert found.what.parameters is None
        assert found.what.architecture is not None
        assert said in " ".join(found.notes)
        " ".join(found.notes).encode()


def test_parts_that_hold_the_same_tensor_are_not_counted_twice(tmp_path: Path) -> None:
    for n in (1, 2):
        tensors(tmp_path / f"m-{n:05d}-of-00002.safetensors", {"x": ("F32", [4])})
    found = files.look(tmp_path)
    assert found.what.parameters is None
    assert "holds tensors that another part holds too" in found.notes[0]


def test_a_damaged_file_in_a_folder_is_noted(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", 2**60))
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "bad.gguf").write_bytes(b"GGUF\x03")
    write(tmp_path, config=CONFIG)
    found = files.look(tmp_path)
    assert found.what.parameters is None
    assert found.what.precision == Fact("BF16", "file:config.json")
    assert found.what.formats is not None
    assert found.what.formats.value == ("gguf", "safetensors")
    said = " ".join(found.notes)
    for part in ("model.safetensors cannot be read", "tokenizer.json is no JSON", "bad.gguf cannot be read"):
        assert part in said
    with pytest.raises(Invalid, match="promises a header"):
        files.read(tmp_path / "model.safetensors")
    with pytest.raises(Invalid, match="is cut"):
        files.read(tmp_path / "bad.gguf")


def test_the_weights_win_over_what_stands_beside_them(tmp_path: Path) -> None:
    tensors(tmp_path / "model.safetensors", {"x": ("F32", [4])})
    write(tmp_path, config=CONFIG, tokenizer_config={"model_max_length": 2048, "tokenizer_class": "LlamaTokenizer"},
          tokenizer={"model": {"type": "BPE", "vocab": {"a": 0}}, "added_tokens": [{"content": "b"}]})  # fmt: skip
    found = files.look(tmp_path)
    assert found.what.precision == Fact("F32", "file:model.safetensors")
    assert found.what.tokenizer == Fact("LlamaTokenizer", "file:tokenizer_config.json")
    assert found.notes == (
        "precision: F32 (file:model.safetensors), BF16 (file:config.json)",
        "context_length: 4096 (file:config.json), 2048 (file:tokenizer_config.json)",
        "vocabulary: 32000 (file:config.json), 2 (file:tokenizer.json)",
    )


def test_a_gguf_wins_where_it_is_the_only_form(tmp_path: Path) -> None:
    tiny.write(tmp_path / "tiny.gguf")
    write(tmp_path, config={**CONFIG, "vocab_size": 263})
    found = files.look(tmp_path)
    assert found.what.architecture == Fact("llama", "file:tiny.gguf")
    assert found.what.parameters == Fact(29056, "file:tiny.gguf")
    assert "architecture" not in " ".join(found.notes)  # llama and LlamaForCausalLM are one
    assert "context_length: 2048 (file:tiny.gguf), 4096 (file:config.json)" in found.notes


def test_several_quantised_forms_have_no_one_precision(tmp_path: Path) -> None:
    tiny.write(tmp_path / "a-f32.gguf")
    (tmp_path / "b-q8_0.gguf").write_bytes((PEBBLE / "pebble-q8_0.gguf").read_bytes())
    found = files.look(tmp_path)
    assert found.what.precision is None
    assert "precision: the files differ (F32, Q8_0)" in found.notes
    assert "parameters: 29056 (file:a-f32.gguf), 1262976 (file:b-q8_0.gguf)" in found.notes


def part(path: Path, number: int, count: int, kind: str = "model", arch: str = "llama") -> None:
    writer = gguf.GGUFWriter(path, arch)
    writer.add_type(kind)
    if count > 1:
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
    if arch == "clip":
        writer.add_bool("clip.has_vision_encoder", True)
    writer.add_languages(["en", "de"])
    writer.add_tensor(f"t{number}", np.zeros((4, 8), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_parts_of_a_gguf_are_one_model(tmp_path: Path) -> None:
    for n in (0, 1):
        part(tmp_path / f"m-{n + 1:05d}-of-00002.gguf", n, 2)
    part(tmp_path / "mmproj.gguf", 0, 1, "mmproj", "clip")
    found = files.look(tmp_path)
    assert found.what.parameters == Fact(64, "file:m-00001-of-00002.gguf and 1 more")
    assert found.what.languages == Fact(("en", "de"), "file:m-00001-of-00002.gguf and 1 more")
    assert found.what.modalities == Fact(("image",), "file:mmproj.gguf")
    (tmp_path / "m-00002-of-00002.gguf").unlink()
    found = files.look(tmp_path)
    assert found.what.parameters is None
    assert "1 of 2 parts are here" in " ".join(found.notes)


def test_an_adapter_names_its_base(tmp_path: Path) -> None:
    tensors(tmp_path / "adapter_model.safetensors", {"x.lora_A.weight": ("F32", [8, 4])})
    write(tmp_path, adapter_config={"base_model_name_or_path": "meta-llama/Llama-2-7b", "peft_type": "LORA"})
    found = files.look(tmp_path)
    assert found.what.kind == Fact(Kind.ADAPTER, "file:adapter_config.json")
    assert found.method == Fact("LORA", "file:adapter_config.json")
    assert found.what.parameters == Fact(32, "file:adapter_model.safetensors")
    graph = files.lineage_of(found, "me/mine")
    assert graph.edges == (
        Edge("meta-llama/Llama-2-7b", "me/mine", How.ADAPTER, "adapter", "file:adapter_config.json"),
    )
    part(tmp_path / "lora.gguf", 0, 1, "adapter")
    assert files.read(tmp_path / "lora.gguf").kind == Fact(Kind.ADAPTER, "file:lora.gguf")
    assert files.lineage_of(files.look(PEBBLE), "intermodel/pebble").edges == ()


@pytest.mark.parametrize(
    ("config", "modalities", "context", "vocabulary"),
    [
        (CONFIG, ("text",), 4096, 32000),
        ({"architectures": ["LlavaForConditionalGeneration"], "text_config": CONFIG, "vision_config": {}},
         ("text", "image"), 4096, 32000),
        ({"model_type": "qwen2_5_omni", "thinker_config": {"text_config": CONFIG}, "audio_config": {},
          "vision_config": {}, "video_token_id": 1}, ("text", "image", "audio", "video"), 4096, 32000),
        ({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper", "vocab_size": 5,
          "max_target_positions": 448}, ("text", "audio"), 448, 5),
        ({"architectures": ["ViTForImageClassification"], "model_type": "vit"}, ("image",), None, None),
        ({"architectures": ["BertForMaskedLM"], "n_positions": 512}, ("text",), 512, None),
        ({"n_ctx": True, "vocab_size": -1, "n_positions": 2.0, "max_seq_len": 10**30, "torch_dtype": 1,
          "architectures": "x" * 1000, "model_type": "\ud800"}, None, None, None),
    ],
)  # fmt: skip
def test_configurations(
    config: dict[str, Any], modalities: tuple[str, ...] | None, context: int | None, vocabulary: int | None,
    tmp_path: Path,
) -> None:  # fmt: skip
    (tmp_path / "model.onnx").touch()
    write(tmp_path, config=config)
    what = files.read(tmp_path)
    assert (what.modalities and what.modalities.value) == modalities
    assert (what.context_length and what.context_length.value) == context
    assert (what.vocabulary and what.vocabulary.value) == vocabulary
    assert what.formats == Fact(("onnx",), "file:model.onnx")
    if not context:
        assert what.precision is None


def test_chat_templates(tmp_path: Path) -> None:
    named = [{"name": "tool_use", "template": "t"}, {"name": "default", "template": "d"}]
    write(tmp_path, tokenizer_config={"chat_template": named})
    assert files.read(tmp_path).chat_template == Fact("d", "file:tokenizer_config.json")
    (tmp_path / "chat_template.jinja").write_text("{{ x }}")
    found = files.look(tmp_path)
    assert found.what.chat_template == Fact("{{ x }}", "file:chat_template.jinja")
    assert found.notes == ("chat_template: one (file:chat_template.jinja), another (file:tokenizer_config.json)",)
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    assert "no UTF-8" in files.look(tmp_path).notes[0]
    (tmp_path / "chat_template.jinja").write_text("x" * 200_000)
    assert files.read(tmp_path).chat_template == Fact("d", "file:tokenizer_config.json")


@pytest.mark.parametrize(
    ("config", "tensors_", "parameters", "precision"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}},
         {"q.qweight": ("I32", 100), "q.qzeros": ("I32", 50), "q.scales": ("F16", 50), "e": ("F16", 10)}, 810, "INT4"),
        ({"quantization_config": {"quant_method": "awq", "bits": 8}}, {"q.qweight": ("I32", 100)}, 400, "INT8"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}},
         {"q.weight": ("U8", 100), "q.weight.absmax": ("F32", 9), "n.weight": ("F16", 7)}, 207, "NF4"),
        ({"quantization_config": {"quant_method": "mxfp4"}}, {"m_blocks": ("U8", 64), "m_scales": ("U8", 2)}, 128,
         "MXFP4"),
        ({"quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights":
         {"num_bits": 4}}}}}, {"q.weight_packed": ("I32", 10), "q.weight_shape": ("I64", 2)}, 80, "INT4"),
        ({"quantization": {"group_size": 64, "bits": 4}},
         {"q.weight": ("U32", 10), "q.scales": ("F16", 4), "q.biases": ("F16", 4)}, 80, "INT4"),
        ({"quantization_config": {"quant_method": "fp8"}},
         {"q.weight": ("F8_E4M3", 100), "q.weight_scale_inv": ("F32", 2)}, 100, "F8_E4M3"),
        ({}, {"q.qweight": ("I32", 100)}, None, None),
        ({"quantization_config": {"quant_method": "gptq", "bits": 0}}, {"q.qweight": ("I32", 100)}, None, None),
        ({}, {"a": ("F64", 1), "b": ("BF16", 5), "ids": ("I64", 2)}, 8, "BF16"),
        ({}, {}, None, None),
    ],
)  # fmt: skip
def test_packed_weights_are_counted_as_weights(
    config: dict[str, Any], tensors_: dict[str, tuple[str, int]], parameters: int | None, precision: str | None
) -> None:
    listed = [(name, Tensor(dtype, (items,), items)) for name, (dtype, items) in tensors_.items()]
    found = counts.counted(listed, counts.packing_of(config))
    assert (found.parameters, found.precision) == (parameters, precision)
    assert bool(found.note) == (parameters is None)


def test_an_empty_folder_says_so(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Hello")
    with pytest.raises(Invalid, match="holds no file"):
        files.read(tmp_path)


def test_pickles_are_named_and_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    os.mkfifo(tmp_path / "model.safetensors")
    what = files.read(tmp_path)
    assert what.formats == Fact(("pytorch",), "file:pytorch_model.bin")
    assert what.kind == Fact(Kind.WEIGHTS, "file:pytorch_model.bin")
    assert what.parameters is None


def test_file_names_that_are_no_text(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.safetensors"))
    try:
        tensors(path, {"x": ("F32", [2])})
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    what = files.read(tmp_path)
    assert what.parameters is not None
    what.parameters.source.encode()


def test_the_earlier_source_wins() -> None:
    one = WhatItIs(parameters=Fact(1, "file:a"))
    other = WhatItIs(parameters=Fact(2, "card:b"), precision=Fact("F32", "card:b"))
    assert files.merged(one, other) == WhatItIs(parameters=Fact(1, "file:a"), precision=Fact("F32", "card:b"))
    assert files.disagreements(one, other) == ("parameters: 1 (file:a), 2 (card:b)",)
    assert files.merged() == WhatItIs()
    assert files.told(one)["size"].text == "1 parameters"


@given(
    st.dictionaries(
        st.sampled_from(["config.json", "tokenizer.json", "tokenizer_config.json", "adapter_config.json",
                         "model.safetensors.index.json", "model.safetensors", "chat_template.jinja",
                         "model_index.json"]),
        st.binary(max_size=40) | st.sampled_from([
            b"{}", b"null", b"[]", b"[" * 5000,
            b'{"model": 1}', b'{"model": {"vocab": [[]]}}', b'{"architectures": [[]]}',
            b'{"weight_map": {"a": "b"}}', b'{"text_config": {"text_config": {}}}', b'{"quantization_config": []}',
            b'{"quantization_config": {"quant_method": ["a"]}}', b'{"chat_template": [1]}', b"\x02" + b"\0" * 7 + b"{}",
            b'{"model": {"vocab": {"a": 1}, "type": []}, "added_tokens": {"a": 1}}', b'{"peft_type": {}}',
            b'{"model_type": ["llama"], "torch_dtype": {}, "architectures": ["\\ud800"]}',
        ]),
        max_size=6,
    )
)  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_folder_gives_facts_or_a_reason(tmp_path: Path, contents: dict[str, bytes]) -> None:
    for old in tmp_path.iterdir():
        old.unlink()
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    for path in (tmp_path, *tmp_path.iterdir()):
        try:
            files.read(path)
        except IntermodelError:
            continue
