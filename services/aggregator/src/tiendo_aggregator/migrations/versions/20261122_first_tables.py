"""The first tables: units, plan, counters, closed days, and the log's own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from tiendo_common.eventlog.schema import CONSUMER_TABLES, DRIVEN_CLOCK_TABLE, log_tables
from tiendo_common.events.catalogue import owned_by

revision = "20261122_first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "unit_span",
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("from_day", sa.Date, primary_key=True),
        sa.Column("until_day", sa.Date),
        sa.Column("parent", sa.Text),
        sa.Column("level", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
    )
    _plan()
    _counters()
    # The driver takes one statement at a time.
    for script in (CONSUMER_TABLES, DRIVEN_CLOCK_TABLE):
        for statement in script.split(";"):
            if statement.strip():
                op.execute(statement)
    for statement in log_tables(owned_by("aggregator")):
        op.execute(statement)


def _plan() -> None:
    op.create_table(
        "campaign",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("plan_number", sa.Text, nullable=False),
        sa.Column("plan_issued_on", sa.Date, nullable=False),
        sa.Column("province", sa.Text, nullable=False),
        sa.Column("first_day", sa.Date, nullable=False),
        sa.Column("last_day", sa.Date, nullable=False),
        sa.Column("day_cut_off", sa.Time, nullable=False),
        sa.Column("figures", postgresql.JSONB, nullable=False),
        sa.Column("known_since", sa.Date, nullable=False),
    )
    op.create_table(
        "target",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("indicator", sa.Text, primary_key=True),
        sa.Column("value", sa.Integer, nullable=False),
    )
    op.create_table(
        "eligible",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("unit", sa.Text, primary_key=True),
        sa.Column("citizens", sa.Integer, nullable=False),
    )
    op.create_table(
        "closed_day",
        sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
        sa.Column("day", sa.Date, primary_key=True),
    )


def _counters() -> None:
    """Both keys begin with what every reader knows and go on by day: a campaign is a range of each unit's rows.

    `n` is in no index, so with room left in its page a row is updated in place (a heap-only tuple).
    """
    op.execute(
        """
        CREATE TABLE total (
            unit text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            n int NOT NULL,
            attribution smallint NOT NULL,
            indicator smallint NOT NULL,
            level smallint NOT NULL,
            PRIMARY KEY (attribution, unit, day, known_day, indicator, level)
        ) WITH (fillfactor = 70)
        """
    )
    op.execute(
        """
        CREATE TABLE breakdown (
            unit text NOT NULL,
            value text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            n int NOT NULL,
            attribution smallint NOT NULL,
            indicator smallint NOT NULL,
            level smallint NOT NULL,
            dimension smallint NOT NULL,
            PRIMARY KEY (attribution, unit, day, known_day, indicator, level, dimension, value)
        ) WITH (fillfactor = 70)
        """
    )
