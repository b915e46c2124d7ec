"""Up to which entry of a ledger the catalogue was brought."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "catalogue_listed",
        sa.Column("origin", sa.String(200), nullable=False),
        sa.Column("grounds", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("origin", name=op.f("pk_catalogue_listed")),
    )


def downgrade() -> None:
    op.drop_table("catalogue_listed")
