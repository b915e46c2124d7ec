"""Hides: each wire format, one file each, and the connections to upstream servers.

Promises: whatever stands behind a `Provider`, an `Answer` comes back in OpenAI's form, whole or streamed.
Does not know: which provider is chosen and why, who calls, what it costs.
"""

from intermodel.providers.answer import Answer, Generated
from intermodel.providers.http import Http
from intermodel.providers.llamacpp import LlamaCpp
from intermodel.providers.provider import CountsTokens, Provider, connect

__all__ = ["Answer", "CountsTokens", "Generated", "Http", "LlamaCpp", "Provider", "connect"]
