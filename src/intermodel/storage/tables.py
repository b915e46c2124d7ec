"""Every table of the database. A change here goes with a migration in `migrations/versions`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    false,
)

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
    Column("user", String(200), nullable=False, server_default=""),
    Column("organisation", String(200), nullable=False, server_default=""),
    Column("admin", Boolean, nullable=False, server_default=false()),
)
"""Who may call, and whose budgets and limits they come under. Only a keyed hash of a token is kept."""

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

deployments = Table(
    "deployments",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("document", JSON, nullable=False),
    Column("changed", DateTime(timezone=True), nullable=False),
)
"""Deployments made while the node runs, as the settings write them; never a key itself."""

routes = Table(
    "routes",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("document", JSON, nullable=False),
    Column("changed", DateTime(timezone=True), nullable=False),
)
"""Routes made while the node runs, as the settings write them."""

budgets = Table(
    "budgets",
    metadata,
    Column("name", String(200), primary_key=True),
    Column("subject", String(16), nullable=False),
    Column("who", String(200), nullable=False),
    Column("ceiling", BigInteger, nullable=False),
    Column("period", String(8), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
)
"""Budgets made while the node runs; those of the settings file are not here. `ceiling` in nano-dollars."""

budget_windows = Table(
    "budget_windows",
    metadata,
    Column("budget", String(200), primary_key=True),
    Column("span", String(10), primary_key=True),
    Column("spent", BigInteger, nullable=False),
    Column("leased", BigInteger, nullable=False),
)
"""What a budget has spent in its day, month or whole life (`span`: 2026-11-20, 2026-11, all); what processes hold."""

budget_leases = Table(
    "budget_leases",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("budget", String(200), primary_key=True),
    Column("span", String(10), primary_key=True),
    Column("amount", BigInteger, nullable=False),
)
"""The parts of `budget_windows.leased`, by the process that holds them."""

journal_positions = Table(
    "journal_positions",
    metadata,
    Column("owner", String(32), primary_key=True),
    Column("segment", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
)
"""Up to where a process's journal of receipts is in this database."""

receipts = Table(
    "receipts",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("token_id", String(32), nullable=False),
    Column("user", String(200), nullable=False),
    Column("organisation", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("route", String(200), nullable=False),
    Column("model", String(200), nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("cost", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("document", Text, nullable=False),
    Index("ix_receipts_token_id_id", "token_id", "id"),
)
"""The account of every call. `id` begins with the time, `at` is in microseconds since 1970, `cost` in nano-dollars: -1
where nobody knows it, and so much less as is known of it.
"""

receipts_unsealed = Table(
    "receipts_unsealed",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("owner", String(32), nullable=False),
    Column("leaves", LargeBinary, nullable=False),
)
"""Receipts that the ledger of the process `owner` is still to cover: 26 bytes of id and 32 of leaf hash for each."""

attempt_minutes = Table(
    "attempt_minutes",
    metadata,
    Column("address", String(200), primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("outcome", String(32), primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("first_tokens", BigInteger, nullable=False),
    Column("first_token_s", Float, nullable=False),
)
"""How deployments did, by minute since 1970: attempts, their seconds, and the waits for a first token, summed up."""

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("signer", String(64), nullable=False),
    Column("predicate_type", String(500), nullable=False),
    Index("ix_ledger_entries_predicate_type_entry", "log", "predicate_type", "entry"),
)
"""An index over the ledgers of all processes, which can be made anew from them. `at` is in microseconds since 1970."""

ledger_subjects = Table(
    "ledger_subjects",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("digest", String(71), primary_key=True),
    Column("entry", BigInteger, primary_key=True),
)
"""Which entries of the ledger speak of which digest."""

ledger_receipts = Table(
    "ledger_receipts",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("first", String(26), nullable=False),
    Column("last", String(26), nullable=False),
    Column("leaves", LargeBinary, nullable=False),
    Index("ix_ledger_receipts_last", "log", "last"),
)
"""Which receipts an entry of the ledger covers: 26 bytes of id and 32 of leaf hash for each, in the tree's order."""

ledger_entered = Table(
    "ledger_entered",
    metadata,
    Column("log", String(32), primary_key=True),
    Column("entry", BigInteger, primary_key=True, autoincrement=False),
    Column("token", String(64), nullable=False),
    Column("name", String(200), nullable=False),
    Column("user", String(200), nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""Who had an entry of the ledger made: the token's id and name, and whose it is. A row may be erased."""

personal = Table(
    "personal",
    metadata,
    Column("hash", String(64), primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("value", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
)
"""What the ledger knows by a salted hash alone. A row may be erased; the entry then says nothing of anybody."""

_ROWID = BigInteger().with_variant(Integer, "sqlite")
"""SQLite orders a table by a key of the type INTEGER itself; any other key is a second table beside it."""

catalogue_records = Table(
    "catalogue_records",
    metadata,
    Column("number", _ROWID, primary_key=True, autoincrement=False),
    Column("key", BigInteger, nullable=False, index=True),
    Column("document", Text, nullable=False),
)
"""What the catalogue knows. A row never changes: one that is put again gets a new, higher number.

`key` is a hash of the address, a third of an index over addresses; the writers' lock keeps one row for each address.
"""

catalogue_gone = Table(
    "catalogue_gone",
    metadata,
    Column("number", _ROWID, primary_key=True, autoincrement=False),
    Column("change", BigInteger, nullable=False, index=True),
)
"""Numbers of rows that are no more and which a segment may still hold; gone by that change."""

catalogue_ancestors = Table(
    "catalogue_ancestors",
    metadata,
    Column("ancestor", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False, index=True),
)
"""From what the things of the catalogue were made: the hash of an ancestor's address, and a row of its descendant."""

catalogue_segments = Table(
    "catalogue_segments",
    metadata,
    Column("id", _ROWID, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""The index over the rows `first` to `last`, and no other segment's. It can be made anew from them."""

catalogue_state = Table(
    "catalogue_state",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("change", BigInteger, nullable=False),
    Column("indexed", BigInteger, nullable=False),
)
"""One row: the number of the last change, and up to which number rows are in segments. Writers lock it first."""

catalogue_listed = Table(
    "catalogue_listed",
    metadata,
    Column("origin", String(200), primary_key=True),
    Column("grounds", String(64), nullable=False),
    Column("size", BigInteger, nullable=False),
)
"""How many entries of the ledger of that name the catalogue reflects; `grounds`: a hash of what else it rests on."""
