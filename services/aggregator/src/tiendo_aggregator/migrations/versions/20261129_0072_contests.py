"""Contests between groups."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0072_contests"
down_revision = "20261129_0071_going_on"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: there is none.
    op.add_column("campaign", sa.Column("contests", postgresql.JSONB))
