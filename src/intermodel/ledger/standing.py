"""How this node stands with witnesses and with other ledgers, as its files tell it, whether it runs or not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from intermodel.core import Unavailable
from intermodel.ledger import cosigners, peers, witness
from intermodel.ledger.examine import Damage
from intermodel.ledger.history import Histories, History
from intermodel.ledger.note import Verifier
from intermodel.ledger.remote import FOLDER, Standing, read_standings
from intermodel.ledger.watch import Contradiction, Seen, Watch
from intermodel.settings import Ledger as Options


@dataclass(frozen=True, slots=True)
class Outside:
    """All of it: witnesses and followed ledgers by name, in the order of the settings."""

    witnesses: dict[str, Standing]
    followed: dict[str, Standing]
    verifier: Verifier | None
    """By which others verify what this node cosigns; None where it is no witness."""
    cosigned: list[Seen]
    """The newest checkpoint that it cosigned of each ledger."""
    contradictions: list[Contradiction]
    histories: dict[str, History]
    """What followed ledgers say of their keys, as far as they were asked, by their names."""
    named: list[Verifier]
    """The keys of followed ledgers that the settings name."""


def outside(data: Path, options: Options, tell: Callable[[Unavailable], None] | None = None) -> Outside:
    """What the files in a data folder say of those that the settings name.

    Raises `Unavailable` where this node's key as a witness cannot be read; with `tell` that is told, and left out.
    """
    asked = read_standings(data / FOLDER / cosigners.STANDINGS)
    followed = read_standings(data / FOLDER / peers.STANDINGS)
    own, others = Watch(data / witness.FOLDER), Watch(data / FOLDER)
    named = [Verifier.parse(key) for one in options.watch for key in one.keys]
    names = [one.keys[0].partition("+")[0] for one in options.watch]
    return Outside(
        {one.key: asked.get(one.key, Standing()) for one in options.witnesses},
        {name: followed.get(name, Standing()) for name in names},
        _verifier(data, tell),
        own.every(),
        [*own.contradictions(), *others.contradictions()],
        Histories(data / FOLDER, named).known,
        named,
    )


def _verifier(data: Path, tell: Callable[[Unavailable], None] | None) -> Verifier | None:
    try:
        return witness.verifier_of(data)
    except Unavailable as error:
        if tell is None:
            raise
        tell(error)
        return None


def troubles(data: Path, options: Options) -> Iterator[Damage]:
    """What is the matter with any of that. `sure` where it is a contradiction, and not a failure that may pass."""
    found = outside(data, options)
    for fork in found.contradictions:
        origin = fork.other.head.origin
        yield Damage(
            f"the ledger {origin}",
            f"it contradicts itself: {fork}"
            if fork.proven
            else f"it may contradict itself, for a proof that it does not was given and did not hold: {fork}",
            f"Do not trust it, and show {fork.path}, which has both checkpoints, to others who follow it."
            if fork.proven
            else f"Ask its operator. {fork.path} has both checkpoints; delete it once you know that they go together.",
            fork.proven,
        )
    for name, standing in found.witnesses.items():
        if standing.trouble:
            yield Damage(
                f"the witness {name.partition('+')[0]}", standing.trouble,
                "If this ledger was restored from a backup, entries that others saw are gone. Else ask the witness."
                if standing.fork
                else "Is its address right, and does it know this ledger's key (`intermodel ledger keys`)?",
                standing.fork,
            )  # fmt: skip
    for name, standing in found.followed.items():
        if standing.trouble and not standing.fork:  # forks are among the contradictions
            yield Damage(f"the ledger {name}", standing.trouble, "Is its address right, and its key?", False)
