"""Units against numbers worked out elsewhere (K24), exponents against exact power laws."""

import numpy as np
import pytest

from ganaudit.numerics.costs import grams_of_carbon, growth_exponent, kilowatt_hours


def test_energy_of_a_gpu_for_ten_minutes() -> None:
    kwh = kilowatt_hours(700, 600)
    assert kwh == pytest.approx(0.116667, abs=5e-7)
    assert grams_of_carbon(kwh, 400) == pytest.approx(46.67, abs=5e-3)
    assert grams_of_carbon(kwh, 400, 1.5) == pytest.approx(70.0, abs=1e-9)


@pytest.mark.parametrize("bad", [(-1, 1), (1, -1), (float("nan"), 1), (1, float("inf"))])
def test_energy_refuses_what_is_none(bad: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="found"):
        kilowatt_hours(*bad)
    with pytest.raises(ValueError, match="found"):
        grams_of_carbon(*bad)


def test_an_overhead_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="overhead"):
        grams_of_carbon(1.0, 400, 0.5)


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, -0.5])
def test_growth_of_a_power_law_is_its_power(power: float) -> None:
    factors = [1.0, 2.0, 4.0, 5.0]
    assert growth_exponent(factors, [7.0 * f**power for f in factors]) == pytest.approx(power, abs=1e-12)


def test_growth_is_the_slope_that_numpy_fits() -> None:
    rng = np.random.default_rng(0)
    factors, costs = np.array([1.0, 2.0, 3.0, 7.0]), rng.uniform(1, 9, 4)
    assert growth_exponent(factors, costs) == pytest.approx(np.polyfit(np.log(factors), np.log(costs), 1)[0])


@pytest.mark.parametrize(("factors", "costs"), [([1], [1]), ([1, 1], [1, 2]), ([1, 2], [1]), ([1, 2], [0, 1])])
def test_growth_refuses_what_has_no_slope(factors: list[float], costs: list[float]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        growth_exponent(factors, costs)
