"""What somebody asked of the aggregator and cannot have. The tree stands in tiendo_common.errors.

Problem
├── NotFound ── UnknownCampaign, UnknownMeasure, UnknownRound, UnknownAssignment, UnknownReorganisation
├── Conflict ── PlanContradicted, DecisionContradicted, EditionContradicted, RebuildUnderWay, PositionsSetBack,
│               NotCounted
├── PlanChanged
└── Unavailable ── NotLoaded, LogUnreadable
"""

from typing import ClassVar

from tiendo_common.errors import Conflict, NotFound, Problem, Unavailable


class UnknownCampaign(NotFound):
    """No campaign has this id."""

    code = "unknown-campaign"
    title = "No such campaign"

    def __init__(self, campaign: str) -> None:
        super().__init__(
            f"There is no campaign {campaign!r}.",
            field="campaign",
            remedy="GET /v1/campaigns lists them; PUT /v1/campaigns/{id} makes one.",
        )


class _NotOfCampaign(NotFound):
    """The campaign has nothing of this kind under this id."""

    #: What it is called; and the path under which the campaign's are listed.
    member: ClassVar[str]
    listed: ClassVar[str]

    def __init__(self, campaign: str, id_: str) -> None:
        super().__init__(
            f"{campaign} has no {self.member} {id_!r}.",
            field=self.member,
            remedy=f"GET /v1/campaigns/{campaign}/{self.listed} lists them; PUT …/{self.listed}/{{id}} makes one.",
        )


class UnknownMeasure(_NotOfCampaign):
    """The campaign has no measure of this id."""

    code = "unknown-measure"
    title = "No such measure"
    member, listed = "measure", "measures"


class UnknownRound(_NotOfCampaign):
    """The campaign has no round of re-checks of this id."""

    code = "unknown-round"
    title = "No such round"
    member, listed = "round", "rechecks"


class UnknownAssignment(_NotOfCampaign):
    """The campaign has no assignment of this id."""

    code = "unknown-assignment"
    title = "No such assignment"
    member, listed = "assignment", "assignments"


class PlanContradicted(Conflict):
    """A campaign's plan may be changed, but not so that what was assigned to a unit vanishes, nor after its time."""

    code = "plan-contradicted"
    title = "This would withdraw or rewrite what was assigned"


class DecisionContradicted(Conflict):
    """A signed decision is never overwritten."""

    code = "decision-contradicted"
    title = "Another paper was entered under this number"


class PlanChanged(Problem):
    """Somebody else has put another plan since the one that this change was made from was read."""

    status: ClassVar[int] = 412
    code = "plan-changed"
    title = "The plan is not the one that was read"


class UnknownReorganisation(NotFound):
    """No reorganisation has this id."""

    code = "unknown-reorganisation"
    title = "No such reorganisation"

    def __init__(self, id_: int) -> None:
        super().__init__(
            f"There is no reorganisation {id_}.", field="id", remedy="GET /v1/reorganisations lists them."
        )


class EditionContradicted(Conflict):
    """What is in force stands on units that another tree would not have."""

    code = "edition-contradicted"
    title = "Something in force stands on other units"


class NotLoaded(Unavailable):
    """The service has just started and its units are not loaded yet."""

    code = "not-loaded"
    title = "The units are being loaded"


class LogUnreadable(Unavailable):
    """The log between the counters and the tally cannot be read at the moment."""

    code = "log-unreadable"
    title = "The event log cannot be read at the moment"


class RebuildUnderWay(Conflict):
    """The log is folded anew by one at a time."""

    code = "rebuild-under-way"
    title = "Another rebuild is under way"


class PositionsSetBack(Conflict):
    """What was found is about counters that are no more."""

    code = "positions-set-back"
    title = "The counters were begun anew meanwhile"


class NotCounted(Conflict):
    """It stands on more than totals, and nothing else is counted here."""

    code = "not-counted"
    title = "This instance counts totals alone"

    def __init__(self, what: str, field: str | None) -> None:
        super().__init__(
            f"This instance counts totals alone: {what} cannot be told.",
            field=field,
            remedy="Ask an instance that was begun with TIENDO_COUNTS=all.",
        )
