"""The generator: every citizen's life over the real communes, planned so that the counts come out exactly.

A life is a handful of events, each with the day on which it happened and the day on which it is sent. The
plan is compact: a personal number and packed traits per citizen, one packed number per event, by sending
day and phase. Lines are written from it lazily (schedule.py), so a million of them never stand in memory.
"""

from array import array
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import accumulate
from math import exp
from random import Random

from tiendo.replay.campaigns.campaign import CHANNELS, COHORTS, Campaign
from tiendo.replay.population import ACTIVATED, APPROVED, CELLS, NEW, TAKEN, populate
from tiendo.replay.units import plain

# Kinds of events. The second number is the phase in which a day's events of that kind are sent: a citizen's
# dependent events go to a later phase or to a later day.
INTAKE, UPGRADE, RETAKE, REPEAT, MOVE, CORRECT, VOID, APPROVE, REJECT = range(9)
ACTIVATE, FAIL, DEACTIVATE, REACTIVATE, REPEAT_APPROVAL, REPEAT_ACTIVATION = range(9, 15)
PHASE_OF = (0, 0, 0, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4, 5, 6)
INTAKES, REPEATS, AMENDMENTS, APPROVALS, ACTIVATIONS, REPEATED_APPROVALS, REPEATED_ACTIVATIONS = range(7)
PHASES = 7
_BY_TEAMS = (INTAKE, UPGRADE, RETAKE, ACTIVATE, FAIL)

EVE_ROUNDS = 3  # the baseline is sent on the eve of day one: takings, then voids, then takings again

# Packed traits: residence at first, residence at the end, collecting unit, channel and cohorts, levels.
HOME, HOME_NOW, COLLECTING, CONTACT, FIRST_LEVEL, TRUE_LEVEL = 0, 14, 28, 38, 48, 49
UNIT_MASK, COLLECTING_MASK, CONTACT_MASK = 0x3FFF, 0x3FF, 0x3FF

YOUNGEST = 15  # by year of birth: everyone has had a 14th birthday by any day of the year
OLDEST = 92
SLOTS = (
    100  # personal numbers are shared out by the province's own code: campaigns never invent the same person
)
PER_SLOT = 10_000

_APPROVAL_LAGS = (0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5, 6, 7, 9)
_ACTIVATION_LAGS = (0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 5, 6, 7, 9, 12, 16)


class Lives:
    """Every citizen of a campaign and what happens to them, for one seed.

    `slot_days` gives the sending day of each slot, counted from the first day (-1: the eve); where a night shift works,
    each day has two, of which the second is its night. `events[slot][phase]` holds events packed as citizen << 16 |
    days late << 5 | kind.
    """

    def __init__(self, campaign: Campaign, seed: int) -> None:
        self.campaign = campaign
        self.seed = seed
        self.last = (campaign.figures_as_of - campaign.first_day).days
        rounds = EVE_ROUNDS if campaign.baseline["intake"].total else 0
        self.rounds = rounds
        self._slots_a_day = 2 if campaign.nights else 1
        self.slot_days = [-1] * rounds + [
            day for day in range(self.last + 1) for _ in range(self._slots_a_day)
        ]
        self.events = [[array("Q") for _ in range(PHASES)] for _ in self.slot_days]
        self.numbers = array("Q")
        self.traits = array("Q")
        self._rng = Random(f"{campaign.id}/{seed}")
        self._random = self._rng.random
        # Of its own, so that without nights the same seed says what it always said.
        self._night = Random(f"{campaign.id}/{seed}/nights").random
        self._life: list[tuple[int, int, int]] = []
        self._simulation = campaign.simulation
        self.unit_codes = campaign.communes
        outside = [
            unit.code
            for province in campaign.simulation.outside_from
            for unit in campaign.units.communes[province]
        ]
        self.unit_codes += outside
        self._plan()

    # -- who there is -------------------------------------------------------------------------------------

    def _plan(self) -> None:
        campaign, rng = self.campaign, self._rng
        population = populate(campaign, rng)
        rhythm = Rhythm(campaign, self.last, rng)
        specs = array("L")
        new = [[0, 0, 0] for _ in population.by_commune]
        for final in range(CELLS):
            origins = array("B")
            for origin, n in enumerate(population.origins[final]):
                origins.extend(bytes([origin]) * n)
            rng.shuffle(origins)
            start = 0
            for commune, cells in enumerate(population.by_commune):
                part = origins[start : start + cells[final]]
                start += cells[final]
                new[commune][final % 3] += part.count(NEW)
                specs.extend(commune | final << 14 | origin << 17 for origin in part)
        residents = len(campaign.communes)
        outsiders = round(sum(map(sum, new)) * self._simulation.outside)
        finals = [sum(cells[final] for cells in population.by_commune) for final in range(CELLS)]
        for final in rng.choices(range(CELLS), finals, k=outsiders):
            specs.append(rng.randrange(residents, len(self.unit_codes)) | final << 14)
        rng.shuffle(specs)

        self.numbers = PersonalNumbers(campaign, rng).draw(specs, self.unit_codes)
        self.traits = array("Q", bytes(8 * len(specs)))
        contacts = Contacts(campaign, rng)
        days = [rhythm.days_of_commune(by_status) for by_status in new]
        self._any_day = rhythm.endless()
        weights = list(accumulate(campaign.eligible.values()))
        pool = rng.choices(range(residents), cum_weights=weights, k=1 << 14)
        places = (place for _ in iter(int, 1) for place in pool)
        for citizen, spec in enumerate(specs):
            home, final, origin = spec & UNIT_MASK, spec >> 14 & 7, spec >> 17
            self._live(citizen, home, final, origin, residents, days, places, contacts)

    def _live(
        self,
        citizen: int,
        home: int,
        final: int,
        origin: int,
        residents: int,
        days: Sequence[Sequence[Iterator[int]]],
        places: Iterator[int],
        contacts: "Contacts",
    ) -> None:
        """One citizen: where, by whom and how; then what happens."""
        random, simulation = self._random, self._simulation
        level, status = final // 3 + 1, final % 3
        first_home = home
        contact = contacts.draw(self.numbers[citizen], level, random())
        if home >= residents:
            collecting, moves = next(places), False
        else:
            moves = random() < simulation.moved
            if moves:
                first_home = next(places)
                moves = first_home != home
            collecting = first_home
            if random() < simulation.visiting_teams:
                collecting = next(places)
                contact = contact & ~3 | 1  # a mobile team
        if origin == NEW:
            day = next(days[home][status]) if home < residents else next(self._any_day)
            first, true = self._new_life(level, status, day, moves)
        else:
            first, true = self._older_life(citizen, level, status, origin - 1, moves)
        self._write(citizen)
        self.traits[citizen] = (
            first_home << HOME
            | home << HOME_NOW
            | collecting << COLLECTING
            | contact << CONTACT
            | first - 1 << FIRST_LEVEL
            | true - 1 << TRUE_LEVEL
        )

    def sizes(self) -> dict[str, dict[str, int]]:
        """How many citizens of each cohort of which a target is a share live in each commune at the end."""
        campaign = self.campaign
        sizes = {cohort: dict.fromkeys(campaign.communes, 0) for cohort in campaign.sized_cohorts}
        bits = {cohort: 1 << CONTACT + 2 + COHORTS.index(cohort) for cohort in sizes}
        any_bit = sum(bits.values())
        for traits in self.traits:
            home = traits >> HOME_NOW & UNIT_MASK
            if traits & any_bit and home < len(campaign.communes):
                for cohort, bit in bits.items():
                    if traits & bit:
                        sizes[cohort][campaign.communes[home]] += 1
        return sizes

    # -- what happens to them -----------------------------------------------------------------------------

    def is_night(self, slot: int) -> bool:
        """Whether what is sent in a slot was done by the night shift of its day."""
        return slot >= self.rounds and (slot - self.rounds) % self._slots_a_day == 1

    def _add(self, kind: int, day: int, sent: int) -> None:
        """An event of a campaign day (or before, sent late), sent on a campaign day."""
        self._life.append((kind, day, sent))

    def _write(self, citizen: int) -> None:
        """Put a citizen's events where they are sent."""
        for event in self._life:
            kind, day, sent = event
            slot = self.rounds + sent * self._slots_a_day + self._by_night_shift(citizen, event)
            self.events[slot][PHASE_OF[kind]].append(citizen << 16 | sent - day << 5 | kind)
        self._life.clear()

    def _by_night_shift(self, citizen: int, event: tuple[int, int, int]) -> bool:
        """Whether a team did it after midnight: at times, if nothing comes after it on that day."""
        share, (kind, day, sent) = self.campaign.nights, event
        if not share or kind not in _BY_TEAMS or day != sent or is_unaided(self.numbers[citizen], kind):
            return False
        if self._night() >= share:
            return False
        return not any(
            day in other[1:] and PHASE_OF[other[0]] >= PHASE_OF[kind]
            for other in self._life
            if other is not event
        )

    def _add_before(self, citizen: int, kind: int, day: int, round_: int = 0) -> None:
        """An event of before day one (a negative day), sent on the eve."""
        self.events[round_][PHASE_OF[kind]].append(citizen << 16 | -1 - day << 5 | kind)

    def _repeat(self, kind: int, day: int, sent: int) -> None:
        """The second system says the same, at once or within days; its phase comes after the first one's."""
        self._add(kind, day, sent + int(self._random() * min(4, self.last - sent + 1)))

    def _late(self, day: int) -> int:
        """The day on which a line of `day` is sent: mostly the same, and never after the figures' day."""
        if self._random() >= self._simulation.late:
            return day
        return min(self.last, day + 1 + int(self._random() * 6))

    def _after(self, day: int, lags: tuple[int, ...]) -> int:
        """Some days after `day`, never after the figures' day; no heap on the last one."""
        random = self._random
        then = day + lags[int(random() * len(lags))]
        return then if then <= self.last else day + int(random() * (self.last - day + 1))

    def _new_life(self, level: int, status: int, day: int, moves: bool) -> tuple[int, int]:
        """A dossier of the campaign. Returns the level first written down and the true one at that time."""
        random, simulation, last = self._random, self._simulation, self.last
        chance = random() - simulation.voided
        if chance < 0 and last >= 6:
            day = day if day <= last - 6 else int(random() * (last - 5))
            return self._voided_life(level, status, day)
        sent = self._late(day)
        self._add(INTAKE, day, sent)
        first = true = level
        chance -= simulation.wrong_level
        wrong = chance < 0 and sent < last
        if wrong:
            first = 3 - level
            corrected = sent + 1 + int(random() * min(4, last - sent))
            self._add(CORRECT, corrected, corrected)
        elif level == 2 and sent < last and random() < simulation.upgrades:
            first = true = 1
            upgraded = sent + 1 + int(random() * (last - sent))
            self._add(UPGRADE, upgraded, self._late(upgraded))
        if not wrong and chance < simulation.repeats:
            self._repeat(REPEAT, day, sent)
        if moves:
            moved = day + int(random() * (last - day + 1))
            self._add(MOVE, moved, max(moved, sent))
        self._decided(status, day, sent)
        return first, true

    def _decided(self, status: int, day: int, sent: int) -> None:
        """The decision on a dossier of `day` that was sent on `sent`, and the activation after it."""
        random, simulation, last = self._random, self._simulation, self.last
        decided = self._after(sent, _APPROVAL_LAGS)
        if status == TAKEN:
            chance = random() - simulation.rejected
            if chance < 0:
                self._add(REJECT, decided, decided)
            elif chance < simulation.revoked and decided < last:
                self._add(APPROVE, decided, decided)
                revoked = decided + 1 + int(random() * (last - decided))
                self._add(REJECT, revoked, revoked)
            elif chance > 1 - simulation.rejected - simulation.never_approved:
                self._add(ACTIVATE, decided, decided)  # waits for an approval that never comes
            return
        if decided < last and random() < simulation.rejected_first:
            self._add(REJECT, decided, decided)
            decided += 1 + int(random() * min(4, last - decided))
        sent = self._late(decided)
        self._add(APPROVE, decided, sent)
        if random() < simulation.repeats:
            self._repeat(REPEAT_APPROVAL, decided, sent)
        self._switched_on(status, day, decided)

    def _switched_on(self, status: int, day: int, approved: int) -> None:
        """Activation of an approved dossier, possibly ahead of the approval, after failures or undone."""
        random, simulation, last = self._random, self._simulation, self.last
        activated = self._after(approved, _ACTIVATION_LAGS)
        if status == APPROVED:
            chance = random() - simulation.only_failed
            if chance < 0:
                self._add(FAIL, activated, self._late(activated))
            elif chance < simulation.switched_off and activated < last:
                self._add(ACTIVATE, activated, activated)
                off = activated + 1 + int(random() * (last - activated))
                self._add(DEACTIVATE, off, off)
            return
        if approved > day and random() < simulation.activated_ahead:
            activated = day + int(random() * (approved - day))
        if activated > day and random() < simulation.failed_first:
            failed = max(day, activated - 1 - int(random() * 4))
            self._add(FAIL, failed, self._late(failed))
        sent = self._late(activated)
        self._add(ACTIVATE, activated, sent)
        if sent + 2 <= last and random() < simulation.switched_off:
            self._add(DEACTIVATE, sent + 1, sent + 1)
            self._add(REACTIVATE, sent + 2, sent + 2)
        elif random() < simulation.repeats:
            self._repeat(REPEAT_ACTIVATION, activated, sent)

    def _voided_life(self, level: int, status: int, day: int) -> tuple[int, int]:
        """Taken, voided, taken again; a new taking needs a new approval, an earlier activation stays."""
        random = self._random
        self._add(INTAKE, day, day)
        activated = False
        if random() < 0.6:
            self._add(APPROVE, day + 1, day + 1)
            if status == ACTIVATED and random() < 0.5:
                self._add(ACTIVATE, day + 2, day + 2)
                activated = True
        self._add(VOID, day + 3, day + 3)
        taken = day + 4 + int(random() * 2)
        self._add(RETAKE, taken, taken)
        if status != TAKEN:
            approved = self._after(taken + 1, _APPROVAL_LAGS)
            self._add(APPROVE, approved, approved)
            if not activated:
                self._switched_on(status, approved, approved)
        return level, level

    def _older_life(self, citizen: int, level: int, status: int, before: int, moves: bool) -> tuple[int, int]:
        """A dossier of before day one: sent on the eve as it stood then; upgraded and activated later."""
        random, simulation, last = self._random, self._simulation, self.last
        true, stood = before // 3 + 1, before % 3
        first = true
        day = -9 - int(random() * max(1, simulation.baseline_days - 9))
        self._add_before(citizen, INTAKE, day)
        chance = random() - simulation.voided
        voided = chance < 0
        chance -= simulation.wrong_level
        if not voided and chance < 0:
            first = 3 - true
            self._add_before(citizen, CORRECT, day + 1)
        elif not voided and chance < simulation.repeats:
            self._add_before(citizen, REPEAT, day)
        approved = min(-1, day + 4 + _APPROVAL_LAGS[int(random() * len(_APPROVAL_LAGS))])
        activated = min(-1, approved + _ACTIVATION_LAGS[int(random() * len(_ACTIVATION_LAGS))])
        if voided:
            self._add_before(citizen, APPROVE, day + 1)
            self._add_before(citizen, VOID, day + 2, 1)
            self._add_before(citizen, RETAKE, day + 3, 2)
        if stood != TAKEN:
            self._add_before(citizen, APPROVE, approved, 2 if voided else 0)
            if not voided and random() < simulation.repeats:
                self._add_before(citizen, REPEAT_APPROVAL, approved)
        if stood == ACTIVATED:
            if random() < simulation.failed_first:
                self._add_before(citizen, FAIL, approved)
            self._add_before(citizen, ACTIVATE, activated)
            if random() < simulation.repeats:
                self._add_before(citizen, REPEAT_ACTIVATION, activated)
        if level > true:
            upgraded = next(self._any_day)
            self._add(UPGRADE, upgraded, self._late(upgraded))
        if moves and not voided:
            moved = int(random() * (last + 1))
            self._add(MOVE, moved, moved)
        if stood == TAKEN:
            since = next(self._any_day)
            self._decided(status, since, since)
        elif stood == APPROVED:
            since = next(self._any_day)
            self._switched_on(status, since, since)
        return first, true


def is_unaided(number: int, kind: int) -> bool:
    """Whether somebody switched the account on or off at home, one in five: no team is named."""
    return PHASE_OF[kind] in (ACTIVATIONS, REPEATED_ACTIVATIONS) and not (number + kind) % 5


class Rhythm:
    """When work is done: a slow start, quieter weekends, good and bad days of province and commune."""

    def __init__(self, campaign: Campaign, last: int, rng: Random) -> None:
        self._rng = rng
        self._days = range(last + 1)
        self._province = []
        for day in self._days:
            weekday = (campaign.first_day + timedelta(days=day)).weekday()
            week = (1.0, 1.05, 1.05, 1.0, 0.95, 0.8, 0.5)[weekday]
            ramp = min(1.0, 0.55 + 0.075 * day)
            self._province.append(week * ramp * exp(rng.gauss(0, 0.1)))

    def days_of_commune(self, by_status: Sequence[int]) -> list[Iterator[int]]:
        """Days for the dossiers of one commune, for those taken, approved and activated in the end.

        The commune has its own ups and downs, and some days are nearly lost. Later dossiers tend to be those
        not yet approved or activated: otherwise decisions would heap up on the last day.
        """
        rng, gauss = self._rng, self._rng.gauss
        own = [w * exp(gauss(0, 0.3)) * (0.1 if rng.random() < 0.04 else 1.0) for w in self._province]
        drawn = rng.choices(self._days, cum_weights=list(accumulate(own)), k=sum(by_status))
        spread = 0.12 * len(self._days)
        drawn = [day for _, day in sorted((day + gauss(0, spread), day) for day in drawn)]
        _, approved, activated = by_status
        parts = (drawn[activated + approved :], drawn[activated : activated + approved], drawn[:activated])
        for part in parts:
            rng.shuffle(part)
        return [iter(part) for part in parts]

    def endless(self) -> Iterator[int]:
        """Days of the province's rhythm, without end."""
        weights = list(accumulate(self._province))
        while True:
            yield from self._rng.choices(self._days, cum_weights=weights, k=4096)


def six_digits(turn: int, slot: int) -> int:
    """The last six digits of a personal number: differs for each turn (0-9999) and each slot (0-99)."""
    return turn * SLOTS + (slot + turn * 37 + turn // 100) % SLOTS


class PersonalNumbers:
    """Invents personal numbers: province of birth, century and sex, year, six digits; each of them once.

    Within a run they can't repeat by construction; between campaigns of two provinces neither, since each
    province draws its six digits from its own hundredth of them.
    """

    def __init__(self, campaign: Campaign, rng: Random) -> None:
        self._rng = rng
        self._slot = int(campaign.province)
        self._native_share = campaign.simulation.native
        self._codes = sorted(campaign.birth_provinces)
        by_name = {plain(name): i for i, (_, name) in enumerate(sorted(campaign.birth_provinces.items()))}
        units = campaign.units
        self._province_of = {
            unit.code: by_name[plain(units.by_code[province].name)]
            for province, communes in units.communes.items()
            for unit in communes
        }
        year = campaign.first_day.year
        years = range(year - OLDEST, year - YOUNGEST + 1)
        self._births = [f"{(born // 100 - 19) * 2 + sex}{born % 100:02d}" for born in years for sex in (0, 1)]
        self._weights = list(
            accumulate(
                1.0 if year - born < 45 else exp((45 - year + born) / 16) for born in years for _ in "mf"
            )
        )
        self._used = [0] * (len(self._codes) * len(self._births))
        self._start = [rng.randrange(PER_SLOT) for _ in self._used]

    def draw(self, specs: Sequence[int], unit_codes: Sequence[str]) -> "array[int]":
        """One number for each citizen, whose home is in the low bits of their spec."""
        rng, random, native = self._rng, self._rng.random, self._native_share
        provinces = [self._province_of[code] for code in unit_codes]
        births = rng.choices(range(len(self._births)), cum_weights=self._weights, k=len(specs))
        heads = [int(code + birth) * 1_000_000 for code in self._codes for birth in self._births]
        used, start, width, anywhere = self._used, self._start, len(self._births), len(self._codes)
        numbers = array("Q")
        for spec, birth in zip(specs, births, strict=True):
            province = provinces[spec & UNIT_MASK] if random() < native else int(random() * anywhere)
            group = province * width + birth
            while used[group] == PER_SLOT:  # that year's numbers are all given out
                group = (group + 2) % len(used)
            turn = (start[group] + used[group] * 6_761) % PER_SLOT
            used[group] += 1
            numbers.append(heads[group] + six_digits(turn, self._slot))
        return numbers


class Contacts:
    """How a dossier is taken and from whom: channel and cohorts, by age and level."""

    def __init__(self, campaign: Campaign, rng: Random) -> None:
        simulation = campaign.simulation
        self._year = campaign.first_day.year
        shares = simulation.cohorts
        channels = [simulation.channels.get(channel, 0.0) for channel in CHANNELS]
        self._pools: list[list[int]] = []
        for youngest, oldest in ((YOUNGEST, 22), (23, 59), (60, OLDEST)):
            pool = []
            at_home = [
                w * (3.0 if name == "home" and youngest == 60 else 1.0)
                for name, w in zip(CHANNELS, channels, strict=True)
            ]
            for channel in rng.choices(range(len(CHANNELS)), at_home, k=4096):
                cohorts = 0
                for bit, cohort in enumerate(COHORTS):
                    young, old = cohort == "students", cohort == "elderly"
                    working = cohort in ("officials", "employees", "armed_forces", "workers", "fishermen")
                    fits = (
                        (young and oldest == 22)
                        or (old and youngest == 60)
                        or (working and youngest == 23)
                        or cohort == "ethnic_minorities"
                    )
                    if fits and rng.random() < shares.get(cohort, 0.0):
                        cohorts |= 1 << bit
                pool.append(channel | cohorts << 2)
            self._pools.append(pool)
        self._not_level_1 = ~sum(4 << COHORTS.index(cohort) for cohort in campaign.level_2_cohorts)

    def draw(self, number: int, level: int, chance: float) -> int:
        """Channel in the low two bits, a bit for each cohort above; some cohorts have nobody at level 1."""
        century = number // 100_000_000 % 10
        age = self._year - (1900 + century // 2 * 100 + number // 1_000_000 % 100)
        pool = self._pools[0 if age <= 22 else 1 if age < 60 else 2]
        contact = pool[int(chance * 4096)]
        return contact if level == 2 else contact & self._not_level_1


def day_of(campaign: Campaign, day: int) -> date:
    """The date of a day counted from the campaign's first."""
    return campaign.first_day + timedelta(days=day)
