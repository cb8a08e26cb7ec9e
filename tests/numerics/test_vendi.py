"""Vendi scores against closed forms, singular values, plain deletion of samples, several processes and simulation."""

import math
import threading

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.numerics.vendi import cosine_spectrum, effective_number, kernel_spectrum, vendi, vendi_score


def draw(n, d, seed, shift=0.5):
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, 1, size=(n, d)))


def by_singular_values(features, q=1.0):
    """The score from the singular values of the normalised rows: no Gram matrix, no eigenvalues."""
    rows = features.double().numpy()
    shares = np.linalg.svd(rows / np.linalg.norm(rows, axis=1, keepdims=True), compute_uv=False) ** 2 / len(rows)
    if q == 1:
        return math.exp(stats.entropy(shares))
    return 1 / shares.max() if q == math.inf else np.sum(shares**q) ** (1 / (1 - q))


@pytest.mark.parametrize("d", [5, 9, 40])
def test_samples_without_anything_in_common_count_each(d):
    features = torch.zeros(5, d)
    features[:, :5] = torch.diag(torch.tensor([1.0, 2.0, -3.0, 0.5, 7.0]))
    assert vendi_score(features) == pytest.approx(5, rel=1e-9)
    assert vendi_score(features.repeat(20, 1)) == pytest.approx(5, rel=1e-9)


@pytest.mark.parametrize("n", [3, 40])
def test_one_image_counts_once(n):
    features = torch.rand(1, 7, generator=torch.Generator().manual_seed(0)).repeat(n, 1)
    found = vendi(features, np.random.default_rng(0))
    for q in (0, 0.5, 1, 2, math.inf):
        assert vendi_score(features, q) == pytest.approx(1, rel=1e-9)
    assert found.value == pytest.approx(1, rel=1e-9)
    assert found.log_error == pytest.approx(0, abs=1e-12)
    assert found.interval(0.95).low == 1


def test_published_similarity_matrices():
    # The examples of the authors' package and an equicorrelated matrix, whose eigenvalues are known.
    places = torch.tensor([0.0, 0, 10, 10, 20, 20], dtype=torch.float64)
    assert effective_number(kernel_spectrum(torch.exp(-(places[:, None] - places).abs()))) == pytest.approx(
        2.999999996, abs=1e-8
    )
    three = torch.eye(3, dtype=torch.float64)
    three[0, 1] = three[1, 0] = 0.9
    expected = math.exp(stats.entropy([1.9 / 3, 0.1 / 3, 1 / 3]))
    assert effective_number(kernel_spectrum(three)) == pytest.approx(expected, rel=1e-9)
    assert round(expected, 4) == 2.1573
    equal = torch.full((10, 10), 0.5, dtype=torch.float64) + 0.5 * torch.eye(10)
    assert effective_number(kernel_spectrum(equal)) == pytest.approx(5.34889433671457, rel=1e-9)
    shares = np.array([5.5, *[0.5] * 9]) / 10
    assert effective_number(kernel_spectrum(equal), 2) == pytest.approx(1 / np.sum(shares**2), rel=1e-9)
    assert effective_number(kernel_spectrum(equal), math.inf) == pytest.approx(10 / 5.5, rel=1e-9)


@pytest.mark.parametrize("q", [0.5, 1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize(("n", "d"), [(60, 8), (8, 60), (20, 20), (1, 4), (4, 1)])
def test_both_forms_agree_with_singular_values(n, d, q):
    features = draw(n, d, n + d)
    assert vendi_score(features, q) == pytest.approx(by_singular_values(features, q), rel=1e-9)
    assert effective_number(kernel_spectrum(cosines(features)), q) == pytest.approx(vendi_score(features, q), rel=1e-9)


def cosines(features):
    rows = features / features.norm(dim=1, keepdim=True)
    return rows @ rows.T


def test_effective_numbers_fall_with_their_order_and_count_at_zero():
    shares = torch.tensor([0.5, 0.25, 0.125, 0.125, 0.0])
    numbers = [effective_number(shares, q) for q in (0, 0.3, 0.999999, 1, 1.000001, 2, 10, math.inf)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[0] == pytest.approx(4, rel=1e-12)
    assert numbers[3] == pytest.approx(2 ** (0.5 + 0.5 + 0.375 + 0.375), rel=1e-12)
    # The order enters smoothly: a step of 1e-6 moves the number by no more than a few millionths.
    assert numbers[2] == pytest.approx(numbers[4], rel=1e-5)
    assert numbers[-1] == pytest.approx(2, rel=1e-12)


def test_scale_order_copies_and_turns_change_nothing():
    features = draw(50, 12, 1)
    turned = torch.linalg.qr(draw(12, 12, 2)).Q
    score = vendi_score(features)
    scales = torch.logspace(-200, 140, 50, dtype=torch.float64)[:, None]
    for same in (
        features.flip(0),
        features * scales,
        features.repeat(3, 1),
        features @ turned,
        features.T.contiguous().T,
    ):
        assert vendi_score(same) == pytest.approx(score, rel=1e-9)
    wide = draw(12, 50, 3)
    assert vendi_score(wide * scales[:12]) == pytest.approx(vendi_score(wide), rel=1e-9)


def test_rows_of_zeros_are_alike_and_unlike_all_else():
    for d in (2, 30):
        features = torch.zeros(9, d)
        assert vendi_score(features) == 1.0
        features[3:6, 0], features[6:, 1] = 2.0, -1.0
        assert vendi_score(features) == pytest.approx(3, rel=1e-12)
        left_out = vendi(features, np.random.default_rng(0))
        assert left_out.log_error == pytest.approx(jackknife(features), rel=1e-9)


def jackknife(features):
    n = len(features)
    logs = np.log([vendi_score(torch.cat([features[:i], features[i + 1 :]])) for i in range(n)])
    return math.sqrt((n - 1) / n * np.sum((logs - logs.mean()) ** 2))


@pytest.mark.parametrize(("n", "d"), [(30, 6), (6, 30), (15, 15), (2, 3), (80, 2)])
def test_the_error_is_that_of_leaving_every_sample_out_in_turn(n, d):
    features = draw(n, d, 7 * n + d)
    features[1] = features[0]
    found = vendi(features, np.random.default_rng(0))
    assert found.value == pytest.approx(by_singular_values(features), rel=1e-9)
    assert found.log_error == pytest.approx(jackknife(features), rel=1e-9, abs=1e-12)


def test_some_rows_tell_the_error_of_all():
    features = draw(3000, 5, 3)
    whole = vendi(features, np.random.default_rng(0))
    part = vendi(features, np.random.default_rng(0), most=1000)
    assert part.value == whole.value
    # A standard deviation from 1000 rows of near normal influences is known to about 1/sqrt(2000); heavier tails, more.
    assert part.log_error == pytest.approx(whole.log_error, rel=4 * 2 / math.sqrt(2000))


class Shared:
    """Processes as threads: parts by turns, and sums that wait for every one."""

    def __init__(self, size):
        self.size, self.barrier, self.slots = size, threading.Barrier(size), [None] * size

    def run(self, work):
        results = [None] * self.size

        def one(rank):
            results[rank] = work(Member(self, rank))

        threads = [threading.Thread(target=one, args=(rank,)) for rank in range(self.size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


class Member:
    def __init__(self, shared, rank):
        self.shared, self.rank, self.size = shared, rank, shared.size

    def mine(self, parts):
        return iter(range(self.rank, parts, self.size))

    def total(self, values):
        self.shared.slots[self.rank] = values
        self.shared.barrier.wait()
        found = torch.stack(self.shared.slots).sum(0)
        self.shared.barrier.wait()
        return found


@pytest.mark.parametrize(("n", "d"), [(900, 7), (7, 900)])
@pytest.mark.parametrize("size", [2, 3])
def test_any_number_of_processes_finds_the_same(monkeypatch, size, n, d):
    monkeypatch.setattr("ganaudit.numerics.vendi._BLOCK", 700)  # many parts of so few samples
    features = draw(n, d, 5)
    alone = vendi(features, np.random.default_rng(0))
    for found in Shared(size).run(lambda world: vendi(features, np.random.default_rng(0), world)):
        assert found.value == pytest.approx(alone.value, rel=1e-9)
        assert found.log_error == pytest.approx(alone.log_error, rel=1e-9)


def rectified(rng, n):
    mixing = np.random.default_rng(0).normal(size=(24, 24)) / np.sqrt(np.arange(1, 25))[:, None]
    return np.maximum(rng.normal(size=(n, 24)) @ mixing + 0.3, 0)


def wide(rng, n):
    return rng.normal(size=(n, 80)) / np.arange(1, 81) ** 0.7


def modes(rng, n):
    centres = np.random.default_rng(1).normal(size=(12, 16))
    return centres[rng.integers(0, 12, n)] + 0.3 * rng.normal(size=(n, 16))


@pytest.mark.parametrize(("law", "n"), [(rectified, 150), (wide, 60), (modes, 100)])
def test_the_interval_holds_the_expected_score_at_this_n(law, n):
    rng = np.random.default_rng(11)
    truth = np.mean([vendi_score(torch.from_numpy(law(rng, n))) for _ in range(1500)])
    inside = 0
    for _ in range(300):
        bounds = vendi(torch.from_numpy(law(rng, n)), rng).interval(0.95)
        inside += bounds.low <= truth <= bounds.high
    # Fewer hold once in ten thousand tests where 92 % of all do.
    assert inside >= stats.binom.ppf(1e-4, 300, 0.92), inside


def test_bad_arguments_are_refused():
    features = draw(5, 3, 0)
    for bad in (features[0], features[:0], features * math.nan, features[:, :0]):
        with pytest.raises(ValueError, match=r"features: found .*; allowed"):
            cosine_spectrum(bad)
    with pytest.raises(ValueError, match="found 1 samples; allowed: 2 or more"):
        vendi(features[:1], np.random.default_rng(0))
    with pytest.raises(ValueError, match="most: found 1"):
        vendi(features, np.random.default_rng(0), most=1)
    for q in (-1, math.nan):
        with pytest.raises(ValueError, match="q: found"):
            vendi_score(features, q)
    for shares in ([0.5, 0.6], [1.5, -0.5], [0.5, math.nan]):
        with pytest.raises(ValueError, match="shares: found"):
            effective_number(torch.tensor(shares))
    lopsided = torch.eye(3)
    lopsided[0, 1] = 0.5
    for kernel in (
        torch.eye(3)[:2],
        2 * torch.eye(3),
        lopsided,
        torch.ones(2, 2) - 3 * (torch.ones(2, 2) - torch.eye(2)),
    ):
        with pytest.raises(ValueError, match="kernel: found"):
            kernel_spectrum(kernel)
