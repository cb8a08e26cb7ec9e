"""Two yes-or-no outcomes of the same samples against each other."""

from __future__ import annotations

from scipy import special

from ganaudit.numerics.arguments import whole

__all__ = ["mcnemar"]


def mcnemar(first: int, second: int) -> float:
    """Return the two-sided p-value that two outcomes of the same samples are equally frequent, 0 to 1.

    ``first``: samples with the first outcome alone; ``second``: with the second alone. Samples with both or neither say
    nothing. Exact: of first + second samples as few or fewer on the rarer side by fair coins, doubled, at most 1; 1
    where no sample differs. ValueError for a count below 0.
    Source: McNemar 1947, with the binomial law in place of its approximation.
    """
    fewer, all_ = min(whole(first, "first", 0), whole(second, "second", 0)), first + second
    return min(1.0, 2 * float(special.bdtr(fewer, all_, 0.5))) if all_ else 1.0
