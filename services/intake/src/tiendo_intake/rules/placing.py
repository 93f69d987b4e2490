"""Dividing the citizens of a commune among the parts that it was divided into, by agreed shares. Pure.

Who goes where is decided by nothing that anybody could choose: records stand in the order of a hash of their ids, and
that row is cut where the quotas say. Quotas are exact: the largest remainders get what is left, of equal ones the
earlier part.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from tiendo_common.errors import Invalid
from tiendo_common.events.restatements import DossierSegment


class Division(msgspec.Struct, frozen=True, kw_only=True):
    """`unit` is divided on `day` into the parts of `shares`, each with its weight; `stays` is the one where records are
    counted without being moved. `taken_in` are codes of before whose records are the unit's: of communes that went into
    it, and of hamlets that have ended. `reorganisation` is the id by which it can be taken back."""

    reorganisation: str
    unit: str
    day: date
    stays: str
    shares: Mapping[str, int]
    taken_in: tuple[str, ...] = ()

    @property
    def codes(self) -> tuple[str, ...]:
        """Whose records are divided."""
        return (self.unit, *self.taken_in)


def check_division(division: Division) -> None:
    """Raise Invalid, naming the field, unless there are two parts or more, one of them the one that stays."""
    if len(division.shares) < 2:
        raise Invalid(
            f"{division.unit} is not divided: it has one part.",
            field="shares",
            remedy="Name every part with its weight.",
        )
    if division.stays not in division.shares:
        raise Invalid(
            f"{division.stays} is no part of {division.unit}.",
            field="stays",
            remedy=f"Choose one of {', '.join(division.shares)}.",
        )
    if not any(division.shares.values()):
        raise Invalid(
            "Every weight is 0.",
            field="shares",
            remedy="Send the parts' agreed numbers of citizens, or any numbers in their proportion.",
        )


def code_to_leave(division: Division, dossier: Sequence[DossierSegment]) -> str | None:
    """The code of the unit's at which the citizen lived on the eve; None if he lived elsewhere, or something else is
    known of the day itself."""
    code = _residence(dossier, division.day - timedelta(days=1))
    return code if code in division.codes and code == _residence(dossier, division.day) else None


def _residence(dossier: Sequence[DossierSegment], day: date) -> str | None:
    for part in dossier:
        if part.from_day <= day and (part.until_day is None or day < part.until_day):
            return part.residence
    return None


def part_of_each(division: Division, record_ids: Iterable[str]) -> dict[str, str]:
    """Each record's part."""
    row = sorted(record_ids, key=lambda record_id: hashlib.sha256(record_id.encode()).digest())
    parts = sorted(division.shares)
    answer: dict[str, str] = {}
    cut = 0
    for part, quota in zip(parts, quotas(len(row), [division.shares[part] for part in parts]), strict=True):
        answer |= dict.fromkeys(row[cut : cut + quota], part)
        cut += quota
    return answer


def quotas(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in proportion to the weights, exactly."""
    whole = sum(weights)
    shares = [total * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(total * weights[place] % whole), place))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares
