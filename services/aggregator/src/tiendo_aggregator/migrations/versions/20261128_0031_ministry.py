"""The ministry's figures as imported, and which figure a signed report uses. Only ever added to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0031_ministry"
down_revision = "20261128_0030_declared"


def upgrade() -> None:
    op.create_table(
        "ministry_import",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("figures", postgresql.JSONB, nullable=False),
        sa.Column("claims", postgresql.JSONB, nullable=False),
        sa.Column("imported_by", sa.Text, nullable=False),
        sa.Column("imported_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
    )
    op.create_table(
        "figure_choice",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("as_of", sa.Date, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("indicator", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("used", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("chosen_by", sa.Text, nullable=False),
        sa.Column("chosen_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
    )
