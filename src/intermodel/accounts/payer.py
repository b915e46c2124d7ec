"""Who pays for a call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Payer:
    """The token that a call came with, and whose it is; empty where it belongs to no user or organisation."""

    token_id: str
    name: str
    user: str = ""
    organisation: str = ""
