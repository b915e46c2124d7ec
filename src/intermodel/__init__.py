"""Intermodel: an internet of models.

Run a node, and every model it can reach has one address, one API, one record and one policy.
The rooms, and which may import which, are drawn in docs/architecture.md.
"""

from importlib.metadata import version

__version__ = version("intermodel")
