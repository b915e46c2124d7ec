"""Hides: the node's own API below /api/v1: its paths, their forms, its OpenAPI document.

Promises: one table of operations is both what is served and what /api/v1/openapi.json says; no answer holds a key.
Does not know: how calls are answered, paid for or stored (gateway, accounts).
"""

from intermodel.web.api.table import api_routes

__all__ = ["api_routes"]
