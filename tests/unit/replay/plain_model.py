"""A plain model of what the services must answer and count: facts by citizen, asked day by day.

Written from the written rules, not from the generator or the services: no segments, no deltas.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import msgspec

CHANNELS = {"fixed", "mobile", "home", "online"}
COHORTS = {
    "officials", "employees", "armed_forces", "students", "workers", "elderly", "ethnic_minorities", "fishermen",
}  # fmt: skip
TAKING = {"level", "residence_unit", "collecting_unit", "channel", "cohorts"}
FAILURES = {"old_device", "no_smartphone", "phone_not_owned", "network", "other"}


class Wrong(Exception):
    """The line is rejected."""


@dataclass
class Dossier:
    """What is in force of one taking: facts as (day, value) in the order in which they were accepted."""

    taken: str
    level: int
    home: str
    upgrades: list[str] = field(default_factory=list)
    moves: list[tuple[str, str]] = field(default_factory=list)
    decisions: list[tuple[str, bool]] = field(default_factory=list)

    def level_on(self, day: str) -> int:
        return 2 if self.level == 2 or any(max(d, self.taken) <= day for d in self.upgrades) else 1

    def home_on(self, day: str) -> str:
        homes = [home for d, home in sorted(self.moves, key=lambda m: m[0]) if max(d, self.taken) <= day]
        return homes[-1] if homes else self.home

    def approved_on(self, day: str) -> bool:
        said = [yes for d, yes in sorted(self.decisions, key=lambda x: x[0]) if max(d, self.taken) <= day]
        return bool(said) and said[-1]


class Register:
    """All citizens of a replay."""

    def __init__(self, units: set[str], campaign: str, births: set[str]) -> None:
        self.units = units
        self.campaign = campaign
        self.births = births
        self.dossiers: dict[str, Dossier | None] = {}
        self.switches: dict[str, list[tuple[str, bool]]] = {}
        self.kinds: Counter[str] = Counter()
        self.lines: dict[tuple[str, int], dict[str, bytes]] = {}

    def answer(self, service: str, path: str, system: int, raw: bytes, now: str) -> str:
        """accepted, duplicate or rejected, as the services must answer at this time in Vietnam."""
        try:
            line = self._readable(raw, now)
            seen = self.lines.setdefault((service, system), {})
            known = seen.get(line["line_id"])
            if known is not None:
                if known != raw:
                    raise Wrong("line_id")
                return "duplicate"
            kind = getattr(self, "_" + path.rsplit("/", 1)[1])(line)
            seen[line["line_id"]] = raw
        except Wrong:
            self.kinds["rejected"] += 1
            return "rejected"
        self.kinds[kind] += 1
        return "duplicate" if kind.startswith("duplicate") else "accepted"

    def _readable(self, raw: bytes, now: str) -> dict[str, Any]:
        try:
            line = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Wrong("json") from None
        if not isinstance(line, dict):
            raise Wrong("object")
        for key in ("line_id", "citizen_id", "occurred_at", "campaign"):
            if not isinstance(line.get(key), str):
                raise Wrong(key)
        citizen = line["citizen_id"]
        if len(citizen) != 12 or not citizen.isdecimal() or citizen[:3] not in self.births:
            raise Wrong("citizen_id")
        at = line["occurred_at"]
        if len(at) != 25 or not at.endswith("+07:00") or not "2020" < at <= now:
            raise Wrong("occurred_at")
        eve = (date.fromisoformat(at[:10]) - timedelta(days=1)).isoformat()
        line["day"] = line.get("working_day", at[:10])
        if line["day"] not in ((at[:10], eve) if at[11:] < "06" else (at[:10],)):
            raise Wrong("working_day")
        born = 1900 + int(citizen[3]) // 2 * 100 + int(citizen[4:6])
        if born > int(at[:4]) - 14:
            raise Wrong("citizen_id")
        if line["campaign"] != self.campaign:
            raise Wrong("campaign")
        for key in ("residence_unit", "collecting_unit"):
            if key in line and line[key] not in self.units:
                raise Wrong(key)
        if "channel" in line and line["channel"] not in CHANNELS:
            raise Wrong("channel")
        if not isinstance(line.get("cohorts", []), list) or not COHORTS.issuperset(line.get("cohorts", [])):
            raise Wrong("cohorts")
        if "level" in line and line["level"] not in (1, 2):
            raise Wrong("level")
        return line

    def _in_force(self, line: dict[str, Any]) -> Dossier:
        dossier = self.dossiers.get(line["citizen_id"])
        if dossier is None:
            raise Wrong("no dossier")
        return dossier

    def _intakes(self, line: dict[str, Any]) -> str:
        if not line.keys() >= TAKING:
            raise Wrong("missing")
        day, dossier = line["day"], self.dossiers.get(line["citizen_id"])
        if dossier is None:
            again = line["citizen_id"] in self.dossiers
            self.dossiers[line["citizen_id"]] = Dossier(day, line["level"], line["residence_unit"])
            return "taken again" if again else "taken"
        if line["level"] == 2 and dossier.level == 1 and not dossier.upgrades:
            dossier.upgrades.append(day)
            return "upgraded"
        return "duplicate taking"

    def _approvals(self, line: dict[str, Any]) -> str:
        if line.get("decision") not in ("approved", "rejected"):
            raise Wrong("decision")
        approved = line["decision"] == "approved"
        if not approved and not line.get("reason"):
            raise Wrong("reason")
        decisions = self._in_force(line).decisions
        if decisions and max(decisions, key=lambda d: d[0])[1] == approved:
            return "duplicate decision"
        decisions.append((line["day"], approved))
        return "approved" if approved else "rejection"

    def _amendments(self, line: dict[str, Any]) -> str:
        day, dossier = line["day"], self._in_force(line)
        if line.get("kind") not in ("move", "correct", "void") or not line.get("reason"):
            raise Wrong("kind")
        if line["kind"] == "move":
            if dossier.home_on("9999") == line["residence_unit"]:
                return "duplicate move"
            dossier.moves.append((day, line["residence_unit"]))
            return "moved"
        if line["kind"] == "correct":
            if dossier.level == line["level"]:
                return "duplicate correction"
            dossier.level = line["level"]
            if line["level"] == 1:
                dossier.upgrades.clear()
            return "corrected"
        self.dossiers[line["citizen_id"]] = None
        return "voided"

    def _activations(self, line: dict[str, Any]) -> str:
        result, day = line.get("result"), line["day"]
        if result == "failed":
            if line.get("reason") not in FAILURES:
                raise Wrong("reason")
            return "failed"
        if result not in ("succeeded", "deactivated", "reactivated"):
            raise Wrong("result")
        switches = self.switches.setdefault(line["citizen_id"], [])
        on = result != "deactivated"
        if not switches and result != "succeeded":
            raise Wrong("result")
        if switches and max(switches, key=lambda s: s[0])[1] == on:
            return "duplicate switch"
        switches.append((day, on))
        return str(result)

    def counts(self, day: str, units: set[str]) -> dict[str, Counter[int]]:
        """Citizens living in these units on a day, by indicator and level."""
        found: dict[str, Counter[int]] = {name: Counter() for name in ("intake", "approved", "activated")}
        for citizen, dossier in self.dossiers.items():
            if dossier is None or dossier.taken > day or dossier.home_on(day) not in units:
                continue
            level = dossier.level_on(day)
            found["intake"][level] += 1
            if not dossier.approved_on(day):
                continue
            found["approved"][level] += 1
            switches = [
                on for d, on in sorted(self.switches.get(citizen, []), key=lambda s: s[0]) if d <= day
            ]
            if switches and switches[-1]:
                found["activated"][level] += 1
        return found

    def activated_by_home(self, day: str) -> dict[str, Counter[str]]:
        """Intakes and activations by commune of residence."""
        found: dict[str, Counter[str]] = {"intake": Counter(), "activated": Counter()}
        for citizen, dossier in self.dossiers.items():
            if dossier is None or dossier.taken > day:
                continue
            home = dossier.home_on(day)
            found["intake"][home] += 1
            switches = sorted(self.switches.get(citizen, []))
            if dossier.approved_on(day) and switches and switches[-1][1]:
                found["activated"][home] += 1
        return found
