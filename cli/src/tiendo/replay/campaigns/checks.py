"""Figures that don't add up are refused."""

from collections.abc import Mapping

from tiendo.replay.campaigns.campaign import INDICATORS, Count, Figure, Target, cut_percent
from tiendo.replay.campaigns.table import Table


def check_counts(root: Table, counts: Mapping[str, Count], baseline: Mapping[str, Count]) -> None:
    """No count rises down the ladder, and none is below its baseline. Raises CampaignFileError."""
    remedy = "Nobody is activated without approval or approved without a dossier: correct the counts."
    for which, part in (("counts", counts), ("baseline", baseline)):
        for level in (1, 2):
            ladder = [part[indicator].at(level) for indicator in INDICATORS]
            if not ladder[0] >= ladder[1] >= ladder[2]:
                raise root.error(
                    f"{which} at level {level}",
                    f"{ladder} (intake, approved, activated) must not rise",
                    remedy,
                )
    for indicator in INDICATORS:
        if baseline[indicator].total > counts[indicator].total:
            raise root.error(
                f"assumptions.baseline.{indicator}",
                f"{baseline[indicator].total} is more than the {counts[indicator].total} at the end",
                "A baseline can't exceed what it grew into.",
            )
        if baseline[indicator].level_2 > counts[indicator].level_2:
            raise root.error(
                f"assumptions.baseline.{indicator}.level_2",
                "is more than level 2 has at the end",
                "Nobody goes from level 2 back to level 1.",
            )


def check_figures(
    root: Table,
    figures: list[Figure],
    counts: Mapping[str, Count],
    baseline: Mapping[str, Count],
    targets: list[Target],
    eligible: int,
) -> None:
    """Every published figure comes out of the counts. Raises CampaignFileError."""
    for figure in figures:
        key = f"facts.figures ({figure.id})"
        value = counts[figure.indicator].total
        if figure.value not in (None, value):
            raise root.error(
                key,
                f"{figure.value} differs from another figure of its indicator",
                "One count, one value.",
            )
        denominator = _denominator(figure, counts, targets, eligible)
        if denominator is None:
            raise root.error(
                key, f"is over {figure.over}, and there is no such target", "Give or assume the target."
            )
        if figure.denominator is not None and figure.denominator != denominator:
            raise root.error(
                key,
                f"published over {figure.denominator}, but {figure.over} is {denominator}",
                "Make them one number.",
            )
        percent = cut_percent(value, denominator, figure.decimals)
        if percent != figure.percent:
            raise root.error(
                key,
                f"{value} of {denominator} is {percent}%, not the published {figure.percent}%",
                "Correct the denominator's assumption, or move the figure to facts.claims with a reason.",
            )
        if figure.since_baseline is not None:
            grown = value - baseline[figure.indicator].total
            if grown != figure.since_baseline:
                raise root.error(key, f"grew by {grown}", f"{figure.since_baseline} was published.")


def _denominator(
    figure: Figure, counts: Mapping[str, Count], targets: list[Target], eligible: int
) -> int | None:
    """What a figure is a percentage of; None when that is a target that isn't there."""
    if figure.over == "eligible":
        return eligible
    if figure.over == "target":
        return next((t.value for t in targets if t.indicator == figure.indicator and t.whole), None)
    return counts[figure.over].total
