"""The campaign's calendar."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125_0004_plan"
down_revision = "20261124_0002"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: all days are alike.
    op.add_column("campaign", sa.Column("calendar", postgresql.JSONB))
