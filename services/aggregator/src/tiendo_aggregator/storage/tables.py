"""The tables of the plan. They don't validate: what goes in was checked by the rules."""

from datetime import date, datetime, time
from typing import Any, ClassVar

from sqlalchemy import TIMESTAMP, Column, ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Table(SQLModel, registry=registry()):
    """The aggregator's own metadata: other services' tables are not in it."""


class CampaignRow(Table, table=True):
    """A campaign. `known_since` is the business day on which it was first sent to us; `calendar` null: all its days
    are alike; `declaring` null: no commune declares, else `declaring_since` is when the first was asked to; `cohorts`
    null: of none the size is told; `shares` null: all targets are numbers; `phases` null: none has a name;
    `going_on` null: it ends on its last day; `contests` null: there is none; `parent` null: it is no part of another
    campaign; `units` null: it is about all of the province."""

    __tablename__: ClassVar[str] = "campaign"

    id: str = Field(primary_key=True)
    name: str
    plan_number: str
    plan_issued_on: date
    province: str
    first_day: date
    last_day: date
    day_cut_off: time
    days_end_after_midnight: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})
    figures: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    known_since: date
    calendar: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    declaring: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    going_on: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    contests: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    parent: str | None = Field(default=None, foreign_key="campaign.id")
    units: list[str] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    phases: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    declaring_since: datetime | None = Field(default=None, sa_column=Column(TIMESTAMP(timezone=True)))
    cohorts: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    shares: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))


class TargetRow(Table, table=True):
    """What a unit must reach: the province as sent, all below it as spread. Kept, not computed again: it was
    assigned to somebody, and a later way of spreading must not change it behind their back. `indicator` is the
    goal's name, an indicator as a whole or narrowed; `by_hand`: set below the province, and not spread."""

    __tablename__: ClassVar[str] = "target"

    campaign: str = Field(primary_key=True, foreign_key="campaign.id")
    unit: str = Field(primary_key=True)
    indicator: str = Field(primary_key=True)
    value: int
    by_hand: bool = Field(default=False, sa_column_kwargs={"server_default": "false"})


class EligibleRow(Table, table=True):
    """The eligible citizens of a commune."""

    __tablename__: ClassVar[str] = "eligible"

    campaign: str = Field(primary_key=True, foreign_key="campaign.id")
    unit: str = Field(primary_key=True)
    citizens: int


class ClosedDayRow(Table, table=True):
    """A business day of a campaign whose closing progress has been published."""

    __tablename__: ClassVar[str] = "closed_day"

    campaign: str = Field(primary_key=True, foreign_key="campaign.id")
    day: date = Field(primary_key=True)


class PlanVersionRow(Table, table=True):
    """A plan as it was put, with what it assigned to each unit; never changed. `known_day` is the business day on which
    it was put: from then on it holds, until a later version does."""

    __tablename__: ClassVar[str] = "plan_version"

    campaign: str = Field(primary_key=True, foreign_key="campaign.id")
    version: int = Field(primary_key=True)
    known_day: date
    document: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))


class ExemptionRow(Table, table=True):
    """A signed decision as it was entered; never changed. `withdraws`: the number of the one that it ends."""

    __tablename__: ClassVar[str] = "exemption"
    __table_args__ = (
        ForeignKeyConstraint(["campaign", "withdraws"], ["exemption.campaign", "exemption.number"]),
        UniqueConstraint("campaign", "withdraws"),
    )

    campaign: str = Field(primary_key=True, foreign_key="campaign.id")
    number: str = Field(primary_key=True)
    from_day: date
    known_day: date
    withdraws: str | None
    document: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
