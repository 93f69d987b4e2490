"""Signed decisions that exempt citizens, and what communes say of those who remain. Only ever added to."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0040_exemptions"
down_revision = "20261128_0032_proof"


def upgrade() -> None:
    op.create_table(
        "exemption",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("number", sa.Text, primary_key=True),
        sa.Column("from_day", sa.Date, nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("withdraws", sa.Text),
        sa.Column("document", postgresql.JSONB, nullable=False),
        sa.ForeignKeyConstraint(["campaign", "withdraws"], ["exemption.campaign", "exemption.number"]),
        sa.UniqueConstraint("campaign", "withdraws"),
    )
    op.create_table(
        "remaining",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("indicator", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("lines", postgresql.JSONB, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("reported_by", sa.Text, nullable=False),
        sa.Column("reported_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
    )
