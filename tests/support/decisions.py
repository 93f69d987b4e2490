"""Decisions prove themselves: what the rules make of their stored inputs."""

from collections.abc import Mapping
from typing import Any

import msgspec

from tiendo_notifier.rules.holding import Circumstances, kept_back
from tiendo_notifier.rules.life import Decision, Revised, Standing, judge
from tiendo_notifier.rules.plan import Figures
from tiendo_notifier.rules.policies import Policy


def decided_again(
    inputs: Mapping[str, Any], policy: Mapping[str, Any], *, historical: bool
) -> tuple[Decision, str | None]:
    """What the rules decide from the inputs of a decision today, and why that is kept back, if it is."""
    held = msgspec.convert(policy, Policy)
    after, decision = judge(
        msgspec.convert(inputs["before"], Standing),
        msgspec.convert(inputs["figures"], Figures),
        held.thresholds,
        off=held.not_asked,
        historical=historical,
        revised=msgspec.convert(inputs["revised"], Revised | None),
    )
    assert decision is not None
    around = msgspec.convert(inputs["around"], Circumstances)
    return decision, kept_back(decision, after, inputs["figures"]["day_number"], around)
