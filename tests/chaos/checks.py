"""What must be true once everything is healed and drained. Each check says what it counted, and what differs."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx2
import msgspec

from tests.chaos import alerts
from tests.chaos.alerts import Sink
from tests.chaos.fleet import Fleet
from tests.chaos.journal import Account, account, read
from tests.chaos.lives import Cell, Life, Part, tally
from tests.chaos.load import Load
from tests.chaos.log_under_test import LogUnderTest
from tests.chaos.poison import Poison, kept_letters
from tests.chaos.sampling import PRODUCERS, Rising
from tiendo_common.database.roles import schema_of
from tiendo_common.events.catalogue import TOPICS, owned_by
from tiendo_common.identity import PersonHasher

_INDICATORS = ("intake", "approved", "activated")
_ATTRIBUTIONS = ("residence", "collecting")
_DIMENSIONS = ("channel", "cohort")
KeyT = TypeVar("KeyT")


@dataclass(frozen=True)
class Verdict:
    """One check: what was compared, and what is wrong (all of it; who prints it cuts)."""

    name: str
    counted: str
    wrong: Sequence[str]

    @property
    def good(self) -> bool:
        return not self.wrong


@dataclass(frozen=True)
class Evidence:
    """All that the checks look at."""

    connection: asyncpg.Connection
    fleet: Fleet
    load: Load
    log: LogUnderTest
    poison: Poison
    sink: Sink
    rising: Rising
    journal: Path
    person_keys: Path
    admin_key: str
    campaign: str
    failed_faults: Sequence[str]
    unready: Mapping[str, str]
    undrained: Sequence[str]


async def check_all(evidence: Evidence) -> list[Verdict]:
    """Every check, in the order in which one would ask."""
    told = account(read(evidence.journal))
    connection = evidence.connection
    return [
        _health(evidence),
        Verdict("every answer is what the rules say", f"{_lines(told):,} lines", told.surprises),
        await _every_line_once(connection, told),
        await _records(connection, told, PersonHasher.from_file(evidence.person_keys)),
        *await _tallies(evidence, told),
        await _counters(connection, told),
        await _sequences(connection),
        await _event_ids(connection),
        _never_fallen(evidence.rising),
        await _published(evidence),
        await _dead_letters(evidence),
        await _notifier(connection),
        *await _alerts(evidence),
    ]


def _health(evidence: Evidence) -> Verdict:
    """Nobody is unready, halted, behind or ended by himself; no client saw an error of ours."""
    fleet = evidence.fleet
    wrong = [f"{name} is not ready: {missing}" for name, missing in evidence.unready.items()]
    wrong += [f"{replica.halted}" for replica in fleet.replicas if replica.halted]
    wrong += [f"not drained: {each}" for each in evidence.undrained]
    wrong += [f"a fault that could not happen: {each}" for each in evidence.failed_faults]
    if evidence.load.under_way:
        wrong.append(f"{evidence.load.under_way} requests are not answered")
    wrong += fleet.troubles + evidence.load.errors
    return Verdict("everybody is well again", f"{len(fleet.replicas)} replicas", wrong)


async def _every_line_once(connection: asyncpg.Connection, told: Account) -> Verdict:
    wrong = []
    kept = 0
    for service, lines in told.lines.items():
        rows = await connection.fetch(f"SELECT line_id FROM {schema_of(service)}.line")
        on_record = Counter(row["line_id"] for row in rows)
        expected = Counter(line_id for line_id, outcome in lines.items() if outcome != "rejected")
        kept += len(expected)
        wrong += _differences(service, expected, on_record)
    return Verdict("every journalled line is on record once", f"{kept:,} of {_lines(told):,} lines", wrong)


async def _records(connection: asyncpg.Connection, told: Account, hasher: PersonHasher) -> Verdict:
    """Each citizen's record and account, day by day, are what his lines come to."""
    lives = {hasher.hash(citizen): life for citizen, life in told.lives.items()}
    wrong = []
    records = {
        row["person_hash"]: row
        for row in await connection.fetch("SELECT person_hash, record_id::text, segments FROM intake.record")
    }
    accounts = {
        row["person_hash"]: row
        for row in await connection.fetch(
            "SELECT person_hash, record_id::text, segments, switches FROM activation.account"
        )
    }
    wrong += [f"a record of nobody: {row['record_id']}" for key, row in records.items() if key not in lives]
    wrong += [
        f"an account of nobody: {row['record_id']}" for key, row in accounts.items() if key not in lives
    ]
    for key, life in lives.items():
        record, held = records.get(key), accounts.get(key)
        if (record is not None) != life.known:
            wrong.append(f"{key.hex()[:12]}: {'no' if record is None else 'a'} record")
            continue
        wrong += _days_differing(f"record {record and record['record_id']}", life, record, life.on)
        wrong += _days_differing(f"account {held and held['record_id']}", life, held, life.active_on)
        switches = len(msgspec.json.decode(held["switches"])) if held else 0
        if switches != len(life.switches):
            wrong.append(f"{key.hex()[:12]}: {switches} switches instead of {len(life.switches)}")
    attempts = await connection.fetchval("SELECT count(*) FROM activation.attempt")
    if attempts != told.attempts:
        wrong.append(f"{attempts} failed attempts instead of {told.attempts}")
    counted = f"{len(records):,} records, {len(accounts):,} accounts, {attempts:,} failed attempts"
    return Verdict("records and accounts are what the journal comes to", counted, wrong)


def _days_differing(name: str, life: Life, row: asyncpg.Record | None, on: Any) -> Iterator[str]:
    segments = msgspec.json.decode(row["segments"]) if row else []
    bounds = {
        date.fromisoformat(each[name])
        for each in segments
        for name in ("from_day", "until_day")
        if each[name]
    }
    for day in sorted({*life.days(), *bounds, *(bound - timedelta(days=1) for bound in bounds)}):
        wanted = on(day)
        found = [
            each
            for each in segments
            if each["from_day"] <= day.isoformat() and (each["until_day"] or "9999") > day.isoformat()
        ]
        told = [
            {k: v for k, v in each.items() if k not in ("from_day", "until_day", "team")} for each in found
        ]
        expected = [] if wanted is None else [msgspec.json.decode(msgspec.json.encode(wanted))]
        if told != expected:
            yield f"{name} on {day}: {told} instead of {expected}"
            return


async def _tallies(evidence: Evidence, told: Account) -> list[Verdict]:
    """What the services say of themselves, and the aggregator's own proof."""
    headers = {"Authorization": f"Bearer {evidence.admin_key}"}
    expected = tally(told.lives.values()).nonzero()
    async with httpx2.AsyncClient(timeout=60, trust_env=False, headers=headers) as http:
        tallies, parts = [], []
        for service in ("intake", "activation"):
            url = f"{evidence.fleet.of(service)[0].url}/v1/tally"
            tallies.append((await http.get(url)).json())
            parts.append((await http.get(url, params={"breakdowns": True})).json())
        said: dict[Cell, int] = {
            (indicator, attribution, unit, level, date.fromisoformat(day)): n
            for each in tallies
            for indicator, attribution, unit, level, day, n in each["cells"]
        }
        answer = await http.post(
            f"{evidence.fleet.of('aggregator')[1].url}/v1/reconciliations",
            json={"campaign": evidence.campaign, "tallies": parts},
        )
    verdict = answer.json()
    if answer.status_code != 200:
        wrong, counted = [answer.text[:500]], "nothing"
    else:
        wrong = [str(each) for each in verdict["differing"]]
        counted = f"{verdict['compared']:,} cells; {verdict['totals']}"
    return [
        Verdict(
            "the services' tallies are the journal's",
            f"{len(expected):,} cells",
            _differences("tally", expected, said),
        ),
        Verdict("counters are the records (reconciliation)", counted, wrong),
    ]


async def _counters(connection: asyncpg.Connection, told: Account) -> Verdict:
    counted = tally(told.lives.values())
    totals: dict[Cell, int] = {
        (_INDICATORS[row[0]], _ATTRIBUTIONS[row[1]], row[2], row[3], row[4]): row[5]
        for row in await connection.fetch(
            "SELECT indicator, attribution, unit, level, day, sum(n)::int FROM aggregator.total "
            "GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0"
        )
    }
    parts: dict[Part, int] = {
        (*_cell(row), _DIMENSIONS[row[5]], row[6]): row[7]
        for row in await connection.fetch(
            "SELECT indicator, attribution, unit, level, day, dimension, value, sum(n)::int "
            "FROM aggregator.breakdown GROUP BY 1, 2, 3, 4, 5, 6, 7 HAVING sum(n) <> 0"
        )
    }
    expected, expected_parts = counted.nonzero(), counted.nonzero_parts()
    wrong = _differences("total", expected, totals) + _differences("breakdown", expected_parts, parts)
    return Verdict(
        "totals and breakdowns are the journal's",
        f"{len(expected):,} and {len(expected_parts):,} cells",
        wrong,
    )


def _cell(row: asyncpg.Record) -> Cell:
    return (_INDICATORS[row[0]], _ATTRIBUTIONS[row[1]], row[2], row[3], row[4])


async def _sequences(connection: asyncpg.Connection) -> Verdict:
    """From 1 to next − 1 without a hole; state topics have holes where newer events replaced older ones."""
    wrong = []
    events = 0
    for topic in TOPICS.values():
        schema = schema_of(topic.owner)
        rows = await connection.fetch(
            f"SELECT partition, next, coalesce(min(seq), 1) AS first, coalesce(max(seq), 0) AS last, count(seq) AS n "
            f"FROM {schema}.log_partition LEFT JOIN {schema}.log_{topic.name} USING (partition) "
            "WHERE topic = $1 GROUP BY partition, next ORDER BY partition",
            topic.name,
        )
        for partition, next_, first, last, n in rows:
            events += n
            whole = (first, last, n) == (1, next_ - 1, next_ - 1)
            if not whole and (topic.kind == "fact" or last >= next_):
                wrong.append(f"{topic.name}/{partition}: {n} events from {first} to {last}, next is {next_}")
    return Verdict("sequences have no holes", f"{events:,} events in {len(TOPICS)} topics", wrong)


async def _event_ids(connection: asyncpg.Connection) -> Verdict:
    ids = Counter[str]()
    for service in PRODUCERS:
        for topic in owned_by(service):
            rows = await connection.fetch(f"SELECT event_id::text FROM {schema_of(service)}.log_{topic.name}")
            ids.update(row["event_id"] for row in rows)
    twice = [f"{event_id} stands there {n} times" for event_id, n in ids.items() if n > 1]
    return Verdict("event ids are unique", f"{len(ids):,} events", twice)


def _never_fallen(rising: Rising) -> Verdict:
    epochs = rising.epochs.values()
    counted = f"{rising.samples} samples; {sum(epochs):,} claims of {len(epochs)} partitions"
    return Verdict("epochs, positions and sequences never fall", counted, rising.fallen)


async def _published(evidence: Evidence) -> Verdict:
    appended, missing = await evidence.log.unpublished(evidence.connection)
    counted = f"{appended:,} events" if appended else "the log is what is published"
    return Verdict("everything appended is published", counted, missing)


async def _dead_letters(evidence: Evidence) -> Verdict:
    found = await kept_letters(evidence.connection)
    expected = await evidence.poison.letters(evidence.connection) | await evidence.log.letters()
    wrong = _differences("dead letter", Counter(expected), Counter(found))
    return Verdict("dead letters are what was injected", f"{len(expected)} letters", wrong)


async def _notifier(connection: asyncpg.Connection) -> Verdict:
    """What the last closed day says of each target was judged; who was to be told was told. (That
    nothing is judged twice, the table's own key sees to.)"""
    closed = await connection.fetchval("SELECT max(day) FROM aggregator.closed_day")
    given = await connection.fetch("SELECT unit, indicator FROM aggregator.target")
    # Beside targets, how attempts and dossiers fare is judged: what `alerts.standing` compares.
    standings = await connection.fetch(
        "SELECT unit, indicator, judged_day FROM notifier.standing "
        "WHERE indicator IN (SELECT indicator FROM aggregator.target)"
    )
    expected = Counter((row["unit"], row["indicator"]) for row in given if closed)
    judged = Counter((row["unit"], row["indicator"]) for row in standings)
    wrong = _differences("judgement", expected, judged)
    wrong += [f"{tuple(row)} instead of {closed}" for row in standings if row["judged_day"] != closed]
    deliveries = Counter(
        {
            row[0]: row[1]
            for row in await connection.fetch("SELECT state, count(*) FROM notifier.delivery GROUP BY 1")
        }
    )
    wrong += [f"{n} deliveries {state}" for state, n in deliveries.items() if state != "delivered"]
    days = await connection.fetchval("SELECT count(*) FROM aggregator.closed_day")
    incidents = await connection.fetchval("SELECT count(*) FROM notifier.incident")
    counted = f"{days} days closed, {judged.total()} judgements, {incidents} incidents, {deliveries.total()} deliveries"
    return Verdict("closed days are judged and told", counted, wrong)


async def _alerts(evidence: Evidence) -> list[Verdict]:
    """What was decided is told, decides the same again, and is what the closings come to."""
    connection = evidence.connection
    return [
        Verdict("all that is told reached the sink", *await alerts.reached(connection, evidence.sink)),
        Verdict("decisions replay to the same incidents", *await alerts.replayed(connection)),
        Verdict(
            "incidents are the rules over the closings",
            *await alerts.standing(connection, evidence.campaign),
        ),
    ]


def _differences(
    name: str, expected: Mapping[KeyT, int] | Mapping[str, int], found: Mapping[Any, int]
) -> list[str]:
    keys: Iterable[Any] = {*expected, *found}
    wanted: Mapping[Any, int] = expected
    return [
        f"{name} {key}: {found.get(key, 0)} instead of {wanted.get(key, 0)}"
        for key in sorted(keys)
        if found.get(key, 0) != wanted.get(key, 0)
    ]


def _lines(told: Account) -> int:
    return sum(len(lines) for lines in told.lines.values())
