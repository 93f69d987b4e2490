"""Who need not be reached: only a signed decision takes citizens out of the eligible, and only from its day on.

A decision is never overwritten; a later one withdraws it, from a day of its own. What holds at the end of a day, as
known at the end of another, follows from all decisions that were ever entered.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from tiendo_aggregator.rules.dividing import parts_of
from tiendo_aggregator.rules.plan import Plan
from tiendo_aggregator.rules.units import Followed
from tiendo_common.errors import Invalid

#: Why somebody isn't reached: an objective reason, or another one, in words.
Reason = Literal["abroad", "registered_elsewhere", "seriously_ill", "imprisoned", "other"]
REASONS: tuple[Reason, ...] = ("abroad", "registered_elsewhere", "seriously_ill", "imprisoned", "other")


class Exempted(msgspec.Struct, frozen=True, kw_only=True):
    """So many citizens of a commune, for one reason; `words` say it where the reason is another one."""

    unit: str
    citizens: int
    reason: Reason
    words: str | None = None


class ExemptionDecision(msgspec.Struct, frozen=True, kw_only=True):
    """A signed paper. From `from_day` on it exempts citizens (`lines`), or `withdraws` an earlier one whole.

    `document` says where the paper is kept; `known_day` is the business day on which it was entered.
    """

    number: str
    signed_by: str
    from_day: date
    document: str
    lines: tuple[Exempted, ...]
    withdraws: str | None
    entered_by: str
    entered_at: datetime
    known_day: date

    def says_the_same(self, other: "ExemptionDecision") -> bool:
        """Whether the papers are alike, whoever entered them when."""
        return self.paper == other.paper

    @property
    def paper(self) -> tuple[object, ...]:
        """All that is on the paper itself."""
        return (self.number, self.signed_by, self.from_day, self.document, self.lines, self.withdraws)


def check_words(reason: Reason, words: str | None, field: str) -> None:
    """Raise Invalid unless another reason is said in words, and a listed one is not."""
    if (reason == "other") != (words is not None):
        raise Invalid(
            "Another reason is not said in words."
            if words is None
            else f"The reason {reason} needs no words of its own.",
            field=f"{field}.words",
            remedy="Say the reason in words; or choose one of the list."
            if words is None
            else "Leave words out; or choose the reason other.",
        )


def in_force(
    decisions: Iterable[ExemptionDecision], day: date, known_at: date | None
) -> list[ExemptionDecision]:
    """Those that exempt somebody at the end of `day`, as known at the end of `known_at` (None: now)."""
    known = [
        each
        for each in decisions
        if each.from_day <= day and (known_at is None or each.known_day <= known_at)
    ]
    withdrawn = {each.withdraws for each in known}
    return [each for each in known if each.number not in withdrawn]


def exempt_citizens(
    decisions: Iterable[ExemptionDecision], day: date, known_at: date | None, followed: Followed
) -> dict[str, int]:
    """How many are exempt at the end of `day` of each commune of the tree that the campaign was followed to.

    Raises Invalid if a decision is about a unit that has no place there: a tree that it stood on was taken back.
    """
    of_code: defaultdict[tuple[str, int], int] = defaultdict(int)
    for decision in in_force(decisions, day, known_at):
        for line in decision.lines:
            if line.unit not in followed.places:
                raise Invalid(
                    f"Decision {decision.number} exempts citizens of unit {line.unit}, which has no place on the "
                    "tree.",
                    field="unit",
                    remedy="Bring back the tree that it was made on; or withdraw it by another decision.",
                )
            of_code[line.unit, len(followed.after(decision.from_day))] += line.citizens
    exempt: defaultdict[str, int] = defaultdict(int)
    for (code, changes), citizens in of_code.items():
        for part, number in parts_of(code, citizens, followed.steps[len(followed.steps) - changes :]).items():
            exempt[part] += number
    return dict(exempt)


def check_decision(decision: ExemptionDecision, plan: Plan, before: Sequence[ExemptionDecision]) -> None:
    """Raise Invalid, naming the field, unless the day is one of the campaign's, each line is said once, and a
    withdrawal is of one that is there and in force by then."""
    campaign = plan.campaign
    if not campaign.works_on(decision.from_day):
        raise Invalid(
            f"{decision.from_day} is no day of the campaign.",
            field="from_day",
            remedy=f"Send a day from {campaign.first_day} to {campaign.works_until or 'today'}.",
        )
    seen: set[tuple[str, Reason, str | None]] = set()
    for place, line in enumerate(decision.lines):
        check_words(line.reason, line.words, f"lines.{place}")
        if (line.unit, line.reason, line.words) in seen:
            raise Invalid(
                f"Two lines exempt citizens of {line.unit} for the same reason.",
                field=f"lines.{place}",
                remedy="Send one line with the sum of both.",
            )
        seen.add((line.unit, line.reason, line.words))
    if decision.withdraws is not None:
        _check_withdrawal(decision, before)


def _check_withdrawal(decision: ExemptionDecision, before: Sequence[ExemptionDecision]) -> None:
    asked = decision.withdraws
    withdrawn = next((each for each in before if each.number == asked and each.lines), None)
    if withdrawn is None:
        raise Invalid(
            f"No decision {asked} exempts anybody.",
            field="withdraws",
            remedy="GET …/exemptions lists the campaign's decisions with their numbers.",
        )
    earlier = next((each for each in before if each.withdraws == asked), None)
    if earlier is not None:
        raise Invalid(
            f"Decision {asked} is withdrawn already, by {earlier.number} from {earlier.from_day} on.",
            field="withdraws",
            remedy="Nothing is left to withdraw; a new decision exempts anew.",
        )
    if decision.from_day < withdrawn.from_day:
        raise Invalid(
            f"Decision {asked} holds from {withdrawn.from_day} on; before that there is nothing to withdraw.",
            field="from_day",
            remedy=f"Send {withdrawn.from_day} or a later day.",
        )


def check_lines(decision: ExemptionDecision, followed: Followed) -> None:
    """Raise Invalid, naming the line, unless each unit is a commune of the campaign on the tree of the decision's day,
    to which the campaign was followed."""
    communes = set(followed.tree.communes(followed.root))
    for place, line in enumerate(decision.lines):
        if line.unit not in communes:
            raise Invalid(
                f"{line.unit} is no commune of the campaign on {decision.from_day}.",
                field=f"lines.{place}.unit",
                remedy=f"GET /v1/units?as_of={decision.from_day} tells the units of that day; a decision names "
                f"communes below {followed.root}.",
            )
