"""The catalogue: its rows, and the index over them in segments."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rowid = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "catalogue_records",
        sa.Column("number", rowid, autoincrement=False, nullable=False),
        sa.Column("key", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalogue_records")),
    )
    op.create_index("ix_catalogue_records_key", "catalogue_records", ["key"])
    op.create_table(
        "catalogue_gone",
        sa.Column("number", rowid, autoincrement=False, nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalogue_gone")),
    )
    op.create_index("ix_catalogue_gone_change", "catalogue_gone", ["change"])
    op.create_table(
        "catalogue_segments",
        sa.Column("id", rowid, autoincrement=False, nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_segments")),
    )
    state = op.create_table(
        "catalogue_state",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("indexed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogue_state")),
    )
    op.bulk_insert(state, [{"id": 1, "change": 0, "indexed": 0}])


def downgrade() -> None:
    for name in ("catalogue_state", "catalogue_segments", "catalogue_gone", "catalogue_records"):
        op.drop_table(name)
