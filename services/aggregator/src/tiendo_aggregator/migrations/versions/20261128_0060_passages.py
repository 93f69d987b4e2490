"""Since when citizens have waited: beside the counters, folded with them."""

from alembic import op

revision = "20261128_0060_passages"
down_revision = "20261128_0051_assignments"


def upgrade() -> None:
    # As of rules.counting on the day of this migration: a block has 16 days, and -32768 is the one without days.
    op.execute(
        """
        CREATE TABLE waited (
            unit text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            what smallint NOT NULL,
            block int NOT NULL,
            n int[] NOT NULL,
            PRIMARY KEY (unit, day, known_day, what, block)
        ) WITH (fillfactor = 70)
        """
    )
    op.execute(
        """
        CREATE VIEW passage AS
        SELECT unit, day, known_day, what,
            CASE WHEN block = -32768 THEN '-infinity'::date ELSE day - (block * 16 + place - 1)::int END AS since,
            each.n
        FROM waited CROSS JOIN LATERAL unnest(waited.n) WITH ORDINALITY AS each (n, place)
        WHERE each.n <> 0
        """
    )
