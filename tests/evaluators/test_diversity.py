"""Diversity against plain counting, collapsed generators, equal laws and simulated audits."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.evaluators.diversity import Diversity
from ganaudit.numerics.vendi import vendi_score
from ganaudit.numerics.world import ALONE

KEYS = ["vendi", "duplicate-rate", "near-duplicate-rate"]


class Features:
    """A view that holds the features it is given."""

    null_rule = "a made-up null"
    against = "test"
    classes = ()
    world = ALONE

    def __init__(self, real, fake, null_real=None, null_fake=None):
        names = ("real", "fake", "null-real", "null-fake")
        self.nodes = {f"features/{n}": v for n, v in zip(names, (real, fake, null_real, null_fake), strict=True)}

    def missing(self, node):
        return None if self.nodes[node] is not None else "no reals are left over"

    def __getitem__(self, node):
        assert node in Diversity.spec.needs
        return self.nodes[node]


def drawn(n, d=6, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 1, size=(n, d))).float()


def measured(*sides, seed=0, **options):
    found = Diversity(**options).evaluate(Features(*sides), np.random.default_rng(seed))
    assert [m.key for m in found.measurements] == KEYS
    return {m.key: m for m in found.measurements}, found


@pytest.mark.parametrize("d", [6, 90])
@pytest.mark.parametrize("value", [0.0, 0.7])
def test_a_generator_with_one_image(d, value):
    reals = drawn(60, d)
    found, findings = measured(reals, torch.full((50, d), value), reals, drawn(40, d, 1))
    assert found["vendi"].value == pytest.approx(1, rel=1e-9)
    assert found["duplicate-rate"].value == found["near-duplicate-rate"].value == 1
    assert found["vendi"].interval is None
    assert "all equal in direction" in found["vendi"].interval_reason
    assert found["duplicate-rate"].interval.high == 1
    assert found["duplicate-rate"].interval.low < 1
    assert found["vendi"].null.value == pytest.approx(vendi_score(drawn(40, d, 1)), rel=1e-9)
    (exhibit,) = findings.exhibits
    assert exhibit.indices == [0, 1]
    assert exhibit.captions == ["sample 0, one of 50 copies", "sample 1, one of 50 copies"]
    assert all(
        math.isfinite(y) for curve in findings.details if curve.kind == "curve" for s in curve.series for y in s.y
    )


@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_handful_of_samples_shows_no_scatter(n):
    found, _ = measured(drawn(50), drawn(n, seed=1), drawn(50), drawn(n, seed=2))
    m = found["vendi"]
    assert m.interval is None
    assert f"{n} samples are too few" in m.interval_reason
    assert (m.null.low, m.null.high) == (None, None)
    assert measured(drawn(50), drawn(5, seed=1))[0]["vendi"].interval is not None


def test_samples_that_all_count_the_same_show_no_scatter():
    m = measured(drawn(50), torch.eye(6).repeat(2, 1))[0]["vendi"]
    assert m.value == pytest.approx(6)
    assert m.interval is None
    assert "every one counts the same" in m.interval_reason


def test_the_words_compare_with_the_null():
    real, fake, stand_in = drawn(300, seed=1), drawn(60, seed=2).repeat(5, 1), drawn(300, seed=3)
    fake[:, 0] += 2.0  # fewer directions
    text = measured(real, fake, real, stand_in)[1].details[0].text
    assert "The Vendi score," in text
    assert "is below the" in text
    assert "The share of exact copies, 1 " in text
    assert "is above the" in text
    assert "cannot be told from" in measured(real, drawn(300, seed=4), real, stand_in)[1].details[0].text
    unlike = measured(real, fake, real, stand_in[:150])[1].details[0].text
    assert "that of 150 reals" in unlike
    assert "it grows with n, so these two say nothing of each other" in unlike
    assert "without a null nothing says" in measured(real, fake)[1].details[0].text


def test_reals_that_are_all_one_image_set_the_distance_to_nothing():
    found, _ = measured(torch.ones(30, 4), drawn(30, 4))
    assert found["near-duplicate-rate"].value == 0
    assert measured(torch.ones(30, 4), torch.ones(30, 4))[0]["near-duplicate-rate"].value == 1


def test_copies_are_counted_and_shown_by_their_groups():
    fake = drawn(40)
    fake[[7, 12, 39]] = fake[3].clone()
    fake[20] = fake[19]
    fake[5, 0], fake[6] = 0.0, fake[5]
    fake[6, 0] = -0.0  # the same number
    found, findings = measured(drawn(50, seed=1), fake)
    rows = [tuple(row) for row in (fake + 0.0).tolist()]
    assert found["duplicate-rate"].value == sum(rows.count(row) > 1 for row in rows) / 40 == 8 / 40
    table = next(d for d in findings.details if d.kind == "table")
    assert table.rows == [[4, "3, 7, 12, 39"], [2, "5, 6"], [2, "19, 20"]]
    assert findings.exhibits[0].indices == [3, 7, 5, 6, 19, 20]
    assert findings.exhibits[0].side == "fake"


def test_without_copies_there_is_nothing_to_show():
    _, findings = measured(drawn(50, seed=1), drawn(40))
    assert findings.exhibits == []
    assert not any(d.kind == "table" for d in findings.details)


def test_near_copies_are_no_exact_ones():
    fake, real = drawn(400), drawn(400, seed=1)
    fake[200:] = fake[:200] + 1e-5
    found, _ = measured(real, fake)
    assert found["duplicate-rate"].value == 0
    assert found["near-duplicate-rate"].value == 1
    equal, _ = measured(real, drawn(400, seed=2))
    assert equal["near-duplicate-rate"].value < 0.05


def test_near_copies_are_those_of_plain_counting():
    real, fake = drawn(90, 3), drawn(90, 3, 1)

    def nearest(x):
        apart = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist")
        return apart.fill_diagonal_(math.inf).amin(dim=1)

    threshold = nearest(real).sort().values[math.floor(0.1 * 91) - 1]
    found, findings = measured(real, fake, near=0.1)
    assert found["near-duplicate-rate"].value == float((nearest(fake) <= threshold).double().mean())
    assert any(
        f"within {float(threshold):.4g} of another sample" in d.text for d in findings.details if d.kind == "note"
    )


def test_equal_laws_lie_within_their_nulls_reach():
    found, _ = measured(drawn(500), drawn(300, seed=1), drawn(500), drawn(300, seed=2))
    for key in KEYS:
        value, null = found[key], found[key].null
        assert null.n == 300
        assert value.interval.low <= null.high, key
        assert value.interval.high >= null.low, key
    fewer, _ = measured(drawn(500), drawn(300, seed=1)[:60].repeat(5, 1), drawn(500), drawn(300, seed=2))
    assert fewer["vendi"].interval.high < fewer["vendi"].null.low
    assert fewer["duplicate-rate"].interval.low > fewer["duplicate-rate"].null.high


def test_without_a_null_it_says_why():
    found, findings = measured(drawn(50), drawn(40, seed=1))
    assert all(m.null is None and m.null_reason == "a made-up null" for m in found.values())
    assert [len(d.series) for d in findings.details if d.kind == "curve"] == [1]
    alone, _ = measured(drawn(50), drawn(40, seed=1), drawn(50), drawn(1))
    assert all("needs 2 reals on each side" in m.null_reason for m in alone.values())


def test_larger_sets_are_drawn_down_and_say_so():
    real, fake = drawn(300, 90), drawn(200, 90, 1)
    found, _ = measured(real, fake, most=80, most_for_vendi=70)
    assert {m.key: m.n for m in found.values()} == {"vendi": 70, "duplicate-rate": 200, "near-duplicate-rate": 80}
    assert found["vendi"].value < measured(real, fake)[0]["vendi"].value
    # Samples beyond their features cost nothing more: all are taken.
    assert measured(real, fake, most_for_vendi=90)[0]["vendi"].n == 200


def test_the_score_by_order_falls_and_passes_through_the_score():
    found, findings = measured(drawn(50), drawn(40, seed=1))
    (curve,) = (d for d in findings.details if d.kind == "curve")
    (series,) = curve.series
    assert series.y == sorted(series.y, reverse=True)
    assert series.y[series.x.index(1.0)] == pytest.approx(found["vendi"].value, rel=1e-12)


@pytest.mark.parametrize("kinds", [40, 400, 20_000])
def test_the_interval_of_exact_copies_holds_their_expected_share(kinds):
    # A generator that knows ``kinds`` images, all as likely: a sample is alone with probability (1 - 1/kinds)^(n - 1).
    n, rng, inside = 200, np.random.default_rng(kinds), 0
    truth = 1 - (1 - 1 / kinds) ** (n - 1)
    images = torch.from_numpy(rng.normal(size=(kinds, 2)))
    for _ in range(100):
        fake = images[torch.from_numpy(rng.integers(0, kinds, n))]
        bounds = measured(images[:4], fake)[0]["duplicate-rate"].interval
        inside += bounds.low <= truth <= bounds.high
    # Fewer hold once in ten thousand tests where 92 % of all do; pairs are the fewest independent chances there are.
    assert inside >= stats.binom.ppf(1e-4, 100, 0.92), inside


@pytest.mark.parametrize("options", [{"near": 0.0}, {"near": 1.0}, {"most": 1}, {"most_for_vendi": 1}])
def test_impossible_options_are_refused(options):
    name, value = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{name}: found {value}; allowed: "):
        Diversity(**options)
