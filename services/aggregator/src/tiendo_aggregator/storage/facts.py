"""The tree of units as files: `<data>/units/*.csv`, one whole tree each."""

import csv
from datetime import date
from pathlib import Path

import msgspec

from tiendo_aggregator.rules.units import EDITIONS, Edition
from tiendo_common.errors import TiendoError
from tiendo_common.events.state import UnitSpan


class BadFacts(TiendoError):
    """A file of facts is missing or cannot be what it says."""


def read_editions_by_day(data_facts: Path) -> dict[date, Edition]:
    """Every edition by the day on which it begins. Raises BadFacts, naming the file and the line."""
    return {first: edition for (first, _), edition in zip(EDITIONS, read_editions(data_facts), strict=True)}


def read_editions(data_facts: Path) -> list[dict[str, UnitSpan]]:
    """Every edition of the tree, oldest first. Raises BadFacts, naming the file and the line."""
    ends = [first for first, _ in EDITIONS[1:]]
    return [
        _read(data_facts / "units" / name, first, until)
        for (first, name), until in zip(EDITIONS, [*ends, None], strict=True)
    ]


def _read(path: Path, first: date, until: date | None) -> dict[str, UnitSpan]:
    units: dict[str, UnitSpan] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.DictReader(file), 2):
                span = msgspec.convert(
                    {
                        "from_day": first,
                        "until_day": until,
                        "parent": row["parent_code"] or None,
                        "level": row["level"],
                        "name": row["name"],
                    },
                    UnitSpan,
                )
                if units.setdefault(row["code"], span) is not span:
                    raise BadFacts(f"{path}, line {number}: code {row['code']} stands there twice")
    except OSError as error:
        raise BadFacts(f"{path} cannot be read ({error.strerror}): set TIENDO_DATA_FACTS") from error
    except (KeyError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadFacts(f"{path}, line {len(units) + 2}: {error}") from error
    for code, span in units.items():
        if span.parent is not None and span.parent not in units:
            raise BadFacts(f"{path}: unit {code} has the parent {span.parent}, which isn't there")
    return units
