"""Hides: which candidate answers a call, and what happens when one fails.

Promises: `choose` is pure and gives a reason for every candidate; a `Reply` begins only once its first token is there.
Does not know: protocols and headers (web), wire formats (providers).
"""

from intermodel.gateway.cache import Cache
from intermodel.gateway.catalog import Catalog
from intermodel.gateway.choose import Candidate, Directory, Target, choose
from intermodel.gateway.gateway import Gateway
from intermodel.gateway.known import KnownOfRecords
from intermodel.gateway.metrics import Metrics
from intermodel.gateway.registry import Registry
from intermodel.gateway.replay import Replay
from intermodel.gateway.reply import Reply
from intermodel.gateway.scorers import load as load_scorers
from intermodel.gateway.telemetry import telling

__all__ = [
    "Cache",
    "Candidate",
    "Catalog",
    "Directory",
    "Gateway",
    "KnownOfRecords",
    "Metrics",
    "Registry",
    "Replay",
    "Reply",
    "Target",
    "choose",
    "load_scorers",
    "telling",
]
