"""PostgreSQL no longer tries to make segments of the catalogue's index smaller, which took a third of its work."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _store(how: str) -> None:
    if op.get_context().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE catalogue_segments ALTER COLUMN data SET STORAGE {how}")


def upgrade() -> None:
    _store("EXTERNAL")


def downgrade() -> None:
    _store("EXTENDED")
