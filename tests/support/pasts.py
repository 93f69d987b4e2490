"""What closings said before, as tests write it; and carried from day to day without a database."""

from collections.abc import Sequence
from dataclasses import replace

from tiendo_notifier.rules.past import NO_PAST, Day, Past
from tiendo_notifier.rules.shares import NO_TALLIES, Tallies
from tiendo_notifier.storage.judging import Key
from tiendo_notifier.use_cases.session import Session

#: Leaves a notifier's database as the builds before `told_day` did, which kept all days of a target with its standing.
BEFORE_TOLD_DAYS = """
ALTER TABLE standing ADD past jsonb;
WITH day AS (
    SELECT campaign, unit, indicator, number, day.*
    FROM (SELECT campaign, unit, indicator, max(number) AS last FROM told_day GROUP BY 1, 2, 3) AS of
    CROSS JOIN LATERAL generate_series(1, last) AS number
    LEFT JOIN LATERAL (
        SELECT reached, CASE WHEN indicator = 'report' THEN 0 ELSE done END AS done, baseline, target, tally,
            CASE WHEN final IS NOT NULL THEN jsonb_build_array(final, high) END AS expected
        FROM told_day WHERE (campaign, unit, indicator, told_day.number)
            = (of.campaign, of.unit, of.indicator, number.number)
    ) AS day ON true
), days AS (
    SELECT campaign, unit, indicator, jsonb_agg(tally ORDER BY number) AS tallies, jsonb_build_object(
        'reached', jsonb_agg(reached ORDER BY number), 'done', jsonb_agg(done ORDER BY number),
        'baseline', jsonb_agg(baseline ORDER BY number), 'expected', jsonb_agg(expected ORDER BY number),
        'target', jsonb_agg(target ORDER BY number)) AS columns
    FROM day GROUP BY 1, 2, 3
), revised AS (
    SELECT campaign, unit, indicator,
        jsonb_agg(jsonb_build_array(by, number, reached, baseline, done) ORDER BY id) AS revised
    FROM told_revision GROUP BY 1, 2, 3
)
UPDATE standing SET past = CASE WHEN standing.indicator IN ('attempts', 'records')
    THEN jsonb_build_object('days', tallies)
    ELSE columns || jsonb_build_object('revised', coalesce(revised, '[]')) END
FROM days LEFT JOIN revised USING (campaign, unit, indicator)
WHERE (standing.campaign, standing.unit, standing.indicator) = (days.campaign, days.unit, days.indicator);
UPDATE standing SET past = '{"reached": []}'
WHERE past IS NULL;
ALTER TABLE standing ALTER past SET NOT NULL;
DROP TABLE told_day, told_revision;
UPDATE alembic_version SET version_num = '20261129_0050_applied_policies'
"""


def past_of(reached: Sequence[int | None] = (), done: Sequence[int] = ()) -> Past:
    """What was reached by the end of each day from the first one on, and done on it, as far as that is given; None of a
    day of which nothing was said."""
    past = NO_PAST
    for number, value in enumerate(reached, 1):
        if value is not None:
            work = done[number - 1] if number <= len(done) else 0
            past = past.and_then(past.next_day(number, value, work, 0))
    return past


def past_with_work(done: Sequence[int | None]) -> Past:
    """Likewise by what was done on each day."""
    reached = [None if each is None else 0 for each in done]
    return past_of(reached, [each or 0 for each in done])


def carry_on(known: dict[Key, Past | Tallies], session: Session) -> None:
    """Add what a session heard to what is known."""
    for late in session.late:
        past = known[late.key]
        assert isinstance(past, Past)
        known[late.key] = replace(past, revised=[*past.revised, late.revision])
    for said in session.said:
        if isinstance(said.of, Day):
            past = known.get(said.key, NO_PAST)
            assert isinstance(past, Past)
            known[said.key] = past.and_then(said.of)
        else:
            sums = known.get(said.key, NO_TALLIES)
            assert isinstance(sums, Tallies)
            known[said.key] = sums.and_then(*said.of)
    session.late.clear()
    session.said.clear()
