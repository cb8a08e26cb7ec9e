"""The learned two-sample test: Gaussians with known answers, its level, its power and what it is blind to."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit import registry
from ganaudit.document.spec import NotAssessable
from ganaudit.numerics.quantise import to_range
from ganaudit.subjects.subject import SampleSpec

from .made_up import MadeUp, by_key, sampled
from .planted import even, reference, row, subject

ID = "two-sample-test"


def outcome(seed=0, **nodes):
    return registry.find("evaluators", ID)().evaluate(MadeUp(**nodes), np.random.default_rng(seed))


class Pictured(MadeUp):
    """A view of given samples in -1..1, and of features that say nothing."""

    def __init__(self, shape=(1, 12, 12), missing=None, **values):
        super().__init__(**{side: sampled(len(x), 2, [7, i]) for i, (side, x) in enumerate(values.items())})
        self.samples = {f"values/{side.replace('_', '-')}": x for side, x in values.items()}
        self.subject = SimpleNamespace(sample=SampleSpec(shape), samples=None)
        self.reason = missing

    def missing(self, node):
        return self.reason if node.startswith("values/") else super().missing(node)

    def count(self, node):
        return len(self.samples[node])

    def values(self, side, rows):
        return self.samples[f"values/{side}"][rows], None


def pictured(seed=0, options=None, **given):
    evaluator = registry.find("evaluators", ID)(**{"detector": "cnn", "folds": 2, **(options or {})})
    return evaluator.evaluate(Pictured(**given), np.random.default_rng(seed))


def noise(n, seed, shape=(1, 12, 12), trace=None):
    """Noise as a file of 8 bits holds it; ``trace`` is added to each sample, or taken away, as a coin says."""
    rng = np.random.default_rng(seed)
    x = rng.normal(127.5, 20.0, (n, *shape))
    if trace is not None:
        x += rng.choice([-1, 1], n).reshape(n, *[1] * len(shape)) * trace
    return to_range(torch.from_numpy(np.clip(np.round(x), 0, 255).astype(np.uint8)), -1.0, 1.0)


CHEQUERED = 12.0 * (np.indices((12, 12)).sum(0) % 2 * 2 - 1)


def shifted(n, d, seed, shift):
    x = sampled(n, d, seed)
    x[:, 0] += shift
    return x


def test_two_gaussians_give_the_bayes_detector():
    n, shift = 4000, 1.0
    real, other = sampled(n, 4, 0), sampled(n, 4, 2)
    found = by_key(outcome(real=real, fake=shifted(n, 4, 1, shift), null_real=real, null_fake=other))
    accuracy, area = stats.norm.cdf(shift / 2), stats.norm.cdf(shift / np.sqrt(2))
    # Four standard errors of 4000 held-out samples; a fit to as many costs less than 0.002 of the best accuracy.
    assert found["accuracy"].value == pytest.approx(accuracy, abs=4 * np.sqrt(accuracy * (1 - accuracy) / n) + 0.002)
    assert found["auc"].value == pytest.approx(area, abs=4 * 0.0055 + 0.002)
    assert found["p-value"].value < 1e-100
    assert found["accuracy"].interval.low > found["accuracy"].null.high
    assert abs(found["auc"].null.value - 0.5) < 4 * np.sqrt((2 * n + 1) / (12 * n**2))
    assert found["accuracy"].n == n // 2


def test_equal_laws_are_told_apart_as_rarely_as_promised():
    runs = 40
    p_values = [
        by_key(outcome(seed, real=sampled(60, 3, [seed, 0]), fake=sampled(60, 3, [seed, 1])))["p-value"].value
        for seed in range(runs)
    ]
    for level in (0.05, 0.2):
        assert np.mean([p <= level for p in p_values]) <= level + 4 * np.sqrt(level * (1 - level) / runs)


def test_power_is_that_of_the_binomial_test():
    found = outcome(real=sampled(617, 2, 0), fake=sampled(700, 2, 1))
    held = 2 * (617 // 2)
    passed = stats.binom.ppf(0.95, held, 0.5)
    assert by_key(found)["power"].value == pytest.approx(stats.binom.sf(passed, held, 0.55), abs=1e-9)
    assert by_key(found)["power"].value == pytest.approx(0.8, abs=0.03)
    needed = next(d for d in found.details if d.kind == "table")
    assert {r[0]: r[2] for r in needed.rows} == {0.51: 15455, 0.52: 3863, 0.55: 617, 0.6: 153}


def test_a_flat_boundary_is_blind_to_a_variance_and_the_report_says_so():
    found = outcome(real=sampled(600, 3, 0), fake=sampled(600, 3, 1) * 0.3)
    assert by_key(found)["p-value"].value > 0.001
    assert any(d.kind == "note" and "cannot see" in d.text for d in found.details)


def test_the_plainest_generated_samples_are_shown():
    fake = sampled(200, 5, 1)
    planted = np.random.default_rng(3).choice(200, 16, replace=False)
    fake[torch.from_numpy(planted), 2] += 15
    found = outcome(real=sampled(200, 5, 0), fake=fake)
    shown = next(e for e in found.exhibits if "most sure are generated" in e.title)
    assert sorted(shown.indices) == sorted(planted.tolist())
    assert shown.side == "fake"


def test_too_few_samples_are_refused_with_the_number_needed():
    with pytest.raises(NotAssessable, match=r"needs 10 samples on each side.* 9 and 50"):
        outcome(real=sampled(9, 3, 0), fake=sampled(50, 3, 1))


def test_a_subject_without_a_discriminator_has_it_as_well():
    levels = np.random.default_rng(0).integers(0, 60, 80)
    found = row(ID, subject(None), reference(test=even(levels)), extractor="pixels")
    assert found.status == "measured"
    # Even greys: the generated ones scatter around the middle, the reals are dark.
    assert by_key(found)["accuracy"].value > 0.9
    assert by_key(found)["accuracy"].null.value < 0.75
    assert any(d.kind == "gallery" for d in found.details)


def test_the_network_finds_a_trace_that_features_miss():
    given = {"real": noise(200, 0), "fake": noise(200, 1, trace=CHEQUERED)}
    nulls = {"null_real": given["real"], "null_fake": noise(200, 2)}
    seen = by_key(pictured(**given, **nulls))
    assert seen["accuracy"].value > 0.9
    assert seen["accuracy"].interval.low > seen["accuracy"].null.high
    assert seen["accuracy"].n == 100
    assert seen["p-value"].null.value > 1e-4
    assert "convolutional" in seen["accuracy"].estimator
    features = by_key(pictured(**given, **nulls, options={"detector": "probe"}))
    assert features["p-value"].value > 1e-3


def test_the_network_hears_a_faint_tone():
    trace = 15.0 * np.sin(2.5 * np.arange(300))
    real, fake = noise(120, 0, (1, 300)), noise(120, 1, (1, 300), trace)
    assert by_key(pictured(shape=(1, 300), real=real, fake=fake))["accuracy"].value > 0.9


@pytest.mark.parametrize(("shape", "level"), [((1, 12, 12), 2 / 255), ((1, 90), 2 / 65536)])
def test_rounding_of_one_side_alone_decides_nothing(shape, level):
    real, plain = (torch.from_numpy(np.random.default_rng(s).integers(20, 90, (40, *shape))) for s in (0, 1))
    real, plain = (level * x.double() - 1 for x in (real, plain))
    rng = np.random.default_rng(2)
    unrounded = plain + 0.49 * level * torch.from_numpy(rng.uniform(-1, 1, plain.shape))
    sides = [pictured(shape=shape, real=real.float(), fake=fake.float()) for fake in (plain, unrounded)]
    assert sides[0] == sides[1]


def test_the_network_shows_the_samples_it_means():
    fake = noise(60, 1)
    planted = np.sort(np.random.default_rng(3).choice(60, 16, replace=False))
    fake[torch.from_numpy(planted)] = noise(16, 2, trace=4 * CHEQUERED)
    found = pictured(real=noise(90, 0), fake=fake)
    shown = next(e for e in found.exhibits if "network is most sure are generated" in e.title)
    # A detector fitted to 60 samples may misplace a few.
    assert len({*shown.indices} & {*planted.tolist()}) >= 12


def test_the_network_needs_samples_and_enough_of_them():
    with pytest.raises(NotAssessable, match='"cnn" needs the samples themselves: rows of features only'):
        pictured(real=noise(9, 0), fake=noise(9, 1), missing="rows of features only")
    with pytest.raises(NotAssessable, match=r"needs 4 samples on each side.* 3 and 50"):
        pictured(real=noise(3, 0), fake=noise(50, 1))
    with pytest.raises(ValueError, match="detector: found 'svm'; allowed: probe, cnn"):
        registry.find("evaluators", ID)(detector="svm")
    with pytest.raises(ValueError, match="folds: found 1; allowed: 2 or more"):
        registry.find("evaluators", ID)(folds=1)
    with pytest.raises(ValueError, match="most: found 9; allowed: 10 or more, twice folds"):
        registry.find("evaluators", ID)(folds=5, most=9)


def test_a_whole_audit_by_the_network_needs_no_discriminator_and_hangs_on_no_batch():
    grain = np.random.default_rng(0).integers(0, 256, (80, 6, 6, 1), dtype=np.uint8)
    options = {"detector": "cnn", "folds": 2}
    rows = [
        row(ID, subject(None), reference(test=grain), samples=70, extractor="pixels", options=options, batch_size=size)
        for size in (64, 512)
    ]
    assert rows[0].status == "measured"
    # Even greys against grain.
    assert by_key(rows[0])["accuracy"].value > 0.95
    assert by_key(rows[0])["accuracy"].null.n == 20
    assert rows[0].options == {**options, "most": 5000}
    assert [m.value for m in rows[0].measurements] == [m.value for m in rows[1].measurements]
    assert dataclasses.asdict(registry.find("evaluators", ID)())["detector"] == "probe"


def rows_of(found):
    table = next(d for d in found.details if d.kind == "table" and d.title.startswith("Where the difference lies"))
    return {r[0]: dict(zip(table.columns, r, strict=True)) for r in table.rows}


def words_of(found):
    return " ".join(d.text for d in found.details if d.kind == "note")


def test_a_difference_of_fine_detail_is_gone_at_half_the_size_and_one_of_brightness_is_not():
    real, null = noise(300, 0), {"null_real": noise(300, 0), "null_fake": noise(300, 2)}
    # The mean of 2 x 2 places of a chequered pattern is 0, whatever its sign.
    fine = pictured(real=real, fake=noise(300, 1, trace=CHEQUERED), **null)
    found = rows_of(fine)
    assert found["as they are"]["accuracy"] == by_key(fine)["accuracy"].value > 0.9
    assert found["at 1/2 of the size"]["low"] <= 0.5 <= found["at 1/2 of the size"]["high"]
    assert found["at 1/2 of the size"]["reals: low"] <= 0.5
    assert "gone at 1/" in words_of(fine)
    coarse = pictured(real=real, fake=noise(300, 1, trace=np.full((12, 12), 60.0)), **null)
    assert rows_of(coarse)["at 1/2 of the size"]["low"] > 0.8
    assert "no matter of fine detail" in words_of(coarse)


def test_reals_of_few_levels_are_compared_on_those_too():
    rng = np.random.default_rng(0)

    def values(levels):
        return to_range(torch.from_numpy(levels.astype(np.uint8)), -1.0, 1.0)

    def even():
        return np.broadcast_to(rng.choice([0, 85, 170, 255], (300, 1, 1, 1)), (300, 1, 8, 8))

    real, spare = values(even()), values(even())
    # The nearest levels of these are those of the reals again, by chance as often.
    fake = values((even() + rng.integers(-40, 41, (300, 1, 8, 8))).clip(0, 255))
    found = pictured(shape=(1, 8, 8), real=real, fake=fake, null_real=real, null_fake=spare)
    table = rows_of(found)
    assert table["as they are"]["accuracy"] > 0.9
    assert table["on the 4 levels of the reals"]["p-value"] > 1e-3
    assert "the very levels" in words_of(found)


def test_features_have_no_size_to_halve():
    found = outcome(real=sampled(60, 3, 0), fake=sampled(60, 3, 1))
    assert not any(d.kind == "table" and d.title.startswith("Where") for d in found.details)
