"""Distances by class against the distance of each class's rows, and worlds of several processes."""

import math

import numpy as np
import pytest
import torch

from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.frechet_classes import class_distances
from ganaudit.numerics.world import ALONE
from tests.numerics.test_moments import in_worlds


def made(d=3):
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.normal(size=(n, d))) for n in (260, 240))
    real_labels = torch.from_numpy(np.repeat([5, 0, 2, 7], [150, 60, 49, 1]))
    fake_labels = torch.from_numpy(np.repeat([0, 5, 2, 9], [90, 90, 40, 20]))
    return real, real_labels, fake + fake_labels[:, None] / 4, fake_labels


def distances(world=ALONE, **options):
    return class_distances(*made(**options), np.random.default_rng(1), world)


@pytest.mark.parametrize("d", [3, 55])
def test_every_class_of_either_side_has_the_distance_of_its_rows(d):
    real, real_labels, fake, fake_labels = made(d)
    found = distances(d=d)
    assert [row.label for row in found] == [0, 2, 5, 7, 9]
    for row in found:
        one, other = real[real_labels == row.label], fake[fake_labels == row.label]
        assert (row.n_real, row.n_fake) == (len(one), len(other))
        if min(len(one), len(other)) < 2:
            assert row.distance is None
        else:
            assert row.distance == pytest.approx(frechet_distance(one, other), rel=1e-9)
        # 50 samples at least, and more than the features.
        is_corrected = min(row.n_real, row.n_fake) >= (50 if d == 3 else 69)
        assert (row.corrected is not None) == (row.standard_error is not None) == is_corrected


def test_the_corrected_distance_of_a_class_holds_its_truth():
    for row in distances():
        if row.corrected is not None:
            assert abs(row.corrected - 3 * (row.label / 4) ** 2) <= 4 * row.standard_error
            assert row.corrected < row.distance


@pytest.mark.parametrize("size", [2, 7])
def test_a_world_of_several_processes_finds_the_same(size):
    alone = distances()
    for found in in_worlds(size, distances):
        for one, other in zip(alone, found, strict=True):
            assert (one.label, one.n_real, one.n_fake) == (other.label, other.n_real, other.n_fake)
            assert one.distance == (None if other.distance is None else pytest.approx(other.distance, rel=1e-12))
            assert one.corrected == (None if other.corrected is None else pytest.approx(other.corrected, rel=1e-12))


@pytest.mark.parametrize("labels", [torch.zeros(5, dtype=torch.int64), torch.zeros(6), torch.zeros(6, 1).long()])
def test_labels_that_do_not_fit_are_refused(labels):
    x, fitting = torch.ones(6, 2), torch.zeros(6, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"real_labels: found .*allowed: \(6,\)"):
        class_distances(x, labels, x, fitting, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"fake_labels: found .*allowed: \(6,\)"):
        class_distances(x, fitting, x, labels, np.random.default_rng(0))


def test_features_must_be_finite_and_agree():
    fitting = torch.zeros(6, dtype=torch.int64)
    for fake in (torch.full((6, 2), math.nan), torch.ones(6, 3)):
        with pytest.raises(ValueError, match=r"found .*allowed"):
            class_distances(torch.ones(6, 2), fitting, fake, fitting, np.random.default_rng(0))
