"""Which licence a text is, by what it says.

Two texts are the same where their words are, after what the SPDX License List Matching Guidelines (annex B of the
specification) leave aside: case, punctuation, white space, the title, plain lines of copyright, names of holders where
the text has a place for them, and the advice on how to apply the licence that some texts carry after their end.
Anything else that follows or stands between makes it another text.
Texts that differ are compared by the words that stand together in both: the share of five-word runs that two texts have
in common (Jaccard), estimated from the smallest 256 hashes of each (A. Broder, "On the resemblance and containment of
documents", 1997). The estimate's standard error is sqrt(J(1-J)/256): 1.9 points at 0.9.

No texts are kept here, only their hashes: `fingerprints.json`, made by `tests/records/licences/make.py` from the texts
of scancode-licensedb (CC-BY-4.0), as scancode-toolkit-mini 32.5.0 ships them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from intermodel.core.errors import TooLarge

MOST_BYTES = 1 << 18
"""Several times the longest licence known."""
LIKE = 0.7
"""From this share of common runs on, a text is *like* a known one, *with changes*: what holds is not known then."""
RESEMBLES = 0.5
"""From this share on the nearest is named, and no more is said."""
KEPT = 256
RUN = 5

_COPYRIGHT = re.compile(
    r"^[^\w\n]*(copyright[^\w\n]{0,9}((\(c\)|©)[^\w\n]{0,9})?(\d{4}|[\[{<])|copyright[^\w\n]{0,9}(\(c\)|©)|\(c\)|©"
    r"|all rights reserved[^\w\n]*$).*$",
    re.IGNORECASE | re.MULTILINE,
)
_SAYS_MORE = re.compile(
    r"\b(not|no|may|must|shall|only|use|used|commercial\w*|non\w*|permi\w*|prohib\w*|forbid\w*|except|restrict\w*|licen\w*)\b",
    re.IGNORECASE,
)
"""A line of copyright that holds one of these is compared too: it may carry a term."""
_TITLE = frozenset(
    ("the", "a", "mit", "x11", "expat", "bsd", "0", "1", "2", "3", "clause", "license", "licence", "isc", "new",
     "revised", "simplified", "version", "zlib")
)  # fmt: skip
_HOLDERS = (
    (re.compile(r"\bneither the names? of (.{1,80}?) nor the names of (?:its|their|any|the) contributors\b"),
     "neither the name of the copyright holder nor the names of its contributors"),
    (re.compile(r"\bis provided by (.{1,80}?) as is\b"), "is provided by the copyright holders as is"),
    (re.compile(r"\bin no event shall (.{1,80}?) be liable\b"), "in no event shall the copyright holders be liable"),
)  # fmt: skip
_AFTER = re.compile(r"end of (the )?terms and conditions\b", re.IGNORECASE)
_WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a text is. `licence` is an id of the data only where the words are the same.

    `near` is the most similar known licence and `likeness` their share of common five-word runs, from 0 to 1.
    """

    licence: str | None
    near: str | None
    likeness: float
    digest: str
    """SHA-256 of the text as it stands."""
    words: str
    certainty: str
    """`licence-text` where the words are the same, else `unverified`."""

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "licence": self.licence, "near": self.near, "likeness": round(self.likeness, 3), "sha256": self.digest,
            "words": self.words, "certainty": self.certainty,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of a known text: `licence` is its id, `source` where the text is from."""

    licence: str
    name: str
    source: str
    digests: frozenset[str]
    """Of the whole text, and of it without the advice on how to apply it."""
    sketch: frozenset[int]


def normalised(text: str) -> tuple[str, ...]:
    """The words of a text that count when two are compared."""
    plain = _COPYRIGHT.sub(
        lambda line: line[0] if _SAYS_MORE.search(line[0]) else " ", unicodedata.normalize("NFKC", text)
    )
    words = " ".join(_WORDS.findall(_untitled(plain).casefold()))
    return tuple(_nameless(words.replace("https", "http")).split())


def _untitled(plain: str) -> str:
    """Without the lines at its head that only name the licence."""
    lines = plain.split("\n")
    names = next((i for i, line in enumerate(lines) if not set(_WORDS.findall(line.casefold())) <= _TITLE), len(lines))
    return "\n".join(lines[names:])


def _nameless(words: str) -> str:
    """With the same holder in every place that is for one."""
    for place, said in _HOLDERS:
        words = place.sub(lambda found, said=said: found[0] if _SAYS_MORE.search(found[1]) else said, words)  # type: ignore[misc]
    return words


def without_advice(text: str) -> str:
    """A known text up to the end of its terms, without how to apply it."""
    end = _AFTER.search(text)
    return text[: end.end()] if end else text


def digest_of(words: tuple[str, ...]) -> str:
    """SHA-256 of the words with one space between them."""
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def sketch_of(words: tuple[str, ...]) -> frozenset[int]:
    """The smallest hashes of the runs of words."""
    runs = {" ".join(words[i : i + RUN]) for i in range(max(1, len(words) - RUN + 1))}
    hashes = {int.from_bytes(hashlib.blake2b(run.encode(), digest_size=4).digest(), "big") for run in runs}
    return frozenset(sorted(hashes)[:KEPT])


def likeness(one: frozenset[int], other: frozenset[int]) -> float:
    """The estimated share of runs that two texts have in common."""
    union = sorted(one | other)[:KEPT]
    return sum(1 for each in union if each in one and each in other) / len(union) if union else 0.0


def packed(sketch: frozenset[int]) -> str:
    """A sketch for JSON."""
    return base64.b64encode(struct.pack(f">{len(sketch)}I", *sorted(sketch))).decode()


def _unpacked(text: str) -> frozenset[int]:
    raw = base64.b64decode(text)
    return frozenset(struct.unpack(f">{len(raw) // 4}I", raw))


@cache
def fingerprints() -> tuple[Fingerprint, ...]:
    """Of every text that is known."""
    told: list[Mapping[str, Any]] = orjson.loads((files(__package__) / "fingerprints.json").read_bytes())["texts"]
    return tuple(
        Fingerprint(one["licence"], one["name"], one["source"], frozenset(one["digests"]), _unpacked(one["sketch"]))
        for one in told
    )


def hashes(licence: str) -> tuple[str, ...]:
    """SHA-256 of the words of each known text of a licence, as `digest_of` makes it; none where no text is known."""
    return tuple(sorted(digest for one in fingerprints() if one.licence == licence for digest in one.digests))


def recognise(text: str | bytes) -> Recognised:
    """Which licence that text is. A text that differs from the nearest known one says so, and stays unknown.

    Raises `TooLarge` for more than 256 KiB.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(raw) > MOST_BYTES:
        raise TooLarge("This is too long for a licence's text.", hint="Name the file that holds the licence alone.")
    digest = hashlib.sha256(raw).hexdigest()
    words = normalised(raw.decode("utf-8", "replace"))
    if not words:
        return Recognised(None, None, 0.0, digest, "an empty text", "unverified")
    same = digest_of(words)
    for known in fingerprints():
        if same in known.digests:
            return Recognised(known.licence, known.licence, 1.0, digest, f"the text of {known.name}", "licence-text")
    sketch = sketch_of(words)
    best, share = max(((known, likeness(known.sketch, sketch)) for known in fingerprints()), key=lambda pair: pair[1])
    if share >= LIKE:
        said = f"like {best.name}, with changes ({share:.0%} of the wording is the same)"
    elif share >= RESEMBLES:
        said = f"not known; {share:.0%} of the wording is that of {best.name}"
    else:
        return Recognised(None, None, share, digest, "not known", "unverified")
    return Recognised(None, best.licence, share, digest, said, "unverified")
