"""Augmentation: each operation against a loop or NumPy, its law, derivatives of second order, and the controller."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import fft, ndimage, stats
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ganaudit.document.errors import ConfigError
from ganaudit.training.augmentation import OPERATIONS, Pipeline, Signs, adjusted, counted
from ganaudit.training.augmentation.audio import gain, polarity, shift
from ganaudit.training.augmentation.filters import bands
from ganaudit.training.augmentation.geometry import rotation, scaling, stretch
from ganaudit.training.augmentation.geometry import turn as turned
from ganaudit.training.augmentation.images import colour, crop, cutout, flip, translation
from ganaudit.training.augmentation.laws import standard_normal
from ganaudit.training.augmentation.moves import moved, rolled, rotated
from ganaudit.training.regularisers import gradient_norms

F64 = torch.float64
IMAGE = [name for name, operation in OPERATIONS.items() if operation.kind == "image"]
AUDIO = [name for name, operation in OPERATIONS.items() if operation.kind == "audio"]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def pipeline(name: str, **options: float) -> Pipeline:
    return Pipeline([name], {name: options} if options else {}, kind=OPERATIONS[name].kind)


def samples(name: str, count: int, channels: int = 3) -> Tensor:
    return drawn(count, channels, *((6, 5) if name in IMAGE else (9,)))


def share_within(hits: Tensor, expected: float) -> bool:
    """Whether the share of hits is within 4 standard errors of what is expected."""
    return abs(float(hits.double().mean()) - expected) <= 4 * math.sqrt(expected * (1 - expected) / len(hits))


# Derivatives, and samples that are left alone


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(OPERATIONS))
def test_derivatives_of_first_and_second_order(name: str, channels: int) -> None:
    steps, x = pipeline(name), samples(name, 2, channels).requires_grad_()
    u = uniform(2, steps.draws, seed=5)

    def bent(y: Tensor) -> Tensor:  # every operation is affine: without a bend the second derivative is 0
        return steps.apply(y, u, 1.0).pow(3)

    # Entry by entry for one channel; for three, whose matrices are nine times as large, along random directions.
    assert torch.autograd.gradcheck(bent, (x,), fast_mode=channels > 1)
    assert torch.autograd.gradgradcheck(bent, (x,), fast_mode=channels > 1)


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_operations_are_affine(name: str) -> None:
    # R1 through the augmentation then sees the augmentation's matrix alone: f(a) + f(b) = f(a + b) + f(0).
    steps, a, b = pipeline(name), samples(name, 4), samples(name, 4) ** 2
    u = uniform(4, steps.draws)
    f = [steps.apply(x, u) for x in (a, b, a + b, torch.zeros_like(a))]
    torch.testing.assert_close(f[0] + f[1], f[2] + f[3], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_at_probability_zero_nothing_changes_bit_for_bit(name: str) -> None:
    steps, x = pipeline(name), samples(name, 8).float()
    x[0].zero_().neg_()  # a negative zero is kept too
    u = steps.draw(0, 3, 0, 8)
    for probability in (0, 0.0, torch.zeros(()), torch.zeros((), dtype=F64)):
        assert torch.equal(steps.apply(x, u, probability).view(torch.int32), x.view(torch.int32))


@pytest.mark.parametrize(
    ("name", "options", "share"),
    [
        ("flip", {}, 0.5),
        ("turn", {}, 0.5),  # 6 x 5 pixels: 0 or 180 degrees
        ("crop", {}, 1.0),
        ("scaling", {}, 1.0),
        ("rotation", {}, 1.0),
        ("stretch", {}, 1.0),
        ("bands", {}, 1.0),
        ("translation", {"pixels": 1}, 8 / 9),
        ("colour", {}, 1.0),
        ("cutout", {"share": 1.0}, 1.0),
        ("polarity", {}, 0.5),
        ("shift", {"share": 0.25}, 4 / 5),  # 9 samples: -2..2
        ("gain", {}, 1.0),
    ],
)
@pytest.mark.parametrize("probability", [0.3, torch.tensor(0.3), 1.0])
def test_operations_change_samples_as_often_as_stated(
    name: str, options: dict[str, float], share: float, probability: Tensor | float
) -> None:
    steps, count = pipeline(name, **options), 4000
    x = samples(name, 1).float().expand(count, *samples(name, 1).shape[1:])
    changed = (steps.apply(x, steps.draw(1, 3, 0, count), probability) != x).flatten(1).any(1)
    assert share_within(changed, float(probability) * share)


# Each operation by itself


def test_flip_mirrors_below_a_half() -> None:
    x = drawn(2, 3, 4, 5)
    found = flip(x, torch.tensor([[0.49], [0.5]]))
    np.testing.assert_array_equal(found[0].numpy(), x[0].numpy()[:, :, ::-1])
    assert torch.equal(found[1], x[1])


def test_crop_against_scipy() -> None:
    x, u, least = drawn(6, 2, 8, 11), uniform(6, 3), 0.4
    found = crop(x, u, least)
    for i, (a, b, c) in enumerate(u.tolist()):
        share = least + (1 - least) * a
        rows = b * (1 - share) * 8 + (np.arange(8) + 0.5) * share - 0.5
        columns = c * (1 - share) * 11 + (np.arange(11) + 0.5) * share - 0.5
        for channel in range(2):
            grid = np.meshgrid(rows, columns, indexing="ij")
            expected = ndimage.map_coordinates(x[i, channel].numpy(), grid, order=1, mode="nearest")
            np.testing.assert_allclose(found[i, channel].numpy(), expected, rtol=1e-12, atol=1e-12)


def test_crop_of_the_whole_is_the_image_and_a_constant_stays() -> None:
    x, u = drawn(4, 1, 7, 7), uniform(4, 3)
    assert torch.equal(crop(x, u, 1.0), x)
    torch.testing.assert_close(crop(torch.ones_like(x), u, 0.3), torch.ones_like(x), rtol=1e-13, atol=0)


def test_windows_have_the_stated_mean_and_lie_anywhere() -> None:
    steps, count, side, least = pipeline("crop", least=0.5), 4000, 16, 0.5
    ramp = torch.arange(side, dtype=F64) + 0.5
    found = steps.apply(ramp.view(1, 1, 1, side).expand(count, 1, side, side), steps.draw(2, 3, 0, count).double())
    middle = found[:, 0, 0, 6:10]  # inner pixels: the outermost ones repeat the edge
    shares = middle.diff(dim=1).mean(1)
    assert float(shares.min()) >= least - 1e-6
    assert float(shares.max()) <= 1 + 1e-6
    assert abs(float(shares.mean()) - 0.75) < 4 * (0.5 / math.sqrt(12)) / math.sqrt(count)
    # The window's place in what room it has is uniform: its start over the room has mean 1/2.
    places = (middle.mean(1) - shares * side / 2) / ((1 - shares) * side)
    roomy = places[shares < 0.9]
    assert float(roomy.min()) > -1e-6
    assert float(roomy.max()) < 1 + 1e-6
    assert abs(float(roomy.mean()) - 0.5) < 4 / math.sqrt(12 * len(roomy))


def test_moves_against_loops() -> None:
    x = drawn(4, 2, 4, 5)
    shifts = torch.tensor([[1, -1], [0, 0], [-3, 4], [9, 0]])
    for fill in (0.0, -1.0):
        found = moved(x, shifts, fill)
        for i, (down, right) in enumerate(shifts.tolist()):
            for row in range(4):
                for column in range(5):
                    inside = 0 <= row - down < 4 and 0 <= column - right < 5
                    expected = x[i, :, row - down, column - right] if inside else torch.full((2,), fill, dtype=F64)
                    assert torch.equal(found[i, :, row, column], expected)
    turns = torch.tensor([3, -4, 0, 12])
    signals = x.flatten(2)
    for i, turn in enumerate(turns.tolist()):
        np.testing.assert_array_equal(rolled(signals, turns)[i].numpy(), np.roll(signals[i].numpy(), turn, axis=1))


def test_translation_is_uniform_over_whole_pixels() -> None:
    count = 20_000
    x = torch.zeros(1, 1, 16, 24)
    x[0, 0, 8, 12] = 1.0
    u = uniform(count, 2).float()
    for share, pixels, reaches in ((0.125, 0, (2, 3)), (0.5, 1, (1, 1))):
        found = translation(x.expand(count, 1, 16, 24), u, share, pixels, 0.0)
        for axis, (reach, start) in enumerate(zip(reaches, (8, 12), strict=True)):
            places = found[:, 0].sum(2 - axis).argmax(1) - start
            assert set(places.tolist()) == set(range(-reach, reach + 1))
            for place in range(-reach, reach + 1):
                assert share_within(places == place, 1 / (2 * reach + 1))
    filled = translation(torch.ones(count, 1, 4, 4), u, 0.5, 0, -1.0)
    assert set(filled.unique().tolist()) == {-1.0, 1.0}


def test_cutout_sets_a_rectangle_around_a_uniform_pixel() -> None:
    x, u = drawn(50, 2, 7, 8), uniform(50, 2)
    found = cutout(x, u, 0.5, 0.25)
    for i, (a, b) in enumerate(u.tolist()):
        middle, expected = (math.floor(a * 7), math.floor(b * 8)), x[i].clone()
        for row in range(7):  # lengths: 4 of 7 (half rounded up) and 4 of 8
            for column in range(8):
                if middle[0] - 2 <= row < middle[0] + 2 and middle[1] - 2 <= column < middle[1] + 2:
                    expected[:, row, column] = 0.25
        assert torch.equal(found[i], expected)
    assert torch.equal(cutout(x, u, 0.0, 0.0), x)


def test_colour_against_numpy() -> None:
    x, u = drawn(5, 3, 4, 4), uniform(5, 3)
    found = colour(x, u, 0.5, 1.0, 0.5)
    for i, (a, b, c) in enumerate(u.tolist()):
        y = x[i].numpy() + (a - 0.5)
        grey = y.mean(0, keepdims=True)
        y = grey + 2 * b * (y - grey)
        y = y.mean() + (c + 0.5) * (y - y.mean())
        np.testing.assert_allclose(found[i].numpy(), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_only_three_channels_have_a_saturation_to_change(channels: int) -> None:
    x, u = drawn(5, channels, 4, 4), uniform(5, 3)
    other = u.clone()
    other[:, 1] = 1 - other[:, 1]
    assert torch.equal(colour(x, u, 0.5, 1.0, 0.5), colour(x, other, 0.5, 1.0, 0.5))
    assert torch.equal(colour(x, u, 0.0, 0.0, 0.0), x)


def test_sounds_change_sign_time_and_loudness() -> None:
    x = drawn(3, 2, 10)
    u = torch.tensor([[0.2], [0.5], [0.999]], dtype=F64)
    signs = polarity(x, u)
    assert torch.equal(signs[0], -x[0])
    assert torch.equal(signs[1:], x[1:])
    for i, turn in enumerate((-2, 0, 3)):  # a share of 0.3 of 10 is 3: the seven moves -3..3
        np.testing.assert_array_equal(shift(x, u, 0.3)[i].numpy(), np.roll(x[i].numpy(), turn, axis=1))
    np.testing.assert_allclose(gain(x, u, 0.5).numpy(), x.numpy() * (0.5 + 0.5 * u.numpy()[:, :, None]))


# Geometry and filters of ADA


def test_turns_are_those_of_numpy_and_uniform() -> None:
    x = drawn(4, 2, 5, 5)
    found = turned(x, torch.tensor([[0.1], [0.3], [0.6], [0.9]]))
    for quarter in range(4):
        np.testing.assert_array_equal(found[quarter].numpy(), np.rot90(x[quarter].numpy(), quarter, (1, 2)))
    oblong = turned(x[:, :, :4], torch.tensor([[0.1], [0.4], [0.6], [0.9]]))
    assert torch.equal(oblong, torch.cat([x[:2, :, :4], x[2:, :, :4].flip((2, 3))]))
    corner = torch.zeros(1, 1, 3, 3)
    corner[0, 0, 0, 0] = 1
    many = turned(corner.expand(4000, 1, 3, 3), uniform(4000, 1))
    for row, column in ((0, 0), (0, 2), (2, 0), (2, 2)):
        assert share_within(many[:, 0, row, column] == 1, 0.25)


@pytest.mark.parametrize("fill", [0.0, -1.0])
def test_rotations_against_scipy(fill: float) -> None:
    x, u = drawn(7, 2, 8, 11), uniform(7, 1)
    u[0], u[1] = 0.5, 0.75  # not at all, and by 45 degrees
    found = rotation(x, u, 180.0, fill)
    rows, columns = np.meshgrid(np.arange(8) - 3.5, np.arange(11) - 5.0, indexing="ij")
    for i, a in enumerate(u[:, 0].tolist()):
        angle = (2 * a - 1) * math.pi
        # Rows count downwards: what turns to the left comes from the right.
        there = np.exp(1j * angle) * (rows - 1j * columns)
        source = np.stack([there.real + 3.5, -there.imag + 5.0])
        for channel in range(2):
            image = x[i, channel].numpy()
            expected = ndimage.map_coordinates(image, source, order=1, mode="grid-constant", cval=fill)
            np.testing.assert_allclose(found[i, channel].numpy(), expected, rtol=1e-12, atol=1e-12)


def test_rotations_by_quarters_are_turns_and_by_nothing_the_image() -> None:
    x = drawn(5, 1, 6, 6)
    quarters = torch.arange(5, dtype=F64)
    found = rotated(x, quarters * math.pi / 2)
    for quarter in range(5):
        torch.testing.assert_close(found[quarter], torch.rot90(x[quarter], quarter, (1, 2)), rtol=1e-12, atol=1e-12)
    assert torch.equal(found[0], x[0])
    assert torch.equal(rotation(x, uniform(5, 1), 0.0, 0.0), x)


@pytest.mark.parametrize(("height", "width"), [(7, 7), (4, 9), (1, 5)])
def test_the_gradient_of_a_rotation_is_its_transpose_at_every_angle(height: int, width: int) -> None:
    count = 48
    angle = torch.linspace(-math.pi, math.pi, count, dtype=F64)
    x, y = drawn(count, 1, height, width).requires_grad_(), drawn(count, 1, height, width, seed=1)
    (gradient,) = torch.autograd.grad((rotated(x, angle) * y).sum(), x)
    # The matrix, a column for each pixel.
    basis = torch.eye(height * width, dtype=F64).view(-1, 1, height, width)
    columns = torch.stack([rotated(one.expand(count, 1, height, width), angle).flatten(1) for one in basis], 2)
    expected = (columns.transpose(1, 2) @ y.flatten(1)[:, :, None])[:, :, 0]
    torch.testing.assert_close(gradient.flatten(1), expected, rtol=1e-12, atol=1e-12)


def test_enlarging_against_scipy_and_reducing_against_means() -> None:
    x, fill = drawn(1, 2, 8, 8), 0.5
    for factor in (1.0, 1.25, 3.0):
        u = torch.tensor([[stats.norm.cdf(math.log2(factor))]], dtype=F64)
        places = 3.5 + (np.arange(8) - 3.5) / factor
        grid = np.meshgrid(places, places, indexing="ij")
        for channel in range(2):
            image = x[0, channel].numpy()
            expected = ndimage.map_coordinates(image, grid, order=1, mode="grid-constant", cval=fill)
            np.testing.assert_allclose(scaling(x, u, 1.0, fill)[0, channel].numpy(), expected, rtol=1e-9, atol=1e-9)
    half = scaling(x, torch.tensor([[stats.norm.cdf(-1)]], dtype=F64), 1.0, fill)
    expected = torch.full_like(x, fill)
    expected[:, :, 2:6, 2:6] = torch.nn.functional.avg_pool2d(x, 2)
    torch.testing.assert_close(half, expected, rtol=1e-9, atol=1e-9)


def test_reducing_to_any_size_keeps_the_sum_and_stretching_acts_on_both_sides() -> None:
    x = torch.zeros(40, 1, 9, 9, dtype=F64)
    x[:, :, 3:6, 3:6] = drawn(40, 1, 3, 3)
    # A share s² of the area is left: all that was inside, each pixel with the weight of what covers it.
    factor = torch.linspace(0.3, 1.0, 40, dtype=F64)
    u = torch.special.ndtr(torch.log2(factor))[:, None]
    found = scaling(torch.ones_like(x), u, 1.0, 0.0).sum((1, 2, 3))
    torch.testing.assert_close(found, (9 * factor) ** 2, rtol=1e-9, atol=1e-9)
    bar = torch.ones(2, 1, 8, 8, dtype=F64)
    wide = stretch(bar, torch.tensor([[stats.norm.cdf(1.0)], [stats.norm.cdf(-1.0)]], dtype=F64), 1.0, 0.0)
    lying, standing = torch.zeros(8, 8, dtype=F64), torch.zeros(8, 8, dtype=F64)
    lying[2:6], standing[:, 2:6] = 1.0, 1.0
    inner = slice(1, 7)  # the outermost pixels of what is enlarged lie half outside
    torch.testing.assert_close(wide[0, 0, :, inner], lying[:, inner], rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(wide[1, 0, inner], standing[inner], rtol=1e-9, atol=1e-9)


def test_sizes_follow_the_stated_law() -> None:
    steps, count, side = pipeline("scaling", strength=0.3), 4000, 16
    ramp = torch.arange(side, dtype=F64).view(1, 1, 1, side).expand(count, 1, side, side)
    images = torch.cat([ramp, torch.ones_like(ramp)], 1)
    found = steps.apply(images, steps.draw(3, 3, 0, count).double())
    # What is enlarged shows in the slope, what is reduced in how much is left of a white image.
    enlarged = 1 / (found[:, 0, 8, 8] - found[:, 0, 8, 7])
    reduced = (found[:, 1].sum((1, 2)) / side**2).sqrt()
    factor = torch.where(reduced < 1 - 1e-9, reduced, enlarged)
    assert stats.kstest((factor.log2() / 0.3).numpy(), "norm").pvalue > 1e-3
    np.testing.assert_allclose(
        standard_normal(uniform(50)).numpy(), stats.norm.ppf(uniform(50).numpy()), rtol=1e-10, atol=1e-10
    )
    ends = standard_normal(torch.tensor([0.0, 1.0]))
    assert bool(ends.isfinite().all())


def test_bands_against_the_dct_of_scipy() -> None:
    x, u, strength = drawn(3, 2, 12, 16), uniform(3, 4), 0.7
    found = bands(x, u, strength)
    for i in range(3):
        gains = 2 ** (strength * stats.norm.ppf(u[i].numpy()))
        shares = np.array([10, 1, 1, 1]) / 13
        so_far = np.ones(4)
        for band in range(4):  # one after the other, as in the paper: each keeps the power of natural images
            changed = np.where(np.arange(4) == band, gains[band], 1.0)
            so_far = so_far * changed / math.sqrt(float((shares * changed**2).sum()))
        factors = []
        for side in (12, 16):
            factor = np.full(side, so_far[0])
            for k in range(1, side):
                octave = min(max(math.log2(k / side) + 3.5, 0.0), 3.0)
                low = min(int(octave), 2)
                part = math.cos(math.pi / 2 * (octave - low)) ** 2
                factor[k] = part * so_far[low] + (1 - part) * so_far[low + 1]
            factors.append(factor)
        spectrum = fft.dctn(x[i].numpy(), axes=(1, 2), norm="ortho") * np.outer(*factors)
        expected = fft.idctn(spectrum, axes=(1, 2), norm="ortho")
        np.testing.assert_allclose(found[i].numpy(), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["scaling", "stretch", "rotation", "bands"])
@pytest.mark.parametrize("side", [6, 7])
def test_without_strength_images_stay_as_they_are_bit_for_bit(name: str, side: int) -> None:
    option = "degrees" if name == "rotation" else "strength"
    steps, x = pipeline(name, **{option: 0.0}), torch.randn(4, 3, side, side + 1)
    assert torch.equal(steps.apply(x, steps.draw(0, 3, 0, 4)), x)


# The pipeline


def test_pipeline_keeps_its_order_and_states_its_laws() -> None:
    a, b = Pipeline(["cutout", "flip", "colour"]), Pipeline(["flip", "colour", "cutout"])
    assert a.laws == b.laws
    assert [law.split(":")[0] for law in a.laws] == ["flip", "colour", "cutout"]
    assert a.draws == 2 + 4 + 3
    x, u = drawn(6, 3, 8, 8), a.draw(0, 3, 0, 6)
    assert torch.equal(a.apply(x, u, 0.5), b.apply(x, u, 0.5))
    by_hand = cutout(colour(flip(x, u[:, 1:2]), u[:, 3:6], 0.5, 1.0, 0.5), u[:, 7:9], 0.5, 0.0)
    assert torch.equal(a.apply(x, u), by_hand)
    assert pipeline("crop", least=0.75).laws == (
        "crop: a window of a share of each side uniform in 0.75..1, anywhere, enlarged to the full size",
    )


def test_a_sample_depends_on_its_own_row_alone() -> None:
    steps, x = Pipeline(IMAGE), drawn(10, 3, 8, 8)
    whole = steps.apply(x, steps.draw(7, 3, 100, 10), 0.5)
    parts = [steps.apply(x[k : k + 5], steps.draw(7, 3, 100 + k, 5), 0.5) for k in (0, 5)]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=1e-13, atol=1e-13)
    assert not torch.equal(steps.draw(7, 3, 0, 4), steps.draw(7, 4, 0, 4))


def test_operations_act_independently_of_each_other() -> None:
    # A flip shows in the order of the columns, a cutout of everything would hide it: use brightness as the second.
    steps, count = Pipeline(["flip", "colour"], {"colour": {"contrast": 0.0}}), 8000
    x = torch.tensor([0.0, 1.0]).view(1, 1, 1, 2).expand(count, 1, 2, 2)
    found = steps.apply(x, steps.draw(0, 3, 0, count), 0.4)[:, 0, 0]
    flipped, brighter = found[:, 0] > found[:, 1], (found.sum(1) - 1).abs() > 1e-6
    assert share_within(flipped, 0.2)
    assert share_within(brighter, 0.4)
    assert share_within(flipped & brighter, 0.08)


def test_draws_that_round_to_one_stay_within_the_laws() -> None:
    for name in OPERATIONS:
        steps, x = pipeline(name), samples(name, 2).float()
        ones = torch.ones(2, steps.draws)
        assert torch.equal(steps.apply(x, ones), steps.apply(x, torch.full_like(ones, 1 - 2**-24)))
        assert bool(steps.apply(x, ones).isfinite().all())
    last = torch.tensor([[1 - 2**-24, 1 - 2**-24]])
    x = drawn(1, 1, 8, 8)
    for operation in (lambda y, u: translation(y, u, 0.25, 0, 0.0), lambda y, u: cutout(y, u, 0.5, 0.0)):
        assert torch.equal(operation(x, torch.ones(1, 2)), operation(x, last))


def test_layout_and_precision_are_kept() -> None:
    steps = Pipeline(IMAGE)
    x = torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)
    u = steps.draw(0, 3, 0, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = steps.apply(x, u, 0.9)
    assert found.dtype is torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found, steps.apply(x.contiguous(), u, 0.9), rtol=1e-6, atol=1e-6)


def test_a_penalty_through_the_whole_pipeline_is_the_norm_of_its_matrix() -> None:
    # D(x) = w.x of the augmented image: the gradient at the image is the transposed augmentation of w.
    steps, w = Pipeline(IMAGE), drawn(3 * 4 * 4)
    x, u = drawn(2, 3, 4, 4).requires_grad_(), uniform(2, steps.draws, seed=3)
    norms = gradient_norms(steps.apply(x, u).flatten(1) @ w, x)
    for i in range(2):

        def of_one(image: Tensor, row: int = i) -> Tensor:
            return steps.apply(image[None], u[row : row + 1]).flatten()

        jacobian = torch.autograd.functional.jacobian(of_one, x[i].detach()).view(48, 48)
        assert float(norms[i].detach()) == pytest.approx(float((jacobian.T @ w).square().sum()), rel=1e-12)


@pytest.mark.parametrize("names", [IMAGE, AUDIO])
def test_nothing_is_read_back_from_the_device(names: list[str]) -> None:
    steps = Pipeline(names, kind=OPERATIONS[names[0]].kind)
    with FakeTensorMode():  # tensors without values: reading one raises
        x = torch.empty(4, 3, 8, 8) if names is IMAGE else torch.empty(4, 1, 64)
        w, p = torch.empty(x[0].numel(), requires_grad=True), torch.empty(())
        x.requires_grad_()
        scores = steps.apply(x, torch.empty(4, steps.draws), p).flatten(1) @ w
        gradient_norms(scores, x).sum().backward()
        assert w.grad is not None
        signs = counted(Signs.none(), scores)
        assert adjusted(p, signs.mean(), 0.6, 64, 5e5).shape == ()


def test_no_operations_leave_samples_as_they_are() -> None:
    steps, x = Pipeline([]), drawn(3, 1, 4, 4)
    assert steps.draws == 0
    assert steps.laws == ()
    assert torch.equal(steps.apply(x, steps.draw(0, 3, 0, 3), 0.5), x)


def test_all_that_is_wrong_with_a_recipe_is_told_at_once() -> None:
    options = {
        "crop": {"least": 2.0, "size": 1},
        "translation": {"pixels": 1.5},
        "cutout": {"share": True},
        "colour": {"contrast": math.nan},
    }
    with pytest.raises(ConfigError) as caught:
        Pipeline(["flip", "flip", "crop", "translation", "cutout", "gain", "blur"], options)
    known = "flip, turn, crop, translation, scaling, rotation, stretch, colour, bands, cutout"
    assert caught.value.problems == (
        f"augmentation: found 'gain'; allowed for image: {known}",
        f"augmentation: found 'blur'; allowed for image: {known}",
        "augmentation: found 'flip' more than once; allowed: once",
        "augmentation.crop.least: found 2.0; allowed: a number from 0.1 to 1",
        "augmentation.crop.size: unknown option; allowed: ['least']",
        "augmentation.translation.pixels: found 1.5; allowed: a whole number from 0 to 4096",
        "augmentation.cutout.share: found True; allowed: a number from 0 to 1",
        "augmentation.colour: options of an operation that is not used; used: "
        "['flip', 'flip', 'crop', 'translation', 'cutout', 'gain', 'blur']",
    )
    with pytest.raises(ConfigError, match="contrast: found nan"):
        Pipeline(["colour"], {"colour": {"contrast": math.nan}})
    assert Pipeline(AUDIO, kind="audio").draws == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda s, x, u: s.apply(x[0], u),
            r"x: found shape \(3, 6, 5\); allowed: \(samples, channels, height, width\)",
        ),
        (lambda s, x, u: s.apply(x, u[:1]), r"uniforms: found shape \(1, 2\); allowed: \(2, 2\)"),
        (lambda s, x, u: s.apply(x, u, 1.5), "probability: found 1.5; allowed: 0 to 1"),
        (lambda s, x, u: s.apply(x, u, u), r"probability: found shape \(2, 2\); allowed: a scalar"),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[Pipeline, Tensor, Tensor], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(pipeline("flip"), samples("flip", 2), uniform(2, 2))


# The controller


def test_controller_against_a_loop() -> None:
    p, expected, signs = torch.zeros(()), 0.0, Signs.none()
    for step in range(40):
        batches = [drawn(8, seed=100 * step + k).float() + (1.5 if step < 25 else -0.5) for k in range(4)]
        for scores in batches:
            signs = counted(signs, scores, boundary=0.1)
        told = np.concatenate([np.sign(b.numpy() - np.float32(0.1)) for b in batches])
        assert float(signs.mean()) == pytest.approx(told.mean(), rel=1e-13)
        p = adjusted(p, signs.mean(), 0.6, 32, 500, limit=0.8)
        expected = min(0.8, max(0.0, expected + np.sign(told.mean() - 0.6) * 32 / 500))
        assert float(p) == pytest.approx(expected, abs=1e-6)
        signs = Signs.none()
    assert p.dtype is torch.float32
    assert expected < 0.8


def test_controller_of_nothing_counted_and_of_exact_signs() -> None:
    assert float(Signs.none().mean()) == 0.0
    signs = counted(Signs.none(), torch.tensor([0.5, 0.5, 2.0]), boundary=0.5)
    assert (float(signs.total), float(signs.seen)) == (1.0, 3.0)
    kept = adjusted(torch.tensor(0.5), torch.tensor(0.6, dtype=F64), 0.6, 64, 1000)
    assert float(kept) == 0.5
    with pytest.raises(ValueError, match="speed: found 0; allowed: above 0"):
        adjusted(kept, kept, 0.6, 64, 0)
    with pytest.raises(ValueError, match=r"limit: found 1.5; allowed: 0 to 1"):
        adjusted(kept, kept, 0.6, 64, 1000, limit=1.5)
