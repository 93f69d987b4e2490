"""Targets of narrowed goals, and as shares of the eligible."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0050_goals"
down_revision = "20261128_0040_exemptions"


def upgrade() -> None:
    # A goal that is an indicator as a whole has the indicator's name: the rows of `target` are right as they are.
    # Null, also when a replica of the build before writes the row: no size of a cohort is told, no target is a share.
    op.add_column("campaign", sa.Column("cohorts", postgresql.JSONB))
    op.add_column("campaign", sa.Column("shares", postgresql.JSONB))
