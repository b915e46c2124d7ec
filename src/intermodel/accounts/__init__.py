"""Hides: how money, energy and rates are counted, and how a ceiling holds over processes and crashes.

Promises: costs are exact; no budget is overdrawn by more than its calls cost beyond their bound; receipts survive.
Does not know: which candidate answers, what is in a prompt, HTTP.
"""

from intermodel.accounts.budgets import Budgets, Reservation, Standing
from intermodel.accounts.limit_headers import in_anthropic_words
from intermodel.accounts.limits import Admission, Busy, RateLimits
from intermodel.accounts.open import Accounts, open_accounts
from intermodel.accounts.payer import Payer
from intermodel.accounts.prices import Price, Prices
from intermodel.accounts.receipts import AttemptNote, Filter, Receipt, Receipts, Spent, Stretch, new_id
from intermodel.accounts.windows import MOST_NANO

__all__ = [
    "MOST_NANO",
    "Accounts",
    "Admission",
    "AttemptNote",
    "Budgets",
    "Busy",
    "Filter",
    "Payer",
    "Price",
    "Prices",
    "RateLimits",
    "Receipt",
    "Receipts",
    "Reservation",
    "Spent",
    "Standing",
    "Stretch",
    "in_anthropic_words",
    "new_id",
    "open_accounts",
]
