"""Units that report live: since when nothing has come, and how far that is known."""

from alembic import op

revision = "20261129_0041"
down_revision = "20261129_0040"

STATEMENTS = """
CREATE TABLE pulse (
    campaign text NOT NULL,
    unit text NOT NULL,
    -- What was done by the newest totals, of every indicator, on this day.
    day date NOT NULL,
    done int[] NOT NULL,
    -- When that last changed, or when it was first looked at.
    since timestamptz NOT NULL,
    PRIMARY KEY (campaign, unit)
);
CREATE TABLE listened (
    campaign text PRIMARY KEY,
    -- All that came up to here is in `pulse`, and was judged.
    through timestamptz NOT NULL
);
-- A day is judged once; whether anything comes, each minute.
DROP INDEX decision_once;
CREATE UNIQUE INDEX decision_once ON decision (campaign, unit, indicator, day)
    WHERE policy IS NOT NULL AND indicator <> 'live'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
