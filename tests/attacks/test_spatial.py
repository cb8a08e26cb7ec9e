"""Movements against SciPy's, the search against brute force over the grid."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from ganaudit.attacks.critic import Critic
from ganaudit.attacks.spatial import Movement, Spatial, mirrored, moved, unbounded
from ganaudit.attacks.trial import attempt


def pictures(n=3, channels=2, height=9, width=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).random((n, channels, height, width))).double()


def waveforms(n=3, time=200, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (n, 1, time))).double()


def linear(shape, threshold=0.0, low=0.0, high=1.0, seed=1):
    w = torch.from_numpy(np.random.default_rng(seed).normal(size=shape))
    return Critic(lambda x: (x.double() * w).flatten(1).sum(1), threshold, low, high)


@pytest.mark.parametrize("movement", [Movement(right=2, down=-1), Movement(right=0.3, down=1.7),
                                      Movement(degrees=10), Movement(1.5, -2.5, -7)])  # fmt: skip
def test_image_is_moved_as_scipy_moves_it(movement):
    x = pictures()
    turn = math.radians(movement.degrees)
    # SciPy: the input at matrix @ output + offset, rows first.
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    middle = np.array([4.0, 5.5])
    offset = middle - matrix @ (middle + np.array([movement.down, movement.right]))
    found = moved(x, movement, 0, 1)
    for sample, picture in zip(found, x, strict=True):
        for got, channel in zip(sample, picture, strict=True):
            expected = ndimage.affine_transform(channel.numpy(), matrix, offset, order=1, mode="mirror")
            np.testing.assert_allclose(got.numpy(), expected, atol=1e-12)


def test_a_quarter_turn_is_counter_clockwise_as_seen():
    x = pictures(height=8, width=8)
    torch.testing.assert_close(moved(x, Movement(degrees=90), 0, 1), torch.rot90(x, 1, (2, 3)), atol=1e-12, rtol=0)


def test_whole_shifts_are_exact_also_in_float32():
    x = pictures().float()
    found = moved(x, Movement(right=3, down=2), 0, 1)
    assert torch.equal(found[:, :, 2:, 3:], x[:, :, :-2, :-3])
    assert torch.equal(found[:, :, 1, 3:], x[:, :, 1, :-3])  # row -1 mirrors row 1


def test_waveform_is_delayed_and_resampled_as_scipy_does():
    x = waveforms()
    found = moved(x, Movement(right=4, speed=1.02, gain=0.5), -1, 1)
    places = (np.arange(200) - 4 - 99.5) * 1.02 + 99.5
    for sample, wave in zip(found, x, strict=True):
        expected = 0.5 * ndimage.map_coordinates(wave[0].numpy(), [places], order=1, mode="mirror")
        np.testing.assert_allclose(sample[0].numpy(), expected, atol=1e-12)


def test_gain_turns_about_the_middle_of_the_range_and_is_clipped():
    x = torch.tensor([[[0.5, 0.25, 1.0]]])
    assert moved(x, Movement(gain=2.0), 0, 1).tolist() == [[[0.5, 0.0, 1.0]]]


def test_mirrored_counts_back_and_forth():
    line = [0, 1, 2, 3, 2, 1] * 4
    assert mirrored(torch.arange(-12, 12).double(), 4).tolist() == line
    assert mirrored(torch.arange(3).double(), 1).tolist() == [0, 0, 0]


@pytest.mark.parametrize("side", ["fake", "real"])
def test_search_finds_the_worst_of_the_whole_grid(side):
    x = pictures(5)
    critic = linear(x.shape[1:])
    attack = Spatial(shift=2, shifts=5, degrees=8, angles=3)
    grid = attack.grid(x)
    assert len(grid) == len(set(grid)) == 5 * 5 * 3
    margins = torch.stack([critic.margin(moved(x, m, 0, 1), side) for m in grid])
    worst = attack.search(critic, x, side)
    assert torch.equal(worst.margins, margins.min(0).values)
    for row, movement in enumerate(worst.movements):
        torch.testing.assert_close(worst.samples[row : row + 1], moved(x[row : row + 1], movement, 0, 1))


def test_robust_accuracy_through_the_caller_is_that_of_brute_force():
    x = pictures(40).float()
    critic = linear(x.shape[1:])
    critic = Critic(critic.score, float(critic.score(x).quantile(0.9)), 0, 1)
    attack = Spatial(shift=1, shifts=3, degrees=5, angles=3)
    fooled = torch.stack([critic.fooled(moved(x, m, 0, 1), "fake") for m in attack.grid(x)]).any(0)
    found = attempt(critic, attack, x, unbounded(0, 1, "fake"), np.random.default_rng(0), batch=7)
    assert torch.equal(found.fooled, fooled)
    assert 0 < found.robust_accuracy < 0.9


def test_waveform_grid_holds_delays_speeds_and_gains():
    x = waveforms()
    attack = Spatial(delay=0.01, delays=3)
    grid = attack.grid(x)
    assert len(grid) == 3 * 3 * 3
    assert grid[0] == Movement()
    assert {m.right for m in grid} == {-2, 0, 2}
    assert max(m.gain for m in grid) == pytest.approx(10 ** (1 / 20))
    assert "27 points" in attack.stated(x)
    critic = linear(x.shape[1:], low=-1.0)
    worst = attack.search(critic, x, "fake")
    expected = torch.stack([critic.margin(moved(x, m, -1, 1), "fake") for m in grid]).min(0).values
    assert torch.equal(worst.margins, expected)


def test_image_grid_is_stated():
    assert Spatial().stated(pictures()) == "245 points: 7 x 7 shifts up to 3 px, 5 rotations up to 10 degrees"


def test_a_critic_that_says_nan_leaves_the_sample():
    x = pictures()
    critic = Critic(lambda x: torch.full((len(x),), math.nan), 0, 0, 1)
    assert torch.equal(Spatial(shifts=3, angles=1).search(critic, x, "fake").samples, x)


@pytest.mark.parametrize(
    ("options", "word"),
    [({"shifts": 4}, "odd"), ({"angles": 0}, "angles"), ({"shift": -1}, "shift"), ({"degrees": 90}, "degrees"),
     ({"delay": 1}, "delay")],
)  # fmt: skip
def test_bad_options_are_refused(options, word):
    with pytest.raises(ValueError, match=word):
        Spatial(**options)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="images"):
        Spatial().grid(torch.zeros(2, 5))
