"""What goes over HTTP of the proof: reconciliations, the last comparison of each unit, and rebuilds."""

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
)

from tiendo_aggregator.http_schemas import (
    CAMPAIGN_ID,
    Answered,
    ProvinceCode,
    Text,
)
from tiendo_aggregator.rules.counting import ATTRIBUTIONS, INDICATORS, KINDS, Attribution, Kind
from tiendo_aggregator.use_cases.reconciliation import Tally
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent


class ReconciliationRequest(msgspec.Struct, frozen=True):
    """The campaign, and the tallies of intake and activation as these services answered them, or of both the
    part about the units of a span."""

    campaign: Annotated[str, msgspec.Meta(pattern=CAMPAIGN_ID)]
    tallies: list[Tally]
    units_from: str = ""
    units_before: str | None = None


_INTEGER = {"type": "integer"}


#: The request's schema: FastAPI doesn't see a body that is decoded by msgspec.
RECONCILIATION_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["campaign", "tallies"],
                    "properties": {
                        "campaign": {"type": "string", "examples": ["kon-tum-2023"]},
                        "units_from": {
                            "type": "string",
                            "default": "",
                            "description": "Only units from this code on, in the order of codes as text.",
                        },
                        "units_before": {
                            "type": ["string", "null"],
                            "description": "Only units before this code; null: to the end.",
                        },
                        "tallies": {
                            "type": "array",
                            "description": "What GET /v1/tally of intake and of activation answered.",
                            "items": {
                                "type": "object",
                                "required": ["heads", "cells"],
                                "properties": {
                                    "heads": {
                                        "type": "object",
                                        "description": "Next sequence of each partition, by topic.",
                                        "additionalProperties": {
                                            "type": "array",
                                            "items": {"type": "integer", "minimum": 1},
                                        },
                                    },
                                    "units": {
                                        "type": ["array", "null"],
                                        "items": {"type": "string"},
                                        "description": "The units that were counted; null: all.",
                                    },
                                    "breakdowns": {
                                        "type": "boolean",
                                        "default": False,
                                        "description": "Cells are by channel and by cohort, and passages. All "
                                        "that is counted is compared then, else only the totals.",
                                    },
                                    "teams": {
                                        "type": "boolean",
                                        "default": False,
                                        "description": "Work by team is among them. It is compared if it is "
                                        "in all tallies.",
                                    },
                                    "cells": {
                                        "type": "array",
                                        "description": "Net changes per day, from the records.",
                                        "items": {
                                            "type": "array",
                                            "minItems": 6,
                                            "maxItems": 8,
                                            "prefixItems": [
                                                {"enum": list(INDICATORS)},
                                                {"enum": list(ATTRIBUTIONS)},
                                                {"type": "string"},
                                                {"enum": [0, 1, 2]},
                                                {"type": "string", "format": "date"},
                                                _INTEGER,
                                                {"enum": list(KINDS)},
                                                {"type": "string"},
                                            ],
                                        },
                                    },
                                },
                            },
                        },
                    },
                }
            }
        },
    }
}


class DifferenceAnswer(Answered):
    """A cell of which records and counters say different things: a total, a part of a breakdown, a passage, or a team's
    work."""

    indicator: Indicator
    attribution: Attribution
    unit: str
    unit_name: str | None
    level: Literal[0, 1, 2] = Field(description="0: a passage, of whatever level.")
    day: date
    dimension: Kind | None = Field(
        description="By what it is broken down, or which passage it is; `team`: work by team; null: a total."
    )
    value: str | None = Field(
        description="The channel, the cohort or the team; of a passage the day since when."
    )
    records: int
    counters: int


class VerdictAnswer(BaseModel):
    """Whether the counters equal the records they were folded from."""

    campaign: str
    clean: bool
    compared: int = Field(
        description="Cells compared, of every unit of the span that was ever in the province."
    )
    breakdowns: bool = Field(description="Whether the breakdowns and passages were compared, too.")
    teams: bool = Field(
        description="Whether the work by team was compared, too: not if a service of a build before took its tally."
    )
    totals: dict[Indicator, int] = Field(description="Residents of the province, from the records.")
    checksum_records: str = Field(
        description="Of the totals from the records and, where they were compared, of the passages and the work by "
        "team; those of spans add up, modulo 2⁶⁴."
    )
    checksum_counters: str = Field(description="Of the same from the counters.")
    differing_count: int
    differing: list[DifferenceAnswer] = Field(description="The first 1000 cells that differ.")


class ProofAnswer(Answered):
    """A unit's last comparison with the records."""

    unit: str
    checked_at: AwareDatetime
    differing: int = Field(description="Cells that differed, of whatever was compared.")
    days: list[date] = Field(description="The first days on which one differed, 31 at most.")


class ProofsAnswer(Answered):
    """How far the counters of a campaign's province are proven. A unit that was never compared is in `unchecked`."""

    campaign: str
    clean: bool = Field(description="Every unit was compared, and nothing differed.")
    oldest: AwareDatetime | None = Field(description="The oldest comparison; null: there is none.")
    unchecked: list[str]
    units: list[ProofAnswer]


class RebuildDocument(Sent):
    """An order to fold the log anew."""

    province: ProvinceCode | None = Field(
        None, description="Only units that were ever in this province; null: all."
    )
    repair_because: Text | None = Field(
        None, description="Why differences are to be put right; null: they are only told."
    )


class DifferingAnswer(Answered):
    """A unit and day on which live and rebuilt counters differ."""

    unit: str
    day: date


class RebuiltAnswer(Answered):
    """What a rebuild found: live counters beside those that the log comes to, at the same positions."""

    province: str | None
    events: int = Field(description="How many events were folded.")
    equal: bool
    repaired: bool
    checksum_live: str = Field(
        description="Of the totals, passages and work by team.", examples=["9e3779b97f4a7c15"]
    )
    checksum_rebuilt: str
    differing: int = Field(
        description="Rows, also such as differ only in a breakdown, in a fault or in when they became known, which the "
        "checksums leave out."
    )
    named: list[DifferingAnswer] = Field(description="The first 1000.")
