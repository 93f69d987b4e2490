"""Events for tests of the log: small, real ones."""

from datetime import UTC, date, datetime

from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.restatements import IntakeRestated, IntakeRestatement, Segment
from tiendo_common.events.state import UnitPublication, UnitPublished, UnitSpan

MOMENT = datetime(2023, 11, 12, 3, 0, tzinfo=UTC)
DAY = date(2023, 11, 12)


def intake_event(record: str, version: int = 1) -> NewEvent:
    """A dossier taken: an event of the fact topic `intake`, in the partition of its record."""
    segment = Segment(
        from_day=DAY, until_day=None, level=2, residence="23341", collecting="23341", channel="mobile"
    )
    return NewEvent(
        "intake",
        IntakeRestated(
            id=new_event_id(),
            source="/vn/intake",
            subject="23341",
            time=MOMENT,
            partitionkey=record,
            data=IntakeRestatement(
                record_id=record,
                version=version,
                change="recorded",
                occurred_at=MOMENT,
                known_day=DAY,
                before=(),
                after=(segment,),
            ),
        ),
    )


def unit_event(code: str, name: str, loaded: int = 1) -> NewEvent:
    """A unit's newest document: an event of the state topic `units`, its code the compaction key."""
    span = UnitSpan(from_day=date(2004, 1, 1), until_day=None, parent=None, level="commune", name=name)
    return NewEvent(
        "units",
        UnitPublished(
            id=new_event_id(),
            source="/vn/aggregator",
            subject=code,
            time=MOMENT,
            partitionkey=code,
            data=UnitPublication(code=code, spans=(span,), loaded=loaded),
        ),
        key=code,
    )
