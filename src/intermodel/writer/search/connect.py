"""From settings to the back ends that are searched."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from intermodel.core import Invalid
from intermodel.settings import Writer
from intermodel.settings.load import search_key
from intermodel.writer.look import Search
from intermodel.writer.search.brave import Brave
from intermodel.writer.search.folder import Folder
from intermodel.writer.search.searxng import SearXNG
from intermodel.writer.search.tavily import Tavily

SHIPPED = Path(__file__).parents[1] / "corpus"
"""Documents on open models that come with the package."""

Environ = Mapping[str, str] | None


def connect(settings: Writer, names: Sequence[str] = (), environ: Environ = None) -> list[Search]:
    """The back ends of these names, or of the settings where none is given, in that order, each once. Nothing is asked.

    Raises `Invalid` for a name that is none, and for a back end that lacks its address, key or folder.
    """
    wanted = list(dict.fromkeys(names or settings.search))
    for name in wanted:
        if name not in _MAKE:
            near = difflib.get_close_matches(name, _MAKE, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"There are {', '.join(_MAKE)}."
            raise Invalid(f"'{name[:40]}' is no back end for searching.", hint=hint, code="unknown_search")
    return [_MAKE[name](settings, environ) for name in wanted]


def _folder(settings: Writer, _environ: Environ) -> Search:
    return Folder(settings.folder.expanduser() if settings.folder else SHIPPED, extract_s=settings.extract_s)


def _searxng(settings: Writer, _environ: Environ) -> Search:
    if not settings.searxng.base_url:
        raise Invalid(
            "The search 'searxng' has no address.",
            hint='Put it into intermodel.toml: [writer.searxng] base_url = "http://localhost:8888".',
            code="invalid_setting",
        )
    return SearXNG(settings)


def _brave(settings: Writer, environ: Environ) -> Search:
    return Brave(settings, search_key(settings.brave, "brave", environ))


def _tavily(settings: Writer, environ: Environ) -> Search:
    return Tavily(settings, search_key(settings.tavily, "tavily", environ))


_MAKE: dict[str, Callable[[Writer, Environ], Search]] = {
    "folder": _folder, "searxng": _searxng, "brave": _brave, "tavily": _tavily,
}  # fmt: skip
