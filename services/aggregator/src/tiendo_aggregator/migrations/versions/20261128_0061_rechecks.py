"""Rounds in which population data are re-checked, and what was reported of each unit. Only ever added to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0061_rechecks"
down_revision = "20261128_0060_passages"


def upgrade() -> None:
    op.create_table(
        "recheck_round",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("round", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("put_by", sa.Text, nullable=False),
        sa.Column("document", postgresql.JSONB, nullable=False),
    )
    op.create_table(
        "recheck",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("round", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("done_on", sa.Date),
        sa.Column("checked_by", sa.Text, nullable=False),
        sa.Column("corrections", postgresql.JSONB, nullable=False),
        sa.Column("reported_by", sa.Text, nullable=False),
        sa.Column("reported_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
    )
