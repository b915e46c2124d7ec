"""Hides: HTTP. Protocol edges, pages, sign-in, and the one table from errors to statuses.

Promises: every answer, good or bad, has the shape of the protocol it was asked in, and a request id.
Does not know: how a model is chosen or called, where anything is stored.
"""

from intermodel.web.app import Services, build_app

__all__ = ["Services", "build_app"]
