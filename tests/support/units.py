"""Trees and mappings for tests: the country's, and small ones made up."""

import csv
import functools
from datetime import date
from typing import Any

from tests.support.aggregator import DATA
from tiendo_aggregator.rules.units import FIRST_DAY, Edition, Gazetteer, in_order, merge_editions
from tiendo_aggregator.rules.units.edition import SentUnit, make_edition
from tiendo_aggregator.rules.units.reorganisation import Row
from tiendo_aggregator.storage.facts import read_editions

#: From these days on the country has another tree.
CENSUS, REFORM = date(2025, 1, 1), date(2025, 7, 1)

#: Quảng Bình's six communes that are gone by 2025-01-01. Where their people belong isn't in the data. Quán
#: Hàu goes to the unit of its name here, each other one to a commune of its district, as an operator might rule
#: by hand; nothing says that they really did.
QUANG_BINH_BY_HAND = {
    "18910": "18907",
    "18916": "18913",
    "19048": "19045",
    "19120": "19117",
    "19195": "19192",
    "19201": "19207",
}


@functools.cache
def country() -> Gazetteer:
    """Vietnam's units of every day."""
    return Gazetteer(merge_editions(read_editions(DATA)))


@functools.cache
def reform_mapping() -> tuple[dict[str, str], ...]:
    """The rows of the country's mapping onto the tree of 2025-07-01."""
    with (DATA / "units" / "reorganisation-2025-07-01.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def reform_rows() -> tuple[Row, ...]:
    """The same as the rules know them."""
    return tuple(Row(**row) for row in reform_mapping())  # type: ignore[arg-type]


def row(from_code: str, to_code: str, share: str = "whole") -> Row:
    """A row of a made-up mapping."""
    return Row(from_code=from_code, to_code=to_code, share=share, resolution="1/NQ")  # type: ignore[arg-type]


def tree_document(gazetteer: Gazetteer, day: date) -> list[dict[str, Any]]:
    """A tree as it is sent."""
    return [
        {"code": code, "parent_code": span.parent, "level": span.level, "name": span.name}
        for code, span in gazetteer.as_of(day).units.items()
    ]


def sent(text: str) -> list[SentUnit]:
    """A tree, one unit a line: code, parent or -, and a name if it is not the code."""
    levels = {2: "province", 3: "district", 5: "commune"}
    units = []
    for line in text.split("\n"):
        if line.strip():
            code, parent, *name = line.split()
            units.append(
                SentUnit(
                    code=code,
                    parent_code=None if parent == "-" else parent,
                    level=levels[len(code)],
                    name=" ".join(name) or code,
                )
            )
    return units


def small(*trees: str) -> Gazetteer:
    """Made-up units: the first tree from the beginning, the next from CENSUS and from REFORM on."""
    days = (FIRST_DAY, CENSUS, REFORM)
    editions: dict[date, Edition] = {
        day: make_edition(sent(text), day) for day, text in zip(days, trees, strict=False)
    }
    return Gazetteer(merge_editions(in_order(editions)))
