"""Lines that no service may accept: each kind of mistake that clients make. They carry no count."""

from collections.abc import Callable
from datetime import date, timedelta

from tiendo.replay.citizens import PER_SLOT, six_digits

Mistake = Callable[["Draft"], str]


class Draft:
    """What a line would say if it were right; `citizen` is nobody's number: nothing can be counted."""

    def __init__(self, line_id: int, serial: int, province: str, unit: str, day: date, campaign: str) -> None:
        self.line_id = line_id
        # No province has the code 99, so no campaign gives this number to one of its citizens.
        self.citizen = f"{province}185{six_digits(serial % PER_SLOT, 99):06d}"
        self.unit = unit
        self.day = day
        self.campaign = campaign

    def intake(self, **other: str) -> str:
        return self._line(
            {
                "citizen_id": f'"{self.citizen}"',
                "level": "2",
                "residence_unit": f'"{self.unit}"',
                "collecting_unit": f'"{self.unit}"',
                "channel": '"mobile"',
                "cohorts": "[]",
            },
            other,
        )

    def approval(self, **other: str) -> str:
        return self._line({"citizen_id": f'"{self.citizen}"', "decision": '"approved"'}, other)

    def amendment(self, **other: str) -> str:
        return self._line(
            {
                "citizen_id": f'"{self.citizen}"',
                "kind": '"move"',
                "residence_unit": f'"{self.unit}"',
                "reason": '"moved"',
            },
            other,
        )

    def activation(self, **other: str) -> str:
        return self._line({"citizen_id": f'"{self.citizen}"', "result": '"succeeded"'}, other)

    def _line(self, values: dict[str, str], other: dict[str, str]) -> str:
        values = {
            "line_id": f'"{self.line_id}"',
            **values,
            "occurred_at": f'"{self.day.isoformat()}T09:30:00+07:00"',
            "campaign": f'"{self.campaign}"',
            **other,
        }
        return "{" + ",".join(f'"{key}":{value}' for key, value in values.items() if value) + "}"

    @property
    def eleven_digits(self) -> str:
        return f'"{self.citizen[:11]}"'

    @property
    def future(self) -> str:
        """Far ahead: it is still to come when the days are sent long after they were."""
        return f'"{(self.day + timedelta(days=36_500)).isoformat()}T09:30:00+07:00"'


INTAKE_MISTAKES: tuple[Mistake, ...] = (
    lambda d: d.intake(residence_unit='"99999"'),
    lambda d: d.intake(collecting_unit='"99999"'),
    lambda d: d.intake(citizen_id=d.eleven_digits),
    lambda d: d.intake(citizen_id='"12345678901x"'),
    lambda d: d.intake(citizen_id=""),
    lambda d: d.intake(level="3"),
    lambda d: d.intake(level='"two"'),
    lambda d: d.intake(channel='"fax"'),
    lambda d: d.intake(cohorts='"workers"'),
    lambda d: d.intake(occurred_at=d.future),
    lambda d: d.intake(occurred_at='"yesterday"'),
    lambda d: d.intake()[:-40],
    lambda d: f"[{d.intake()}]",
    lambda d: d.intake(campaign='"nobodys-campaign"'),
    lambda d: d.intake(occurred_at='"1989-12-01T09:30:00+07:00"'),
    lambda d: d.intake(channel='"m\xffbile"'),  # sent as one byte: not UTF-8
    lambda d: f"{d.line_id};{d.citizen};2",
)
APPROVAL_MISTAKES: tuple[Mistake, ...] = (
    lambda d: d.approval(),  # of a dossier that nobody took
    lambda d: d.approval(citizen_id=d.eleven_digits),
    lambda d: d.approval(decision='"perhaps"'),
    lambda d: d.approval(decision='"rejected"'),  # without its reason
    lambda d: d.approval(decision=""),
    lambda d: d.approval(occurred_at=d.future),
    lambda d: d.approval()[:-30],
)
AMENDMENT_MISTAKES: tuple[Mistake, ...] = (
    lambda d: d.amendment(),  # of a dossier that nobody took
    lambda d: d.amendment(citizen_id=d.eleven_digits),
    lambda d: d.amendment(kind='"erase"'),
    lambda d: d.amendment(residence_unit='"99999"'),
    lambda d: d.amendment(occurred_at=d.future),
    lambda d: d.amendment()[:-30],
)
ACTIVATION_MISTAKES: tuple[Mistake, ...] = (
    lambda d: d.activation(citizen_id=d.eleven_digits),
    lambda d: d.activation(result='"perhaps"'),
    lambda d: d.activation(result='"failed"'),  # without its reason
    lambda d: d.activation(result='"failed"', reason='"lazy"'),
    lambda d: d.activation(result="1"),
    lambda d: d.activation(occurred_at=d.future),
    lambda d: d.activation()[:-30],
    lambda d: f"[{d.activation()}]",
)
