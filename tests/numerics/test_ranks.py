"""Pooled scores against scikit-learn's isotonic regression and the hull of the ROC curve."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from sklearn.isotonic import IsotonicRegression

from ganaudit.numerics.detection import roc
from ganaudit.numerics.ranks import pooled, written

scores = st.lists(st.integers(0, 9).map(float), min_size=1, max_size=15).map(torch.tensor)


@settings(max_examples=60, deadline=None)
@given(real=scores, fake=scores)
def test_blocks_are_the_isotonic_regression(real, fake):
    blocks = pooled(real, fake)
    both = torch.cat([real, fake]).numpy()
    labels = np.concatenate([np.ones(len(real)), np.zeros(len(fake))])
    fitted = IsotonicRegression().fit(both, labels).predict(both)
    at = np.searchsorted(blocks.lowest.numpy(), both, side="right") - 1
    shares = (blocks.reals / (blocks.reals + blocks.fakes)).numpy()
    np.testing.assert_allclose(shares[at], fitted, atol=1e-6)
    assert int(blocks.reals.sum()) == len(real)
    assert int(blocks.fakes.sum()) == len(fake)


def test_block_ends_are_the_hull_of_the_roc_curve():
    rng = np.random.default_rng(0)
    real, fake = torch.from_numpy(rng.normal(1, 1, 200)), torch.from_numpy(rng.normal(0, 2, 150))
    blocks, curve = pooled(real, fake), roc(real, fake)
    points = np.concatenate([torch.stack([curve.fpr, curve.tpr], 1).numpy(), [[1.0, 0.0]]])
    hull = points[ConvexHull(points).vertices]
    hull = hull[hull[:, 1] > 0]
    ours = torch.stack([blocks.reals.cumsum(0) / 200, blocks.fakes.cumsum(0) / 150], 1).numpy()
    for x, y in hull:
        assert np.isclose(ours, [x, y], atol=1e-6).all(axis=1).any()


def test_shares_are_read_as_written():
    assert written(0.29, "alpha") * 100 == 29
    with pytest.raises(ValueError, match="alpha: found 0"):
        written(0.0, "alpha")
    with pytest.raises(ValueError, match="real: found NaN"):
        pooled(torch.tensor([np.nan]), torch.tensor([1.0]))
