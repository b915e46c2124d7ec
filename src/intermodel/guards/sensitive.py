"""The guard `sensitive-data`: secrets and personal data, by their form."""

from __future__ import annotations

from functools import cache

from intermodel.guards.actions import actions, no_options
from intermodel.guards.credentials import SECRETS
from intermodel.guards.personal import PERSONAL
from intermodel.guards.rules import Rules
from intermodel.guards.scan import RuleGuard
from intermodel.guards.views import plain
from intermodel.settings import GuardTable

GROUPS = {
    "secrets": frozenset(rule.kind for rule in SECRETS if rule.kind),
    "personal": frozenset(rule.kind for rule in PERSONAL if rule.kind),
}


def sensitive_data(name: str, settings: GuardTable) -> RuleGuard:
    """The factory. Raises `Invalid` for an action on a kind that does not exist, and for options."""
    no_options(name, settings)
    return RuleGuard(name, rules(), plain, actions(name, settings, GROUPS))


@cache
def rules() -> Rules:
    """Compiled once in a process, when the first guard is made."""
    return Rules((*SECRETS, *PERSONAL))
