"""What was wrong with dossiers, by the unit that had taken them and the day on which it became known.

These are things that happened, not states of citizens: a dossier that is voided, taken again and voided again has been
voided twice. So they stay out of the counters, whose sums are sums of citizens.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal, get_args

Fault = Literal["voided", "corrected", "rejected"]
#: What a stored fault's number means: rows hold the index. Only ever append.
FAULTS: tuple[Fault, ...] = get_args(Fault)
VOIDED, CORRECTED, REJECTED = range(3)
#: collecting unit, known day, index of FAULTS
FaultCell = tuple[str, date, int]

#: The changes that are faults, by the index of the indicator whose topic tells of them. A dossier that is voided or
#: corrected is restated on the topic of approvals, too: each fault comes from one topic.
FAULT_OF: Sequence[Mapping[str, int]] = (
    {"voided": VOIDED, "corrected": CORRECTED},
    {"rejected": REJECTED, "revoked": REJECTED},
    {},
)
