"""What the settings of a guard say about each kind it finds."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from intermodel.core import Invalid
from intermodel.guards.guard import Action
from intermodel.settings import GuardTable

EVERYTHING_ELSE = "*"


def actions(name: str, settings: GuardTable, groups: Mapping[str, frozenset[str]]) -> dict[str, Action]:
    """For each kind its action: its own, else its group's, else that of `*`, else to mask.

    Raises `Invalid` for a kind that the guard does not know.
    """
    known = {EVERYTHING_ELSE, *groups, *(kind for kinds in groups.values() for kind in kinds)}
    for kind in settings.actions:
        if kind not in known:
            raise Invalid(
                f"The guard '{name}' finds nothing of the kind '{kind}'.",
                hint=_hint(kind, known),
                code="invalid_setting",
            )
    rest = settings.actions.get(EVERYTHING_ELSE, Action.MASK)
    return {
        kind: Action(settings.actions.get(kind, settings.actions.get(group, rest)))
        for group, kinds in groups.items()
        for kind in kinds
    }


def no_options(name: str, settings: GuardTable) -> None:
    """Raises `Invalid` if there are any."""
    if settings.options:
        raise Invalid(
            f"The guard '{name}' ('{settings.provider}') takes no options.",
            hint="Leave 'options' out.",
            code="invalid_setting",
        )


def _hint(kind: str, known: set[str]) -> str:
    near = difflib.get_close_matches(kind, known, n=1)
    return f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(known))}."
