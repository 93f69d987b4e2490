"""Sub-campaigns (chiến dịch thành phần): a campaign that is a part of another, its parent.

It is a campaign like any other, with its own plan; its days are the parent's and its communes are. Since campaigns are
views of the same counters, whoever is counted in both is one citizen who is seen twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tiendo_aggregator.errors import PlanContradicted
from tiendo_aggregator.rules.plan import Campaign
from tiendo_aggregator.rules.units import History
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a campaign is no part of another; `field` is the sub-campaign's."""

    field: str
    words: str
    remedy: str


def check_parent(campaign: Campaign, others: Mapping[str, Campaign], history: History) -> None:
    """Raise Invalid, naming the field, unless the campaign's parent, if it names one, is one of the `others`, no part
    of the campaign itself, and has its days and communes."""
    if campaign.parent is None:
        return
    if campaign.parent == campaign.id:
        raise Invalid(
            "The campaign would be a part of itself.",
            field="parent",
            remedy="Name the campaign that it is a part of; or leave parent out.",
        )
    parent = others.get(campaign.parent)
    if parent is None:
        raise Invalid(
            f"There is no campaign {campaign.parent!r} to be a part of.",
            field="parent",
            remedy="GET /v1/campaigns lists them; put the parent first.",
        )
    way = [campaign.id, parent.id]
    above = parent.parent
    while above is not None and above != campaign.id:
        way.append(above)
        above = others[above].parent
    if above is not None:
        raise Invalid(
            f"These campaigns would be parts of each other in a ring: {' in '.join([*way, above])}.",
            field="parent",
            remedy="Leave the parent out of one of them first.",
        )
    found = misfit(campaign, parent, history)
    if found is not None:
        raise Invalid(found.words, field=found.field, remedy=found.remedy)


def check_sub_campaigns(campaign: Campaign, others: Iterable[Campaign], history: History) -> None:
    """Raise PlanContradicted, naming the sub-campaign, if one of the `others` is a part of this campaign and would no
    longer fit it."""
    for other in others:
        if other.parent == campaign.id:
            found = misfit(other, campaign, history)
            if found is not None:
                raise PlanContradicted(
                    f"{other.id} is a part of this campaign, and would no longer fit it. {found.words}",
                    field=_OF_PARENT.get(found.field, "last_day"),
                    remedy=f"Change the plan of {other.id} first, or take its parent out.",
                )


#: Where the cause lies in the parent's plan.
_OF_PARENT = {"province": "province", "units": "units", "first_day": "first_day"}


def misfit(part: Campaign, parent: Campaign, history: History) -> Misfit | None:
    """Why `part` is no part of `parent`; None: it is one. The parent's days are those on which it works: if it goes on,
    also those after its last one. Communes are compared on the part's first day."""
    if part.first_day < parent.first_day:
        return Misfit(
            "first_day",
            f"{part.id} would begin on {part.first_day}, before {parent.id} does on {parent.first_day}.",
            f"Let it begin on {parent.first_day} or later.",
        )
    until = parent.works_until
    if until is not None and part.last_day > until:
        return Misfit(
            "last_day",
            f"{part.id} would last to {part.last_day}, longer than {parent.id}, which works to {until}.",
            f"Let it end on {until} or earlier.",
        )
    if until is not None and (part.works_until is None or part.works_until > until):
        return Misfit(
            "going_on",
            f"{part.id} would go on {f'to {part.works_until}' if part.works_until else 'without an end'}, longer than "
            f"{parent.id}, which works to {until}.",
            f"Leave going_on out; or stop it on {until} or earlier.",
        )
    there = parent.followed(history, part.first_day)
    try:
        there.require(part.first_day, part.first_day, field="first_day")
    except Invalid as error:
        return Misfit("first_day", error.detail, error.remedy or "")
    if part.province != there.root:
        return Misfit(
            "province",
            f"{part.id} is in province {part.province}; {parent.id} is in {there.root} on {part.first_day}.",
            f"Name units of {there.root}.",
        )
    own = part.followed(history, part.first_day)
    outside = sorted(set(own.tree.communes(own.root)) - set(there.tree.communes(there.root)))
    if outside:
        named = ", ".join(f"{own.tree.units[code].name} ({code})" for code in outside[:5])
        return Misfit(
            "units",
            f"{len(outside)} communes of {part.id} are none of {parent.id}: {named}"
            f"{', …' if len(outside) > 5 else ''}.",
            f"Name only units of {parent.id}.",
        )
    return None
