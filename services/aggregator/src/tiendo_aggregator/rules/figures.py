"""How a ratio is printed."""


def cut_percent(numerator: int, denominator: int, decimals: int) -> str | None:
    """A percentage cut, not rounded, after `decimals` decimals; null when there is nothing to divide by.

    Why cut: the provinces' published reports cut. Bình Phước, 2023-09-20: 607,583 of 859,549 is 70.686… %
    and was printed 70.68; 328,660 of 502,775 is 65.369… % and was printed 65.36. A cut figure also never
    says 100 while somebody is missing. Integers only: no binary fraction stands between count and print.
    """
    if denominator <= 0:
        return None
    scale = 10**decimals
    whole, part = divmod(abs(numerator) * 100 * scale // denominator, scale)
    sign = "-" if numerator < 0 and (whole or part) else ""
    return f"{sign}{whole}" + (f".{part:0{decimals}d}" if decimals else "")
