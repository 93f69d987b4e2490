"""Standings, incidents, decisions, destinations, deliveries.

Revision ID: 20261122_first
"""

from alembic import op

from tiendo_common.eventlog.schema import CONSUMER_TABLES, DRIVEN_CLOCK_TABLE

revision = "20261122_first"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
-- What the judge remembers from one closing to the next. Updated daily in place.
CREATE TABLE standing (
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    rule text NOT NULL,
    judged_day date NOT NULL,
    run int NOT NULL,
    peak smallint,
    told boolean NOT NULL,
    incident uuid,
    PRIMARY KEY (campaign, unit, indicator, rule)
) WITH (fillfactor = 70);

CREATE TABLE incident (
    id uuid PRIMARY KEY,
    campaign text NOT NULL,
    unit text NOT NULL,
    unit_name text NOT NULL,
    indicator text NOT NULL,
    rule text NOT NULL,
    state text NOT NULL CHECK (state IN ('open', 'closed')),
    severity smallint NOT NULL,
    opened_day date NOT NULL,
    last_day date NOT NULL,
    closed_day date CHECK ((closed_day IS NOT NULL) = (state = 'closed')),
    figures jsonb NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX incident_open ON incident (campaign, unit, indicator, rule) WHERE state = 'open';
CREATE INDEX incident_unit ON incident (unit, id);

CREATE TABLE decision (
    id uuid PRIMARY KEY,
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    rule text NOT NULL,
    from_day date NOT NULL,
    day date NOT NULL CHECK (day >= from_day),
    outcome text NOT NULL CHECK (outcome IN ('opened', 'worsened', 'closed', 'held', 'not_judged')),
    severity smallint,
    reason text NOT NULL,
    inputs jsonb NOT NULL,
    historical boolean NOT NULL,
    incident uuid REFERENCES incident,
    at timestamptz NOT NULL,
    notice text,
    -- A day is judged once, whatever is published or read again.
    UNIQUE (campaign, unit, indicator, rule, day)
);
CREATE INDEX decision_unit ON decision (unit, id);
CREATE INDEX decision_incident ON decision (incident) WHERE outcome IN ('opened', 'worsened', 'closed');

CREATE TABLE destination (
    name text PRIMARY KEY,
    url text NOT NULL,
    secret text NOT NULL,
    units text[],
    rules text[],
    disabled text,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO destination (name, url, secret) VALUES ('log', 'log:', '');

-- No foreign key to the destination: what was sent stays on record when the destination goes.
CREATE TABLE delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    decision uuid NOT NULL REFERENCES decision,
    incident uuid NOT NULL REFERENCES incident,
    destination text NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts int NOT NULL DEFAULT 0,
    due timestamptz NOT NULL DEFAULT now(),
    status int,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    UNIQUE (decision, destination)
) WITH (fillfactor = 70);
CREATE INDEX delivery_due ON delivery (destination, due) WHERE state = 'pending';
CREATE INDEX delivery_order ON delivery (incident, destination, id) WHERE state = 'pending';
CREATE INDEX delivery_destination ON delivery (destination, id)
"""


def upgrade() -> None:
    for statement in f"{CONSUMER_TABLES};{DRIVEN_CLOCK_TABLE};{TABLES}".split(";"):
        if statement.strip():
            op.execute(statement)
