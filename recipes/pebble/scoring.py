"""What counts as a right answer, and the table of right answers. Needs neither torch nor llama.cpp."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from recipes.pebble.items import Item
from recipes.pebble.stories import sentence_patterns


def interval(right: int, count: int) -> tuple[float, float]:
    """The 95 % Wilson interval of a share, in percent."""
    z, share = 1.96, right / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    scale = 100 / (1 + z * z / count)
    return round((centre - spread) * scale, 1), round((centre + spread) * scale, 1)


def is_right(item: Item, written: str) -> bool:
    """Whether an answer counts: exactly one of those expected; a story has to follow the grammar and the prompt."""
    if item.kind == "story":
        return is_story(item.messages[-1]["content"], written)
    return written.strip() in item.expect


def is_story(asked: str, written: str) -> bool:
    """Whether a text is six sentences of the story grammar, in order, about the hero that the prompt names."""
    whole = "".join(f"(?:{'|'.join(part)})(?: |$)" for part in sentence_patterns())
    found = re.search(r"about an? (\w+)(?: named (\w+))?", asked)
    wanted = [word for word in found.groups() if word] if found else []
    opening = ".".join(written.split(".")[:1])
    return re.fullmatch(whole, written.strip()) is not None and all(word in opening for word in wanted)


def table(scored: Iterable[tuple[Item, bool]]) -> dict[str, dict[str, Any]]:
    """Right answers and items for each kind within its group, and for each group; groups are never added up."""
    counts: dict[tuple[str, str], list[int]] = {}
    for item, right in scored:
        for key in ((item.group, item.kind), (item.group, "all")):
            entry = counts.setdefault(key, [0, 0])
            entry[0] += int(right)
            entry[1] += 1
    groups: dict[str, dict[str, Any]] = {}
    for (group, kind), (correct, count) in counts.items():
        low, high = interval(correct, count)
        figures = {
            "right": correct,
            "items": count,
            "percent": round(100 * correct / count, 1),
            "low": low,
            "high": high,
        }
        groups.setdefault(group, {})[kind] = figures
    return groups
