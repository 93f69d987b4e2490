"""How often it is looked whether declarations are due."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tiendo_aggregator.use_cases.declared import Declarations
from tiendo_aggregator.use_cases.origin import Origin
from tiendo_common.clock import DrivenClock

pytestmark = pytest.mark.anyio


class Plans:
    """Counts how often it is asked for all plans."""

    def __init__(self) -> None:
        self.asked = 0

    async def all(self) -> list[Any]:
        self.asked += 1
        return []


async def test_while_a_driven_clock_stands_the_plans_are_read_once_a_period_and_when_it_moves_at_once() -> (
    None
):
    clock, plans = DrivenClock(datetime(2023, 11, 11, tzinfo=UTC)), Plans()
    nobody = cast(Any, None)
    declarations = Declarations(nobody, nobody, cast(Any, plans), nobody, nobody, Origin("62", clock))
    declarations.PERIOD = 3600.0
    for _ in range(5):
        await declarations.step()
    assert plans.asked == 1
    clock.move_to(clock.now() + timedelta(seconds=1))
    await declarations.step()
    assert plans.asked == 2
    declarations.PERIOD = 0.0
    clock.move_to(clock.now() + timedelta(seconds=1))
    for _ in range(3):
        await declarations.step()
    assert plans.asked == 5
