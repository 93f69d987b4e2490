"""What closings said, a row a day: a judgement reads what was said of late, and adds a day."""

from alembic import op

revision = "20261129_0060_told_days"
down_revision = "20261129_0050_applied_policies"

STATEMENTS = """
CREATE TABLE told_day (
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    -- Which day of the campaign it is, or of the target's own days, from 1.
    number int NOT NULL,
    -- As it was said then. Of a report: 1 if it came; `done`: on so many days in a row it had not.
    reached int,
    done int,
    baseline int,
    final int,
    high int,
    target int,
    -- From that day on up to this one nothing was done, and none is missing.
    idle_from int,
    -- Of what adds up: how it had by the end of the day.
    tally jsonb,
    PRIMARY KEY (campaign, unit, indicator, number)
);
-- What later closings said of days, in the order in which they did.
CREATE TABLE told_revision (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign text NOT NULL,
    unit text NOT NULL,
    indicator text NOT NULL,
    by int NOT NULL,
    number int NOT NULL,
    reached int NOT NULL,
    baseline int NOT NULL,
    done int NOT NULL
);
CREATE INDEX told_revision_by ON told_revision (campaign, unit, indicator, by);

CREATE TEMP TABLE old_day ON COMMIT DROP AS
    SELECT campaign, unit, indicator, number::int, (reached #>> '{}')::int AS reached, (done #>> '{}')::int AS done,
        (baseline #>> '{}')::int AS baseline, (expected ->> 0)::int AS final, (expected ->> 1)::int AS high,
        (target #>> '{}')::int AS target
    FROM standing, ROWS FROM (
        jsonb_array_elements(past -> 'reached'), jsonb_array_elements(past -> 'done'),
        jsonb_array_elements(past -> 'baseline'), jsonb_array_elements(past -> 'expected'),
        jsonb_array_elements(past -> 'target')
    ) WITH ORDINALITY AS day (reached, done, baseline, expected, target, number);
INSERT INTO told_day
    SELECT campaign, unit, indicator, number, reached, done, baseline, final, high, target,
        CASE WHEN done <= 0 THEN worked + 1 END
    FROM (
        SELECT *, coalesce(max(number) FILTER (WHERE reached IS NULL OR done > 0) OVER (
            PARTITION BY campaign, unit, indicator ORDER BY number), 0) AS worked
        FROM old_day WHERE indicator <> 'report'
    ) AS day WHERE reached IS NOT NULL;
INSERT INTO told_day (campaign, unit, indicator, number, reached, done, baseline)
    SELECT campaign, unit, indicator, number, reached, count(*) FILTER (WHERE reached = 0) OVER (
        PARTITION BY campaign, unit, indicator, came ORDER BY number), 0
    FROM (
        SELECT *, count(*) FILTER (WHERE reached = 1) OVER (
            PARTITION BY campaign, unit, indicator ORDER BY number) AS came
        FROM old_day WHERE indicator = 'report' AND reached IS NOT NULL
    ) AS day;
INSERT INTO told_day (campaign, unit, indicator, number, tally)
    SELECT campaign, unit, indicator, number, tally
    FROM standing, jsonb_array_elements(past -> 'days') WITH ORDINALITY AS day (tally, number)
    WHERE tally <> 'null';
INSERT INTO told_revision (campaign, unit, indicator, by, number, reached, baseline, done)
    SELECT campaign, unit, indicator, (said ->> 0)::int, (said ->> 1)::int, (said ->> 2)::int, (said ->> 3)::int,
        (said ->> 4)::int
    FROM standing, jsonb_array_elements(past -> 'revised') WITH ORDINALITY AS revised (said, place)
    ORDER BY campaign, unit, indicator, place;
ALTER TABLE standing DROP COLUMN past
"""


def upgrade() -> None:
    for statement in STATEMENTS.split(";\n"):
        op.execute(statement)
