"""Destinations: two live secrets, who is addressed, how severe, which language; those that fail are left alone."""

from alembic import op

revision = "20261128_0012"
down_revision = "20261128_0011"

STATEMENTS = """
ALTER TABLE destination ADD least smallint NOT NULL DEFAULT 1;
ALTER TABLE destination ADD language text CHECK (language IN ('vi', 'en'));
ALTER TABLE destination ADD addressed boolean NOT NULL DEFAULT false;
-- The secret before the newest: signed with, too, until then.
ALTER TABLE destination ADD old_secret text;
ALTER TABLE destination ADD old_until timestamptz;
-- Tries in a row that failed, and until when nothing is tried there.
ALTER TABLE destination ADD failures int NOT NULL DEFAULT 0;
ALTER TABLE destination ADD paused_until timestamptz;
ALTER TABLE destination ADD last_try timestamptz;
-- A message that was sent again by hand has more than one delivery to a destination.
ALTER TABLE delivery DROP CONSTRAINT delivery_decision_destination_key;
CREATE INDEX delivery_message ON delivery (message)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
