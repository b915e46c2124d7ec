"""What a model's own files say of it: headers of weights, configurations, tokenizers.

Hides: formats, limits, which file wins where two disagree. Promises: nothing written in a file is believed before it
fits the file, weights and pickles are never opened, and each fact names its file. Blocks: call it in a thread.
"""

from __future__ import annotations

from pathlib import Path

from intermodel.records.disclosure import Presence, Told
from intermodel.records.facts import Kind, WhatItIs
from intermodel.records.files.look import Found, look
from intermodel.records.files.merging import disagreements, merged
from intermodel.records.lineage import Edge, Graph, How, Node

__all__ = ["Found", "disagreements", "lineage_of", "look", "merged", "read", "told"]


def read(path: Path | str) -> WhatItIs:
    """What the file or folder says; `look` tells besides where files disagree. Raises `NotFound` or `Invalid`."""
    return look(Path(path)).what


def lineage_of(found: Found, address: str) -> Graph:
    """The base that an adapter's own file names."""
    if found.base is None:
        return Graph({address: Node(address)})
    base = found.base.value
    nodes = {address: Node(address, kind=Kind.ADAPTER, shipped="adapter"), base: Node(base)}
    return Graph(nodes, (Edge(base, address, How.ADAPTER, shipped_as="adapter", source=found.base.source),))


def told(what: WhatItIs) -> dict[str, Told]:
    """What files disclose by being there: the architecture and the size."""
    found: dict[str, Told] = {}
    if what.architecture:
        found["architecture"] = Told(what.architecture.value, what.architecture.source, Presence.OPEN)
    if what.parameters:
        found["size"] = Told(f"{what.parameters.value:,} parameters", what.parameters.source, Presence.OPEN)
    return found
