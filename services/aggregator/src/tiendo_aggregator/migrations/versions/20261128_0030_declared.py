"""Which communes declare, what they declared, and who had not by each day's cut-off; the topic that says so."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tiendo_common.eventlog.schema import added_topic
from tiendo_common.events.catalogue import TOPICS

revision = "20261128_0030_declared"
down_revision = "20261128_0020_measures"


def upgrade() -> None:
    # Null, also when a replica of the build before writes the row: no commune declares.
    op.add_column("campaign", sa.Column("declaring", postgresql.JSONB))
    op.add_column("campaign", sa.Column("declaring_since", sa.TIMESTAMP(timezone=True)))
    # Only ever added to: a correction is the next revision.
    op.create_table(
        "declaration",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("counts", postgresql.JSONB, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("declared_by", sa.Text, nullable=False),
        sa.Column("declared_at", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("known_day", sa.Date, nullable=False),
        sa.Column("late", sa.Boolean, nullable=False),
    )
    op.create_table(
        "declaration_day",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
        sa.Column("cut_off", sa.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("expected", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("not_reported", postgresql.ARRAY(sa.Text), nullable=False),
    )
    for statement in added_topic(TOPICS["declared"]):
        op.execute(statement)
