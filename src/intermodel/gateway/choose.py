"""The choice of candidates for a call: a pure function over values."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from intermodel.core import Call, Capability, Invalid, NotFound


@dataclass(frozen=True, slots=True)
class Target:
    """A model that this node can call, under the address callers use.

    `provider` is the key of its connection, `upstream` the model's name there. Empty `capabilities` are unknown.
    """

    address: str
    provider: str
    upstream: str
    local: bool
    capabilities: frozenset[Capability] = frozenset()
    context_length: int | None = None


@dataclass(frozen=True, slots=True)
class Directory:
    """Everything that has an address at one moment."""

    targets: Mapping[str, Target] = field(default_factory=dict)
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A target with the reason why it stands where it stands, or why it was left out (`fit` is false)."""

    target: Target
    fit: bool
    reason: str


def choose(call: Call, directory: Directory) -> tuple[Candidate, ...]:
    """The candidates for `call`, best first, those left out at the end.

    Raises `NotFound` for an unknown name, with the nearest known one, and `Invalid` where every candidate lacks
    something that the call needs.
    """
    alias = directory.aliases.get(call.model)
    names = alias or (call.model,)
    known = [(i, directory.targets[name]) for i, name in enumerate(names) if name in directory.targets]
    if not known:
        raise _unknown(call.model, alias, directory)
    judged = [_judge(call, target, f"place {i + 1} of alias '{call.model}'" if alias else "named by the caller")
              for i, target in known]  # fmt: skip
    if not any(c.fit for c in judged):
        first = judged[0]
        raise Invalid(
            f"{first.target.address} cannot answer this call: {first.reason}.",
            hint="Choose a model that can; `/v1/models` lists what each is able to do.",
            code="capability_missing",
            param="model",
        )
    return tuple(sorted(judged, key=lambda c: not c.fit))


def _judge(call: Call, target: Target, standing: str) -> Candidate:
    missing = call.needs - target.capabilities if target.capabilities else frozenset()
    if missing:
        return Candidate(target, fit=False, reason=f"it does not offer {', '.join(sorted(missing))}")
    return Candidate(target, fit=True, reason=standing)


def _unknown(name: str, alias: tuple[str, ...] | None, directory: Directory) -> NotFound:
    if alias:
        return NotFound(
            f"None of the candidates of alias '{name}' is known here: {', '.join(alias)}.",
            hint="Mend the alias in intermodel.toml, or add those models.",
            code="model_not_found",
            param="model",
        )
    names = [*directory.targets, *directory.aliases]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or sorted(names)[:3]
    return NotFound(
        f"There is no model '{name[:200]}' on this node.",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Add one with `intermodel models add FILE.gguf`.",
        code="model_not_found",
        param="model",
    )
