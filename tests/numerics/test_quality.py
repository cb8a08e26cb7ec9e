"""Measures of one sample's quality, against SciPy's filters and closed forms."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from ganaudit.numerics.quality import contrast, flatness, level, sharpness


def images(channels, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (5, channels, 7, 9))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_against_scipy(channels):
    x = images(channels)
    weights = [0.299, 0.587, 0.114] if channels == 3 else [1 / channels] * channels
    grey = np.tensordot((x + 1) / 2, weights, axes=(1, 0))
    laplacians = [ndimage.laplace(one, mode="nearest").var() for one in grey]
    np.testing.assert_allclose(sharpness(torch.from_numpy(x), -1, 1), laplacians, rtol=1e-10)
    np.testing.assert_allclose(contrast(torch.from_numpy(x), -1, 1), [one.std() for one in grey], rtol=1e-10)


def test_the_range_changes_nothing_and_blur_takes_sharpness():
    x = torch.from_numpy(images(1))
    torch.testing.assert_close(sharpness(x, -1, 1), sharpness((x + 1) * 127.5, 0, 255))
    blurred = torch.from_numpy(ndimage.gaussian_filter(x.numpy(), (0, 0, 1, 1)))
    assert (sharpness(blurred, -1, 1) < sharpness(x, -1, 1)).all()
    flat = torch.full((2, 3, 4, 4), 0.3)
    assert sharpness(flat, 0, 1).max() < 1e-20
    assert contrast(flat, 0, 1).max() < 1e-10


def test_waveforms():
    t = torch.arange(4096) / 4096
    tone = (0.5 * torch.sin(2 * torch.pi * 64 * t))[None, None]
    # A sine of amplitude a has the root mean square a/sqrt(2).
    assert float(level(tone, -1, 1)) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=1e-6)
    assert float(level(tone / 2, -1, 1)) - float(level(tone, -1, 1)) == pytest.approx(-20 * np.log10(2), abs=1e-6)
    assert float(flatness(tone, -1, 1)) < 1e-4
    noise = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 1, 2**16)))
    # The periodogram of white noise is exponential: exp(E log) / E = exp(-Euler's constant).
    assert float(flatness(noise, -1, 1)) == pytest.approx(np.exp(-np.euler_gamma), abs=0.02)
    silence = torch.zeros(1, 2, 64)
    assert float(level(silence, -1, 1)) == pytest.approx(-120)
    assert float(flatness(silence, -1, 1)) == pytest.approx(1)


def test_what_is_no_sample_is_refused():
    with pytest.raises(ValueError, match=r"\(B, C, H, W\)"):
        sharpness(torch.zeros(2, 1, 8), 0, 1)
    with pytest.raises(ValueError, match=r"\(B, C, T\)"):
        level(torch.zeros(2, 1, 8, 8), 0, 1)
    with pytest.raises(ValueError, match="range"):
        contrast(torch.zeros(2, 1, 8, 8), 1, 1)
