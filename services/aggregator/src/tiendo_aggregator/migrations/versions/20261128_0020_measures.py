"""Measures: indicators beyond accounts, and what other systems told of them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0020_measures"
down_revision = "20261128_0005_one_reading"


def upgrade() -> None:
    op.create_table(
        "measure_version",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("put_by", sa.Text, nullable=False),
        sa.Column("document", postgresql.JSONB, nullable=False),
    )
    # In the order in which the newest standing of each unit is looked for.
    op.create_table(
        "standing",
        sa.Column("campaign", sa.Text, primary_key=True),
        sa.Column("measure", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.Column("out_of", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("told_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("told_by", sa.Text, nullable=False),
    )
