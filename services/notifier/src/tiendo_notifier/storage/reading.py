"""The lists, newest first. Each page ends with a key from which the next goes on."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import any_, literal
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from tiendo_common.database.engine import make_engine
from tiendo_notifier.storage.tables import (
    AcknowledgementRow,
    AppliedPolicyRow,
    DecisionRow,
    DeliveryRow,
    DestinationRow,
    IncidentRow,
)

#: The decisions that are steps in an incident's life.
STEPS = ("opened", "worsened", "resolved", "withdrawn")

RowT = TypeVar("RowT", IncidentRow, DecisionRow, DeliveryRow)


class Lists:
    """Reads on connections of its own, so that nobody's browsing holds up the judge."""

    def __init__(self, database_url: str) -> None:
        self._engine = make_engine(database_url, pool_size=2, max_overflow=2, pool_pre_ping=True)

    async def close(self) -> None:
        await self._engine.dispose()

    async def incidents(
        self,
        limit: int,
        before: UUID | None,
        rule: str | None = None,
        *,
        unresolved: bool = False,
        **equal: Any,
    ) -> list[tuple[IncidentRow, list[DecisionRow], AcknowledgementRow | None]]:
        """Incidents with their steps, oldest step first, and who has taken them on; `unresolved`: only those that are
        not over."""
        async with AsyncSession(self._engine) as session:
            query = _page(IncidentRow, limit, before, equal)
            if rule is not None:
                query = query.where(literal(rule) == any_(col(IncidentRow.rules)))
            if unresolved:
                query = query.where(IncidentRow.state != "resolved")
            incidents = (await session.exec(query)).all()
            of: defaultdict[UUID | None, list[DecisionRow]] = defaultdict(list)
            decided = await session.exec(
                select(DecisionRow)
                .where(col(DecisionRow.incident).in_([incident.id for incident in incidents]))
                .where(col(DecisionRow.outcome).in_(STEPS))
                .order_by(col(DecisionRow.day))
            )
            for decision in decided:
                of[decision.incident].append(decision)
            taken = await session.exec(
                select(AcknowledgementRow)
                .where(col(AcknowledgementRow.incident).in_([incident.id for incident in incidents]))
                .where(col(AcknowledgementRow.lapsed_at).is_(None))
            )
            by = {each.incident: each for each in taken}
            return [(incident, of[incident.id], by.get(incident.id)) for incident in incidents]

    async def decisions(
        self, limit: int, before: UUID | None, day: date | None, rule: str | None, **equal: Any
    ) -> Sequence[tuple[DecisionRow, dict[str, Any] | None]]:
        """Decisions, those about `day` if it is given, those in which `rule` had something to say; each with the policy
        that it was decided by."""
        query = _page(DecisionRow, limit, before, equal)
        if rule is not None:
            query = query.where(literal(rule) == any_(col(DecisionRow.rules)))
        if day is not None:
            query = query.where(col(DecisionRow.from_day) <= day, col(DecisionRow.day) >= day)
        async with AsyncSession(self._engine) as session:
            rows = (await session.exec(query)).all()
            used = {row.applied_policy for row in rows if row.applied_policy is not None}
            policies = await session.exec(select(AppliedPolicyRow).where(col(AppliedPolicyRow.id).in_(used)))
            by = {each.id: each.document for each in policies}
            return [(row, by.get(row.applied_policy or b"")) for row in rows]

    async def deliveries(
        self, limit: int, before: int | None, to: Sequence[str] | None, **equal: str | None
    ) -> Sequence[DeliveryRow]:
        """The delivery log; `to`: of these destinations only."""
        query = _page(DeliveryRow, limit, before, equal)
        if to is not None:
            query = query.where(col(DeliveryRow.destination).in_(to))
        async with AsyncSession(self._engine) as session:
            return (await session.exec(query)).all()

    async def destinations(self, name: str | None = None) -> Sequence[DestinationRow]:
        """All destinations, or the one of that name."""
        query = select(DestinationRow).order_by(DestinationRow.name)
        if name is not None:
            query = query.where(DestinationRow.name == name)
        async with AsyncSession(self._engine) as session:
            return (await session.exec(query)).all()


def _page(table: type[RowT], limit: int, before: object, equal: dict[str, Any]) -> SelectOfScalar[RowT]:
    """Newest first: identifiers rise with time, so they are both the order and the cursor."""
    query = select(table)
    for column, value in equal.items():
        if value is not None:
            query = query.where(getattr(table, column) == value)
    if before is not None:
        query = query.where(col(table.id) < before)
    return query.order_by(col(table.id).desc()).limit(limit)
