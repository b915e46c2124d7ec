"""What packages bring with them: providers, guards and scorers, by the entry points they declare."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points


def installed(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group, by name. What is installed while a process runs is found from its next start on.

    Looking reads every package's metadata (8 ms), so it is done once for each place that modules are found at.
    """
    return _installed(group, tuple(sys.path))


@cache
def _installed(group: str, _path: tuple[str, ...]) -> Mapping[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}
