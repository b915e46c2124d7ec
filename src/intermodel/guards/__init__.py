"""Hides: what sensitive or disguised text looks like, and how a text is watched while it arrives in pieces.

Promises: a finding never holds the value; a text redacted in pieces equals the text redacted whole, however it is cut.
Does not know: where a text comes from or goes to, who calls, what a route wants guarded.
"""

from intermodel.guards.actions import actions
from intermodel.guards.guard import Action, Finding, Guard, StreamGuard, enforce, load, redact
from intermodel.guards.rules import Rule, Rules
from intermodel.guards.scan import RuleGuard
from intermodel.guards.views import plain

__all__ = [
    "Action",
    "Finding",
    "Guard",
    "Rule",
    "RuleGuard",
    "Rules",
    "StreamGuard",
    "actions",
    "enforce",
    "load",
    "plain",
    "redact",
]
