"""Hides: how evidence is signed, hashed, laid out on disk and proven (DSSE, RFC 6962, C2SP tiles and checkpoints).

Promises: an entry that was acknowledged is never lost, changed or reordered unnoticed; anybody can verify it offline.
Does not know: what statements mean, whom to trust, HTTP.
"""

from intermodel.ledger.bundle import Report, verify
from intermodel.ledger.entered import EnteredBy, Who
from intermodel.ledger.entry import Entry
from intermodel.ledger.examine import Damage, examine
from intermodel.ledger.keys import PublicKey
from intermodel.ledger.ledger import Ledger, open_ledger, reading
from intermodel.ledger.note import Verifier
from intermodel.ledger.personal import Personal
from intermodel.ledger.predicates import uri

__all__ = [
    "Damage",
    "EnteredBy",
    "Entry",
    "Ledger",
    "Personal",
    "PublicKey",
    "Report",
    "Verifier",
    "Who",
    "examine",
    "open_ledger",
    "reading",
    "uri",
    "verify",
]
