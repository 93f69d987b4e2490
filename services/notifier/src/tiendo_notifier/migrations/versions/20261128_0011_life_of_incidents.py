"""Acknowledgements, escalation, silences, one message for many, digests, and lag."""

from alembic import op

revision = "20261128_0011"
down_revision = "20261128_0010"

STATEMENTS = """
-- Who hears of it now, and when the level above does if nobody has taken it on.
ALTER TABLE incident ADD addressee text;
UPDATE incident SET addressee = unit;
ALTER TABLE incident ALTER COLUMN addressee SET NOT NULL;
ALTER TABLE incident ADD next_step timestamptz;
CREATE INDEX incident_step ON incident (next_step) WHERE next_step IS NOT NULL;

-- Who took an incident on. It lapses when the incident worsens.
CREATE TABLE acknowledgement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incident uuid NOT NULL REFERENCES incident,
    author text NOT NULL,
    note text,
    at timestamptz NOT NULL,
    lapsed_at timestamptz
);
CREATE UNIQUE INDEX acknowledgement_standing ON acknowledgement (incident) WHERE lapsed_at IS NULL;

CREATE TABLE silence (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('silence', 'maintenance')),
    campaign text,
    unit text,
    rules text[],
    from_at timestamptz NOT NULL,
    until_at timestamptz NOT NULL CHECK (until_at > from_at),
    author text NOT NULL,
    reason text NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_by text
);
CREATE INDEX silence_until ON silence (until_at);

-- Parents that are told once in place of their children.
CREATE TABLE gathering (
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    since date NOT NULL,
    peak smallint NOT NULL,
    -- The highest severity that anybody was told of; null: nobody was.
    told smallint,
    PRIMARY KEY (campaign, unit, indicator)
);

ALTER TABLE destination ADD digest boolean NOT NULL DEFAULT false;
CREATE TABLE digest_item (
    destination text NOT NULL,
    message uuid NOT NULL REFERENCES message,
    due timestamptz NOT NULL,
    -- The digest that it went into.
    sent_in uuid REFERENCES message,
    PRIMARY KEY (destination, message)
);
CREATE INDEX digest_item_due ON digest_item (due) WHERE sent_in IS NULL;

-- Days whose closing is late: operations are told once, and once when it is over.
CREATE TABLE lag (
    campaign text PRIMARY KEY,
    day date NOT NULL,
    since timestamptz NOT NULL
)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
