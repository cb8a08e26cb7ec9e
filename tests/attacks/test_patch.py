"""Patches against brute force over all places under a linear critic."""

import itertools

import numpy as np
import pytest
import torch

from ganaudit.attacks.critic import Critic
from ganaudit.attacks.patch import Patch, PatchSearch, window
from ganaudit.attacks.spatial import unbounded
from ganaudit.attacks.trial import attempt


def linear(shape, threshold=1e9, low=-1.0, high=1.0, seed=1):
    w = torch.from_numpy(np.random.default_rng(seed).normal(size=shape))
    return w, Critic(lambda x: (x.double() * w).flatten(1).sum(1), threshold, low, high)


def pictures(n=6, channels=2, height=10, width=12, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, (n, channels, height, width))).float()


def brute_force(x, w, sizes, sign, low=-1.0, high=1.0):
    """The largest gain over every place, value by value."""
    best = np.full(len(x), -np.inf)
    values, slopes = x.double().numpy(), sign * w.numpy()
    field = x.shape[2:]
    for start in itertools.product(*(range(f - s + 1) for f, s in zip(field, sizes, strict=True))):
        at = (slice(None), *(slice(b, b + s) for b, s in zip(start, sizes, strict=True)))
        part, slope = values[(slice(None), *at)], slopes[at]
        gain = np.maximum(slope * (high - part), slope * (low - part))
        best = np.maximum(best, gain.reshape(len(x), -1).sum(1))
    return best


@pytest.mark.parametrize("side", ["fake", "real"])
def test_linear_critic_gives_the_best_place_and_content(side):
    x = pictures()
    w, critic = linear(x.shape[1:], 1e9 if side == "fake" else -1e9)
    attack = Patch(share=0.08, places=1, strays=0, steps=3)
    made = attack(critic, x, unbounded(-1, 1, side), np.random.default_rng(0))
    sign = 1 if side == "fake" else -1
    gain = sign * (critic.scores(made) - critic.scores(x))
    np.testing.assert_allclose(gain.numpy(), brute_force(x, w, (3, 3), sign), rtol=1e-6)


def test_waveform_gets_a_run_of_time():
    x = pictures(5, channels=1, height=1, width=100)[:, :, 0]
    w, critic = linear(x.shape[1:])
    made = Patch(share=0.07, places=1, strays=0)(critic, x, unbounded(-1, 1, "fake"), np.random.default_rng(0))
    gain = critic.scores(made) - critic.scores(x)
    np.testing.assert_allclose(gain.numpy(), brute_force(x, w, (7,), 1), rtol=1e-6)


@pytest.mark.parametrize("attack", [Patch(share=0.08), PatchSearch(share=0.08, queries=40)])
def test_only_one_square_is_changed(attack):
    x = pictures(20)
    _, critic = linear(x.shape[1:])
    made = attack(critic, x, unbounded(-1, 1, "fake"), np.random.default_rng(0))
    assert float(made.min()) >= -1
    assert float(made.max()) <= 1
    for before, after in zip(x, made, strict=True):
        rows, columns = torch.nonzero((before != after).any(0)).T
        assert rows.max() - rows.min() < 3
        assert columns.max() - columns.min() < 3


def test_random_search_is_among_the_best_of_all_patches_and_never_beyond():
    x = pictures(40, channels=1, height=6, width=6)
    w, critic = linear(x.shape[1:])
    made = PatchSearch(share=0.12, queries=180)(critic, x, unbounded(-1, 1, "fake"), np.random.default_rng(0))
    gain = (critic.scores(made) - critic.scores(x)).numpy()
    assert (gain <= brute_force(x, w, (2, 2), 1) * (1 + 1e-6)).all()
    every = all_gains(x, w)
    # Two rounds draw 31 patches each anew: all of 62 miss the best tenth of the 400 with probability 0.9^62 = 0.15 %.
    assert (gain >= np.quantile(every, 0.9, axis=1)).all()
    # Flipping goes beyond those 62, whose best has an expected rank of 1/63: fewer than half the samples stay there.
    assert np.mean(gain >= np.quantile(every, 1 - 1 / 63, axis=1)) > 0.8


def all_gains(x, w):
    """The gain of every place with every content of lows and highs, (N, 25 * 16)."""
    gains = []
    for row, column in itertools.product(range(5), range(5)):
        part = x.double().numpy()[:, 0, row : row + 2, column : column + 2].reshape(len(x), 4)
        slope = w.numpy()[0, row : row + 2, column : column + 2].reshape(4)
        gains += [((np.array(ends) - part) * slope).sum(1) for ends in itertools.product((-1, 1), repeat=4)]
    return np.stack(gains, 1)


def test_random_search_of_a_single_place_finds_the_best_content():
    x = pictures(10, channels=5, height=1, width=1)[:, :, 0]
    w, critic = linear(x.shape[1:])
    made = PatchSearch(queries=150)(critic, x, unbounded(-1, 1, "fake"), np.random.default_rng(0))
    # 51 of the queries draw one of the 32 contents anew, 75 others flip one channel in five while it can gain.
    gain = (critic.scores(made) - critic.scores(x)).numpy()
    np.testing.assert_allclose(gain, brute_force(x, w, (1,), 1), rtol=1e-6)


def test_a_curved_critic_is_climbed_to_its_optimum():
    # Score -sum (x - 0.3)^2: the best content is 0.3 everywhere, not an end of the range.
    x = torch.full((2, 1, 8, 8), -1.0)
    critic = Critic(lambda x: -(x - 0.3).square().flatten(1).sum(1), 0.0, -1, 1)
    made = Patch(share=0.07, steps=60)(critic, x, unbounded(-1, 1, "fake"), np.random.default_rng(0))
    gain = critic.scores(made) - critic.scores(x)
    # Four values gain 1.3^2 each; steps end at 1/60 of the range's half, 1/60^2 a value.
    assert gain.numpy() == pytest.approx(4 * 1.69, abs=4 * (2 / 60) ** 2)


@pytest.mark.parametrize("attack", [Patch(share=0.05), PatchSearch(share=0.05, queries=20)])
def test_decisions_do_not_depend_on_the_scores_unit_or_on_the_batch(attack):
    x = pictures(30)
    _, plain = linear(x.shape[1:])
    scores = plain.scores(x)
    tau = float(scores.quantile(0.95))
    expected = None
    for c, t0, batch in itertools.product((2.0**-10, 1.0, 2.0**10), (0.0, 64.0), (30, 7)):
        critic = Critic(lambda x, c=c, t0=t0: c * plain.score(x) + t0, c * tau + t0, -1, 1)
        found = attempt(critic, attack, x, unbounded(-1, 1, "fake"), np.random.default_rng(3), batch=batch)
        expected = found.fooled if expected is None else expected
        assert torch.equal(found.fooled, expected)
    assert 2 <= int(expected.sum()) < 30


def test_window_keeps_within_the_share_where_it_can():
    assert window(torch.zeros(1, 3, 100, 100), 0.01).sizes == (10, 10)
    assert window(torch.zeros(1, 3, 28, 28), 0.01).sizes == (2, 2)
    assert window(torch.zeros(1, 1, 16000), 0.01).sizes == (160,)
    small = window(torch.zeros(1, 1, 8, 8), 0.01)
    assert small.sizes == (1, 1)
    assert small.share == 1 / 64
    assert window(torch.zeros(1, 1, 2, 50), 0.5).sizes == (2, 2)


def test_masks_number_the_places_line_by_line():
    field = window(torch.zeros(1, 1, 4, 5), 0.3)
    assert field.sizes == (2, 2)
    masks = field.mask(torch.arange(field.places))
    values = torch.arange(20.0).view(1, 4, 5)
    torch.testing.assert_close((masks * values).flatten(1).sum(1), field.sums(values)[0])
    assert masks.flatten(1).sum(1).tolist() == [4] * 12


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="share"):
        Patch(share=1.0)
    with pytest.raises(ValueError, match="queries"):
        PatchSearch(queries=0)
    with pytest.raises(ValueError, match="images"):
        window(torch.zeros(2, 5), 0.1)
    blind = Critic(lambda x: x.flatten(1).sum(1), 99.0, -1, 1, differentiable=False)
    with pytest.raises(ValueError, match="gradients"):
        Patch()(blind, pictures(), unbounded(-1, 1, "fake"), np.random.default_rng(0))
