"""The ledger's index, groups of receipts, and personal values that the ledger knows by a salted hash alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("log", sa.String(32), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("signer", sa.String(64), nullable=False),
        sa.Column("predicate_type", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("log", "entry", name=op.f("pk_ledger_entries")),
    )
    op.create_index("ix_ledger_entries_predicate_type_entry", "ledger_entries", ["log", "predicate_type", "entry"])
    op.create_table(
        "ledger_subjects",
        sa.Column("log", sa.String(32), nullable=False),
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("log", "digest", "entry", name=op.f("pk_ledger_subjects")),
    )
    op.create_table(
        "ledger_receipts",
        sa.Column("log", sa.String(32), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first", sa.String(26), nullable=False),
        sa.Column("last", sa.String(26), nullable=False),
        sa.Column("leaves", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("log", "entry", name=op.f("pk_ledger_receipts")),
    )
    op.create_index("ix_ledger_receipts_last", "ledger_receipts", ["log", "last"])
    op.create_table(
        "personal",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_personal")),
    )


def downgrade() -> None:
    for name in ("personal", "ledger_receipts", "ledger_subjects", "ledger_entries"):
        op.drop_table(name)
