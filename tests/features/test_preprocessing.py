"""Preprocessing: every resize against the peer that it is named for."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from ganaudit.features import preprocessing
from ganaudit.features.preprocessing import NORMALISATIONS, RESIZES, Preprocessing

SIZE = 299
SHAPES = [(32, 32), (299, 200), (200, 299), (330, 400), (321, 40), (320, 321), (37, 1), (1, 1), (1, 333), (600, 598)]
U = 2.0**-24  # half the gap between float32 numbers near 1


def levels(height, width, seed=0, batch=2, channels=3):
    array = np.random.default_rng(seed).integers(0, 256, (batch, channels, height, width), dtype=np.uint8)
    return torch.from_numpy(array)


def resized(x, resize, size=SIZE):
    """Return the resized levels: what the first normalisation has done is undone exactly, in powers of two."""
    return Preprocessing(resize).apply(x, size) * 128 + 128


# (u - 128) / 128 rounds once, by at most 128 u, before it is undone.
NORMALISED = 128 * U


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [SIZE, 75])
def test_tf1_bilinear_is_that_of_torch_fidelity(shape, size):
    x = levels(*shape)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(size, size), align_corners=False)
    ours = resized(x, "tf1-bilinear", size)
    # Both mix two numbers up to 255 twice; each mix rounds weights, products and sum: three roundings of 255 u.
    assert float((ours - theirs).abs().max()) <= 2 * 2 * 3 * 255 * U + NORMALISED
    assert ours.shape == (2, 3, size, size)


def test_the_two_ways_to_resize_like_tf1_agree(monkeypatch):
    x = levels(100, 310)
    product = resized(x, "tf1-bilinear")
    monkeypatch.setattr(preprocessing, "_PRODUCT_UP_TO", 0)
    gathered = resized(x, "tf1-bilinear")
    assert float((product - gathered).abs().max()) <= 2 * 2 * 3 * 255 * U + 2 * NORMALISED


def test_tf1_picks_the_pixel_and_shifts_nothing():
    """At twice the size every second place is a pixel itself, and the last one is repeated."""
    x = levels(8, 8)
    ours = resized(x, "tf1-bilinear", 16)
    assert torch.equal(ours[..., ::2, ::2], x.float())
    assert torch.equal(ours[..., 15, 15], x[..., 7, 7].float())
    assert torch.equal(ours[..., 1, 0], (x[..., 0, 0].float() + x[..., 1, 0].float()) / 2)


def bilinear(row, size, is_antialiased):
    """Return a row resized by the definition, in float64: a triangle over the source places, weights summing to 1."""
    length = len(row)
    scale = length / size
    reach = max(1.0, scale) if is_antialiased else 1.0
    made = []
    for i in range(size):
        centre = (i + 0.5) * scale
        if not is_antialiased:  # places outside count as the outermost pixel
            centre = min(max(centre, 0.5), length - 0.5)
        weights = np.maximum(0, 1 - np.abs(np.arange(length) + 0.5 - centre) / reach)
        made.append(weights @ row / weights.sum())
    return np.array(made)


@pytest.mark.parametrize("length", [1, 2, 37, 298, 300, 512])
@pytest.mark.parametrize("resize", ["bilinear", "bilinear-antialias"])
def test_bilinear_is_what_its_definition_says(resize, length):
    row = levels(1, length, batch=1, channels=1).double().numpy().ravel()
    x = torch.from_numpy(row.astype(np.uint8)).view(1, 1, 1, length)
    ours = resized(x, resize)[0, 0, 0].double().numpy()
    expected = bilinear(row, SIZE, resize.endswith("antialias"))
    # A place up to `length` is known to 2 u of itself in float32, and a level changes by up to 255 for each pixel.
    assert np.abs(ours - expected).max() <= (255 * 2 * length + 8 * 255) * 2 * U + NORMALISED


@pytest.mark.parametrize("shape", [*SHAPES[:4], (1, 1), (37, 1)])
@pytest.mark.parametrize("resize", ["bilinear", "bilinear-antialias"])
def test_bilinear_is_what_peers_call(resize, shape):
    x = levels(*shape)
    theirs = torch.nn.functional.interpolate(
        x.float(), size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=resize.endswith("antialias")
    )
    # The same function on another memory layout, which may take the sums in another order.
    assert float((resized(x, resize) - theirs).abs().max()) <= 2 * 3 * 255 * U * 2 + NORMALISED


@pytest.mark.parametrize("shape", [(32, 32), (200, 330), (299, 500), (512, 64), (37, 1), (700, 301)])
def test_bicubic_antialias_is_that_of_clean_fid(shape):
    x = levels(*shape)
    ours = resized(x, "bicubic-antialias")
    assert float(ours.min()) >= 0
    assert float(ours.max()) <= 255
    for image, found in zip(x.numpy(), ours.numpy(), strict=True):
        for channel, plane in zip(image, found, strict=True):
            picture = Image.fromarray(channel.astype(np.float32)).resize((SIZE, SIZE), Image.BICUBIC)
            expected = np.asarray(picture).clip(0, 255)
            # Weights are exact to float64 on both sides; Pillow rounds to float32 between the passes, both do at the
            # end. The cubic's weights sum to at most 1.25 in magnitude.
            largest = 255 * 1.25
            tolerance = (largest * 1.25 + largest * 1.25 + largest) * U + NORMALISED
            assert np.abs(plane - expected).max() <= tolerance


def test_bicubic_is_clipped_where_it_overshoots():
    x = torch.zeros(1, 1, 16, 16, dtype=torch.uint8)
    x[..., 8:] = 255
    ours = resized(x, "bicubic-antialias", 64)
    assert float(ours.min()) == 0
    assert float(ours.max()) == 255
    assert ((ours > 0) & (ours < 255)).any()


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("shape", [(SIZE, SIZE), (40, 56), (330, SIZE), (SIZE, 64)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_levels_are_levels_in_any_type_and_stay_what_they_are(resize, shape, dtype):
    x = levels(*shape)
    expected = Preprocessing(resize).apply(x, SIZE)
    for given in (x.to(dtype), x.to(dtype).contiguous(memory_format=torch.channels_last)):
        before = given.clone()
        found = Preprocessing(resize).apply(given, SIZE)
        assert torch.equal(found, expected)
        assert torch.equal(given, before)
        assert found.dtype == torch.float32
        assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("resize", RESIZES)
def test_an_image_of_the_right_size_is_not_resized(resize):
    x = levels(SIZE, SIZE)
    assert torch.equal(resized(x, resize), x.float())


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("level", [0, 77, 255])
def test_one_level_everywhere_stays_that_level(resize, level):
    for shape in ((32, 50), (330, 340)):
        x = torch.full((1, 3, *shape), level, dtype=torch.uint8)
        assert float((resized(x, resize) - level).abs().max()) <= 8 * 255 * U + NORMALISED


@pytest.mark.parametrize("resize", RESIZES)
def test_grey_that_is_repeated_is_resized_as_three_channels(resize):
    x = levels(33, 47, channels=1)
    expanded = Preprocessing(resize).apply(x.expand(-1, 3, -1, -1), SIZE)
    assert torch.equal(expanded, Preprocessing(resize).apply(x.repeat(1, 3, 1, 1), SIZE))
    floats = Preprocessing(resize).apply(x.float().expand(-1, 3, -1, -1), SIZE)
    assert torch.equal(floats, expanded)


def test_normalisations_are_what_they_say():
    x = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    exact = x.double()
    first = Preprocessing(normalisation="(u - 128) / 128").apply(x, 16).double()
    assert torch.equal(first, (exact - 128) / 128)  # powers of two: exact
    second = Preprocessing(normalisation="2 u / 255 - 1").apply(x, 16).double()
    assert float((second - (2 * exact / 255 - 1)).abs().max()) <= 2 * 2 * U
    assert [float(second.min()), float(second.max())] == [-1, 1]
    assert set(NORMALISATIONS) == {"(u - 128) / 128", "2 u / 255 - 1"}


def test_words_tell_the_kernels_apart():
    told = {Preprocessing(resize, normal).describe(SIZE) for resize in RESIZES for normal in NORMALISATIONS}
    assert len(told) == len(RESIZES) * len(NORMALISATIONS)
    assert all("299x299" in words for words in told)
    assert len({str(Preprocessing(resize)) for resize in RESIZES}) == len(RESIZES)  # it enters digests


@pytest.mark.parametrize(("field", "value"), [("resize", "lanczos"), ("normalisation", "u / 255")])
def test_other_names_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field}: found '{value}'; allowed: "):
        Preprocessing(**{field: value})
