"""Signs of trouble in a run, on samples and scores where they are known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from ganaudit import registry
from ganaudit.features.extractor import Activations
from ganaudit.numerics.quantise import to_uint8
from ganaudit.training.features import Features, features_for
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


def made(fake, broken=0, scores=None, features=None):
    rng = torch.Generator().manual_seed(3)
    real = torch.randn(64, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1)
    plain = torch.randn(64, generator=rng)
    return look(100, fake(rng), real, scores or (plain, plain, plain), broken, None, features=features)


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


class Quarters:
    """An extractor of the means of the four quarters of grey images."""

    id = "quarters"
    block = 10

    def extract(self, levels):
        assert levels.dtype is torch.uint8
        assert len(levels) == 10
        means = levels.double().unfold(2, 4, 4).unfold(3, 4, 4).mean((4, 5))
        return Activations(means.flatten(1).float())


def test_features_are_those_of_the_levels_an_audit_sees():
    x = torch.rand(23, 1, 8, 8, generator=torch.Generator().manual_seed(5)) * 2 - 1
    found = Features(Quarters(), "cpu").of(x)
    levels = np.clip(np.rint((x.numpy().astype(np.float64) + 1) * 127.5), 0, 255)
    expected = [[levels[i, 0, r : r + 4, c : c + 4].mean() for r in (0, 4) for c in (0, 4)] for i in range(23)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_copies_under_noise_are_a_collapse_in_features_alone():
    def noisy(rng):  # noise whose mean over every quarter is 0, over four samples
        noise = torch.randn(64, 1, 8, 8, generator=rng).mul(0.3)
        middle = noise.view(64, 1, 2, 4, 2, 4).mean((3, 5), keepdim=True).expand(64, 1, 2, 4, 2, 4).reshape(noise.shape)
        four = torch.randn(4, 1, 2, 2, generator=rng).mul(0.05).repeat_interleave(4, 2).repeat_interleave(4, 3)
        return noise - middle + four.repeat(16, 1, 1, 1)

    blind, seeing = made(noisy), made(noisy, features=Features(Quarters(), "cpu"))
    assert blind.alarms == ()
    assert seeing.alarms == ("collapse",)
    assert (blind.features, seeing.features) == ("", "quarters")
    assert (blind.spread, blind.rank, blind.distinct) == (seeing.spread, seeing.rank, seeing.distinct)
    assert seeing.feature_distinct < 0.25 < blind.distinct
    words = verdict([seeing]).words
    assert f"the effective rank of their quarters features is {seeing.feature_rank:.0%}" in words
    assert f"they lie {seeing.feature_distinct:.0%} as far from each other" in words
    fine = verdict([made(lambda rng: torch.randn(64, 1, 8, 8, generator=rng).mul(0.3).clamp(-1, 1))]).words
    assert "effective rank of their values 1" in fine


def test_one_direction_of_features_is_a_collapse():
    def line(rng):
        noise = torch.randn(64, 1, 8, 8, generator=rng).mul(0.3)
        middle = noise.view(64, 1, 2, 4, 2, 4).mean((3, 5), keepdim=True).expand(64, 1, 2, 4, 2, 4).reshape(noise.shape)
        return noise - middle + torch.randn(64, 1, 1, 1, generator=rng).mul(0.2)

    found = made(line, features=Features(Quarters(), "cpu"))
    assert found.feature_rank == pytest.approx(1 / 4, abs=0.05)  # of four directions one
    assert found.alarms == ("collapse",)
    assert made(line).alarms == ()


@pytest.mark.parametrize(
    ("own", "shape", "expected"),
    [
        ("digits-cnn", (1, 16, 16), "digits-cnn"),
        (None, (1, 2048), "log-mel"),
        (None, (1, 256), None),  # shorter than one spectrum
        (None, (3, 32, 32), "random-conv"),
        (None, (1, 8, 8), "pixels"),
        ("digits-cnn", (3, 32, 32), "random-conv"),  # which takes grey images
        ("inception-v3", (3, 32, 32), "random-conv"),  # whose weights nobody has fetched
        ("not-installed", (3, 32, 32), "random-conv"),
    ],
)
def test_features_need_no_download(own, shape, expected, monkeypatch, tmp_path):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path))
    monkeypatch.delenv("GANAUDIT_INCEPTION_WEIGHTS", raising=False)
    found = features_for(SimpleNamespace(extractor=own, name="some"), shape, torch.device("cpu"))
    assert (None if found is None else found.name) == expected
    if found is not None:
        x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(6)) * 2 - 1
        assert found.of(x).shape[0] == 3
        assert torch.equal(found.of(x), found.of(x))


def test_digits_are_seen_by_their_own_extractor():
    features = features_for(registry.find("datasets", "digits")(scale=2), (1, 16, 16), torch.device("cpu"))
    assert features is not None
    x = torch.rand(20, 1, 16, 16, generator=torch.Generator().manual_seed(7)) * 2 - 1
    whole = features.extractor.extract(to_uint8(x, -1.0, 1.0)).features
    torch.testing.assert_close(features.of(x), whole, rtol=1e-4, atol=1e-4)


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
