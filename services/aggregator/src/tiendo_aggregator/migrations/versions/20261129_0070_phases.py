"""Phases of campaigns."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0070_phases"
down_revision = "20261128_0062_shares"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: no span has a name.
    op.add_column("campaign", sa.Column("phases", postgresql.JSONB))
