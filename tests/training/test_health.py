"""Signs of trouble in a run, on samples and scores where they are known."""

import math

import pytest
import torch

from ganaudit.training.health import Look, effective_rank, look, nearest, overfit, spread, verdict


def test_diversity_against_all_pairs():
    x = torch.randn(20, 2, 3, 3, generator=torch.Generator().manual_seed(0)).double()
    squares = [float((a - b).square().sum()) for i, a in enumerate(x) for j, b in enumerate(x) if i != j]
    assert spread(x) == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-12)


@pytest.mark.parametrize("shape", [(200, 6), (6, 200)])
def test_effective_rank_of_equal_directions_is_their_number(shape):
    # Orthogonal directions of equal strength, around a mean.
    n, d = shape
    k = 4
    q = torch.linalg.qr(torch.randn(d, k, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    codes = torch.linalg.qr(
        torch.cat([torch.ones(n, 1), torch.randn(n, k, generator=torch.Generator().manual_seed(2))], 1).double()
    ).Q[:, 1 : k + 1]
    found = effective_rank(codes @ q[:, : codes.shape[1]].T + 3)
    assert found == pytest.approx(codes.shape[1], rel=1e-9)


def test_effective_rank_of_copies_is_zero():
    assert effective_rank(torch.ones(8, 3)) == 0.0


def test_overfit_is_where_held_out_reals_stand_between_train_reals_and_fakes():
    train, fake = torch.tensor([2.0, 4.0]), torch.tensor([-1.0])
    for share in (0.0, 0.25, 1.0):
        held = torch.tensor([3.0 - 4.0 * share])
        assert overfit(train, held, fake) == pytest.approx(share)
    assert overfit(fake, train, train) == 0.0


def made(fake, broken=0, scores=None):
    rng = torch.Generator().manual_seed(3)
    real = torch.randn(64, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1)
    plain = torch.randn(64, generator=rng)
    return look(100, fake(rng), real, scores or (plain, plain, plain), broken, None)


def test_samples_like_reals_raise_no_alarm():
    found = made(lambda rng: torch.randn(64, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1))
    assert found.alarms == ()
    assert found.spread == pytest.approx(1, abs=0.1)
    assert found.rank == pytest.approx(1, abs=0.1)


def test_copies_of_one_sample_are_a_collapse_and_so_is_one_direction():
    assert made(lambda rng: torch.randn(1, 1, 8, 8, generator=rng).mul(0.3).expand(64, -1, -1, -1)).alarms == (
        "collapse",
    )
    line = made(lambda rng: torch.randn(64, 1, 1, 1, generator=rng).mul(0.3) * torch.ones(1, 1, 8, 8))
    assert "collapse" in line.alarms
    assert line.spread > 0.5
    assert line.rank < 0.1


def test_near_copies_of_a_few_samples_are_a_collapse_however_far_apart_the_few_lie():
    def few(rng):
        kept = torch.randn(40, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1)
        return kept.repeat(2, 1, 1, 1)[:64] + 0.01 * torch.randn(64, 1, 8, 8, generator=rng)

    found = made(few)
    assert found.spread > 0.9
    assert found.rank > 0.5
    assert found.distinct < 0.7
    three = made(lambda rng: torch.randn(3, 1, 8, 8, generator=rng).mul(0.3).repeat(22, 1, 1, 1)[:64])
    assert three.distinct == 0
    assert "collapse" in three.alarms


def test_the_nearest_neighbour_by_loops():
    x = torch.randn(9, 2, 3, generator=torch.Generator().manual_seed(1))
    rows = x.flatten(1).tolist()
    found = [min(math.dist(a, b) for j, b in enumerate(rows) if j != i) for i, a in enumerate(rows)]
    assert nearest(x) == pytest.approx(sum(found) / 9, rel=1e-9)


def test_samples_that_are_no_numbers_are_broken_and_nothing_else():
    found = made(lambda rng: torch.full((64, 1, 8, 8), torch.nan))
    assert "broken" in found.alarms
    assert verdict([found]).verdict == "broken"


def test_values_at_the_ends_of_the_range_are_saturation():
    found = made(lambda rng: torch.randn(64, 1, 8, 8, generator=rng).sign())
    assert found.saturation == pytest.approx(1, abs=0.01)
    assert "saturation" in found.alarms


def test_a_discriminator_that_knows_its_reals_by_heart_is_overfit():
    scores = torch.full((64,), 5.0), torch.full((64,), -5.0), torch.full((64,), -4.0)
    found = made(lambda rng: torch.randn(64, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1), scores=scores)
    assert found.overfit == pytest.approx(0.9)
    assert found.alarms == ("overfit",)


def test_the_verdict_tells_what_the_last_look_shows_and_what_has_passed():
    fine = Look(2, 1.0, 1.0, 1.0, 0.1, 0.2, 0.0, 0)
    dull = Look(1, 0.2, 0.2, 0.2, None, 0.2, 0.0, 0)
    assert verdict([]).words == "the run was too short for a look at its health"
    assert verdict([fine]).verdict == "healthy"
    passed = verdict([dull, fine])
    assert (passed.verdict, passed.alarms) == ("healthy", ())
    assert "signs of collapse on the way, which have passed" in passed.words
    ended = verdict([fine, dull])
    assert (ended.verdict, ended.alarms) == ("doubtful", ("collapse",))
    assert "spread over 20% of what reals do" in ended.words
    assert verdict([Look(3, 1.0, 1.0, 1.0, 0.1, 0.2, 0.0, 7)]).verdict == "broken"
