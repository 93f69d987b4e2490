"""Sub-campaigns: campaigns of some units, as parts of others."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261129_0080_sub_campaigns"
down_revision = "20261129_0100_teams"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: of all units, and no part of another.
    op.add_column("campaign", sa.Column("parent", sa.Text, sa.ForeignKey("campaign.id")))
    op.add_column("campaign", sa.Column("units", postgresql.JSONB))
