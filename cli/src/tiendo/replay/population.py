"""How many citizens of each commune stand where at the end, and where each of them stood before day one.

Everything sums to the campaign's counts exactly, whatever the seed: the seed decides only who stands out.
"""

from dataclasses import dataclass
from random import Random

from tiendo.replay.campaigns.campaign import Campaign, Count
from tiendo.replay.campaigns.table import CampaignFileError
from tiendo.replay.spread import saturating

TAKEN, APPROVED, ACTIVATED = range(3)
CELLS = 6  # level 1 taken, approved, activated; level 2 taken, approved, activated
NEW = 0  # an origin: not yet there before day one; origin 1 + cell: in that cell before day one


def cell(level: int, status: int) -> int:
    """The index of a level (1, 2) and a status."""
    return (level - 1) * 3 + status


@dataclass(frozen=True, slots=True)
class Population:
    """Citizens by commune (in the campaign's order) and final cell; and the origins of each final cell."""

    by_commune: list[list[int]]
    origins: list[list[int]]  # [final cell][origin] -> citizens


def populate(campaign: Campaign, rng: Random) -> Population:
    """Spread the campaign's counts over its communes, the met ones best and the low ones last.

    Raises CampaignFileError when the counts don't fit into each other.
    """
    try:
        return Population(_final_cells(campaign, rng), _origins(campaign))
    except ValueError as error:
        raise CampaignFileError(
            campaign.file,
            "counts",
            f"can't be spread over the communes ({error})",
            "Check them against eligible.",
        ) from error


def _final_cells(campaign: Campaign, rng: Random) -> list[list[int]]:
    intakes = _intakes(campaign, rng)
    counts = campaign.counts
    level_1 = saturating(
        counts["intake"].level_1, intakes, _willing(campaign, rng, 0.6, (0.8, 1.25), (1.5, 1.8))
    )
    taken = {1: level_1, 2: [n - one for n, one in zip(intakes, level_1, strict=True)]}
    cells = [[0] * CELLS for _ in intakes]
    approving = _willing(campaign, rng, 4.0, (0.75, 1.4), (0.35, 0.45))
    activating = _willing(campaign, rng, 4.0, (0.75, 1.4), (0.35, 0.45))
    for level in (1, 2):
        approved = saturating(counts["approved"].at(level), taken[level], approving)
        activated = saturating(counts["activated"].at(level), approved, activating)
        for commune, ladder in zip(cells, zip(taken[level], approved, activated, strict=True), strict=True):
            commune[cell(level, TAKEN)] = ladder[0] - ladder[1]
            commune[cell(level, APPROVED)] = ladder[1] - ladder[2]
            commune[cell(level, ACTIVATED)] = ladder[2]
    return cells


def _intakes(campaign: Campaign, rng: Random) -> list[int]:
    """Intakes by commune. Who met the target is over it; where that is news, nobody else gets there."""
    total = campaign.counts["intake"].total
    targets = campaign.commune_targets("intake")
    fixed: dict[str, int] = {}
    capacities = [int(n * 0.985) for n in campaign.eligible.values()]
    if campaign.met:
        if targets is None:
            raise ValueError("communes are said to have met an intake target, and there is none")
        fixed = {code: int(targets[code] * (1.003 + 0.012 * rng.random())) + 1 for code in campaign.met}
        capacities = [0 if code in fixed else int(targets[code] * 0.97) for code in campaign.eligible]
    others = saturating(
        total - sum(fixed.values()), capacities, _willing(campaign, rng, 0.0, (0.75, 1.4), (0.35, 0.45))
    )
    return [fixed.get(code, n) for code, n in zip(campaign.eligible, others, strict=True)]


def _willing(
    campaign: Campaign, rng: Random, met: float, others: tuple[float, float], low: tuple[float, float]
) -> list[float]:
    """One willingness per commune: of the met, of the low and of those between."""
    return [
        met if code in campaign.met else rng.uniform(*(low if code in campaign.low else others))
        for code in campaign.eligible
    ]


def _origins(campaign: Campaign) -> list[list[int]]:
    """Who stood where before day one, by where they stand at the end: nobody falls back a level or a step.

    The most constrained go first, so that they find their places.
    """
    left = [0] * CELLS
    baseline = [0] * CELLS
    for part, cells in ((campaign.counts, left), (campaign.baseline, baseline)):
        for level in (1, 2):
            ladder = [part[indicator].at(level) for indicator in ("intake", "approved", "activated")]
            for status, n in enumerate((ladder[0] - ladder[1], ladder[1] - ladder[2], ladder[2])):
                cells[cell(level, status)] = n
    origins = [[0] * (1 + CELLS) for _ in range(CELLS)]
    upgrades = campaign.simulation.baseline_upgrades
    for status in (ACTIVATED, APPROVED, TAKEN):
        for level in (2, 1):
            before = cell(level, status)
            up = round(baseline[before] * upgrades) if level == 1 else 0
            for at_end, n in ((2, up), (level, baseline[before] - up)):
                finals = [cell(at_end, s) for s in range(status, ACTIVATED + 1)]
                for final, share in zip(
                    finals, saturating(n, [left[f] for f in finals], [1.0] * len(finals)), strict=True
                ):
                    origins[final][1 + before] += share
                    left[final] -= share
    for final, n in enumerate(left):
        origins[final][NEW] = n
    return origins


def counted(cells: list[int]) -> dict[str, Count]:
    """Cumulative counts of a list of cells: whoever is activated is approved, and taken."""
    found = {}
    for indicator, lowest in (("intake", TAKEN), ("approved", APPROVED), ("activated", ACTIVATED)):
        one, two = (sum(cells[cell(level, s)] for s in range(lowest, 3)) for level in (1, 2))
        found[indicator] = Count(one, two)
    return found
