"""Why a line is not accepted.

Problem
└── NotActivated   a deactivation or reactivation of an account that was never activated: may come later
"""

from tiendo_common.errors import Problem


class NotActivated(Problem):
    """The account was never switched on, as far as is known here."""

    status = 409
    code = "not-activated"
    title = "The account was never activated"
    retryable = True
