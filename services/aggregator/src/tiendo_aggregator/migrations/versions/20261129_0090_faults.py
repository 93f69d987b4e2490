"""What was wrong with dossiers, by the unit that had taken them."""

from alembic import op

revision = "20261129_0090_faults"
down_revision = "20261129_0072_contests"


def upgrade() -> None:
    # Its consumer, that of work by team, goes on from where it is: faults that became known before are not in it.
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
