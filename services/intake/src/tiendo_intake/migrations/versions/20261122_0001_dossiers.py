"""Records, lines and the event log of intake."""

from alembic import op

from tiendo_common.eventlog.schema import DRIVEN_CLOCK_TABLE, log_tables
from tiendo_common.events.catalogue import owned_by
from tiendo_common.service.idempotency import LINE_TABLE
from tiendo_common.service.person_keys import PERSON_KEY_TABLE

revision = "20261122_0001"
down_revision = None


def upgrade() -> None:
    # Most rows are rewritten once or twice: half-filled pages keep the new version beside the old one,
    # and the indexes untouched.
    op.execute(
        """
        CREATE TABLE record (
            person_hash bytea PRIMARY KEY,
            key_id smallint NOT NULL,
            record_id uuid NOT NULL UNIQUE,
            version bigint NOT NULL,
            facts json NOT NULL,
            segments json NOT NULL
        ) WITH (fillfactor = 50)
        """
    )
    op.execute(LINE_TABLE)
    op.execute(PERSON_KEY_TABLE)
    op.execute(DRIVEN_CLOCK_TABLE)
    for statement in log_tables(owned_by("intake")):
        op.execute(statement)
