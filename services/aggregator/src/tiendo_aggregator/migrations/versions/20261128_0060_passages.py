"""Since when citizens have waited: beside the counters, folded with them."""

from alembic import op

revision = "20261128_0060_passages"
down_revision = "20261128_0040_exemptions"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE passage (
            unit text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            what smallint NOT NULL,
            since date NOT NULL,
            n int NOT NULL,
            PRIMARY KEY (unit, day, known_day, what, since)
        ) WITH (fillfactor = 70)
        """
    )
