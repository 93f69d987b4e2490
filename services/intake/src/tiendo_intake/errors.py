"""Why a line is not accepted.

Problem
└── NoDossier   nothing is on record for this citizen (yet): the line may be sent again later
"""

from tiendo_common.errors import Problem


class NoDossier(Problem):
    """A decision or an amendment came for a citizen without a dossier in force."""

    status = 409
    code = "no-dossier"
    title = "There is no dossier in force"
    retryable = True
