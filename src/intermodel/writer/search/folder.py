"""A folder of documents: works without any network, and is what is searched where nothing else is set."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from intermodel.core import IntermodelError, Invalid
from intermodel.records import yamltext
from intermodel.writer.apart import text_of
from intermodel.writer.look import MOST_PAGE, Hit
from intermodel.writer.plain import clean, day, line, untagged
from intermodel.writer.text import HEADING, ranked, words

log = logging.getLogger(__name__)

MOST_FILES = 5000
MOST_BYTES = 4 * 1024**2
"""Of one file."""
MOST_TEXT = 128 * 1024**2
"""Characters of all of them together."""
_HTML = frozenset({".html", ".htm", ".xhtml"})
_KINDS = frozenset({".md", ".markdown", ".txt"}) | _HTML
_COMMON = frozenset(words(
    "a about all an and any are as at be been but by can could did do does for from had has have how i if in into is "
    "it its may more most must my no not of on or our should so some such than that the their them there these they "
    "this to was we were what when where which who whom whose why will with would you your"
))  # fmt: skip
"""Words that say nothing about what a question asks."""
_HEAD = 8 * 1024
"""Characters in which a front matter must end."""


@dataclass(frozen=True, slots=True)
class Document:
    """A file. `text` is without its front matter; of HTML it is all that stands between tags, for ranking alone."""

    path: Path
    name: str
    title: str
    text: str
    published: str

    @property
    def is_html(self) -> bool:
        return self.path.suffix.lower() in _HTML


class Folder:
    """Documents below a folder. A file is read again when it has changed. An address is `file:` and the path in it."""

    name = "folder"

    def __init__(self, folder: Path, *, extract_s: float = 10) -> None:
        self._folder = folder
        self._extract_s = extract_s
        self._known: dict[Path, tuple[tuple[int, int], Document | None]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def search(self, query: str, limit: int) -> list[Hit]:
        """Raises `Invalid` where the folder is not there, or holds more files than it should."""
        async with self._one_at_a_time:
            found = await asyncio.to_thread(self._found, query)
        hits: list[Hit] = []
        for document in found:
            if len(hits) >= limit:
                break
            if hit := await self._hit(document):
                hits.append(hit)
        return hits

    async def close(self) -> None:
        pass

    def _found(self, query: str) -> list[Document]:
        documents: list[Document] = []
        left = MOST_TEXT
        for path in self._paths():
            if (one := self._document(path)) is not None:
                documents.append(one)
                left -= len(one.text)
            if left < 0:
                raise self._too_large(f"{MOST_TEXT} characters of text")
        asked = " ".join(word for word in words(query) if word not in _COMMON)
        texts = [f"{one.title}\n{one.title}\n{one.text}" for one in documents]
        return [documents[index] for index in ranked(texts, asked)]

    def _paths(self) -> list[Path]:
        if not self._folder.is_dir():
            raise Invalid(
                f"The folder to search is not there: {self._folder}.",
                hint="Make it, or name another: [writer] folder.",
                code="no_folder",
            )
        root = self._folder.resolve()
        found: list[Path] = []
        for at, folders, names in os.walk(root):  # which follows no link to a folder
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            paths = (Path(at, name) for name in sorted(names) if not name.startswith("."))
            found += [path for path in paths if path.suffix.lower() in _KINDS]
            if len(found) > MOST_FILES:
                raise self._too_large(f"{MOST_FILES} documents")
        return found

    def _too_large(self, what: str) -> Invalid:
        return Invalid(
            f"{self._folder} holds more than {what}.",
            hint="Name a smaller folder: [writer] folder.",
            code="folder_too_large",
        )

    def _document(self, path: Path) -> Document | None:
        """None for a file that cannot be read, which the log tells once."""
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
                return None
            stamp = (status.st_mtime_ns, status.st_size)
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = self._known[path] = stamp, self._read(path, status.st_size)
            return known[1]
        except OSError as error:
            log.warning("a document cannot be read", extra={"path": str(path), "why": error.strerror})
            return None

    def _read(self, path: Path, size: int) -> Document | None:
        if size > MOST_BYTES:
            log.warning("a document is too large to be searched", extra={"path": str(path), "bytes": size})
            return None
        text = clean(path.read_text(encoding="utf-8-sig", errors="replace"))
        name = path.relative_to(self._folder.resolve()).as_posix()
        if path.suffix.lower() in _HTML:
            return Document(path, name, "", untagged(text), "")
        return document(path, name, text)

    async def _hit(self, document: Document) -> Hit | None:
        """None for an HTML file in which no text is found, which the log tells."""
        title, text, published = document.title, document.text, document.published
        if document.is_html:
            try:
                data = await asyncio.to_thread(document.path.read_bytes)
                found = await text_of(
                    data, kind="html", charset="", url="", name=document.name, seconds=self._extract_s
                )
            except (IntermodelError, OSError) as error:
                log.warning("a document cannot be taken apart", extra={"path": str(document.path), "why": str(error)})
                return None
            title, text, published = found.title, clean(found.text), found.published
        if not text:
            return None
        url = "file:" + quote(document.name)
        return Hit(url, line(title, 300) or document.name, line(_opening(text), 300), published, text[:MOST_PAGE])


def document(path: Path, name: str, text: str) -> Document:
    """A document of Markdown or plain text, whose front matter may tell `title` and `published`. Pure."""
    told, body = _front(text, name)
    heading = HEADING.search(body)
    title = line(told.get("title"), 300) or (line(heading[1], 300) if heading else "") or Path(name).stem
    return Document(path, name, title, body.strip(), day(told.get("published") or told.get("date")))


def _front(text: str, name: str) -> tuple[dict[str, object], str]:
    """The front matter and the rest. What is none stays in the text."""
    if not text.startswith("---\n"):
        return {}, text
    head, mark, _ = text[4 : 4 + _HEAD].partition("\n---")
    if not mark:
        return {}, text
    try:
        told = yamltext.read(head, "front matter", "", numbers=False)
    except Invalid:
        log.warning("the front matter of a document cannot be read", extra={"path": name})
        return {}, text
    if not isinstance(told, dict):
        return {}, text
    return told, text[4 + len(head) + len(mark) :]


def _opening(text: str) -> str:
    """Its first words that are no heading."""
    return HEADING.sub("", text[:2000]).strip()
