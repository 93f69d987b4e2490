"""Actors and assignments: versions, only ever added to, so that anything can be had as it was known on a day."""

from dataclasses import dataclass
from datetime import date
from typing import Generic, Literal, TypeVar

import msgspec

from tiendo_aggregator.rules.assignments import Actor, Assignment
from tiendo_common.eventlog.port import Connection

PaperT = TypeVar("PaperT", Actor, Assignment)
#: What is kept in which table.
Kind = Literal["actor", "assignment"]
KIND_OF: dict[type, Kind] = {Actor: "actor", Assignment: "assignment"}


@dataclass(frozen=True, slots=True)
class Version(Generic[PaperT]):
    """An actor or an assignment as it was put, by whom, and the business day on which it was."""

    version: int
    known_day: date
    put_by: str
    paper: PaperT


async def lock_assignments(connection: Connection, campaign: str) -> None:
    """Let changes of a campaign's actors and assignments take turns, until the end of the transaction: each is checked
    against all others."""
    await connection.execute(
        "SELECT pg_advisory_xact_lock(hashtext($1))", f"aggregator assignments {campaign}"
    )


async def versions(
    connection: Connection, kind: type[PaperT], campaign: str, known_at: date | None = None
) -> list[Version[PaperT]]:
    """Every version that was known at the end of `known_at` (None: now), oldest first within each."""
    rows = await connection.fetch(
        f"SELECT version, known_day, put_by, document FROM {KIND_OF[kind]}_version "  # noqa: S608
        "WHERE campaign = $1 AND known_day <= $2 ORDER BY id, version",
        campaign,
        known_at or date.max,
    )
    return [
        Version(version, known_day, put_by, msgspec.json.decode(document, type=kind))
        for version, known_day, put_by, document in rows
    ]


async def newest(
    connection: Connection, kind: type[PaperT], campaign: str, known_at: date | None = None
) -> list[PaperT]:
    """Each one's last version, by id."""
    found = {each.paper.id: each.paper for each in await versions(connection, kind, campaign, known_at)}
    return list(found.values())


async def actors_of(connection: Connection, campaign: str) -> set[str]:
    """The ids of all actors of the campaign."""
    rows = await connection.fetch("SELECT DISTINCT id FROM actor_version WHERE campaign = $1", campaign)
    return {row["id"] for row in rows}


async def add_paper(connection: Connection, campaign: str, version: Version[PaperT]) -> None:
    """Keep a further version."""
    await connection.execute(
        f"INSERT INTO {KIND_OF[type(version.paper)]}_version "  # noqa: S608
        "(campaign, id, version, known_day, put_by, document) VALUES ($1, $2, $3, $4, $5, $6)",
        campaign,
        version.paper.id,
        version.version,
        version.known_day,
        version.put_by,
        msgspec.json.encode(version.paper).decode(),
    )
