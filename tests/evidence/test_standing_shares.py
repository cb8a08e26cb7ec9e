"""What chance makes of shares when the training set is a draw as well, by simulated audits of perfect generators."""

import numpy as np
import pytest
from scipy import stats

from ganaudit.evidence.attributes import Reading
from ganaudit.evidence.standing_shares import standing
from ganaudit.numerics.class_shares import Confusion

UNIFORM = np.full(25, 1 / 25)
SKEWED = np.arange(1, 26) / np.arange(1, 26).sum()
AUDITS = 200


def reading(fake, train, confusion=None):
    """A class read off ``fake``, held against the labels of a training set."""
    k = len(train)
    found = np.repeat(np.arange(k), fake)
    rows = np.arange(len(found))
    names = tuple(f"c{i}" for i in range(k))
    return Reading(
        "class", names, "an oracle", found, rows, found, rows, confusion, None, np.asarray(train), "train reals", True,
        found, "reals", None,
    )  # fmt: skip


def audits(law, train=1000, fake=1200, confusion=None):
    said = law if confusion is None else confusion.matrix @ law
    for seed in range(AUDITS):
        rng = np.random.default_rng(seed)
        made = reading(rng.multinomial(fake, said), rng.multinomial(train, law), confusion)
        yield standing(made, rng)


def most(rate, trials=AUDITS):
    """The most false alarms of so many that a rate gives but once in a thousand."""
    return stats.binom.ppf(0.999, trials, rate)


@pytest.mark.parametrize("law", [UNIFORM, SKEWED])
def test_two_draws_of_one_law_raise_no_more_alarms_than_the_level(law):
    stands = list(audits(law))
    chances = [one.discrepancy_chance for one in stands]
    assert sum(chance.p_value <= 0.05 for chance in chances) <= most(0.05)
    assert sum(chance.p_value <= 0.5 for chance in chances) >= stats.binom.ppf(0.001, AUDITS, 0.5), "nor far too few"
    # The mean of the null is that of the audits; a null with fixed train shares has 0.061 instead of 0.083.
    values = np.array([one.discrepancy for one in stands])
    error = values.std() / np.sqrt(AUDITS)
    assert np.mean([chance.mean for chance in chances]) == pytest.approx(values.mean(), abs=4 * error)


@pytest.mark.parametrize("law", [UNIFORM, SKEWED])
def test_a_perfect_generator_is_not_called_unfair_beyond_its_law(law):
    stands = list(audits(law))
    chances = [one.fairness_chance for one in stands]
    assert sum(chance.p_value <= 0.05 for chance in chances) <= most(0.05)
    values = np.array([np.linalg.norm(one.shares.values - 1 / 25) for one in stands])
    # A law that is uniform to the last digit is further than that from what a draw of it lets tell.
    assert values.mean() * 0.95 <= np.mean([chance.mean for chance in chances]) <= values.mean() * 1.25


def test_modes_of_a_perfect_generator_are_beyond_chance_in_no_more_audits_than_the_level():
    rare = np.r_[np.full(20, 0.0485), np.full(10, 0.003)]
    stands = list(audits(rare, train=500, fake=400))
    assert np.mean([len(one.missing(0.1)[0]) > 0 for one in stands]) > 0.5, "rare ones are missing by chance"
    assert sum(one.missing(0.1)[1].low > 0 for one in stands) <= most(0.05)


def test_modes_seen_through_errors_are_beyond_chance_in_no_more_audits_than_the_level():
    errs = Confusion(np.eye(5, dtype=np.int64) * 160 + 10)
    stands = list(audits(np.array([0.02, 0.18, 0.2, 0.3, 0.3]), train=800, fake=300, confusion=errs))
    assert sum(bool(one.beyond_chance.any()) for one in stands) <= most(0.05)
    dropped = reading(np.random.default_rng(0).multinomial(1000, errs.matrix @ [0, 0.25, 0.25, 0.25, 0.25]),
                      [200] * 5, errs)  # fmt: skip
    one = standing(dropped, np.random.default_rng(1))
    assert one.beyond_chance.tolist() == [True, False, False, False, False]


def test_none_of_a_thousand_where_forty_are_expected_is_beyond_chance_and_none_where_two_are_is_not():
    fake = np.r_[0, 0, np.full(24, 41)]
    train = np.r_[400, 20, np.full(24, 400)]
    one = standing(reading(fake, train), np.random.default_rng(0))
    found, bounds = one.missing(0.1)
    assert found == [0, 1]
    assert bounds.low == 1
    assert one.beyond_chance[0]
    assert not one.beyond_chance[1]
