"""Hides: where a setting comes from (defaults, intermodel.toml, INTERMODEL_* variables, command line).

Promises: one frozen, checked `Settings`; an unknown key is an error that names the nearest known one.
Does not know: what anyone does with a setting.
"""

from intermodel.settings.calling import Budget, Constraints, Deployment, Price, Rate, RateLimit, Rates, Route, TierPrice
from intermodel.settings.kinds import NAME, WHOLE, Ability, Name
from intermodel.settings.load import load
from intermodel.settings.model import (
    Brave,
    Cache,
    Cosigner,
    Energy,
    Engines,
    Followed,
    GuardTable,
    Ledger,
    Limits,
    Receipts,
    Records,
    SearchAccount,
    SearXNG,
    Settings,
    Tavily,
    Telemetry,
    Writer,
)

__all__ = [
    "NAME",
    "WHOLE",
    "Ability",
    "Brave",
    "Budget",
    "Cache",
    "Constraints",
    "Cosigner",
    "Deployment",
    "Energy",
    "Engines",
    "Followed",
    "GuardTable",
    "Ledger",
    "Limits",
    "Name",
    "Price",
    "Rate",
    "RateLimit",
    "Rates",
    "Receipts",
    "Records",
    "Route",
    "SearXNG",
    "SearchAccount",
    "Settings",
    "Tavily",
    "Telemetry",
    "TierPrice",
    "Writer",
    "load",
]
