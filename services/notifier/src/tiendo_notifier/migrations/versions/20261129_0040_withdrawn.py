"""Late records can unsay what was said of days: an incident is then withdrawn."""

from alembic import op

revision = "20261129_0040"
down_revision = "20261129_0030"

STATEMENTS = """
ALTER TABLE decision DROP CONSTRAINT decision_outcome_check;
ALTER TABLE decision ADD CHECK
    (outcome IN ('opened', 'worsened', 'resolved', 'withdrawn', 'reached_early', 'held', 'not_judged'));
DROP INDEX decision_incident;
CREATE INDEX decision_incident ON decision (incident)
    WHERE outcome IN ('opened', 'worsened', 'resolved', 'withdrawn');
CREATE INDEX decision_withdrawn ON decision (incident) WHERE findings @> '[{"withdrawn": true}]'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
