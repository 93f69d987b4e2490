"""The campaign's calendar; targets set by hand; the versions of its plan."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261125_0004_plan"
down_revision = "20261125_0003_units"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: all days are alike.
    op.add_column("campaign", sa.Column("calendar", postgresql.JSONB))
    op.add_column("target", sa.Column("by_hand", sa.Boolean, nullable=False, server_default="false"))
    # Each plan that was put. A campaign without a row was put by the build before: it is version 1, and is written down
    # when it is changed.
    op.create_table(
        "plan_version",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("document", postgresql.JSONB, nullable=False),
    )
