"""The list of what is to be urged on, for a campaign or a unit and all below it."""

from tiendo_common.clock import VIETNAM, Clock
from tiendo_common.errors import NotFound
from tiendo_notifier.rules.reminders import Entry, Language, document
from tiendo_notifier.rules.table import Severity
from tiendo_notifier.storage.reading import Lists
from tiendo_notifier.use_cases.reference import Reference

_PAGE = 500


class Reminders:
    """Writes the list from the open incidents."""

    def __init__(self, lists: Lists, reference: Reference, clock: Clock) -> None:
        self._lists = lists
        self._reference = reference
        self._clock = clock

    async def write(self, campaign: str, unit: str | None, language: Language) -> str:
        """The list as it is now, in Markdown. Raises NotFound."""
        known = self._reference.campaigns.get(campaign)
        if known is None:
            raise NotFound(f"There is no campaign {campaign!r}.", field="campaign")
        if unit is not None and not self._reference.is_unit(unit):
            raise NotFound(f"No unit has the code {unit!r}.", field="unit")
        entries, before = [], None
        while True:
            page = await self._lists.incidents(_PAGE, before, unresolved=True, campaign=campaign)
            for incident, _, taken in page:
                day = incident.last_day
                if unit is not None and not self._reference.is_in(incident.unit, unit, day):
                    continue
                entries.append(
                    Entry(
                        parent=self._reference.parent_name(incident.unit, day) or known.name,
                        unit=incident.unit_name,
                        indicator=incident.indicator,
                        severity=Severity(incident.severity),
                        behind=incident.figures["gap"],
                        needed_per_day=incident.figures["needed_per_day"],
                        since=incident.opened_day,
                        taken_on_by=taken.author if taken else None,
                    )
                )
            if len(page) < _PAGE:
                break
            before = page[-1][0].id
        local = self._clock.now().astimezone(VIETNAM)
        scope = unit or known.province
        return document(
            known.name, self._reference.full_name(scope, local.date(), scope), local, entries, language
        )
