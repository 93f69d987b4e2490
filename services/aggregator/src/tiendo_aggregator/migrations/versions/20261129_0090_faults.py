"""What was wrong with dossiers, by the unit that had taken them."""

from alembic import op

revision = "20261129_0090_faults"
down_revision = "20261129_0080_sub_campaigns"


def upgrade() -> None:
    # The revision before has the counters begin anew, and faults with them. An instance that was at it already has the
    # faults from now on; a rebuild with repair_because adds those before.
    op.execute(
        """
        CREATE TABLE fault (
            collecting text NOT NULL,
            known_day date NOT NULL,
            what smallint NOT NULL,
            n int NOT NULL,
            PRIMARY KEY (collecting, known_day, what)
        ) WITH (fillfactor = 70)
        """
    )
