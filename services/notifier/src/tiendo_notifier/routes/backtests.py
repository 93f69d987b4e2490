"""Trying rules before they are trusted."""

from typing import Annotated

from fastapi import APIRouter, Depends

from tiendo_common.service.auth import ApiKey, requires
from tiendo_notifier.http_schemas import backtests as http
from tiendo_notifier.use_cases.backtest import Backtests

Reader = Annotated[ApiKey, Depends(requires("incident:read"))]


def make_backtest_router(backtests: Backtests) -> APIRouter:
    """The route of back-tests."""
    router = APIRouter(prefix="/v1/backtests", tags=["policies"])

    @router.post("", summary="What would a set of rules have told?")
    async def backtest(wanted: http.BacktestIn, _reader: Reader) -> http.Backtest:
        """Runs the rules over the campaign's closings that are on record, each day in its own present, and tells what
        would have gone out, and how long before each miss. Nothing is stored and nobody is told."""
        return http.Backtest.model_validate(await backtests.run(wanted.campaign, wanted.documents()))

    return router
