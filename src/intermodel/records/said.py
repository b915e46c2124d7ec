"""A statement of the ledger, as records take it: who signed it, whether it counts, and what it says in words. Pure.

A statement that was withdrawn is shown, and nothing is concluded from it: what its signer said before counts again. One
that this node sets aside here stays its signer's newest word: what that signer said before does not come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from intermodel.core.statements import Statement, Subject
from intermodel.ledger.predicates import WITHDRAWAL
from intermodel.ledger.predicates import known as has_schema
from intermodel.ledger.withdrawal import Withdrawn, fits, named_by, things
from intermodel.records.predicates import COUNTED

_MOST_NAMED = 5
"""Things of one kind that are named in a line of words."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A trusted signer of a statement, and with which key; `rank` is its place in the settings."""

    name: str
    key: str
    rank: int


@dataclass(frozen=True, slots=True)
class Said:
    """`problem` says why it does not count; `superseded` that the same signer has said something newer of the kind."""

    index: int
    signer: str
    at: float
    predicate_type: str
    predicate: Mapping[str, Any]
    problem: str = ""
    superseded: bool = False
    about: tuple[str, ...] = ()
    """The names of what it is about, as the signer wrote them."""
    own: bool = False
    """Whether a key of this node's ledger signed it: the node is one signer, whichever key it has."""
    by: str = ""
    """The trusted signer whose word it is, by name; empty where it is this node's own, or that of somebody else."""
    rank: int = 0
    """Whose word comes first where they differ: 0 this node, then the trusted signers as the settings list them."""
    stranger: bool = False
    """Whether nobody signed it whose word counts here. It is shown, and changes nothing."""
    learned: bool = False
    """Whether the key that signed it is not named in the settings: its signer's ledger went over to it."""
    digest: str = ""
    """By which a withdrawal names it."""
    subjects: tuple[Subject, ...] = ()
    also: tuple[Signer, ...] = ()
    """The other trusted signers who signed it, whose word it is where the first takes his back."""
    withdrawals: tuple[Withdrawn, ...] = ()
    """Who took it back, of those who may."""
    withdrawn: bool = False
    """Whether nobody stands for it any more who signed it."""
    aside: bool = False
    """Whether this node set it aside, for its own reading."""

    @property
    def source(self) -> str:
        return f"statement:{self.index}"

    @property
    def told_by(self) -> str:
        return _text(self.predicate.get("told_by"))

    @property
    def url(self) -> str:
        return _text(self.predicate.get("url"))

    @property
    def known(self) -> bool:
        """Whether its kind is one of which records are made."""
        return self.predicate_type in COUNTED

    @property
    def counts(self) -> bool:
        return self.stands and not self.superseded and not self.aside

    @property
    def stands(self) -> bool:
        """Whether it is the word of somebody who counts here, and who did not take it back."""
        return self.known and not self.problem and not self.stranger and not self.withdrawn

    @property
    def state(self) -> str:
        """Why it does not count, in a word or two; "" where it does, or is of a kind that is only shown."""
        words = (
            (self.withdrawn, "withdrawn"),
            (self.aside, "set aside here"),
            (self.superseded, "superseded"),
            (bool(self.problem), "not read"),
            (self.stranger, "does not count"),
        )
        return next((word for holds, word in words if holds), "")

    @property
    def statement(self) -> Statement:
        """As it was signed."""
        return Statement(self.subjects, self.predicate_type, self.predicate)

    @property
    def whose(self) -> str:
        """Whose word it is, for people: who is said to have told it, and who signed that."""
        if self.told_by:
            signed = self.by or ("somebody whose word does not count here" if self.stranger else "")
            return f"{self.told_by}, as {signed} says" if signed else self.told_by
        return self.by or ("somebody whose word does not count here" if self.stranger else "this node's own word")

    @property
    def says(self) -> str:
        """What it says, in a line; empty where its kind is none of ours."""
        if not has_schema(self.predicate_type):
            return ""
        tell = _TELLING.get(self.predicate_type.split(":")[2])
        return "; ".join(tell(self.predicate)) if tell else ""

    def document(self) -> dict[str, Any]:
        """For JSON. What it says to the letter is in the ledger."""
        return {
            "index": self.index,
            "predicate_type": self.predicate_type,
            "signer": self.signer,
            "signed_by": self.by,
            "key_learned": self.learned,
            "own": self.own,
            "stranger": self.stranger,
            "whose": self.whose,
            "at": self.at,
            "told_by": self.told_by,
            "url": self.url,
            "says": self.says,
            "counts": self.counts,
            "superseded": self.superseded,
            "known": self.known,
            "problem": self.problem,
            "withdrawn": self.withdrawn,
            "set_aside": self.aside,
            "withdrawals": [
                {"entry": one.entry, "by": one.by, "at": one.at, "reason": one.reason, "set_aside": one.aside}
                for one in self.withdrawals
            ],
            "state": self.state,
            "digest": self.digest,
            "about": list(self.about),
        }


def read_statement(index: int, signer: str, at: float, statement: Statement, digest: str = "") -> Said:
    """A statement of the ledger, which has held it against its schema. Whether it counts is for others to judge."""
    about = tuple(subject.name for subject in things(statement))
    return Said(
        index, signer, at, statement.predicate_type, statement.predicate, about=about, digest=digest,
        subjects=statement.subjects,
    )  # fmt: skip


def after_withdrawals(statements: Sequence[Said]) -> list[Said]:
    """All of them, each with what of them takes it back, in whichever order they came.

    A withdrawal counts from whoever signed the statement: this node, with whichever key of its ledger, or a trusted
    signer. By this node's own, another's statement is set aside here.
    """
    by_digest: dict[str, list[Said]] = {}
    for one in statements:
        if one.predicate_type == WITHDRAWAL and not one.problem and not one.stranger:
            by_digest.setdefault(named_by(one.statement), []).append(one)
    if not by_digest:
        return list(statements)
    return [_taken_back(one, some) if (some := by_digest.get(one.digest)) else one for one in statements]


def _taken_back(said: Said, withdrawals: Sequence[Said]) -> Said:
    signers = (Signer(said.by, said.signer, said.rank), *said.also) if said.by else ()
    names = {one.name for one in signers}
    mine = said.own or bool(said.problem and not said.stranger)  # by a key of this node, if one that is not in force
    found = [
        one for one in withdrawals if (one.own or one.by in names) and fits(one.statement, said.digest, said.statement)
    ]
    told = tuple(
        Withdrawn(one.index, one.by or "this node", one.at, str(one.predicate["reason"]), one.own and not mine)
        for one in sorted(found, key=lambda one: one.index)
    )
    if mine or not signers:
        return replace(said, withdrawals=told, withdrawn=mine and bool(found), aside=not mine and bool(found))
    left = tuple(one for one in signers if one.name not in {other.by for other in found})
    said = replace(said, withdrawals=told, withdrawn=not left, aside=any(one.aside for one in told))
    if not left or left == signers:
        return said
    return replace(said, by=left[0].name, signer=left[0].key, rank=left[0].rank, also=left[1:])


def newest_count(statements: Iterable[Said], address: str = "") -> tuple[Said, ...]:
    """All of them, newest first in the ledger; of what one source says of one kind only the newest counts.

    What is said of the same bytes under another name than `address` supersedes nothing that is said under this one.
    """
    seen: set[tuple[str, str, str, bool]] = set()
    found = []
    for said in sorted(statements, key=_age):
        read = said.stands
        whose = "" if said.own else said.by or said.signer
        key = (said.predicate_type, whose, said.told_by, address in said.about)
        found.append(replace(said, superseded=True) if read and key in seen else said)
        if read:
            seen.add(key)
    return tuple(sorted(found, key=lambda one: -one.index))


def counted(statements: Iterable[Said]) -> list[Said]:
    """Those that count, the first to be believed first: by whose word it is, then the newest."""
    return sorted((one for one in statements if one.counts), key=lambda one: (one.rank, *_age(one)))


def _age(said: Said) -> tuple[float, str, int]:
    """The newest first. What another signer said was said when that one says so: it may be taken here in any order, and
    of what was said at one moment the order is fixed."""
    return (-said.at, said.digest, -said.index) if said.by else (0.0, "", -said.index)


def _what(predicate: Mapping[str, Any]) -> Iterator[str]:
    for name, value in predicate["facts"].items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield f"{name.replace('_', ' ')} {shown[:100]}"


def _card(predicate: Mapping[str, Any]) -> Iterator[str]:
    yield f"its card is {predicate['digest']}"


def _disclosure(predicate: Mapping[str, Any]) -> Iterator[str]:
    for part, words in (("components", "component"), ("told", "text"), ("indicators", "indicator")):
        if number := len(predicate.get(part, ())):
            yield f"{number} {words}{'s' if number > 1 else ''}"


def _licence(predicate: Mapping[str, Any]) -> Iterator[str]:
    words = f"{predicate['licence']}{' for its ' + predicate['part'] if predicate.get('part') else ''}"
    times = [f"{word} {predicate[key]}" for key, word in (("from", "from"), ("to", "up to")) if predicate.get(key)]
    yield " ".join((words, *times))


def _lineage(predicate: Mapping[str, Any]) -> Iterator[str]:
    for edge in predicate["edges"][:_MOST_NAMED]:
        yield f"{edge['child']} from {edge['parent']} ({edge['how']})"
    if (more := len(predicate["edges"]) - _MOST_NAMED) > 0:
        yield f"{more} more steps"
    for node in predicate["nodes"][:_MOST_NAMED]:
        claims = [f"{name} {node[name]}" for name in ("licence", "declared", "terms") if node.get(name)]
        if claims:
            yield f"{node['id']}: {', '.join(claims)}"


def _grade(predicate: Mapping[str, Any]) -> Iterator[str]:
    score, most = predicate.get("score"), predicate.get("most")
    count = f", {score:g}{f' of {most:g}' if most is not None else ''}" if score is not None else ""
    yield f"{predicate['framework']} {predicate['version']}: {predicate['outcome']}{count}"


def _verdict(predicate: Mapping[str, Any]) -> Iterator[str]:
    place = f" in {predicate['place']}" if predicate.get("place") else ""
    on = f" on {predicate['on']}" if predicate.get("on") else ""
    strict, lenient = predicate["strict"], predicate["lenient"]
    yield f"{predicate['purpose']}{place}{on}: {strict['outcome']} strictly, {lenient['outcome']} leniently read"
    for reason in (strict.get("reasons") or predicate.get("reasons", ()))[:1]:
        yield str(reason["words"])


def _withdrawal(predicate: Mapping[str, Any]) -> Iterator[str]:
    yield f"takes back the statement {predicate['statement']}: {predicate['reason']}"


_TELLING = {
    "what": _what,
    "card": _card,
    "disclosure": _disclosure,
    "licence": _licence,
    "lineage": _lineage,
    "grade": _grade,
    "verdict": _verdict,
    "withdrawal": _withdrawal,
}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
