"""Scores the finished model on the items, through llama.cpp and through torch, skill by skill."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

from recipes.pebble import items as listing
from recipes.pebble.export import GGUF
from recipes.pebble.items import Item
from recipes.pebble.model import Llama
from recipes.pebble.record import sha256_of
from recipes.pebble.scoring import is_right, table
from recipes.pebble.served import Served
from recipes.pebble.template import prompt
from recipes.pebble.tokenizer import END
from recipes.pebble.training import Plan

RESULTS = Path(__file__).parent / "evaluation" / "results.json"
LIMIT = 160
Write = Callable[[Item], str]


def greedy(model: Llama, words: Tokenizer) -> Write:
    """Greedy answers of the torch model."""
    end = words.token_to_id(END)

    @torch.no_grad()
    def write(item: Item) -> str:
        tokens = words.encode(prompt(item.messages, item.tools)).ids
        start = len(tokens)
        while len(tokens) - start < LIMIT:
            states = model.states(torch.tensor([tokens]))
            best = int(model.scores(states[0, -1]).argmax())
            if best == end:
                break
            tokens.append(best)
        return str(words.decode(tokens[start:], skip_special_tokens=False))

    return write


def structured(items: list[Item], served: Served) -> dict[str, int]:
    """How often an answer under a JSON schema is valid under it, and how often it is also right."""
    wanted = [item for item in items if item.schema is not None]
    valid = right = 0
    for item in wanted:
        text = served.write(item, constrained=True)
        try:
            value = json.loads(text)
            jsonschema.validate(value, item.schema or {})
        except (ValueError, jsonschema.ValidationError):
            continue
        valid += 1
        right += value in [json.loads(expected) for expected in item.expect]
    return {"items": len(wanted), "valid": valid, "right": right}


def calls(answers: list[tuple[Item, str]]) -> dict[str, int]:
    """Of the answers that call a tool: how many parse, name an offered tool and fill its parameters."""
    found = [(item, text) for item, text in answers if "<tool_call>" in text]
    valid = 0
    for item, text in found:
        match = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", text.strip())
        offered = {tool["function"]["name"]: tool["function"]["parameters"] for tool in item.tools}
        try:
            made = json.loads(match.group(1) if match else "")
            jsonschema.validate(made["arguments"], offered[made["name"]])
        except (ValueError, KeyError, jsonschema.ValidationError):
            continue
        valid += 1
    return {"calls": len(found), "valid": valid}


def evaluate(folder: Path, *, keep: bool = True) -> dict[str, Any]:
    """Answers every item with the GGUF and with torch, prints the table and writes `evaluation/results.json`."""
    listed = listing.items()
    listing.FILE.write_text(listing.serialise(listed), "utf-8")
    words = Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = Llama(Plan().shape)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    served, by_torch = Served(folder / GGUF), greedy(model, words)
    answers = [(item, served.write(item)) for item in listed]
    plain = [(item, by_torch(item)) for item in listed]
    results = {
        "model": {"sha256": sha256_of(folder / GGUF), "file": GGUF},
        "items": {"sha256": sha256_of(listing.FILE), "count": len(listed)},
        "gguf": table((item, is_right(item, text)) for item, text in answers),
        "torch": table((item, is_right(item, text)) for item, text in plain),
        "same_answer": sum(one == other for (_, one), (_, other) in zip(answers, plain, strict=True)),
        "json_schema": structured(listed, served),
        "tool_calls": calls(answers),
        "wrong": [
            {"id": item.id, "asked": item.messages[-1]["content"], "wrote": text}
            for item, text in answers
            if not is_right(item, text)
        ],
    }
    show(results)
    if keep:
        RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return results


def show(results: dict[str, Any]) -> None:
    """Prints the figures, group by group."""
    for group, kinds in results["gguf"].items():
        for kind, one in kinds.items():
            other = results["torch"][group][kind]
            print(
                f"{group:8} {kind:14} {one['right']:4}/{one['items']:<4} {one['percent']:5.1f} % "
                f"[{one['low']:.0f}-{one['high']:.0f}]   torch {other['right']}",
                flush=True,
            )
    print(f"same answer from both: {results['same_answer']} of {results['items']['count']}")
    print(f"under a JSON schema: {results['json_schema']}   tool calls: {results['tool_calls']}")
