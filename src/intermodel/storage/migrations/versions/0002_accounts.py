"""Whose a token is; deployments, routes and budgets made at run time; receipts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(sa.Column("user", sa.String(200), nullable=False, server_default=""))
        tokens.add_column(sa.Column("organisation", sa.String(200), nullable=False, server_default=""))
        tokens.add_column(sa.Column("admin", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.execute("UPDATE tokens SET admin = true")  # those that were made before could do everything
    for name in ("deployments", "routes"):
        op.create_table(
            name,
            sa.Column("name", sa.String(200), nullable=False),
            sa.Column("document", sa.JSON(), nullable=False),
            sa.Column("changed", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("name", name=op.f(f"pk_{name}")),
        )
    _budgets()
    _receipts()


def _budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("subject", sa.String(16), nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("ceiling", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.String(8), nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_budgets")),
    )
    op.create_table(
        "budget_windows",
        sa.Column("budget", sa.String(200), nullable=False),
        sa.Column("span", sa.String(10), nullable=False),
        sa.Column("spent", sa.BigInteger(), nullable=False),
        sa.Column("leased", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("budget", "span", name=op.f("pk_budget_windows")),
    )
    op.create_table(
        "budget_leases",
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("budget", sa.String(200), nullable=False),
        sa.Column("span", sa.String(10), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "budget", "span", name=op.f("pk_budget_leases")),
    )


def _receipts() -> None:
    op.create_table(
        "journal_positions",
        sa.Column("owner", sa.String(32), nullable=False),
        sa.Column("segment", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name=op.f("pk_journal_positions")),
    )
    op.create_table(
        "receipts",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("token_id", sa.String(32), nullable=False),
        sa.Column("user", sa.String(200), nullable=False),
        sa.Column("organisation", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("route", sa.String(200), nullable=False),
        sa.Column("model", sa.String(200), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipts")),
    )
    op.create_index("ix_receipts_token_id_id", "receipts", ["token_id", "id"])
    op.create_table(
        "attempt_minutes",
        sa.Column("address", sa.String(200), nullable=False),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(32), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("first_tokens", sa.BigInteger(), nullable=False),
        sa.Column("first_token_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("address", "minute", "outcome", name=op.f("pk_attempt_minutes")),
    )


def downgrade() -> None:
    for name in (
        "attempt_minutes", "receipts", "journal_positions", "budget_leases", "budget_windows", "budgets", "routes",
        "deployments",
    ):  # fmt: skip
        op.drop_table(name)
    with op.batch_alter_table("tokens") as tokens:
        for name in ("admin", "organisation", "user"):
            tokens.drop_column(name)
