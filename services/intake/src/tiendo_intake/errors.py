"""Why a line is not accepted.

Problem
├── NoDossier   nothing is on record for this citizen (yet): the line may be sent again later
├── NotFound ── UnknownPlacement
└── Conflict ── PlacedOtherwise
"""

from tiendo_common.errors import Conflict, NotFound, Problem


class NoDossier(Problem):
    """A decision or an amendment came for a citizen without a dossier in force."""

    status = 409
    code = "no-dossier"
    title = "There is no dossier in force"
    retryable = True


class UnknownPlacement(NotFound):
    """This unit's records were never placed under this reorganisation."""

    code = "unknown-placement"
    title = "No such placement"


class PlacedOtherwise(Conflict):
    """The records of a unit are placed once, in one way, until that is taken back."""

    code = "placed-otherwise"
    title = "The records were placed in another way"
