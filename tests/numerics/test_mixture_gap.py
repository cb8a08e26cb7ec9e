"""The likelihood gap against plain sums, one law, copies, and scale."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.mixture_gap import mixture_gap


def drawn(n, d, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(n, d)))


def plainly(fake, train, held, rounds):
    """Return the gap by loops over samples and centres."""
    d, n = fake.shape[1], len(fake)
    square = lambda a, b: sum((x - y) ** 2 for x, y in zip(a.tolist(), b.tolist(), strict=True))  # noqa: E731
    near = sum(min(square(t, f) for f in fake) for t in train) / len(train) / d
    widths = [near] * n

    def terms(x):
        return [-square(x, f) / (2 * v) - d / 2 * math.log(v) for f, v in zip(fake, widths, strict=True)]

    for _ in range(rounds):
        shares = []
        for t in train:
            logs = terms(t)
            top = max(logs)
            weights = [math.exp(value - top) for value in logs]
            shares.append([w / sum(weights) for w in weights])
        for i in range(n):
            mass = sum(row[i] for row in shares)
            if mass > 1e-12:
                found = sum(row[i] * square(t, fake[i]) for row, t in zip(shares, train, strict=True)) / (d * mass)
                widths[i] = max(found, 1e-4 * near)

    def density(x):
        return math.log(sum(math.exp(value) for value in terms(x)) / n) / d

    return sum(map(density, train)) / len(train) - sum(map(density, held)) / len(held)


def test_it_is_what_loops_say():
    fake, train, held = drawn(9, 3, 0), drawn(12, 3, 1), drawn(10, 3, 2)
    assert mixture_gap(fake, train, held, 4).value == pytest.approx(plainly(fake, train, held, 4), rel=1e-9)


def test_copies_lift_it_out_of_what_one_law_gives():
    train, held, fake, stand_in = (drawn(400, 16, seed) for seed in range(4))
    null, found = mixture_gap(stand_in, train, held), mixture_gap(fake, train, held)
    assert found.bounds.low < null.bounds.high
    assert null.bounds.low < found.bounds.high
    few = mixture_gap(torch.cat([train[:40], fake[40:]]), train, held)
    assert few.bounds.low > null.bounds.high
    assert mixture_gap(train, train, held).value > 10 * few.value


def test_neither_unit_nor_origin_matters():
    train, held, fake = (drawn(60, 4, seed) for seed in range(3))
    found = mixture_gap(fake, train, held).value
    assert mixture_gap(*(1e3 * x + 7 for x in (fake, train, held))).value == pytest.approx(found, rel=1e-6)


def test_without_spread_there_is_none():
    one = torch.ones(20, 3)
    assert mixture_gap(one, one, drawn(20, 3, 0)) is None
    assert math.isfinite(mixture_gap(drawn(20, 3, 0), one, one).value)
    assert math.isfinite(mixture_gap(one, drawn(20, 3, 0), one).value)
    with pytest.raises(ValueError, match="allowed: one"):
        mixture_gap(one, torch.ones(20, 4), one)
