"""Energy and growth of a cost: the arithmetic, with its units."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ["JOULES_PER_KWH", "grams_of_carbon", "growth_exponent", "kilowatt_hours"]

JOULES_PER_KWH = 3.6e6


def kilowatt_hours(watts: float, seconds: float) -> float:
    """Return the energy of a steady power over a time, in kWh: watts · seconds / 3.6e6.

    Raises ValueError when one of them is below 0 or not finite.
    """
    for name, number in (("watts", watts), ("seconds", seconds)):
        if not 0 <= number < math.inf:
            raise ValueError(f"{name}: found {number}; allowed: 0 or more, finite")
    return watts * seconds / JOULES_PER_KWH


def grams_of_carbon(kwh: float, intensity: float, overhead: float = 1.0) -> float:
    """Return grams of CO2 equivalent: kwh · intensity · overhead.

    ``intensity``: grams per kWh of the grid. ``overhead``: energy of the whole building over that of its machines
    (PUE), 1 or more. Raises ValueError when ``kwh`` or ``intensity`` is below 0, or ``overhead`` below 1.
    """
    if not (0 <= kwh < math.inf and 0 <= intensity < math.inf and 1 <= overhead < math.inf):
        found = f"{kwh} kWh, intensity {intensity}, overhead {overhead}"
        raise ValueError(f"found {found}; allowed: kWh and intensity 0 or more, overhead 1 or more, all finite")
    return kwh * intensity * overhead


def growth_exponent(factors: Sequence[float], costs: Sequence[float]) -> float:
    """Return the p of cost = c · factor^p: the least-squares slope of ln cost on ln factor.

    2 where a cost grows with the area of an image, 1 with its side or with the length of a sound. Raises ValueError
    with fewer than two factors, two alike, lists of two lengths, or a number that is not above 0.
    """
    if len(factors) != len(costs) or len(set(factors)) < max(2, len(factors)):
        raise ValueError(f"found factors {list(factors)}, {len(costs)} costs; allowed: two or more unlike, a cost each")
    if not all(0 < number < math.inf for number in (*factors, *costs)):
        raise ValueError(f"found factors {list(factors)}, costs {list(costs)}; allowed: above 0, finite")
    x, y = np.log(np.asarray(factors, dtype=np.float64)), np.log(np.asarray(costs, dtype=np.float64))
    x -= x.mean()
    return float(x @ (y - y.mean()) / (x @ x))
