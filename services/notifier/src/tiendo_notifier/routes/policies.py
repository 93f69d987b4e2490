"""Thresholds: looked up by whoever reads incidents, set by whoever may."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import Text
from tiendo_notifier.http_schemas import policies as http
from tiendo_notifier.rules.policies import Document
from tiendo_notifier.use_cases.policies import Holding, Policies

Reader = Annotated[ApiKey, Depends(requires("incident:read"))]
Setter = Annotated[ApiKey, Depends(requires("policy:write"))]
Campaign = Annotated[Text, Path(description="The campaign's id.", examples=["kon-tum-2023"])]
Unit = Annotated[
    Text | None, Query(description="The unit's code: it and all below it. Absent: the whole campaign.")
]


def make_policy_router(policies: Policies) -> APIRouter:
    """The routes of what is set for campaigns and units."""
    router = APIRouter(prefix="/v1/policies", tags=["policies"])

    @router.get("/{campaign}", summary="By which thresholds a unit is judged")
    async def policy(campaign: Campaign, _reader: Reader, unit: Unit = None) -> http.Policy:
        """What holds for the unit now, and who set what of it where, when and why."""
        return _answer(campaign, unit, await policies.get(campaign, unit))

    @router.put("/{campaign}", summary="Set thresholds for a campaign, or a unit and all below it")
    async def put_policy(
        campaign: Campaign, wanted: http.PolicyIn, setter: Setter, unit: Unit = None
    ) -> http.Policy:
        """In place of what was set there before, from the next closing on; decisions keep what they were made by. A
        rule that could never fire or always would, and numbers in the wrong order, are refused by name. An empty
        document takes back what was set there. A key that is bound to units sets it for these or below."""
        document = Document(
            thresholds=wanted.thresholds,
            off=None if wanted.off is None else tuple(wanted.off),
            rhythm=wanted.rhythm,
        )
        return _answer(campaign, unit, await policies.put(campaign, unit, document, setter, wanted.reason))

    @router.get("/{campaign}/versions", summary="What was ever set, by whom and why")
    async def versions(campaign: Campaign, _reader: Reader) -> http.PolicyVersions:
        """Every version, oldest first."""
        found = await policies.versions(campaign)
        return http.PolicyVersions(versions=[http.PolicySource.of(each) for each in found])

    return router


def _answer(campaign: str, unit: str | None, holding: Holding) -> http.Policy:
    policy = holding.policy
    return http.Policy(
        campaign=campaign,
        unit=unit,
        thresholds=http.Thresholds.model_validate(policy.thresholds),
        off=list(policy.off),
        rhythm=http.Rhythm.model_validate(policy.rhythm),
        sources=[http.PolicySource.of(each) for each in holding.sources],
    )
