"""Hides: HTML. What a person with a browser sees of this node, and how they sign in.

Promises: every action works without JavaScript; text of models and users is never markup; a strict CSP everywhere.
Does not know: how a model is chosen or called, where anything is stored.
"""

from intermodel.web.pages.errors import page_error
from intermodel.web.pages.routes import page_routes, writer_routes

__all__ = ["page_error", "page_routes", "writer_routes"]
