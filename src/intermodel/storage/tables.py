"""Every table of the database. A change here goes with a migration in `migrations/versions`."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, DateTime, MetaData, String, Table, Text

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

node = Table(
    "node",
    metadata,
    Column("id", String(32), primary_key=True),
)
"""The one node whose database this is."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("hash", String(64), nullable=False, unique=True),
    Column("name", String(200), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("expires", DateTime(timezone=True)),
    Column("revoked", DateTime(timezone=True)),
)
"""Who may call. Only a keyed hash of a token is kept."""

models = Table(
    "models",
    metadata,
    Column("address", String(200), primary_key=True),
    Column("digest", String(71), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("path", Text),
    Column("facts", JSON, nullable=False),
    Column("added", DateTime(timezone=True), nullable=False),
)
"""Model files on this machine. `path` is null for a blob, else a file that stays where its owner put it."""
