"""Campaigns that go on after their last day."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0071_going_on"
down_revision = "20261129_0070_phases"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: it ends on its last day.
    op.add_column("campaign", sa.Column("going_on", postgresql.JSONB))
