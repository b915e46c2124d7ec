"""Looks at a model's file or folder. The only part that touches the disk, beside the readers of single files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from intermodel.core import Invalid, NotFound
from intermodel.records.facts import Fact, Kind, WhatItIs
from intermodel.records.files import configs, counts, gguf, safetensors
from intermodel.records.files.configs import fact
from intermodel.records.files.documents import called, json_of, opened, text_of
from intermodel.records.files.merging import disagreements, merged

MOST_FILES = 20_000
"""Entries of one folder that are looked at; the largest models come in a few hundred files."""
MOST_GGUF = 256
"""GGUF files of one folder whose headers are read: quantised forms of one model, or its parts."""

INDEX = "model.safetensors.index.json"
SINGLE = ("model.safetensors", "adapter_model.safetensors", "diffusion_pytorch_model.safetensors")
_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.safetensors")
_FORMATS = (
    (re.compile(r".+\.safetensors"), "safetensors"),
    (re.compile(r".+\.gguf"), "gguf"),
    (re.compile(r"(pytorch_model|adapter_model|diffusion_pytorch_model|consolidated).*\.(bin|pth|pt)"), "pytorch"),
    (re.compile(r".+\.(pth|pt|ckpt)"), "pytorch"),
    (re.compile(r".+\.onnx"), "onnx"),
    (re.compile(r"tf_model.*\.h5"), "tensorflow"),
    (re.compile(r"flax_model.*\.msgpack"), "flax"),
    (re.compile(r".+\.keras"), "keras"),
    (re.compile(r".+\.tflite"), "tflite"),
    (re.compile(r".+\.(mlmodel|mlpackage)"), "coreml"),
    (re.compile(r"openvino_.*model\.xml"), "openvino"),
    (re.compile(r".+\.nemo"), "nemo"),
)
"""Formats by how files are called. Those that can run code when they are opened (pickles) are never opened."""


@dataclass(frozen=True, slots=True)
class Found:
    """What files say, and `notes`: where they disagree, and what of them could not be read."""

    what: WhatItIs
    notes: tuple[str, ...] = ()
    base: Fact[str] | None = None
    """What an adapter is applied to, as its own file names it."""
    method: Fact[str] | None = None
    """How an adapter was made: `LORA`."""


def look(path: Path) -> Found:
    """What the files at `path` say of a model. Raises `NotFound`, or `Invalid` with the reason.

    Of a folder only its own files are read, not those of folders in it. A file of it that is damaged is noted and its
    facts are unknown; a damaged file that was named itself raises. Blocks: call it in a thread.
    """
    try:
        if path.is_dir():
            return _folder(path)
        path.stat()
    except FileNotFoundError:
        raise NotFound(f"There is no {path}.", hint="Check the name.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be a file's"
        raise Invalid(f"{called(path)} cannot be read: {reason}.", hint="Check the name and permissions.") from None
    return _file(path)


def _file(path: Path) -> Found:
    notes = _Notes(strict=True)
    with opened(path) as (file, _):
        start = file.read(9)
    if start.startswith(b"GGUF") or path.suffix == ".gguf":
        return _closed([*_ggufs([path], notes, original=True), _formats([path])], notes)
    if path.suffix == ".safetensors" or start[8:] == b"{":
        return _closed([_weights([path], None, notes), _formats([path])], notes)
    if path.suffix == ".json":
        documents = {path.name: json_of(path)}
        whats, base, method = _said_beside(documents)
        if base or any(what != WhatItIs() for what in whats):
            return replace(_closed(whats, notes), base=base, method=method)
    raise Invalid(
        f"{called(path)} is no model file that says what it is.",
        hint="Give a .safetensors or .gguf file, a configuration, or the model's folder.",
        code="invalid_model_file",
    )


class _Notes(list[str]):
    """What was noticed. Where `strict`, a damaged file raises instead."""

    def __init__(self, *, strict: bool = False) -> None:
        super().__init__()
        self._strict = strict

    def failed(self, error: Invalid) -> None:
        if self._strict:
            raise error
        self.append(error.message)


def _closed(whats: Iterable[WhatItIs], notes: list[str]) -> Found:
    known = list(whats)
    return Found(merged(*known), (*disagreements(*known), *notes))


def _folder(folder: Path) -> Found:
    files = _files(folder)
    notes = _Notes()
    documents = _documents(folder, files, notes)
    beside, base, method = _said_beside(documents)
    packing = counts.packing_of(documents.get("config.json", {}))
    chosen = _chosen(files, documents, notes)
    whats = [_weights(chosen, packing, notes)] if chosen else []
    tensors = bool(whats)
    template = _template(folder, files, notes)
    whats += [template, *beside] if template else beside
    found = _ggufs([file for file in files if file.suffix == ".gguf"], notes, original=not tensors)
    # with tensors beside them, GGUF files are another form of the same model: the configuration is nearer
    whats = whats + found if tensors else found + whats
    whats.append(_formats(files))
    if all(what == WhatItIs() for what in whats) and not notes:
        raise Invalid(
            f"{called(folder)} holds no file that says what a model is.",
            hint="Give the folder with config.json, and with .safetensors or .gguf files.",
            code="invalid_model_file",
        )
    return replace(_closed(whats, notes), base=base, method=method)


def _files(folder: Path) -> list[Path]:
    files: list[Path] = []
    for count, file in enumerate(folder.iterdir()):
        if count >= MOST_FILES:
            raise Invalid(
                f"{called(folder)} has more than {MOST_FILES} files.", hint="Give the folder of one model alone."
            )
        if file.is_file():
            files.append(file)
    return sorted(files)


def _documents(folder: Path, files: list[Path], notes: _Notes) -> dict[str, dict[str, Any]]:
    here = {file.name for file in files}
    found: dict[str, dict[str, Any]] = {}
    for name in (*_BESIDE, "adapter_config.json", INDEX):
        if name in here:
            try:
                found[name] = json_of(folder / name)
            except Invalid as error:
                notes.failed(error)
    return found


_BESIDE = {
    "config.json": configs.of_config,
    "model_index.json": configs.of_config,
    "tokenizer_config.json": configs.of_tokenizer_config,
    "tokenizer.json": configs.of_tokenizer,
}
"""Files beside the weights, those nearest to them first. generation_config.json tells how to answer, not what it is."""


def _said_beside(
    documents: Mapping[str, dict[str, Any]],
) -> tuple[list[WhatItIs], Fact[str] | None, Fact[str] | None]:
    whats = [read(documents[name], f"file:{name}") for name, read in _BESIDE.items() if name in documents]
    adapter = documents.get("adapter_config.json")
    if adapter is None:
        return whats, None, None
    what, base, method = configs.of_adapter(adapter, "file:adapter_config.json")
    return [what, *whats], base, method


def _template(folder: Path, files: list[Path], notes: _Notes) -> WhatItIs | None:
    """The chat template in a file of its own, which transformers prefers to the one in the tokenizer's."""
    name = "chat_template.jinja"
    if folder / name not in files:
        return None
    try:
        text = text_of(folder / name, 4 * configs.LONGEST_TEMPLATE)
    except Invalid as error:
        notes.failed(error)
        return None
    return WhatItIs(chat_template=fact(configs.template_in(text), f"file:{name}"))


def _chosen(files: list[Path], documents: Mapping[str, Mapping[str, Any]], notes: _Notes) -> list[Path]:
    """The safetensors files that are the model: those of the index, the one with the usual name, or the only ones."""
    tensors = [file for file in files if file.suffix == ".safetensors"]
    here = {file.name: file for file in tensors}
    if INDEX in documents:
        return _indexed(documents[INDEX], here, notes)
    for name in SINGLE:
        if name in here:
            return [here[name]]
    shards = [_SHARD.fullmatch(name) for name in here]
    groups = {(one["stem"], one["count"]) for one in shards if one}
    if len(tensors) > 1 and len(groups) == 1 and all(shards):
        _, count = groups.pop()
        if int(count) == len(tensors):
            return tensors
        notes.append(
            f"{len(tensors)} of {int(count)} parts of the weights are here: what they hold together is unknown"
        )
        return []
    if len(tensors) > 1:
        notes.append(f"which of {len(tensors)} safetensors files are the model is unknown: there is no {INDEX}")
        return []
    return tensors


def _indexed(index: Mapping[str, Any], here: Mapping[str, Path], notes: _Notes) -> list[Path]:
    named = index.get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        notes.append(f"{INDEX} has no usable weight_map")
        return []
    wanted = sorted(set(named.values()))
    missing = [name for name in wanted if name not in here]  # also names that lead out of the folder
    if missing:
        first = missing[0][:100].encode(errors="replace").decode()
        notes.append(f"{INDEX} names {len(missing)} files that are not here, the first '{first}'")
        return []
    return [here[name] for name in wanted]


def _weights(files: list[Path], packing: counts.Packing | None, notes: _Notes) -> WhatItIs:
    """What the headers of all parts say together; nothing of it is known where one of them is damaged."""
    tensors: dict[str, safetensors.Tensor] = {}
    for file in files:
        try:
            header = safetensors.header_of(file)
        except Invalid as error:
            notes.failed(error)
            return WhatItIs()
        if tensors.keys() & header.tensors.keys():
            notes.append(f"{called(file)} holds tensors that another part holds too: the count is unknown")
            return WhatItIs()
        tensors.update(header.tensors)
    found = counts.counted(tensors.items(), packing)
    if found.note:
        notes.append(f"{called(files[0])}: {found.note}")
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    source = f"file:{called(files[0])}{more}"
    return WhatItIs(
        kind=Fact(Kind.WEIGHTS, source) if tensors and files[0].name != "adapter_model.safetensors" else None,
        parameters=fact(found.parameters, source),
        precision=fact(found.precision, source),
    )


def _ggufs(files: list[Path], notes: _Notes, *, original: bool) -> list[WhatItIs]:
    """What each GGUF model here says. `original`: no other form of the weights is here."""
    if len(files) > MOST_GGUF:
        notes.append(f"only the first {MOST_GGUF} of {len(files)} GGUF files were read")
    read = zip(files, gguf.read_all(files[:MOST_GGUF]), strict=False)
    whats = [_gguf(group, notes) for group in _grouped(read, notes)]
    precisions = {what.precision.value for what in whats if what.precision}
    if original and len(precisions) > 1:
        notes.append(f"precision: the files differ ({', '.join(sorted(precisions))})")
        whats = [replace(what, precision=None) for what in whats]
    return whats


Part = tuple[Path, gguf.Stated]


def _grouped(read: Iterable[tuple[Path, gguf.Stated | Invalid]], notes: _Notes) -> list[list[Part]]:
    """Files by the model that they are a part of: `name-00001-of-00003.gguf`."""
    groups: dict[str, list[Part]] = {}
    for path, stated in read:
        if isinstance(stated, Invalid):
            notes.failed(stated)
        elif stated.kind not in gguf.KINDS:
            notes.append(f"{called(path)} is a GGUF file of an unknown kind")
        else:
            name = re.sub(r"-\d{5}-of-\d{5}\.gguf$", "", path.name) if stated.parts > 1 else path.name
            groups.setdefault(name, []).append((path, stated))
    return list(groups.values())


def _gguf(parts: list[Part], notes: _Notes) -> WhatItIs:
    path, stated = min(parts, key=lambda part: part[1].number("split.no"))
    source = f"file:{called(path)}" + (f" and {len(parts) - 1} more" if len(parts) > 1 else "")
    if stated.kind == "mmproj":
        sides = (("clip.has_vision_encoder", "image"), ("clip.has_audio_encoder", "audio"))
        modalities = tuple(kind for key, kind in sides if stated.values.get(key) is True)
        return WhatItIs(modalities=fact(modalities or None, source))
    if stated.kind == "imatrix":
        return WhatItIs()
    kind = Kind.ADAPTER if stated.kind == "adapter" else Kind.WEIGHTS
    parameters = sum(part.parameters for _, part in parts)
    if len({part.number("split.no") for _, part in parts}) != stated.parts or len(parts) != stated.parts:
        notes.append(f"{called(path)}: {len(parts)} of {stated.parts} parts are here, so its parameters are unknown")
        parameters = 0
    return WhatItIs(
        kind=Fact(kind, source),
        architecture=fact(configs.name_in(stated.text("general.architecture")), source),
        parameters=fact(parameters or None, source),
        precision=fact(configs.name_in(stated.quantisation) if stated.quantisation != "unknown" else None, source),
        context_length=fact(configs.count_in(stated.number("context_length")), source),
        languages=fact(_names(stated.values.get("general.languages")), source),
        modalities=Fact(("text",), source) if stated.tokens else None,
        tokenizer=fact(configs.name_in(stated.text("tokenizer.ggml.model")), source),
        vocabulary=fact(stated.tokens or stated.number("vocab_size") or None, source),
        chat_template=fact(configs.template_in(stated.text("tokenizer.chat_template")), source),
    )


def _names(value: Any) -> tuple[str, ...] | None:
    named = tuple(filter(None, (configs.name_in(one) for one in value))) if isinstance(value, list) else ()
    return named or None


def _formats(files: list[Path]) -> WhatItIs:
    found: dict[str, str] = {}
    for file in files:
        for pattern, kind in _FORMATS:
            if kind not in found and pattern.fullmatch(file.name):
                found[kind] = called(file)
    weights = [k for k in found if k not in ("safetensors", "gguf") and not found[k].startswith("adapter_model")]
    return WhatItIs(
        formats=Fact(tuple(found), ", ".join(f"file:{name}" for name in found.values())) if found else None,
        kind=Fact(Kind.WEIGHTS, f"file:{found[weights[0]]}") if weights else None,
    )
