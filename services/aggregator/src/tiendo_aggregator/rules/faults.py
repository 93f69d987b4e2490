"""What was wrong with dossiers, by the unit that had taken them and the day on which it became known.

These are things that happened, not states of citizens: a dossier that is voided, taken again and voided again has been
voided twice. So they stay out of the counters, whose sums are sums of citizens.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Literal, get_args

import msgspec

from tiendo_aggregator.rules.teams import TeamApproval, Teamed, TeamIntake

Fault = Literal["voided", "corrected", "rejected"]
#: What a stored fault's number means: rows hold the index. Only ever append.
FAULTS: tuple[Fault, ...] = get_args(Fault)
VOIDED, CORRECTED, REJECTED = range(3)
#: collecting unit, known day, index of FAULTS
FaultCell = tuple[str, date, int]

# A dossier that is voided or corrected is restated on the topic of approvals, too: each fault comes from one topic.
_OF_INTAKE = {"voided": VOIDED, "corrected": CORRECTED}
_OF_APPROVAL = {"rejected": REJECTED, "revoked": REJECTED}


def fold_faults(events: Iterable[Teamed]) -> Counter[FaultCell]:
    """How many faults of each kind these events tell of. It is the fault of whoever did the work last that the dossier
    stood on."""
    found: Counter[FaultCell] = Counter()
    for event in events:
        if isinstance(event, TeamIntake):
            what = _OF_INTAKE.get(event.data.change)
            segments = event.data.before
        elif isinstance(event, TeamApproval):
            what = _OF_APPROVAL.get(event.data.change)
            rejected = event.data.rejected_after
            segments = event.data.before if rejected is msgspec.UNSET else rejected
        else:
            continue
        if what is not None and segments:
            found[segments[-1].collecting, event.data.known_day, what] += 1
    return found
