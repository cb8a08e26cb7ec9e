"""The convolutional two-sample test: its level, what it finds that no flat boundary shows, and that chance is given."""

import numpy as np
import pytest
import torch
from scipy import ndimage, stats

from ganaudit.numerics.convolutional import convolutional_detector, convolutional_probe, convolutional_test, unit_of
from ganaudit.numerics.probe import probe


def levels(n, seed, shape=(1, 12, 12), trace=None):
    """Noise of 8 bits around mid-grey; ``trace`` is added to each sample, or taken away, as a coin says."""
    rng = np.random.default_rng(seed)
    x = rng.normal(127.5, 20.0, (n, *shape))
    if trace is not None:
        x += rng.choice([-1, 1], n).reshape(n, *[1] * len(shape)) * trace
    return torch.from_numpy(np.clip(np.round(x), 0, 255).astype(np.uint8))


def chequered(side, height=12.0):
    return height * (np.indices((side, side)).sum(0) % 2 * 2 - 1)


def found(real, fake, seed=0, **more):
    return convolutional_probe(real, fake, np.random.default_rng(seed), **{"folds": 2, **more})


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 40)])
def test_equal_laws_are_told_apart_as_rarely_as_promised(shape):
    runs = 24
    p_values = [
        found(levels(30, [seed, 0], shape), levels(30, [seed, 1], shape), seed, steps=5).held_out.p_value
        for seed in range(runs)
    ]
    for level in (0.05, 0.3):
        assert sum(p <= level for p in p_values) <= stats.binom.ppf(1 - 1e-4, runs, level)
    assert min(p_values) < 0.6  # not all at 1, where nothing could ever be found


def test_a_trace_of_random_sign_is_found_where_no_flat_boundary_sees_it():
    real, fake = levels(200, 0), levels(200, 1, trace=chequered(12))
    seen = found(real, fake, steps=60)
    assert seen.held_out.accuracy > 0.9
    assert seen.auc.value > 0.95
    # Every pixel has one mean on both sides, so logistic regression has nothing to go by.
    flat = probe(real.flatten(1).double(), fake.flatten(1).double(), np.random.default_rng(0), folds=2)
    assert flat.held_out.p_value > 1e-3


def test_a_faint_tone_of_random_sign_is_found_in_sound():
    trace = 15.0 * np.sin(2.5 * np.arange(300))
    seen = found(levels(150, 0, (1, 300)), levels(150, 1, (1, 300), trace), steps=60)
    assert seen.held_out.accuracy > 0.9


def test_scores_are_higher_for_reals_and_belong_to_their_rows():
    real, fake = levels(60, 0), levels(90, 1, trace=chequered(12, 40.0))
    seen = found(real, fake, steps=40, most=50)
    assert len(seen.real_scores) == len(seen.fake_scores) == len(seen.fake_rows) == 50
    assert bool((seen.fake_rows.diff() > 0).all())
    assert int(seen.fake_rows.max()) < 90
    # A real among the fakes scores as a real does, and its number tells which it was.
    fake[7] = real[3]
    again = found(real, fake[:60], steps=40)
    assert again.fake_rows.tolist() == list(range(60))
    assert float(again.fake_scores[7]) > float(again.fake_scores.quantile(0.9))


def test_chance_is_the_argument_and_no_other():
    real, fake = levels(40, 0), levels(40, 1, trace=chequered(12))
    state = torch.get_rng_state()
    first, second, other = (found(real, fake, seed, steps=5) for seed in (1, 1, 2))
    assert torch.equal(first.real_scores, second.real_scores)
    assert torch.equal(first.fake_scores, second.fake_scores)
    assert first.held_out == second.held_out
    assert not torch.equal(first.fake_scores, other.fake_scores)
    assert torch.equal(torch.get_rng_state(), state)
    with torch.no_grad():  # whatever the caller's mode
        assert torch.equal(found(real, fake, 1, steps=5).fake_scores, first.fake_scores)


@pytest.mark.parametrize("shape", [(3, 17, 9), (1, 130)])
def test_a_score_does_not_hang_on_what_is_asked_beside_it(shape):
    x = torch.cat([levels(50, 0, shape), levels(50, 1, shape)])
    detector = convolutional_detector(x, torch.arange(100) < 50, np.random.default_rng(0), 3, unit_of(x))
    whole = detector(x)
    assert whole.dtype == torch.float64
    assert whole.std() > 0
    assert torch.equal(torch.cat([detector(x[i : i + 1]) for i in (0, 41, 99)]), whole[[0, 41, 99]])
    order = torch.from_numpy(np.random.default_rng(1).permutation(100))
    assert torch.equal(detector(x[order]), whole[order])


@pytest.mark.parametrize("shape", [(1, 100, 70), (1, 2500), (1, 1, 1), (2, 3)])
def test_no_value_is_passed_over_at_any_size(shape):
    x = levels(12, 0, shape).float().requires_grad_()
    real, fixed = torch.arange(12) < 6, x.detach()
    detector = convolutional_detector(fixed, real, np.random.default_rng(0), 2, unit_of(fixed))
    (gradient,) = torch.autograd.grad(detector(x).sum(), x)
    assert bool((gradient.abs().amax(0) > 0).all())


@pytest.mark.parametrize("shape", [(2, 9, 7), (1, 11)])
def test_the_network_sees_values_and_what_neighbours_do_not_foretell(shape):
    x = levels(70, 0, shape)
    seen = unit_of(x)(x)
    kernel = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]]) / 4
    images = x.numpy().astype(float).reshape(70, shape[0], *([1] if len(shape) == 2 else []), *shape[1:])
    apart = images - ndimage.convolve(images, kernel[None, None], mode="nearest")
    wanted = np.concatenate([images, apart], 1)
    wanted = (wanted - wanted.mean((0, 2, 3), keepdims=True)) / wanted.std((0, 2, 3), keepdims=True)
    np.testing.assert_allclose(seen.numpy(), wanted, atol=1e-5)


def test_constants_do_no_harm():
    even = torch.full((20, 1, 6, 6), 7, dtype=torch.uint8)
    seen = found(even, even, steps=3)
    assert seen.held_out.p_value == 1.0
    assert seen.auc.value == 0.5


def test_bad_input_is_refused_in_words():
    good = levels(20, 0)
    with pytest.raises(ValueError, match=r"real: found shape \(20, 144\); allowed: images"):
        found(good.flatten(1), good)
    with pytest.raises(ValueError, match=r"fake: found samples of shape \(1, 8, 8\); allowed: \(1, 12, 12\)"):
        found(good, levels(20, 0, (1, 8, 8)))
    with pytest.raises(ValueError, match="real: found 3 samples; allowed: 4 or more"):
        found(good[:3], good)
    with pytest.raises(ValueError, match="fake: found NaN"):
        found(good, good.float().index_fill(0, torch.tensor(5), torch.nan))
    with pytest.raises(ValueError, match="steps: found 0"):
        found(good, good, steps=0)


def test_the_test_alone_is_that_of_the_probe_and_refuses_sides_of_two_sizes():
    real, fake = levels(120, 0), levels(120, 1, trace=chequered(12))
    alone = convolutional_test(real, fake, np.random.default_rng(3), steps=60)
    assert alone.accuracy > 0.85
    assert alone.n == 120
    p_values = [
        convolutional_test(levels(30, [s, 0]), levels(30, [s, 1]), np.random.default_rng(s), steps=5).p_value
        for s in range(24)
    ]
    assert sum(p <= 0.3 for p in p_values) <= stats.binom.ppf(1 - 1e-4, 24, 0.3)
    with pytest.raises(ValueError, match=r"fake: found shape .* allowed: .* that of real"):
        convolutional_test(real, fake[:50], np.random.default_rng(0))
