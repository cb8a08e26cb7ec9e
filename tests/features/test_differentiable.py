"""Extractors that let gradients through give the same features, and slopes that finite differences confirm."""

import numpy as np
import pytest
import torch

from ganaudit.features.digits_cnn import DigitsCnn
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.random_conv import RandomConv


@pytest.mark.parametrize(("build", "shape"), [(DigitsCnn, (1, 16, 16)), (DigitsCnn, (1, 24, 24)),
                                              (RandomConv, (3, 12, 12)), (RandomConv, (1, 80, 72))])  # fmt: skip
def test_features_with_gradients_are_the_features(build, shape):
    extractor = build(ExtractorOptions(shape))
    levels = torch.from_numpy(np.random.default_rng(0).integers(40, 215, (2, *shape), dtype=np.uint8))
    given = levels.float().requires_grad_(True)
    found = extractor.differentiable(given)
    assert torch.equal(found.detach().cpu(), extractor.extract(levels).features)
    weights = torch.from_numpy(np.random.default_rng(1).standard_normal(found.shape)).float()
    (slope,) = torch.autograd.grad((found * weights).sum(), given)
    # Along the slope, where a difference stands out most of float32's rounding.
    step = slope / slope.norm()
    ahead, behind = (extractor.differentiable(levels + h * step).double() for h in (0.5, -0.5))
    assert float(((ahead - behind) * weights).sum()) == pytest.approx(float(slope.norm()), rel=0.03)
