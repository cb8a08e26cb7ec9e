"""Each corruption against Pillow, SciPy or a closed form."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from ganaudit.attacks.corruptions import CORRUPTIONS, LEVELS, Corruption, applicable, corrupt
from ganaudit.attacks.critic import Critic
from ganaudit.attacks.spatial import unbounded
from ganaudit.attacks.trial import attempt


def rng():
    return np.random.default_rng(5)


def pictures(n=2, channels=3, height=24, width=20, low=-1.0, high=1.0):
    """Smooth pictures, on whole levels of 256."""
    noise = np.random.default_rng(0).normal(size=(n, channels, height, width))
    smooth = ndimage.gaussian_filter(noise, (0, 0, 2, 2))
    levels = np.round(255 * (smooth - smooth.min()) / (smooth.max() - smooth.min()))
    return torch.from_numpy(low + (high - low) * levels / 255).float()


def tone(hertz, time=1000, level=0.5):
    return level * torch.sin(2 * torch.pi * hertz * torch.arange(time, dtype=torch.float64) / time).view(1, 1, -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("level", LEVELS)
def test_jpeg_is_pillows(channels, level):
    x = pictures(channels=channels)
    found = corrupt(x, "jpeg", level, rng(), -1, 1)
    quality = {"slight": 90, "moderate": 75, "strong": 50}[level]
    for picture, got in zip(x, found, strict=True):
        levels = ((picture.numpy() + 1) / 2 * 255).round().astype(np.uint8).transpose(1, 2, 0)
        file = io.BytesIO()
        Image.fromarray(levels[..., 0] if channels == 1 else levels).save(file, "JPEG", quality=quality)
        expected = np.asarray(Image.open(file)).reshape(levels.shape).transpose(2, 0, 1) / 255 * 2 - 1
        np.testing.assert_allclose(got.numpy(), expected, atol=1e-6)
    assert not torch.equal(found, x)


def test_jpeg_refuses_two_channels():
    x = pictures(channels=2)
    assert "jpeg" not in applicable(x)
    with pytest.raises(ValueError, match="2 channels"):
        corrupt(x, "jpeg", "slight", rng(), -1, 1)


@pytest.mark.parametrize(("level", "sigma"), [("slight", 0.5), ("moderate", 1), ("strong", 2)])
@pytest.mark.parametrize("height", [24, 7])
def test_blur_is_scipys(level, sigma, height):
    x = pictures(height=height).double()
    found = corrupt(x, "blur", level, rng(), -1, 1)
    expected = ndimage.gaussian_filter(x.numpy(), (0, 0, sigma, sigma), mode="mirror", truncate=4.0)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


@pytest.mark.parametrize(("level", "share"), [("slight", 0.75), ("moderate", 0.5), ("strong", 0.25)])
def test_resize_is_pillows_on_floats(level, share):
    x = pictures(channels=1, low=0.0)
    found = corrupt(x, "resize", level, rng(), 0, 1)
    for picture, got in zip(x[:, 0], found[:, 0], strict=True):
        small = Image.fromarray(picture.numpy()).resize(
            (round(20 * share), round(24 * share)), Image.Resampling.BILINEAR
        )
        expected = np.asarray(small.resize((20, 24), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(got.numpy(), expected, atol=2e-6)


def test_quantisation_leaves_so_many_even_levels():
    x = torch.linspace(-1, 1, 1024).view(1, 1, 32, 32)
    levels = corrupt(x, "quantisation", "strong", rng(), -1, 1).unique()
    np.testing.assert_allclose(levels.numpy(), np.linspace(-1, 1, 8), atol=1e-6)


def test_noise_has_the_standard_deviation_and_follows_sample_and_seed():
    x = torch.full((4, 1, 200, 200), 100.0)
    x[1] += 1
    found = corrupt(x, "noise", "moderate", rng(), 0, 255)
    # 40000 draws: a standard deviation's own is 1/sqrt(80000) of it; 5 of them.
    assert float((found - x)[0].std()) == pytest.approx(0.05 * 255, rel=5 / 80000**0.5)
    assert torch.equal(found[1:2], corrupt(x[1:2], "noise", "moderate", rng(), 0, 255))
    assert not torch.equal(found[1] - 1, found[0])


def test_light_is_added_and_clipped():
    x = torch.tensor([0.0, 100.0, 250.0]).view(1, 1, 1, 3)
    assert corrupt(x, "brightness", "moderate", rng(), 0, 255).flatten().tolist() == pytest.approx([25.5, 125.5, 255])
    assert corrupt(x, "darkness", "moderate", rng(), 0, 255).flatten().tolist() == pytest.approx([0, 74.5, 224.5])


def test_low_pass_keeps_what_is_below_and_takes_what_is_above():
    below, above = tone(240), tone(260)
    found = corrupt(below + 0.5 * above, "low-pass", "moderate", rng(), -1, 1)
    np.testing.assert_allclose(found.numpy(), below.numpy(), atol=1e-12)


def test_white_noise_has_the_ratio_to_each_sample():
    x = torch.cat([tone(50, 40000, 0.5), tone(50, 40000, 0.05), torch.zeros(1, 1, 40000)])
    noise = (corrupt(x, "noise", "strong", rng(), -1, 1) - x).std(2)[:, 0]
    expected = [0.5 / 2**0.5 / 10, 0.05 / 2**0.5 / 10, 0.0]
    assert noise.tolist() == pytest.approx(expected, rel=5 / 80000**0.5)


def test_bits_are_those_of_integers_in_a_file():
    x = torch.linspace(-1, 1, 5001).double().view(1, 1, -1)
    found = corrupt(x, "quantisation", "moderate", rng(), -1, 1)
    expected = np.clip(np.round(x.numpy() * 128), -128, 127) / 128
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_gain_is_in_decibels_about_the_middle():
    x = tone(10, level=0.25)
    ratio = corrupt(x, "gain", "strong", rng(), -1, 1).abs().max() / x.abs().max()
    assert float(ratio) == pytest.approx(10**0.3, rel=1e-9)
    ratio = corrupt(x, "attenuation", "strong", rng(), -1, 1).abs().max() / x.abs().max()
    assert float(ratio) == pytest.approx(10**-0.3, rel=1e-9)


def test_every_level_of_every_corruption_keeps_range_and_grows():
    for medium, x in (("images", pictures()), ("waveforms", 0.9 * tone(30).float() + 0.1 * tone(300).float())):
        for name, entry in CORRUPTIONS[medium].items():
            assert tuple(entry.amounts) == LEVELS
            found = [corrupt(x, name, level, rng(), -1, 1) for level in LEVELS]
            assert all(y.shape == x.shape and y.dtype == x.dtype for y in found)
            assert all(float(y.abs().max()) <= 1 for y in found)
            changes = [float((y - x).norm()) for y in found]
            assert changes == sorted(changes), name


def test_as_an_attack_it_goes_through_the_caller():
    x = pictures(8, channels=1, low=0.0)
    critic = Critic(lambda x: x.flatten(1).mean(1), 0.65, 0, 1)
    found = attempt(critic, Corruption("brightness", "strong"), x, unbounded(0, 1, "fake"), rng())
    brighter = (x + 0.2).clamp(max=1).flatten(1).mean(1) >= 0.65
    assert torch.equal(found.fooled, brighter)


def test_bad_input_is_refused_in_words():
    x = pictures()
    with pytest.raises(ValueError, match="nearest: blur"):
        corrupt(x, "blurr", "slight", rng(), -1, 1)
    with pytest.raises(ValueError, match="waveforms"):
        corrupt(tone(3), "jpeg", "slight", rng(), -1, 1)
    with pytest.raises(ValueError, match="slight, moderate, strong"):
        corrupt(x, "blur", "5", rng(), -1, 1)
    with pytest.raises(ValueError, match="outside 0 to 1"):
        corrupt(x, "blur", "slight", rng(), 0, 1)
    with pytest.raises(ValueError, match="no numbers"):
        corrupt(x * torch.nan, "blur", "slight", rng(), -1, 1)
    with pytest.raises(ValueError, match="images"):
        corrupt(torch.zeros(2, 3), "noise", "slight", rng(), -1, 1)
    with pytest.raises(ValueError, match="level"):
        Corruption("noise", "mild")
    with pytest.raises(ValueError, match="name"):
        Corruption("fog")
