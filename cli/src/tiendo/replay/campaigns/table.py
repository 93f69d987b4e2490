"""TOML tables that know where they stand, and the error that says it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from tiendo.errors import Refused

T = TypeVar("T")


class CampaignFileError(Refused):
    """A campaign file that can't be used: says which file and key, what is wrong and what to do."""

    def __init__(self, file: Path, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {key}: {problem}.", remedy=remedy)
        self.file, self.key, self.problem = file, key, problem


class Table:
    """A TOML table that knows where it stands, so that every complaint names its key."""

    def __init__(self, file: Path, key: str, values: dict[str, Any]) -> None:
        self.file, self.key, self._left = file, key, dict(values)

    def _path(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name

    def error(self, name: str, problem: str, remedy: str) -> CampaignFileError:
        return CampaignFileError(self.file, self._path(name) if name else self.key, problem, remedy)

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        """Take a value of a type; without a default it must be there."""
        if name not in self._left:
            if default is not None:
                return default
            raise self.error(name, "is missing", f"Add it: {kind.__name__} is expected.")
        value = self._left.pop(name)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.error(
                name, f"is a {type(value).__name__}", f"Write it as {kind.__name__}: {value!r} isn't one."
            )
        return value

    def number(self, name: str) -> int:
        """Take a count: a whole number, not negative."""
        value = self.get(name, int)
        if value < 0:
            raise self.error(name, f"{value} is negative", "Counts of citizens start at 0.")
        return value

    def share(self, name: str) -> float:
        """Take a share: a fraction of one."""
        value = self.get(name, float)
        if not 0 <= value <= 1:
            raise self.error(name, f"{value} isn't a share", "Write a fraction between 0 and 1.")
        return value

    def maybe_number(self, name: str) -> int | None:
        return self.number(name) if name in self._left else None

    def maybe_text(self, name: str) -> str | None:
        return self.get(name, str) if name in self._left else None

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name, str)
        if value not in allowed:
            raise self.error(name, f"{value!r} is unknown", f"Use one of: {', '.join(allowed)}.")
        return value

    def has(self, name: str) -> bool:
        return name in self._left

    def table(self, name: str, *, needed: bool = False) -> "Table":
        """Take a sub-table; an absent one is empty unless it is needed."""
        if needed and name not in self._left:
            raise self.error(name, "is missing", "Add the section.")
        values = self._left.pop(name, {})
        if not isinstance(values, dict):
            raise self.error(name, f"is a {type(values).__name__}", "Write it as a table.")
        return Table(self.file, self._path(name), values)

    def tables(self, name: str) -> Iterator["Table"]:
        """Take an array of tables, none when absent."""
        values = self._left.pop(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(name, "isn't an array of tables", f"Write [[{self._path(name)}]] for each.")
        for i, value in enumerate(values):
            yield Table(self.file, f"{self._path(name)}[{i}]", value)

    def names(self) -> list[str]:
        return list(self._left)

    def done(self) -> None:
        """Refuse what nobody asked for: a misspelt key must not pass in silence."""
        for name in self._left:
            raise self.error(name, "is an unknown key", "Correct its spelling or take it out.")
