"""Accounts, attempts, lines and the event log of activation."""

from alembic import op

from tiendo_common.eventlog.schema import CONSUMER_TABLES, DRIVEN_CLOCK_TABLE, log_tables
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
        CREATE TABLE account (
            person_hash bytea PRIMARY KEY,
            key_id smallint NOT NULL,
            record_id uuid UNIQUE,
            dossier_version bigint NOT NULL,
            dossier_known date NOT NULL,
            dossier json NOT NULL,
            switches json NOT NULL,
            version bigint NOT NULL,
            segments json NOT NULL
        ) WITH (fillfactor = 50)
        """
    )
    op.execute(
        """
        CREATE TABLE attempt (
            person_hash bytea NOT NULL,
            occurred_at timestamptz NOT NULL,
            reason text NOT NULL,
            known_day date NOT NULL,
            collecting text,
            channel text,
            team text,
            key_id smallint NOT NULL,
            PRIMARY KEY (person_hash, occurred_at, reason)
        )
        """
    )
    op.execute(LINE_TABLE)
    op.execute(PERSON_KEY_TABLE)
    for statement in [*CONSUMER_TABLES.split(";\n"), DRIVEN_CLOCK_TABLE, *log_tables(owned_by("activation"))]:
        op.execute(statement)
