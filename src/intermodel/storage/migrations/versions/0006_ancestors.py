"""From what the things of the catalogue were made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_ancestors",
        sa.Column("ancestor", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("ancestor", "number", name=op.f("pk_catalogue_ancestors")),
    )
    op.create_index("ix_catalogue_ancestors_number", "catalogue_ancestors", ["number"])


def downgrade() -> None:
    op.drop_table("catalogue_ancestors")
