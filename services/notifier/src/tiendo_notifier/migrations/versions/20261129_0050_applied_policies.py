"""What decisions were decided by, once each: most targets of a campaign are judged by one policy, and every day."""

from alembic import op

revision = "20261129_0050_applied_policies"
down_revision = "20261129_0041"

STATEMENTS = """
CREATE TABLE applied_policy (
    -- SHA-256 of the text that it came as.
    id bytea PRIMARY KEY,
    document jsonb NOT NULL
);
INSERT INTO applied_policy
    SELECT DISTINCT sha256(policy::text::bytea), policy FROM decision WHERE policy IS NOT NULL;
-- Null: from before there were policies, when each rule decided by itself.
ALTER TABLE decision ADD applied_policy bytea REFERENCES applied_policy;
UPDATE decision SET applied_policy = sha256(policy::text::bytea) WHERE policy IS NOT NULL;
-- With it goes the index.
ALTER TABLE decision DROP COLUMN policy;
CREATE UNIQUE INDEX decision_once ON decision (campaign, unit, indicator, day)
    WHERE applied_policy IS NOT NULL AND indicator <> 'live'
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
