"""Totals and breakdowns are one row, counted in one reading: begin it at the log's beginning.

Two readings stood at different places, and nothing says what lies between them but the log itself: it is kept whole,
and folding it again gives the same counters. Until that has caught up, `complete_to` says so.
"""

from alembic import op

revision = "20261128_0005_one_reading"
down_revision = "20261125_0004_plan"

# As they stand in rules.counting.PARTS on the day of this migration, with their dimension's number.
_PARTS = {
    "channel_fixed": 0,
    "channel_mobile": 0,
    "channel_home": 0,
    "channel_online": 0,
    "cohort_officials": 1,
    "cohort_employees": 1,
    "cohort_armed_forces": 1,
    "cohort_students": 1,
    "cohort_workers": 1,
    "cohort_elderly": 1,
    "cohort_ethnic_minorities": 1,
    "cohort_fishermen": 1,
}


def upgrade() -> None:
    op.execute("DROP TABLE total, breakdown")
    # Counts are in no index, so with room left in its page a row is updated in place (a heap-only tuple).
    op.execute(
        f"""
        CREATE TABLE counter (
            residence text NOT NULL,
            collecting text NOT NULL,
            day date NOT NULL,
            known_day date NOT NULL,
            indicator smallint NOT NULL,
            level smallint NOT NULL,
            n int NOT NULL,
            {", ".join(f"{part} int NOT NULL DEFAULT 0" for part in _PARTS)},
            PRIMARY KEY (residence, day, known_day, indicator, level, collecting)
        ) WITH (fillfactor = 70)
        """
    )
    op.execute("CREATE INDEX counter_by_collecting ON counter (collecting, day)")
    # 0 is the unit of residence, 1 the one that did the work.
    cell = "day, known_day, indicator, level"
    op.execute(
        f"CREATE VIEW total AS SELECT residence AS unit, 0::smallint AS attribution, {cell}, n FROM counter "  # noqa: S608
        f"UNION ALL SELECT collecting, 1::smallint, {cell}, n FROM counter"
    )
    parts = ", ".join(
        f"({dimension}::smallint, '{part.removeprefix('channel_').removeprefix('cohort_')}', {part})"
        for part, dimension in _PARTS.items()
    )
    part = f"CROSS JOIN LATERAL (VALUES {parts}) AS part (dimension, value, n) WHERE part.n <> 0"
    op.execute(
        f"CREATE VIEW breakdown AS SELECT residence AS unit, 0::smallint AS attribution, {cell}, part.* "  # noqa: S608
        f"FROM counter {part} UNION ALL SELECT collecting, 1::smallint, {cell}, part.* FROM counter {part}"
    )
    op.execute("DELETE FROM consumer_position WHERE consumer IN ('totals', 'breakdowns')")
    op.execute("DELETE FROM consumer_member WHERE consumer IN ('totals', 'breakdowns')")
    op.execute("DELETE FROM dead_letter WHERE consumer IN ('totals', 'breakdowns')")
    # A replica of the build before, still running, would begin its own readings anew and count everything twice.
    op.create_check_constraint(
        "consumer_position_one_reading", "consumer_position", "consumer NOT IN ('totals', 'breakdowns')"
    )
