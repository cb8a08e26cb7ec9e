"""Objectives: each loss against its formula written out, the players' directions, what each objective leaves free."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn.functional import cross_entropy

from ganaudit.training.objectives import OBJECTIVES

REAL = torch.tensor([2.0, -1.0, 0.25, 3.5], dtype=torch.float64)
FAKE = torch.tensor([0.5, 3.0, -2.0, -0.125], dtype=torch.float64)
ONE_LOGIT = [name for name in OBJECTIVES if name != "softmax"]


def sigmoid(t: float) -> float:
    return 1 / (1 + math.exp(-t))


def mean(of: Callable[..., float], *lists: torch.Tensor) -> float:
    return float(np.mean([of(*entries) for entries in zip(*(t.tolist() for t in lists), strict=True)]))


WRITTEN_OUT = {
    "non-saturating": (
        mean(lambda r: -math.log(sigmoid(r)), REAL) + mean(lambda f: -math.log(1 - sigmoid(f)), FAKE),
        mean(lambda f: -math.log(sigmoid(f)), FAKE),
    ),
    "saturating": (
        mean(lambda r: -math.log(sigmoid(r)), REAL) + mean(lambda f: -math.log(1 - sigmoid(f)), FAKE),
        mean(lambda f: math.log(1 - sigmoid(f)), FAKE),
    ),
    "least-squares": (
        mean(lambda r, f: ((r - 1) ** 2 + f**2) / 2, REAL, FAKE),
        mean(lambda f: (f - 1) ** 2 / 2, FAKE),
    ),
    "hinge": (mean(lambda r, f: max(0, 1 - r) + max(0, 1 + f), REAL, FAKE), -mean(lambda f: f, FAKE)),
    "wasserstein": (mean(lambda r, f: f - r, REAL, FAKE), -mean(lambda f: f, FAKE)),
    "relativistic-pairing": (
        mean(lambda r, f: -math.log(sigmoid(r - f)), REAL, FAKE),
        mean(lambda r, f: -math.log(sigmoid(f - r)), REAL, FAKE),
    ),
}


@pytest.mark.parametrize("name", ONE_LOGIT)
def test_losses_are_the_formulas(name: str) -> None:
    objective, (discriminator, generator) = OBJECTIVES[name], WRITTEN_OUT[name]
    assert float(objective.discriminator(REAL, FAKE, None)) == pytest.approx(discriminator, rel=1e-13)
    assert float(objective.generator(REAL, FAKE, None)) == pytest.approx(generator, rel=1e-13)
    assert objective.outputs(0) == objective.outputs(10) == 1


@pytest.mark.parametrize("name", ONE_LOGIT)
def test_maps_are_taken_entry_by_entry(name: str) -> None:
    objective = OBJECTIVES[name]
    assert objective.entrywise
    for part in (objective.discriminator, objective.generator):
        flat, maps = part(REAL, FAKE, None), part(REAL.view(2, 1, 2), FAKE.view(2, 1, 2), None)
        torch.testing.assert_close(maps, flat, rtol=1e-14, atol=0)


@pytest.mark.parametrize("name", ONE_LOGIT)
def test_players_pull_in_opposite_directions(name: str) -> None:
    objective = OBJECTIVES[name]
    real = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    fake = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    by_real, by_fake = torch.autograd.grad(objective.discriminator(real, fake, None), [real, fake])
    assert bool((by_real < 0).all()), "the discriminator raises real scores"
    # At 0 the least-squares target of generated samples is reached, so nothing pulls there.
    assert bool((by_fake > 0).all()) or name == "least-squares"
    by_real, by_fake = torch.autograd.grad(
        objective.generator(real, fake, None), [real, fake], allow_unused=True, materialize_grads=False
    )
    assert bool((by_fake < 0).all()), "the generator raises the scores of its samples"
    assert (by_real is not None) is objective.needs_real


@pytest.mark.parametrize("name", [n for n in OBJECTIVES if OBJECTIVES[n].boundary is not None])
def test_where_both_are_equally_likely_the_best_score_is_the_boundary(name: str) -> None:
    objective = OBJECTIVES[name]
    scores = torch.full((4,), float(objective.boundary or 0.0), dtype=torch.float64, requires_grad=True)
    # Of two logits (score, 0), the score of softmax is the first.
    logits = scores if name != "softmax" else torch.stack([scores, torch.zeros_like(scores)], 1)
    (gradient,) = torch.autograd.grad(objective.discriminator(logits, logits, None), scores)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), rtol=0, atol=1e-15)


@pytest.mark.parametrize("name", ["wasserstein", "relativistic-pairing"])
def test_objectives_of_differences_fix_no_boundary(name: str) -> None:
    objective = OBJECTIVES[name]
    assert objective.boundary is None
    moved = objective.discriminator(REAL + 7.0, FAKE + 7.0, None)
    torch.testing.assert_close(moved, objective.discriminator(REAL, FAKE, None), rtol=1e-13, atol=1e-13)


def test_the_generator_still_learns_where_the_discriminator_wins_unless_it_saturates() -> None:
    fake = torch.tensor([-20.0], dtype=torch.float64, requires_grad=True)
    slopes = {
        name: float(torch.autograd.grad(OBJECTIVES[name].generator(fake, fake, None), fake)[0])
        for name in ("saturating", "non-saturating")
    }
    assert slopes["saturating"] == pytest.approx(-sigmoid(-20.0), rel=1e-12)
    assert slopes["non-saturating"] == pytest.approx(-sigmoid(20.0), rel=1e-12)


def test_softmax_is_cross_entropy_over_the_classes_and_the_generated_one() -> None:
    chance = torch.Generator().manual_seed(1)
    real, fake = torch.randn(2, 6, 5, generator=chance, dtype=torch.float64)
    labels, last = torch.tensor([0, 3, 2, 1, 1, 0]), torch.full((6,), 4)
    softmax = OBJECTIVES["softmax"]
    expected = cross_entropy(real, labels) + cross_entropy(fake, last)
    torch.testing.assert_close(softmax.discriminator(real, fake, labels), expected, rtol=1e-13, atol=0)
    torch.testing.assert_close(softmax.generator(real, fake, labels), cross_entropy(fake, labels), rtol=1e-13, atol=0)
    generated = real.softmax(1)[:, 4], fake.softmax(1)[:, 4]
    unlabelled = -(1 - generated[0]).log().mean() - generated[1].log().mean()
    torch.testing.assert_close(softmax.discriminator(real, fake, None), unlabelled, rtol=1e-12, atol=0)
    torch.testing.assert_close(softmax.generator(real, fake, None), -(1 - generated[1]).log().mean())
    odds = ((1 - generated[1]) / generated[1]).log()
    torch.testing.assert_close(softmax.score(fake), odds, rtol=1e-12, atol=1e-12)
    assert (softmax.outputs(10), softmax.outputs(0), softmax.entrywise) == (11, 2, False)


def test_softmax_of_one_class_is_binary_cross_entropy_of_the_difference() -> None:
    real, fake = torch.stack([REAL, FAKE], 1), torch.stack([FAKE, REAL.flip(0)], 1)
    softmax, binary = OBJECTIVES["softmax"], OBJECTIVES["non-saturating"]
    differences = real[:, 0] - real[:, 1], fake[:, 0] - fake[:, 1]
    for labels in (None, torch.zeros(4, dtype=torch.int64)):
        torch.testing.assert_close(softmax.discriminator(real, fake, labels), binary.discriminator(*differences))
        torch.testing.assert_close(softmax.generator(real, fake, labels), binary.generator(*differences))


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_float32_stays_and_half_precision_is_raised(name: str) -> None:
    objective = OBJECTIVES[name]
    real, fake = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(2)).bfloat16()
    for part in (objective.discriminator, objective.generator):
        loss = part(real, fake, None)
        assert loss.dtype is torch.float32
        assert loss.shape == ()
        torch.testing.assert_close(loss, part(real.float(), fake.float(), None), rtol=0, atol=0)


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_nothing_is_read_back_from_the_device(name: str) -> None:
    with FakeTensorMode():  # tensors without values: reading one raises
        real, fake, labels = torch.empty(4, 3), torch.empty(4, 3), torch.empty(4, dtype=torch.int64)
        for given in (labels, None):
            objective = OBJECTIVES[name]
            losses = objective.discriminator(real, fake, given), objective.generator(real, fake, given)
            assert [loss.shape for loss in losses] == [(), ()]


def test_large_responses_give_finite_losses() -> None:
    for name, objective in OBJECTIVES.items():
        real, fake = (torch.full((2, 3) if name == "softmax" else (2,), v) for v in (-1e4, 1e4))
        for part in (objective.discriminator, objective.generator):
            assert bool(part(real, fake, None).isfinite())


def test_scores_of_one_logit_and_shapes_that_are_refused() -> None:
    hinge, softmax = OBJECTIVES["hinge"], OBJECTIVES["softmax"]
    torch.testing.assert_close(hinge.score(REAL[:, None]), REAL, rtol=0, atol=0)
    torch.testing.assert_close(hinge.score(REAL), REAL, rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"found shape \(2, 2\); allowed: \(samples,\)"):
        hinge.score(REAL.view(2, 2))
    with pytest.raises(ValueError, match=r"allowed: \(samples, classes \+ 1\)"):
        softmax.discriminator(REAL, FAKE, None)
    pairing = OBJECTIVES["relativistic-pairing"]
    for part in (pairing.discriminator, pairing.generator):
        with pytest.raises(ValueError, match=r"real: found shape \(4, 1\); allowed: \(4,\), as in fake"):
            part(REAL[:, None], FAKE, None)
