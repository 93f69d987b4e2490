"""What was placed when communes were divided."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0003_placements"
down_revision = "20261124_0002"


def upgrade() -> None:
    op.create_table(
        "placement",
        sa.Column("reorganisation", sa.Text, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("division", postgresql.JSONB, nullable=False),
        sa.Column("placed", postgresql.JSONB, nullable=False),
        sa.Column("placed_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("placed_by", sa.Text, nullable=False),
        sa.Column("undone_at", sa.TIMESTAMP(timezone=True)),
        sa.Column("undone_by", sa.Text),
    )
