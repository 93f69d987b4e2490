"""Work by team, and who off the tree has what to do."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261128_0051_assignments"
down_revision = "20261128_0050_goals"


def upgrade() -> None:
    # Its consumer begins at the log's beginning: nothing that teams did before is missing. `n` is in no index, so with
    # room left in its page a row is updated in place.
    op.execute(
        """
        CREATE TABLE team_counter (
            collecting text NOT NULL,
            team text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            indicator smallint NOT NULL,
            level smallint NOT NULL,
            n int NOT NULL,
            PRIMARY KEY (collecting, team, day, known_day, indicator, level)
        ) WITH (fillfactor = 70)
        """
    )
    for kind in ("actor", "assignment"):
        op.create_table(
            f"{kind}_version",
            sa.Column("campaign", sa.Text, sa.ForeignKey("campaign.id"), primary_key=True),
            sa.Column("id", sa.Text, primary_key=True),
            sa.Column("version", sa.Integer, primary_key=True),
            sa.Column("known_day", sa.Date, nullable=False),
            sa.Column("put_by", sa.Text, nullable=False),
            sa.Column("document", postgresql.JSONB, nullable=False),
        )
