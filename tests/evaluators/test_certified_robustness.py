"""Certificates of a linear discriminator, whose true radius is the margin over the length of its weights."""

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.evaluators.certified_robustness import CertifiedRobustness
from tests.evaluators.linear_subjects import Blind, Told, Weighs, audited, reference, subject, threshold, weights

NAME = "certified-robustness"
P = 64
W = weights(P)
N, DRAWS, SIGMA = 40, 300, 0.05


def exact(made, real):
    """Distances of both sides to the threshold over the width of the range, above 0 where called rightly."""
    tau = threshold(made, real)
    fake = made.generate(made.latents(0, 0, N)).flatten(1).double().numpy() @ W
    test = real.splits["test"].array.reshape(N, -1).astype(np.float64) @ W
    return (tau - fake) / np.linalg.norm(W) / 2, (test - tau) / np.linalg.norm(W) / 2


@pytest.fixture(scope="module")
def linear():
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    row, found = audited(made, real, NAME, samples=N, draws=DRAWS, sigma=SIGMA)
    assert row.status == "measured", row.reason
    return made, real, row, found


def reached(distances):
    """Radii that all but one in a million draws of the noise certify at least, and the most that is true."""
    share = stats.norm.cdf(np.maximum(distances, 0) / SIGMA)
    fewest = stats.binom.ppf(1e-6, DRAWS, share)
    bound = stats.beta.ppf(0.001, np.maximum(fewest, 1), DRAWS - fewest + 1)
    least = np.where((distances > 0) & (bound > 0.5), SIGMA * stats.norm.ppf(bound), 0)
    return least, np.maximum(distances, 0)


def test_radii_and_accuracy_lie_between_what_the_draws_must_give_and_the_truth(linear):
    made, real, _, found = linear
    fake, test = exact(made, real)
    k = (N + 1) // 2 - 1
    least, most = reached(fake)
    assert np.sort(least)[k] - 1e-9 <= found["median-certified-radius"].value <= np.sort(most)[k] + 1e-6
    for key, distances in (("certified-accuracy-fake", fake), ("certified-accuracy-real", test)):
        least, most = reached(distances)
        assert np.mean(least >= SIGMA / 2) <= found[key].value <= np.mean(most >= SIGMA / 2)
        ends = stats.binomtest(round(found[key].value * N), N).proportion_ci(0.95, "exact")
        assert (found[key].interval.low, found[key].interval.high) == pytest.approx(tuple(ends), abs=1e-9)


def test_the_estimate_of_the_median_radius_is_the_true_one_within_the_draws():
    """The radius of a linear critic is its margin over the length of its weights."""
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    fake = np.sort(np.maximum(exact(made, real)[0], 0))[(N + 1) // 2 - 1]
    sigma = float(fake)  # a share of .841
    _, found = audited(made, real, NAME, samples=N, draws=4000, sigma=sigma)
    estimate, proved = found["median-radius-estimate"], found["median-certified-radius"]
    # By the delta method sd(R) = sigma sqrt(q (1 - q)/n)/phi(1), .024 sigma; a median of many scatters less.
    error = sigma * np.sqrt(0.841 * 0.159 / 4000) / stats.norm.pdf(1)
    assert estimate.value == pytest.approx(fake, abs=5 * error)
    assert proved.value < estimate.value
    # Under wide noise no share is 1, so that the order statistics around the median are all known.
    _, wide = audited(made, real, NAME, samples=N, draws=DRAWS, sigma=4 * sigma)
    ends = wide["median-radius-estimate"].interval
    assert ends.low < wide["median-radius-estimate"].value < ends.high


def test_draws_that_all_agree_estimate_no_radius(linear):
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    _, found = audited(made, real, NAME, samples=N, draws=20, sigma=1e-4)
    assert found["median-radius-estimate"].value is None
    assert "all 20 noisy copies" in found["median-radius-estimate"].reason


def test_certified_rates_never_promise_more_than_is_true(linear):
    made, real, row, found = linear
    fake, test = exact(made, real)
    # Each bound is wrong for a sample with probability alpha/2: one of 80 that lies within rounding of its bound.
    assert found["certified-fpr"].value >= np.mean(test < SIGMA / 2) - 1 / N
    assert found["certified-tpr"].value <= np.mean(fake > SIGMA / 2) + 1 / N
    table = next(d for d in row.details if d.kind == "table")
    rates = np.array([r[1:] for r in table.rows])
    assert (np.diff(rates[:, 0]) >= 0).all()
    assert (np.diff(rates[:, 1]) <= 0).all()


def test_the_cap_of_the_radius_is_told(linear):
    cap = SIGMA * stats.norm.ppf(0.001 ** (1 / DRAWS))
    note = next(d for d in linear[2].details if d.kind == "note")
    assert f"no radius above {cap:.3g} of the range" in note.text
    curve = next(d for d in linear[2].details if d.kind == "curve")
    assert curve.rules[0].at == pytest.approx(cap)
    for series in curve.series:
        assert (np.diff(series.y) <= 0).all()
        assert all(y == 0 for x, y in zip(series.x, series.y, strict=True) if x > cap + 1e-9)


def test_no_gradients_are_needed_and_the_unit_of_the_score_is_nothing(linear):
    real = reference(-1.0, 1.0)
    for critic in (Blind(W), Weighs(W, 1e3, 50.0)):
        _, found = audited(subject(critic, W, -1.0, 1.0), real, NAME, samples=N, draws=DRAWS, sigma=SIGMA)
        for key, one in found.items():
            # The subject's digest is none of the seed: the same noise, the same verdicts.
            assert one.value == pytest.approx(linear[3][key].value, abs=1e-12), key


def test_classes_and_waveforms():
    each = np.stack([weights(P, seed) for seed in (1, 2, 3)])
    made, real = subject(Told(each), each[0], -1.0, 1.0, classes=3), reference(-1.0, 1.0, classes=3)
    row, found = audited(made, real, NAME, samples=10, draws=100)
    assert row.status == "measured", row.reason
    assert found["certified-accuracy-fake"].n == 10
    w, shape = weights(1024), (1, 1024)
    row, found = audited(subject(Weighs(w), w, -1.0, 1.0, 0.01, shape), reference(-1.0, 1.0, shape), NAME,
                         extractor="log-mel", samples=10, draws=100)  # fmt: skip
    assert row.status == "measured", row.reason
    assert all(m.value is not None for m in found.values())


class Narrow(Weighs):
    """Calls generated whatever has one value beyond those that reals have, as noise brings about."""

    def forward(self, x):
        return super().forward(x) - 1e3 * torch.relu(x.flatten(1).abs().amax(1).double() - 0.65)


def kept_under(made, real, sigma):
    """The share of calibration reals that keep the verdict real in most of 200 draws of noise."""
    x = real.splits["calibration"].array.reshape(-1, P).astype(np.float64)
    noisy = x[:, None] + 2 * sigma * np.random.default_rng(0).standard_normal((len(x), 200, P))
    scores = noisy @ W - 1e3 * np.maximum(np.abs(noisy).max(-1) - 0.65, 0)
    return np.mean(np.mean(scores >= threshold(made, real), axis=1) > 0.5)


def test_a_critic_that_noise_makes_constant_is_told_and_sigma_is_chosen_on_calibration_reals():
    made, real = subject(Narrow(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    row, found = audited(made, real, NAME, samples=N, draws=200, sigma=0.1)
    assert (found["certified-accuracy-real"].value, found["certified-fpr"].value) == (0.0, 1.0)
    assert any("another sigma is needed" in w and "reals among them" in w for w in row.warnings), row.warnings
    row, found = audited(made, real, NAME, samples=N, draws=200)
    chosen = float(next(d for d in row.details if d.kind == "note").text.split("sigma ")[1].split()[0])
    shares = {sigma: kept_under(made, real, sigma) for sigma in (0.05, 0.02, 0.01, 0.005)}
    assert all(abs(share - 0.5) > 0.1 for share in shares.values()), f"the case must tell: {shares}"
    assert chosen == max(sigma for sigma, share in shares.items() if share > 0.5) < 0.05
    assert row.warnings == []
    assert found["certified-accuracy-real"].value > 0


def test_a_sigma_that_is_given_and_one_that_is_chosen_are_one(linear):
    made, real, _, found = linear
    _, other = audited(made, real, NAME, samples=N, draws=DRAWS)
    assert {key: one.value for key, one in other.items()} == {key: one.value for key, one in found.items()}


def test_too_few_reals_and_options():
    row, _ = audited(subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0, calibration=10), NAME)
    assert "needs 19 calibration reals; there are 10" in row.reason
    for wrong in ({"sigma": 0.0}, {"samples": 0}, {"draws": 0}, {"alpha": 1.0}, {"fpr": 0.0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: found .*; allowed: "):
            CertifiedRobustness(**wrong)
