"""How the rules did, from the incidents."""

from typing import NamedTuple

import asyncpg


class RuleFigures(NamedTuple):
    """What became of the incidents in which a rule fired. Times are in seconds of the service's clock; None: of no
    incident."""

    rule: str
    fired: int
    led: int
    told: int
    acknowledged: int
    escalated: int
    resolved: int
    resolved_untold: int
    withdrawn: int
    seconds_to_acknowledge: float | None
    days_to_resolve: float | None


async def read(pool: asyncpg.Pool, campaign: str | None) -> list[RuleFigures]:
    """Of each rule that ever fired, by name."""
    rows = await pool.fetch(
        "WITH first_told AS (SELECT incident, min(at) AS at FROM message WHERE incident IS NOT NULL GROUP BY 1), "
        "taken AS (SELECT incident, min(at) AS at FROM acknowledgement GROUP BY 1), "
        "unsaid AS (SELECT DISTINCT incident, finding ->> 'rule' AS rule FROM decision "
        "CROSS JOIN LATERAL jsonb_array_elements(findings) AS each (finding) "
        "WHERE findings @> '[{\"withdrawn\": true}]' AND finding -> 'withdrawn' = 'true'), "
        "up AS (SELECT DISTINCT incident FROM message WHERE kind = 'incident.escalated') "
        "SELECT fired.rule, count(*), count(*) FILTER (WHERE incident.rule = fired.rule), count(first_told.at), "
        "count(taken.at), count(up.incident), count(*) FILTER (WHERE state = 'resolved'), "
        "count(*) FILTER (WHERE state = 'resolved' AND first_told.at IS NULL), count(unsaid.incident), "
        "extract(epoch FROM percentile_cont(0.5) WITHIN GROUP (ORDER BY taken.at - first_told.at))::float, "
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY resolved_day - opened_day) "
        "FROM incident CROSS JOIN LATERAL unnest(rules) AS fired (rule) "
        "LEFT JOIN first_told ON first_told.incident = id LEFT JOIN taken ON taken.incident = id "
        "LEFT JOIN unsaid ON unsaid.incident = id AND unsaid.rule = fired.rule "
        "LEFT JOIN up ON up.incident = id WHERE $1::text IS NULL OR campaign = $1 GROUP BY 1 ORDER BY 1",
        campaign,
    )
    return [RuleFigures(*row) for row in rows]
