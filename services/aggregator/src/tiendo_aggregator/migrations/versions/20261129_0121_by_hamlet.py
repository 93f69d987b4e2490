"""Communes that a reorganisation divides by hamlet, each with the weights of its parts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0121_by_hamlet"
down_revision = "20261129_0120_hamlets"


def upgrade() -> None:
    op.add_column(
        "reorganisation",
        sa.Column("by_hamlet", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    )
