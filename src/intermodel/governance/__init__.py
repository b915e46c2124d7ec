"""Hides: how callers are known and what is kept of their tokens.

Promises: a `Caller` for a valid token and `Unauthenticated` for anything else; only keyed hashes are stored.
Does not know: HTTP, models, what is called.
"""

from intermodel.governance.tokens import Caller, Token, Tokens

__all__ = ["Caller", "Token", "Tokens"]
