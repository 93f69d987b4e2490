"""One standing and one incident for each target, whatever number of rules speak of it; policies; messages.

What was open under a rule of its own is resolved: from here on the rules speak of the target together.
"""

from alembic import op

revision = "20261128_0010"
down_revision = "20261124_0002"

STATEMENTS = """
ALTER TABLE incident DROP CONSTRAINT incident_state_check;
ALTER TABLE incident DROP CONSTRAINT incident_check;
DROP INDEX incident_open;
ALTER TABLE incident RENAME COLUMN closed_day TO resolved_day;
UPDATE incident SET state = 'resolved', resolved_day = coalesce(resolved_day, last_day);
ALTER TABLE incident ADD CHECK (state IN ('open', 'notified', 'acknowledged', 'escalated', 'resolved'));
ALTER TABLE incident ADD CHECK ((resolved_day IS NOT NULL) = (state = 'resolved'));
UPDATE incident SET rule = 'quota_missed' WHERE rule = 'daily_quota_missed';
ALTER TABLE incident ADD rules text[] NOT NULL DEFAULT '{}';
UPDATE incident SET rules = ARRAY[rule];
-- How many times news of it went out: the number of the newest.
ALTER TABLE incident ADD news int NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX incident_open ON incident (campaign, unit, indicator) WHERE state <> 'resolved';
CREATE INDEX incident_campaign ON incident (campaign, id);

DROP TABLE standing;
-- What the judge remembers of a target from one closing to the next. Updated daily in place.
CREATE TABLE standing (
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    judged_day date NOT NULL,
    remembered jsonb NOT NULL,
    incident uuid,
    -- What was reached by the end of each day, and done on it, from the campaign's first day on.
    past jsonb NOT NULL,
    PRIMARY KEY (campaign, unit, indicator)
) WITH (fillfactor = 70);

-- What is pushed: the same bytes to everybody, at every try, under one id.
CREATE TABLE message (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    campaign text,
    unit text,
    incident uuid REFERENCES incident,
    -- Which news of its incident it is, from 1: the same state is told once.
    number int,
    notice text NOT NULL,
    at timestamptz NOT NULL,
    UNIQUE (incident, number)
);
INSERT INTO message (id, kind, campaign, unit, incident, number, notice, at)
    SELECT id, 'incident.' || outcome, campaign, unit, incident,
        row_number() OVER (PARTITION BY incident ORDER BY id), notice, at
    FROM decision WHERE notice IS NOT NULL;
UPDATE incident SET news = told.n
    FROM (SELECT incident, count(*) AS n FROM message GROUP BY 1) AS told WHERE told.incident = incident.id;

ALTER TABLE decision DROP CONSTRAINT decision_campaign_unit_indicator_rule_day_key;
ALTER TABLE decision DROP CONSTRAINT decision_outcome_check;
DROP INDEX decision_incident;
UPDATE decision SET rule = 'quota_missed' WHERE rule = 'daily_quota_missed';
UPDATE decision SET outcome = 'resolved' WHERE outcome = 'closed';
ALTER TABLE decision ADD CHECK
    (outcome IN ('opened', 'worsened', 'resolved', 'reached_early', 'held', 'not_judged'));
ALTER TABLE decision ALTER COLUMN rule DROP NOT NULL;
ALTER TABLE decision ADD rules text[] NOT NULL DEFAULT '{}';
UPDATE decision SET rules = ARRAY[rule];
ALTER TABLE decision ADD findings jsonb NOT NULL DEFAULT '[]';
ALTER TABLE decision ADD message uuid;
UPDATE decision SET message = id WHERE notice IS NOT NULL;
ALTER TABLE decision DROP COLUMN notice;
-- Why it was not told, where it would have been.
ALTER TABLE decision ADD kept_back text;
-- Null: from before there were policies, when each rule decided by itself.
ALTER TABLE decision ADD policy jsonb;
-- A day is judged once, whatever is published or read again.
CREATE UNIQUE INDEX decision_once ON decision (campaign, unit, indicator, day) WHERE policy IS NOT NULL;
CREATE INDEX decision_incident ON decision (incident) WHERE outcome IN ('opened', 'worsened', 'resolved');

ALTER TABLE delivery DROP CONSTRAINT delivery_decision_fkey;
ALTER TABLE delivery RENAME COLUMN decision TO message;
ALTER TABLE delivery ADD FOREIGN KEY (message) REFERENCES message;
ALTER TABLE delivery ALTER COLUMN incident DROP NOT NULL;
UPDATE destination SET rules = array_replace(rules, 'daily_quota_missed', 'quota_missed');

CREATE TABLE policy (
    campaign text NOT NULL,
    -- Empty: the whole campaign.
    unit text NOT NULL,
    version int NOT NULL,
    document jsonb NOT NULL,
    author text NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (campaign, unit, version)
)
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        if statement.strip():
            op.execute(statement)
