"""Hides: where bytes and rows lie (SQLite or PostgreSQL, folders), and how they are made durable.

Promises: what was acknowledged survives a killed process; one node at a time holds a data folder.
Does not know: what the rows and bytes mean to the rooms above.
"""

from intermodel.storage.blobs import Blobs, digest_of
from intermodel.storage.database import Database
from intermodel.storage.folder import DataFolder

__all__ = ["Blobs", "DataFolder", "Database", "digest_of"]
