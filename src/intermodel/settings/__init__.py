"""Hides: where a setting comes from (defaults, intermodel.toml, INTERMODEL_* variables, command line).

Promises: one frozen, checked `Settings`; an unknown key is an error that names the nearest known one.
Does not know: what anyone does with a setting.
"""

from intermodel.settings.load import load
from intermodel.settings.model import (
    Budget,
    Cache,
    Constraints,
    Deployment,
    Energy,
    Engines,
    GuardTable,
    Ledger,
    Limits,
    Price,
    Rate,
    RateLimit,
    Receipts,
    Route,
    Settings,
    Telemetry,
    Writer,
)

__all__ = [
    "Budget",
    "Cache",
    "Constraints",
    "Deployment",
    "Energy",
    "Engines",
    "GuardTable",
    "Ledger",
    "Limits",
    "Price",
    "Rate",
    "RateLimit",
    "Receipts",
    "Route",
    "Settings",
    "Telemetry",
    "Writer",
    "load",
]
