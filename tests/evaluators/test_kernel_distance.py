"""The kernel distance as an auditor meets it: its test, its null, its kernels and its limits."""

import warnings

import numpy as np
import pytest
import torch

from ganaudit.document.spec import NotAssessable
from ganaudit.evaluators.kernel_distance import KernelDistance
from ganaudit.numerics.kernel import kernel_distance
from ganaudit.numerics.kernels import Gaussian
from tests.evaluators.made_up import MadeUp, by_key, sampled
from tests.numerics.worlds import in_world


def evaluated(view, **options):
    return KernelDistance(**options).evaluate(view, np.random.default_rng(0))


def view(n=60, d=4, shift=0.0, null=True):
    nulls = {"null_real": sampled(n // 2, d, 2), "null_fake": sampled(n // 2, d, 3)} if null else {}
    return MadeUp(real=sampled(n, d, 0), fake=sampled(n, d, 1, shift), **nulls)


def test_what_differs_has_a_small_p_value_and_an_interval_above_zero():
    found = evaluated(view(shift=1.0))
    measured = by_key(found)
    assert list(measured) == ["kd", "p-value"]
    assert measured["kd"].interval.low > 0
    assert measured["p-value"].value == 1 / 1000
    assert measured["p-value"].interval.low == 0
    assert measured["p-value"].interval.covers == "the choice of relabellings only"
    assert measured["p-value"].null.value > 0.01
    assert "lies above 0" in found.details[0].text
    histogram = found.details[-1]
    assert sum(histogram.series[0].shares) == pytest.approx(1.0)
    assert histogram.rules[0].at == pytest.approx(measured["kd"].value, rel=1e-9)


def test_what_agrees_holds_zero_about_as_often_as_promised():
    held, rejected = 0, 0
    for seed in range(40):
        pair = MadeUp(real=sampled(50, 4, 2 * seed), fake=sampled(50, 4, 2 * seed + 1))
        measured = by_key(evaluated(pair, permutations=99))
        held += measured["kd"].interval.low <= 0 <= measured["kd"].interval.high
        rejected += measured["p-value"].value <= 0.05
    # Binomial bounds of 1 in 10,000 at 92 % and at 5 %.
    assert held >= 29
    assert rejected <= 9


def test_the_gaussian_kernel_names_its_bandwidth_and_what_cmmd_would_print():
    made = view()
    found = evaluated(made, kernel="rbf", bandwidth=10.0, unit_length=True, permutations=19)
    kernel = Gaussian(10.0, unit_length=True)
    expected = kernel_distance(made["features/real"], made["features/fake"], kernel)
    assert by_key(found)["kd"].value == pytest.approx(expected.value, rel=1e-9)
    assert found.conventions == {"bandwidth": 10.0}
    text = found.details[1].text
    assert "bandwidth 10 on features of unit length" in text
    assert f"1000 times the biased estimate: {1000 * expected.biased:.5g}" in text
    by_median = evaluated(made, kernel="rbf", permutations=19)
    distances = torch.pdist(made["features/real"])
    assert by_median.conventions["bandwidth"] == pytest.approx(float(distances.median()))


def test_all_reals_alike_have_no_median_bandwidth():
    alike = MadeUp(real=torch.ones(20, 3), fake=sampled(20, 3, 4))
    with pytest.raises(NotAssessable, match=r"no median bandwidth here: .*copies"):
        evaluated(alike, kernel="rbf")
    assert by_key(evaluated(alike, kernel="rbf", bandwidth=1.0))["kd"].value > 0


@pytest.mark.parametrize("kernel", ["polynomial", "rbf"])
def test_constant_features_have_limits_and_no_warning(kernel):
    ones = torch.ones(30, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = by_key(evaluated(MadeUp(real=ones, fake=ones), kernel=kernel, bandwidth=1.0))
        apart = by_key(evaluated(MadeUp(real=ones, fake=0 * ones), kernel=kernel, bandwidth=1.0))
    assert same["kd"].value == 0
    assert (same["kd"].interval.low, same["kd"].interval.high) == (0, 0)
    assert same["p-value"].value == 1
    assert apart["kd"].value > 0
    assert apart["p-value"].value == 1 / 1000


def test_too_few_for_a_null_or_a_test_say_so():
    made = MadeUp(real=sampled(9, 3, 5), fake=sampled(9, 3, 6), null_real=sampled(3, 3, 7), null_fake=sampled(3, 3, 8))
    found = by_key(evaluated(made, permutations=0))
    assert found["kd"].null is None
    assert "fewer than 4 reals" in found["kd"].null_reason
    assert found["p-value"].value is None
    assert "no test was asked for" in found["p-value"].reason


def test_large_sides_are_drawn_down_for_the_test_alone():
    found = by_key(evaluated(view(80, shift=1.0), most_permuted=30, permutations=49))
    assert found["kd"].sizes == {"real": 80, "fake": 80}
    assert found["p-value"].sizes == {"real": 30, "fake": 30}
    assert found["p-value"].value == 1 / 50


def test_subsets_have_a_test_and_no_interval():
    made = view(90, shift=0.4)
    found = by_key(evaluated(made, estimator="subsets", subset_size=50, subsets=30, permutations=49))
    full = by_key(evaluated(made, permutations=49))
    assert found["kd"].interval is None
    assert "overlap" in found["kd"].interval_reason
    assert full["kd"].interval.low < found["kd"].value < full["kd"].interval.high
    assert found["kd"].null is None
    assert "fewer than 50 reals" in found["kd"].null_reason
    assert found["p-value"].value == 1 / 50


def test_processes_that_share_the_work_find_the_same():
    made = view()
    alone = evaluated(made, permutations=19)

    def work(world):
        shared = view()
        shared.world = world
        return evaluated(shared, permutations=19)

    for found in in_world(2, work):
        for one, other in zip(found.measurements, alone.measurements, strict=True):
            assert one.value == pytest.approx(other.value, rel=1e-9)
            assert one.interval.high == pytest.approx(other.interval.high, rel=1e-9)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"subsets": 1}, "subsets: found 1; allowed: 2 or more"),
        ({"permutations": -1}, "permutations: found -1; allowed: 0 or more"),
        ({"bandwidth": 0.0}, "bandwidth: found 0.0; allowed: above 0"),
        ({"unit_length": True}, "allowed: with kernel = 'rbf'"),
    ],
)
def test_bad_options_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        KernelDistance(**options)
