"""Campaigns whose days end after midnight."""

import sqlalchemy as sa
from alembic import op

revision = "20261129_0110_nights"
down_revision = "20261129_0090_faults"


def upgrade() -> None:
    # False, also when a replica of the build before writes the row: its days end on their own dates.
    op.add_column(
        "campaign",
        sa.Column("days_end_after_midnight", sa.Boolean, nullable=False, server_default=sa.false()),
    )
