"""Signed decisions that exempt citizens. Only ever added to."""

import msgspec
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tiendo_aggregator.rules.exemptions import ExemptionDecision
from tiendo_aggregator.storage.tables import ExemptionRow


async def stored_decisions(session: AsyncSession, campaign: str) -> tuple[ExemptionDecision, ...]:
    """Every decision that was ever entered, by the day from which it holds."""
    documents = await session.exec(
        select(ExemptionRow.document)
        .where(ExemptionRow.campaign == campaign)
        .order_by(col(ExemptionRow.from_day), col(ExemptionRow.number))
    )
    return tuple(msgspec.convert(each, ExemptionDecision) for each in documents)


async def add_decision(session: AsyncSession, campaign: str, decision: ExemptionDecision) -> None:
    """Write a decision down, for good. The campaign, and the decision that it withdraws, must be stored."""
    session.add(
        ExemptionRow(
            campaign=campaign,
            number=decision.number,
            from_day=decision.from_day,
            known_day=decision.known_day,
            withdraws=decision.withdraws,
            document=msgspec.to_builtins(decision),
        )
    )
    await session.flush()
