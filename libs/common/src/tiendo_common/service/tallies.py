"""The tally: a producer's records counted afresh, for whoever wants to prove the counters made from its events.

It is one statement over all records, so the database does the counting, in bounded memory and for as long as it
takes; the service hands the text on as it comes. The answer is one JSON object, with each unit's cells on a line
of their own, so that a reader can take a large one in line by line.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import asyncpg
import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.requests import ClientDisconnect

from tiendo_common.errors import Invalid, Unavailable
from tiendo_common.eventlog.port import Connection
from tiendo_common.events.directory import Directory
from tiendo_common.service.auth import ApiKey, requires
from tiendo_common.service.documents import in_words
from tiendo_common.service.packed import Packed

#: Seconds that counting may take: a million records take some ten, a country's a hundred times that.
PATIENCE = 1800
#: Seconds between looks whether the client still waits.
_LOOK = 1.0

# Grouped twice: a citizen counts in two units and, once approved, in two indicators, and it is cheaper to spread
# sums than segments. Neighbouring segments that differ only in approval cancel out for the intake.
_TALLY = """
    WITH part AS (
        SELECT s.* FROM {table}, json_to_recordset(segments) AS s(
            from_day date, until_day date, level smallint, residence text, collecting text, approved boolean
            {more_columns}
        ) WHERE $1::text[] IS NULL OR residence = ANY($1) OR collecting = ANY($1)
    ), bound AS (
        SELECT from_day AS day, 1 AS n, * FROM part
        UNION ALL
        SELECT until_day, -1, * FROM part WHERE until_day IS NOT NULL
    ), grouped AS (
        {grouped}
    ), cell AS (
        SELECT indicator, attribution, unit, level, day, dimension, value, sum(n) AS n FROM grouped
        CROSS JOIN LATERAL (VALUES ('residence', residence), ('collecting', collecting)) AS a(attribution, unit)
        CROSS JOIN LATERAL (VALUES {indicators}) AS i(indicator, counts)
        WHERE n <> 0 AND counts AND (dimension IS DISTINCT FROM 'team' OR attribution = 'collecting')
            AND ($1::text[] IS NULL OR unit = ANY($1))
        GROUP BY indicator, attribution, unit, level, day, dimension, value HAVING sum(n) <> 0
    )
    SELECT ',' || string_agg(json_build_array(indicator, attribution, unit, level, day, n{more_members})::text, ',')
    FROM ({cells}) AS each GROUP BY unit ORDER BY unit COLLATE "C"
"""
_CELLS = "SELECT * FROM cell"
# Of whoever waits: since when, whatever the level.
_WITH_PASSAGES = """
        SELECT * FROM cell
        UNION ALL
        SELECT indicator, 'residence', unit, 0, day, passage, coalesce(since::text, 'unknown'), sum(n)
        FROM ({passages}) AS changes WHERE $1::text[] IS NULL OR unit = ANY($1)
        GROUP BY indicator, unit, day, passage, since HAVING sum(n) <> 0
"""
_SAME = "day, level, residence, collecting, approved"
_TOTALS = f"SELECT {_SAME}, NULL AS dimension, NULL AS value, sum(n) AS n FROM bound GROUP BY {_SAME}"  # noqa: S608
_BREAKDOWNS = f"""
        SELECT {_SAME}, 'channel' AS dimension, channel AS value, sum(n) AS n FROM bound
        GROUP BY {_SAME}, channel
        UNION ALL
        SELECT {_SAME}, 'cohort', cohort, sum(n) FROM bound, unnest(cohorts) AS cohort
        GROUP BY {_SAME}, cohort
"""  # noqa: S608
# Work is a team's at the unit that did it, and of nobody where no team was named.
_TEAMS = f"""{_BREAKDOWNS}
        UNION ALL
        SELECT {_SAME}, 'team', team, sum(n) FROM bound WHERE team IS NOT NULL
        GROUP BY {_SAME}, team
"""  # noqa: S608


class TallyTooLong(Unavailable):
    """Counting the records took longer than it may."""

    code = "tally-too-long"
    title = "The records could not be counted in time"
    retryable = False


class Tallies:
    """Counts the segments of a table's records.

    `indicators`: each with the condition on a segment for it to count. `passages`: a statement whose rows are changes
    of what citizens waited for (indicator, passage, unit, day, since, n), counted with the breakdowns. `topics`: those
    whose events the counters of these are folded from.
    """

    def __init__(
        self,
        service: str,
        pool: asyncpg.Pool,
        directory: Directory,
        *,
        table: str,
        indicators: Mapping[str, str],
        passages: str,
        topics: Sequence[str],
    ) -> None:
        self._service = service
        self._pool = pool
        self._directory = directory
        self._topics = list(topics)
        values = ", ".join(f"('{name}', {counts})" for name, counts in indicators.items())
        totals = _TALLY.format(
            table=table, indicators=values, grouped=_TOTALS, more_columns="", more_members="", cells=_CELLS
        )
        breakdowns, teams = (
            _TALLY.format(
                table=table,
                indicators=values,
                grouped=grouped,
                more_columns=", channel text, cohorts text[], team text",
                more_members=", dimension, value",
                cells=_WITH_PASSAGES.format(passages=passages),
            )
            for grouped in (_BREAKDOWNS, _TEAMS)
        )
        self._statements = {(False, False): totals, (True, False): breakdowns, (True, True): teams}
        # One at a time: it is as much as the database should be asked for beside its other work.
        self._turn = asyncio.Lock()

    async def take(self, province: str | None, *, breakdowns: bool, teams: bool) -> Packed:
        """The tally as JSON, in one snapshot with the log's heads: of a province's units, or of all.

        Raises Invalid for a province that nobody has heard of and for teams without breakdowns, Unavailable before the
        units are known, TallyTooLong.
        """
        if teams and not breakdowns:
            raise Invalid(
                "Work by team is counted with the breakdowns only.",
                field="teams",
                remedy="Ask for breakdowns=true, too.",
            )
        units = None
        if province is not None:
            self._directory.check_complete()
            units = self._directory.ever_below(province)
        async with (
            self._turn,
            self._pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            await connection.execute(f"SET LOCAL statement_timeout = '{PATIENCE}s'")
            head = {
                "service": self._service,
                "heads": await self._heads(connection),
                "units": units,
                "breakdowns": breakdowns,
                "teams": teams,
                "cells": [],
            }
            answer = Packed()
            answer.add(msgspec.json.encode(head).removesuffix(b"]}") + b"\n")
            begun = False

            async def take_in(rows: bytes) -> None:
                nonlocal begun
                # Every row brings the comma that the first of them must not have. Of what is in it COPY escapes only
                # the backslashes that JSON has put into a team's name.
                rows = rows.replace(rb"\\", b"\\")
                answer.add(rows if begun else rows[1:])
                begun = True

            try:
                await connection.copy_from_query(
                    self._statements[breakdowns, teams], units, output=take_in, timeout=PATIENCE + 10
                )
            except (asyncpg.QueryCanceledError, TimeoutError):
                raise TallyTooLong(
                    f"Counting the records took longer than {PATIENCE} s.",
                    remedy="Try again when the database is less busy.",
                ) from None
        answer.add(b"]}")
        return answer

    async def _heads(self, connection: Connection) -> dict[str, list[int]]:
        """The next sequences of the topics that the tally speaks of, in the caller's snapshot."""
        answer: dict[str, list[int]] = {topic: [] for topic in self._topics}
        for topic, next_ in await connection.fetch(
            "SELECT topic, next FROM log_partition WHERE topic = ANY($1) ORDER BY topic, partition",
            self._topics,
        ):
            answer[topic].append(next_)
        return answer


Province = Annotated[
    str | None,
    Query(
        pattern="^[0-9]{2}$",
        description="Only units that were ever in this province, by either attribution. Absent: all.",
        examples=["62"],
    ),
    in_words("a province's code: two digits"),
]
Breakdowns = Annotated[
    bool,
    Query(description="Each cell by channel and by cohort, instead of the totals; and passages: since when."),
]
Teams = Annotated[
    bool,
    Query(description="With breakdowns: also the work of each unit's teams (dimension `team`)."),
]


def add_tally_route(router: APIRouter, tallies: Tallies) -> None:
    """Add `GET /v1/tally`."""

    @router.get(
        "/v1/tally",
        tags=["proof"],
        summary="Counts straight from the records, with the log's heads",
        responses={200: {"description": "A cell is indicator, attribution, unit, level, day and the net change on "
                         "that day; of a breakdown or a team's work also dimension and value, of a passage (level 0) "
                         "which and since when. By unit, each on a line of its own.",
                         "content": {"application/json": {"schema": _SCHEMA}}}},
        response_class=Response,
    )  # fmt: skip
    async def tally(
        request: Request,
        _admin: Annotated[ApiKey, Depends(requires("admin"))],
        province: Province = None,
        breakdowns: Breakdowns = False,
        teams: Teams = False,
    ) -> Response:
        counting = asyncio.create_task(tallies.take(province, breakdowns=breakdowns, teams=teams))
        try:
            while not (await asyncio.wait({counting}, timeout=_LOOK))[0]:
                if await request.is_disconnected():
                    break
        finally:
            # Nobody waits for it any more: the database need not go on.
            counting.cancel()
            await asyncio.wait({counting})
        if counting.cancelled():
            raise ClientDisconnect
        return counting.result().response(request, "application/json")


_SCHEMA = {
    "type": "object",
    "required": ["service", "heads", "units", "breakdowns", "teams", "cells"],
    "properties": {
        "service": {"type": "string"},
        "heads": {
            "type": "object",
            "description": "Next sequence of each partition, by topic.",
            "additionalProperties": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        },
        "units": {
            "description": "The units that were counted; null: all.",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
        },
        "breakdowns": {"type": "boolean"},
        "teams": {"type": "boolean"},
        "cells": {"type": "array", "items": {"type": "array"}},
    },
}
