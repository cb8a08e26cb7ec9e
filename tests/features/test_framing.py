"""Resizing and normalisation against Pillow and against plain loops."""

import numpy as np
import pytest
import torch
from PIL import Image

from ganaudit.features.framing import CLIP_MEAN, CLIP_STD, Framing


def levels(height, width, channels=3, n=2, seed=0):
    array = np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(array)


def by_pillow(images, size, kernel):
    """Each channel as Pillow resizes float images: the kernel spans the source pixels, nothing is rounded."""
    how = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}[kernel]
    made = [
        [np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size[::-1], how)) for plane in image]
        for image in images.numpy()
    ]
    return np.clip(np.array(made), 0, 255)


def tolerance(height, width):
    """Levels by which two float32 resizes may differ.

    torch computes the place of a pixel in float32: three roundings of a number up to the length of the side. A place
    that is off by e pixels moves the result by at most 2 * 255 e. The roundings of the sums themselves are smaller.
    """
    return 3 * 2**-24 * (height + width) * 2 * 255


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(40, 56), (224, 224), (333, 17), (16, 16), (500, 300)])
def test_the_whole_image_is_resized_as_pillow_does_it(kernel, height, width):
    images = levels(height, width)
    found = Framing((224, 224), kernel).apply(images)
    assert found.shape == (2, 3, 224, 224)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(
        found.numpy() * 255, by_pillow(images, (224, 224), kernel), rtol=0, atol=tolerance(height, width)
    )


def test_a_cubic_never_leaves_the_range():
    images = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    images[..., 4:] = 255
    found = Framing((32, 32), "bicubic").apply(images)
    assert float(found.min()) == 0
    assert float(found.max()) == 1
    raw = torch.nn.functional.interpolate(images.float(), (32, 32), mode="bicubic")
    assert float(raw.min()) < 0  # there was something to clip


@pytest.mark.parametrize(("height", "width"), [(40, 56), (56, 40), (33, 32), (32, 32), (7, 90)])
def test_a_crop_is_the_middle_of_the_resized_image(height, width):
    images = levels(height, width)
    found = Framing((32, 32), "bilinear", fit="crop").apply(images)
    short = min(height, width)
    inner = (32, round(width * 32 / short)) if height == short else (round(height * 32 / short), 32)
    whole = by_pillow(images, inner, "bilinear") if inner != (height, width) else images.numpy()
    top, left = (inner[0] - 32) // 2, (inner[1] - 32) // 2
    expected = whole[:, :, top : top + 32, left : left + 32]
    np.testing.assert_allclose(found.numpy() * 255, expected, rtol=0, atol=tolerance(height, width))


def test_nearest_takes_the_pixel_below_the_centre():
    images = levels(5, 9)
    found = Framing((3, 4), "nearest").apply(images).numpy() * 255
    for i in range(3):
        for j in range(4):
            source = images[:, :, int((i + 0.5) * 5 / 3), int((j + 0.5) * 9 / 4)]
            np.testing.assert_allclose(found[:, :, i, j], source.numpy(), atol=1e-4)


def test_levels_are_normalised_by_channel():
    images = levels(6, 6)
    found = Framing(None, mean=CLIP_MEAN, std=CLIP_STD).apply(images)
    expected = (images.numpy() / 255 - np.array(CLIP_MEAN)[:, None, None]) / np.array(CLIP_STD)[:, None, None]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("framing", [Framing((6, 6)), Framing(None), Framing((9, 9), antialias=False)])
def test_the_levels_given_stay_what_they_are(framing):
    for images in (levels(6, 6), levels(6, 6).float().contiguous(memory_format=torch.channels_last)):
        before = images.clone()
        found = framing.apply(images)
        assert torch.equal(images, before)
        assert found.is_contiguous(memory_format=torch.channels_last)
    quantised, exact = framing.apply(levels(6, 6)), framing.apply(levels(6, 6).float())
    assert torch.equal(quantised, exact)


def test_what_is_done_is_told():
    told = Framing((224, 224), mean=(0.5,), std=(0.25,)).describe()
    assert told == (
        "antialiased bicubic resize to 224x224 in float, clipped to 0..255, of the whole image, "
        "(u / 255 - mean) / std of the levels u with mean 0.5 and std 0.25"
    )
    assert Framing(None).describe().startswith("no resize, (u / 255")
    assert (
        "nearest resize to 4x3, of the shorter side, middle cut out"
        in Framing((3, 4), "nearest", fit="crop").describe()
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"kernel": "lanczos"}, "kernel 'lanczos'"),
        ({"fit": "pad"}, "fit 'pad'"),
        ({"size": (0, 4)}, "at least 1"),
        ({"std": (0.0,)}, "std above 0"),
        ({"mean": (0.0, 0.0)}, "one of each"),
    ],
)
def test_what_cannot_be_is_told(options, told):
    with pytest.raises(ValueError, match=told):
        Framing(**({"size": (4, 4)} | options))
