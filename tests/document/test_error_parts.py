"""Errors by groups of samples: what two audits share is found, and nothing is found where nothing is comparable."""

import math

import pytest
from pydantic import ValidationError

from ganaudit.document.error_parts import ErrorParts, pairing


def parts(scheme: str = "s", **sides: list[float]) -> ErrorParts:
    return ErrorParts.of(scheme, sides)


def test_equal_errors_cancel_where_they_are_shared():
    one = parts(real=[3.0, -3.0], fake=[4.0, -4.0])
    whole = pairing(one, one, {"real", "fake"})
    assert whole is not None
    assert (whole.correlation, whole.variance) == (pytest.approx(1.0), 0.0)
    half = pairing(one, one, {"real"})
    assert half is not None
    # 18 of 50 is shared; the rest counts twice, once for each audit.
    assert (half.correlation, half.variance) == (pytest.approx(18 / 50), pytest.approx(2 * 32))


def test_errors_that_go_against_each_other_widen_the_difference():
    found = pairing(parts(both=[1.0, -2.0]), parts(both=[-1.0, 2.0]), {"both"})
    assert found is not None
    assert found.correlation == pytest.approx(-1.0)
    assert found.variance == pytest.approx(4 * 5)


def test_the_variance_is_that_of_a_difference_of_correlated_numbers():
    x, y = [0.3, -1.2, 0.4, 0.5], [1.0, -0.2, -0.9, 0.1]
    found = pairing(parts(both=x), parts(both=y), {"both"})
    assert found is not None
    a, b = (math.sqrt(sum(v * v for v in side)) for side in (x, y))
    assert found.variance == pytest.approx(a * a + b * b - 2 * found.correlation * a * b)


@pytest.mark.parametrize("unit", [1e-200, 1e200])
def test_the_correlation_has_no_unit(unit):
    found = pairing(parts(both=[unit, -2 * unit]), parts(both=[2.0, 1.0]), {"both"})
    assert found is not None
    assert found.correlation == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("other", "shared"),
    [
        (parts(both=[1.0, 2.0]), {"real"}),  # nothing is shared
        (parts(both=[1.0, 2.0]), set()),
        (parts("other groups", both=[1.0, 2.0]), {"both"}),
        (parts(both=[1.0, 2.0, 3.0]), {"both"}),
        (parts(both=[0.0, 0.0]), {"both"}),
        (parts(real=[1.0], fake=[2.0]), {"both", "real"}),
    ],
)
def test_what_cannot_be_paired_is_not(other, shared):
    assert pairing(parts(both=[1.0, 2.0]), other, shared) is None


def test_parts_are_short_and_few():
    assert parts(real=[1 / 3]).parts["real"] == [0.333333]
    with pytest.raises(ValidationError, match="at most 200"):
        parts(real=[0.1] * 201)
    with pytest.raises(ValidationError, match="of real, fake and both"):
        parts(latents=[0.1])
    with pytest.raises(ValidationError):
        parts(real=[math.nan])
