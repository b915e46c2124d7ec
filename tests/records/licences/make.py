"""Make `fingerprints.json` anew: `python -m tests.records.licences.make FOLDER`.

FOLDER is `licensedcode/data/licenses` of scancode-toolkit-mini 32.5.0: the texts of scancode-licensedb, CC-BY-4.0. Only
hashes are written.
"""

from __future__ import annotations

import sys
from pathlib import Path

import orjson

from intermodel.records.licences import LICENCES, texts
from intermodel.records.licences.texts import digest_of, normalised, packed, sketch_of, without_advice

OTHER_NAMES = {
    "bsd-3-clause": ("bsd-new",), "bsd-2-clause": ("bsd-simplified",), "bsd-3-clause-clear": ("clear-bsd",),
    "bsl-1.0": ("boost-1.0",), "0bsd": ("bsd-zero",), "ncsa": ("uoi-ncsa",), "wtfpl": ("wtfpl-2.0",),
    "pddl": ("pddl-1.0",), "lgpl-lr": ("lgpllr",),
    "bigscience-openrail-m": ("bigscience-open-rail-m", "bigscience-open-rail-m2"),
    "bigscience-bloom-rail-1.0": ("bigscience-rail-1.0",), "bigcode-openrail-m": ("bigcode-open-rail-m-v1",),
    "llama1": ("llama-license-2023",), "llama2": ("llama-2-license-2023",),
    "llama3.1": ("llama-3.1-license-2024",), "llama3.2": ("llama-3.2-license-2024",),
    "llama3.3": ("llama-3.3-license-2024",), "llama4": ("llama-4-cla-2025", "llama-4-license-2025"),
    "gemma": ("gemma-tou-2025-03-24", "gemma-tou-2024-04-01"), "falcon-2-tii": ("falcon-2-11b-1.0",),
    "deepseek": ("deepseek-la-1.0",), "tongyi-qianwen": ("tongyi-qianwen-2023",), "qwen": ("qwen-2024",),
    "nvidia-open-model": ("nvidia-open-model-2025-04-28",), "stability-community": ("stability-ai-community-2024",),
    "flux-1-dev-nc": ("flux-1-nc",), "exaone-1.1-nc": ("exaone-ai-model-1.1-nc",),
    "tencent-hunyuan-community": ("tencent-hunyuan-3d-2.0-cla",),
    "kimi-modified-mit": ("moonshot-ai-modified-mit-2025",),
    "openai-terms-2023-03": ("openai-tou-20230314",), "openai-terms-2024-12": ("openai-tou-20241211",),
}  # fmt: skip
"""Where a text has another name there than its licence has here."""


def made(folder: Path) -> bytes:
    """The file's content, one text a line."""
    lines = []
    for licence in LICENCES.values():
        for key in OTHER_NAMES.get(licence.id, (licence.id,)):
            file = folder / f"{key}.LICENSE"
            if file.is_file():
                text = file.read_text().split("---\n", 2)[2]
                digests = dict.fromkeys(digest_of(normalised(one)) for one in (text, without_advice(text)))
                one = {"licence": licence.id, "name": licence.name, "source": f"licensedb {key}"}
                lines.append(orjson.dumps(one | {"digests": [*digests], "sketch": packed(sketch_of(normalised(text)))}))
    about = b"Hashes of licence texts. Texts: scancode-licensedb (CC-BY-4.0), as in scancode-toolkit-mini 32.5.0."
    return b'{"about": "' + about + b'",\n"texts": [\n' + b",\n".join(lines) + b"\n]}\n"


if __name__ == "__main__":
    (Path(texts.__file__).parent / "fingerprints.json").write_bytes(made(Path(sys.argv[1])))
