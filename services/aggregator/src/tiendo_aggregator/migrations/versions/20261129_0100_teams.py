"""Work by team and passages are counted with the counters, in one reading: begin it at the log's beginning.

The two readings stood at different places, and what was counted before there were passages has none. Fact topics are
kept whole, and folding them again gives the same counters. Until that has caught up, `complete_to` says so.
"""

from alembic import op

revision = "20261129_0100_teams"
down_revision = "20261129_0072_contests"


def upgrade() -> None:
    # Positions first, as consumers do it: a replica that commits meanwhile waits for us, or we for it, but not both.
    for table in ("consumer_position", "consumer_member", "dead_letter"):
        op.execute(f"DELETE FROM {table} WHERE consumer IN ('counters', 'teams')")  # noqa: S608
    op.execute("TRUNCATE counter, waited, team_counter")
    # A replica of a build before, still running, would begin its own readings anew and count everything twice.
    op.drop_constraint("consumer_position_one_reading", "consumer_position")
    op.create_check_constraint(
        "consumer_position_one_reading",
        "consumer_position",
        "consumer NOT IN ('totals', 'breakdowns', 'counters', 'teams')",
    )
