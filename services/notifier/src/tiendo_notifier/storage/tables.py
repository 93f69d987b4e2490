"""The tables as the lists read them. `migrations/` makes them; the hot path writes them with plain SQL."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Column, DateTime, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Table(SQLModel, registry=registry()):
    """Base of this service's tables: a registry of its own keeps the services' metadata apart."""


def _instant(*, nullable: bool = False) -> Any:
    return Field(default=None, sa_type=DateTime(timezone=True), nullable=nullable)


class IncidentRow(Table, table=True):
    """One stretch of trouble of a unit with a target, from the day it opened to the day it was resolved."""

    __tablename__ = "incident"

    id: UUID = Field(primary_key=True)
    campaign: str
    unit: str
    unit_name: str
    indicator: str
    rule: str
    state: str
    severity: int
    opened_day: date
    last_day: date
    resolved_day: date | None
    figures: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    rules: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    news: int
    addressee: str
    next_step: datetime | None = _instant(nullable=True)


class AcknowledgementRow(Table, table=True):
    """Who took an incident on. It lapses when the incident worsens."""

    __tablename__ = "acknowledgement"

    id: int = Field(primary_key=True)
    incident: UUID
    author: str
    note: str | None
    at: datetime = _instant()
    lapsed_at: datetime | None = _instant(nullable=True)


class DecisionRow(Table, table=True):
    """What was decided about a day, with all that it was decided from. A row may cover a span of days
    (`from_day` to `day`) of which no figure was kept."""

    __tablename__ = "decision"

    id: UUID = Field(primary_key=True)
    campaign: str
    unit: str
    indicator: str
    rule: str | None
    from_day: date
    day: date
    outcome: str
    severity: int | None
    reason: str
    inputs: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    historical: bool
    incident: UUID | None
    at: datetime = _instant()
    rules: list[str] = Field(sa_column=Column(ARRAY(String), nullable=False))
    findings: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    message: UUID | None
    kept_back: str | None
    applied_policy: bytes | None = Field(foreign_key="applied_policy.id")


class AppliedPolicyRow(Table, table=True):
    """What decisions were decided by."""

    __tablename__ = "applied_policy"

    id: bytes = Field(primary_key=True)
    document: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class DestinationRow(Table, table=True):
    """Where alerts go."""

    __tablename__ = "destination"

    name: str = Field(primary_key=True)
    url: str
    secret: str
    units: list[str] | None = Field(sa_column=Column(ARRAY(String)))
    rules: list[str] | None = Field(sa_column=Column(ARRAY(String)))
    disabled: str | None
    digest: bool
    least: int
    language: str | None
    addressed: bool
    old_secret: str | None
    old_until: datetime | None = _instant(nullable=True)
    failures: int
    paused_until: datetime | None = _instant(nullable=True)
    last_try: datetime | None = _instant(nullable=True)
    created_at: datetime = _instant()
    changed_at: datetime = _instant()


class DeliveryRow(Table, table=True):
    """One notice on its way to one destination."""

    __tablename__ = "delivery"

    id: int = Field(primary_key=True)
    message: UUID
    incident: UUID | None
    destination: str
    state: str
    attempts: int
    due: datetime = _instant()
    status: int | None
    error: str | None
    created_at: datetime = _instant()
    finished_at: datetime | None = _instant(nullable=True)
