"""The administrative tree of one date, as the replay needs it: provinces, communes, names."""

import csv
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

KINDS = (
    ("Thành phố ", "ward"),
    ("Thị xã ", "ward"),
    ("Phường ", "ward"),
    ("Thị trấn ", "town"),
    ("Xã ", "commune"),
    ("Huyện ", "commune"),
    ("Quận ", "ward"),
    ("Tỉnh ", "commune"),
)


@dataclass(frozen=True, slots=True)
class Unit:
    """A node of the tree: official code (a string), the code above it, its level and its name."""

    code: str
    parent: str
    level: str
    name: str

    @property
    def kind(self) -> str:
        """Of a commune: ward, town or commune (phường, thị trấn, xã)."""
        return next((kind for prefix, kind in KINDS if self.name.startswith(prefix)), "commune")


@dataclass(frozen=True)
class Units:
    """All units of one file, by code."""

    by_code: dict[str, Unit]

    @cached_property
    def communes(self) -> dict[str, list[Unit]]:
        """The communes of each province in order of their codes."""
        found: dict[str, list[Unit]] = {}
        for unit in sorted(self.by_code.values(), key=lambda unit: unit.code):
            if unit.level == "commune":
                found.setdefault(self.province_of(unit.code), []).append(unit)
        return found

    def province_of(self, code: str) -> str:
        """The province above a unit. Raises KeyError for a code that isn't in the file."""
        unit = self.by_code[code]
        while unit.parent:
            unit = self.by_code[unit.parent]
        return unit.code

    def name(self, code: str) -> str:
        """The unit's name, or the code itself when this file doesn't know it."""
        unit = self.by_code.get(code)
        return unit.name if unit else code


def load_units(path: Path) -> Units:
    """Read a units file (code, parent_code, level, name). Raises OSError when it isn't there."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        units = [Unit(row["code"], row["parent_code"], row["level"], row["name"]) for row in rows]
    return Units({unit.code: unit for unit in units})


def load_birth_provinces(path: Path) -> dict[str, str]:
    """The first three digits of personal numbers and the province (by name) they stand for."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["code"]: row["province"] for row in csv.DictReader(file)}


def plain(name: str) -> str:
    """A name without its kind, accents and case: spellings differ between sources, these don't."""
    for prefix, _ in KINDS:
        name = name.removeprefix(prefix)
    spelled = unicodedata.normalize("NFD", name.lower().replace("đ", "d"))
    return "".join(c for c in spelled if c.isalnum())
