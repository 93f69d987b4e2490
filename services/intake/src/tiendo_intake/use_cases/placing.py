"""Parting the records of a commune that was divided, each moved on the day; and taking that back."""

from collections import Counter
from collections.abc import Collection
from datetime import date, datetime, timedelta

import asyncpg

from tiendo_common.clock import VIETNAM, Clock
from tiendo_common.errors import Invalid
from tiendo_common.eventlog.port import Connection, EventLog, NewEvent
from tiendo_common.events.directory import Directory
from tiendo_common.identity import PersonHasher
from tiendo_common.service.idempotency import in_transaction
from tiendo_intake import storage
from tiendo_intake.errors import PlacedOtherwise, UnknownPlacement
from tiendo_intake.rules import Fact, Placed
from tiendo_intake.rules.placing import Division, check_division, code_to_leave, part_of_each
from tiendo_intake.storage import Placement, Record
from tiendo_intake.use_cases.restating import Because, restate


class Placing:
    """Places the records of divided communes. A commune's are placed in one transaction: its quotas are cut from all
    that live there. Lines about its citizens wait meanwhile, about a second for some thousands."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        log: EventLog,
        clock: Clock,
        hasher: PersonHasher,
        directory: Directory,
        source: str,
    ) -> None:
        self._pool = pool
        self._log = log
        self._clock = clock
        self._hasher = hasher
        self._directory = directory
        self._source = source

    async def place(self, division: Division, by: str) -> Placement:
        """Move those who live in the unit on the eve to their parts. The same again changes nothing.

        Raises Invalid for what check_division refuses, for a day to come and for units that are not communes then;
        PlacedOtherwise.
        """
        self._directory.check_complete()
        now, today = self._clock.now(), self._clock.today()
        check_division(division)
        if division.day > today:
            raise Invalid(
                f"{division.day} is still to come: it is {today}.",
                field="day",
                remedy="Place the records when the day has begun: until then they may move.",
            )
        self._directory.check_unit(
            division.unit, division.day - timedelta(days=1), "unit", commune=True, hamlets=False
        )
        for code in division.taken_in:
            self._directory.check_ended(code, division.day, "taken_in")
        for part in division.shares:
            self._directory.check_unit(part, division.day, f"shares.{part}", commune=True, hamlets=False)

        async def work(connection: Connection) -> Placement:
            await storage.lock_placements(connection, division.unit)
            before = await storage.newest_placement(connection, division.reorganisation, division.unit)
            if before is not None and before.undone_at is None:
                if before.division == division:
                    return before
                raise PlacedOtherwise(
                    f"The records of {division.unit} were placed by other shares on {before.placed_at.date()}.",
                    field="shares",
                    remedy="DELETE the placement first; then place them anew.",
                )
            hashes = await storage.hashes_naming(connection, division.codes)
            found_at = [
                (record, code)
                for record in (await storage.lock_records(connection, hashes)).values()
                if (code := code_to_leave(division, record.segments)) is not None
            ]
            records = [record for record, _ in found_at]
            parts = part_of_each(division, [record.record_id for record in records])
            events: list[NewEvent] = []
            for record, code in found_at:
                part = parts[record.record_id]
                if part != division.stays:
                    fact = Placed(division.day, code, part, division.reorganisation)
                    facts = (*(record.facts or ()), fact)
                    events += self._restated(record, facts, division, by, now, today)
            found = Counter(parts.values())
            made = Placement(
                before.number + 1 if before else 1,
                division,
                {part: found[part] for part in division.shares},
                now,
                by,
                None,
                None,
            )
            await storage.write_records(connection, records, self._hasher.key_id)
            await storage.add_placement(connection, made)
            await self._log.append(connection, events)
            return made

        return await in_transaction(self._pool, work)

    async def undo(self, reorganisation: str, unit: str, by: str) -> Placement:
        """Let those placements no longer be in force; then everything is as if they had never been. Sent again, it
        changes nothing. Raises UnknownPlacement."""
        now, today = self._clock.now(), self._clock.today()

        async def work(connection: Connection) -> Placement:
            await storage.lock_placements(connection, unit)
            made = await storage.newest_placement(connection, reorganisation, unit)
            if made is None:
                raise UnknownPlacement(
                    f"No records of {unit} were placed under the reorganisation {reorganisation}.",
                    field="unit",
                )
            if made.undone_at is not None:
                return made
            codes = made.division.codes
            hashes = await storage.hashes_naming(connection, codes)
            records = await storage.lock_records(connection, hashes)
            events: list[NewEvent] = []
            for record in records.values():
                facts = tuple(fact for fact in record.facts or () if not _of(fact, reorganisation, codes))
                if len(facts) != len(record.facts or ()):
                    events += self._restated(record, facts, made.division, by, now, today)
            await storage.write_records(connection, list(records.values()), self._hasher.key_id)
            await storage.note_undone(connection, made, now, by)
            await self._log.append(connection, events)
            undone = await storage.newest_placement(connection, reorganisation, unit)
            assert undone is not None
            return undone

        return await in_transaction(self._pool, work)

    def _restated(
        self,
        record: Record,
        facts: tuple[Fact, ...],
        division: Division,
        by: str,
        now: datetime,
        today: date,
    ) -> list[NewEvent]:
        because = Because(
            "moved",
            datetime.combine(division.day, datetime.min.time(), VIETNAM),
            None,
            "reorganisation",
            by,
        )
        return restate(
            record, facts, because, source=self._source, key_id=self._hasher.key_id, now=now, today=today
        )


def _of(fact: Fact, reorganisation: str, codes: Collection[str]) -> bool:
    return isinstance(fact, Placed) and fact.reorganisation == reorganisation and fact.unit in codes
