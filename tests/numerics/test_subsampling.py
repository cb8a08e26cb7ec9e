import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.neighbours import neighbourhood
from ganaudit.numerics.subsampling import subsampled_errors


def test_the_error_of_a_difference_of_means_is_the_textbook_one():
    rng = np.random.default_rng(0)
    real, fake = torch.from_numpy(rng.standard_normal((4000, 1))), torch.from_numpy(2 * rng.standard_normal((4000, 1)))
    found = subsampled_errors(lambda r, f: (r.mean() - f.mean()).reshape(1), real, fake, rng, draws=2000)
    assert float(found) == pytest.approx(math.sqrt(1 / 4000 + 4 / 4000), rel=4 / math.sqrt(2 * 2000) + 0.03)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (800, 400)])
def test_the_errors_of_neighbour_shares_are_those_of_redrawing_both_sides(n, m):
    rng = np.random.default_rng(n)

    def shares(real, fake):
        found = neighbourhood(real, fake, 5)
        return torch.tensor([found.precision, found.recall, found.density, found.coverage])

    def draw():
        fake = rng.standard_normal((m, 8)) * 1.2 + 0.3
        return torch.from_numpy(rng.standard_normal((n, 8))), torch.from_numpy(fake)

    redrawn = torch.stack([shares(*draw()) for _ in range(120)]).std(0)
    found = torch.stack([subsampled_errors(shares, *draw(), rng) for _ in range(6)]).mean(0)
    # k neighbours among half the samples reach further, so shares near 1 scatter more over halves than the law of 1/n
    # says: the errors may be too large by half, and are not allowed to be too small by more than their own scatter.
    ratio = found / redrawn
    assert ((ratio > 0.75) & (ratio < 1.75)).all(), (found, redrawn)


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="rows of a side"):
        subsampled_errors(lambda r, f: r.mean(0), torch.ones(3, 1), torch.ones(9, 1), np.random.default_rng(0))
