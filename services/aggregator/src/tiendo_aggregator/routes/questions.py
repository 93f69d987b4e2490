"""What the routes ask alike: who reads or plans, which campaign, which day, known when, which unit."""

from datetime import date
from typing import Annotated

from fastapi import Depends, Path, Query

from tiendo_aggregator.http_schemas import CampaignId, PartId
from tiendo_aggregator.rules.counting import Attribution
from tiendo_common.service.auth import ApiKey, requires

Reader = Annotated[ApiKey, Depends(requires("progress:read"))]
Planner = Annotated[ApiKey, Depends(requires("campaign:write"))]
InPath = Annotated[CampaignId, Path(description="The campaign's id.")]
AsOf = Annotated[date | None, Query(description="End of this day; today unless said.")]
KnownAt = Annotated[
    date | None, Query(description="As known at the end of this day; all that is known unless said.")
]
OneUnit = Annotated[
    str | None, Query(description="What the campaign's province is on the day's tree unless said.")
]
InPhase = Annotated[
    PartId | None,
    Query(
        description="Of this phase (giai đoạn) alone, at its end or, while it runs, today; of the campaign unless said."
    ),
]
OnTree = Annotated[
    date | None,
    Query(description="Units of this day, as_of or later; as_of unless said.", examples=["2025-07-01"]),
]
By = Annotated[Attribution, Query(description="Where citizens live, or the unit that did the work.")]
Depth = Annotated[int, Query(ge=0, le=10, description="Levels below the unit; 0: only itself.")]
