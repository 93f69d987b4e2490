"""What the notifier refuses, and why.

Problem
├── Invalid
│   └── RefusedAddress   a webhook's URL that must not or cannot be called
└── Conflict
    └── BuiltIn          a destination that comes with the service and stays as it is

OutOfReach               a judgement looks further back than is at hand: no refusal, the judge reads more
"""

from tiendo_common.errors import Conflict, Invalid


class RefusedAddress(Invalid):
    """A URL that must not or cannot be called."""

    code = "refused-address"
    title = "This address cannot be a destination"


class BuiltIn(Conflict):
    """The log comes with the service."""

    code = "built-in"
    title = "This destination is built in"


class OutOfReach(Exception):
    """What is asked for was said longer ago than what is at hand."""
