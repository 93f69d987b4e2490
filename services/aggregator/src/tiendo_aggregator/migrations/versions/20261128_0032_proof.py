"""When each unit's counters were last compared with the records; who folded the log anew, and what that found."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0032_proof"
down_revision = "20261128_0031_ministry"


def upgrade() -> None:
    op.create_table(
        "proof",
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("checked_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("differing", sa.Integer, nullable=False),
        sa.Column("days", postgresql.ARRAY(sa.Date), nullable=False),
    )
    op.create_table(
        "rebuild",
        sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("province", sa.Text),
        sa.Column("events", sa.BigInteger, nullable=False),
        sa.Column("differing", sa.BigInteger, nullable=False),
    )
