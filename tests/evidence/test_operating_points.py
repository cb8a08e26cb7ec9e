"""Operating points along the ROC curve against shares counted one by one."""

import numpy as np
import pytest
import torch

from ganaudit.evidence.score_sides import ScoreSides
from ganaudit.evidence.score_thresholds import operating_points
from ganaudit.numerics.thresholds import thresholds


def drawn(seed, real, fake, calibration, digits=None):
    rng = np.random.default_rng(seed)
    laws = ((real, 1.0), (fake, -1.0), (calibration, 1.0))
    scores = [rng.standard_normal(n) + mean for n, mean in laws]
    if digits is not None:
        scores = [values.round(digits) for values in scores]
    return ScoreSides(*map(torch.from_numpy, scores), rng)


@pytest.mark.parametrize("digits", [None, 1, 0], ids=["untied", "tied", "heavily tied"])
def test_every_row_is_what_counting_gives(digits):
    sides = drawn(0, 300, 400, 200, digits)
    marked = thresholds(sides.calibration, [0.05], 0.95)
    table = operating_points(sides, marked)
    real, fake = sides.real.tolist(), sides.fake.tolist()
    values = [row[0] for row in table.rows]
    assert values == sorted(set(values))
    for value, fpr, tpr, precision, _ in table.rows:
        wrong, caught = (sum(score < value for score in scores) for scores in (real, fake))
        assert (fpr, tpr) == (wrong / 300, caught / 400)
        # As many generated samples as reals: each real weighs as much as 300/400 of a generated sample.
        expected = caught * 300 / (caught * 300 + wrong * 400) if caught or wrong else None
        assert precision == (None if expected is None else pytest.approx(expected, rel=1e-15))


def test_thresholds_of_both_kinds_lie_in_the_table_and_the_slider_starts_at_the_first():
    sides = drawn(1, 300, 400, 200)
    conformal, pac = thresholds(sides.calibration, [0.05], 0.95)
    table = operating_points(sides, (conformal, pac))
    marks = {row[4]: row[0] for row in table.rows if row[4]}
    assert marks == {"conformal: 0.05 on average": conformal.value, "PAC: 0.05 in 95% of draws": pac.value}
    assert table.rows[table.slider.start][0] == conformal.value
    assert table.columns[table.slider.marks] == "what lies here"


def test_the_strict_end_is_there_and_no_step_is_large():
    sides = drawn(2, 3000, 4000, 200)
    rows = operating_points(sides, ()).rows
    scores = torch.cat([sides.real, sides.fake]).tolist()
    real = sides.real.numpy()
    for rate in (0.001, 0.01, 0.05, 0.1):
        highest = max(score for score in scores if (real < score).mean() <= rate)
        assert highest in [row[0] for row in rows]
    sums = [row[1] + row[2] for row in rows]
    # Steps of 2/39 between vertices that lie 1/3000 or 1/4000 apart; the curve ends at 2 beyond the last score.
    assert max(np.diff([0.0, *sums, 2.0])) <= 2 / 39 + 2 / 3000
    assert len(rows) <= 44


def test_one_score_for_all_is_one_point_and_too_few_reals_leave_no_mark():
    flat = ScoreSides(torch.zeros(9), torch.zeros(7), torch.zeros(5), np.random.default_rng(0))
    table = operating_points(flat, thresholds(flat.calibration, [0.05], 0.95))
    assert table.rows == [[0.0, 0.0, 0.0, None, ""]]
    assert table.slider.start == 0


def test_marks_on_one_score_share_a_row():
    # Ranks 120 and 105 of 400 lie among the scores of 0.
    calibration = torch.cat([torch.full((10,), -1.0), torch.zeros(190), torch.ones(200)])
    sides = ScoreSides(calibration[::8], calibration[::8] - 1, calibration, np.random.default_rng(0))
    conformal, pac = thresholds(sides.calibration, [0.3], 0.95)
    assert (conformal.rank, conformal.value, pac.rank, pac.value) == (120, 0.0, 105, 0.0)
    (label,) = [row[4] for row in operating_points(sides, (conformal, pac)).rows if row[4]]
    assert label == "conformal: 0.3 on average; PAC: 0.3 in 95% of draws"
