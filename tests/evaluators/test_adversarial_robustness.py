"""Attacks through an audit against the closed form of a linear discriminator; hidden gradients, none, other media."""

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.attacks import campaign, campaign_run
from ganaudit.attacks.accused import Accused
from ganaudit.attacks.spatial import Spatial
from ganaudit.auditing import audit
from ganaudit.data.glyphs import load_glyphs
from ganaudit.document.alarms import alarms
from ganaudit.evaluators.adversarial_robustness import AdversarialRobustness
from tests.evaluators.linear_subjects import (
    Blind,
    Told,
    Weighs,
    audited,
    pushed,
    reference,
    scored,
    subject,
    threshold,
    weights,
)  # fmt: skip

NAME = "adversarial-robustness"
P = 64
W = weights(P)
FAMILIES = ("robust-accuracy", "false-alarm-robustness")


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """A linear critic is crossed in few steps; what is asked for is the same."""
    small = dataclasses.replace(
        campaign_run.PROFILES["quick"],
        samples=40,
        steps=6,
        queries=6,
        minimal_steps=10,
        spatial=Spatial(shifts=3, angles=1),
    )
    monkeypatch.setitem(campaign_run.PROFILES, "quick", small)


def least(x, w, tau, norm, low, high):
    """The smallest change of each row of ``x`` that lifts w·x to tau; 0 where it is there already.

    l2 meets no wall here. l1 fills the heaviest coordinates up to their walls, one after the other.
    """
    short = np.maximum(tau - x @ w, 0)
    if norm == "l2":
        return short / np.linalg.norm(w)
    order = np.argsort(-np.abs(w))
    room = np.where(w > 0, high - x, x - low)[:, order]
    gained = np.cumsum(room * np.abs(w)[order], axis=1)
    before = np.concatenate([np.zeros((len(x), 1)), gained[:, :-1]], axis=1)
    share = np.clip((short[:, None] - before) / (gained - before), 0, 1)
    return (share * room).sum(1)


@functools.lru_cache
def case(low=-1.0, high=1.0, c=1.0, t0=0.0):
    made, real = subject(Weighs(W, c, t0), W, low, high), reference(low, high)
    row, found = audited(made, real, NAME)
    assert row.status == "measured", row.reason
    return made, real, row, found


def sides(made, real):
    fake = made.generate(made.latents(0, 0, 40)).flatten(1).double().numpy()
    return fake, real.splits["test"].array.reshape(40, -1).astype(np.float64)


def exact(made, real, w, low, high, radius):
    """Robust accuracy on both sides by coordinate-wise clipping."""
    tau = threshold(made, real)
    fake, test = sides(made, real)
    lifted, lowered = pushed(fake, w, radius, low, high), -pushed(test, -w, radius, low, high)
    return np.mean(lifted < tau), np.mean(lowered >= tau)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_robust_accuracy_of_a_linear_discriminator_is_exact_on_both_sides(low, high):
    made, real, row, found = case(low, high)
    for budget in (0.004, 0.008, 0.016, 0.032):
        expected = exact(made, real, W, low, high, budget * (high - low))
        measured = [found[f"{family}-at-{budget}"].value for family in FAMILIES]
        np.testing.assert_allclose(measured, expected, atol=1e-12)
        for family, value in zip(FAMILIES, measured, strict=True):
            one = found[f"{family}-at-{budget}"]
            ends = stats.binomtest(round(value * 40), 40).proportion_ci(0.95, "exact")
            assert (one.interval.low, one.interval.high) == pytest.approx(tuple(ends), abs=1e-9)
            if budget == 0.008:
                assert 0.1 < expected[0] < 0.9, "the case must tell"
                assert value <= found[f"query-{family}-at-0.008"].value <= one.null.value
    assert found["masking"].value == 0.0
    assert found["masking"].null.value == 0.0
    # Every budget of the table, by the attack with steps.
    table = next(d for d in row.details if d.kind == "table" and d.title.startswith("Robust accuracy"))
    rows = [r for r in table.rows if r[1] == "Projected gradient steps" and r[3] == "linf"]
    budgets = [0.004, 0.008, 0.016, 0.032] * 2
    for i, (budget, cells) in enumerate(zip(budgets, rows, strict=True)):
        radius = budget * (high - low)
        assert cells[5] == pytest.approx(exact(made, real, W, low, high, radius)[i // 4], abs=1e-12)


def test_smallest_changes_and_the_area_under_attack_are_those_of_the_closed_form():
    made, real, row, found = case()
    tau = threshold(made, real)
    fake, test = sides(made, real)
    margins = tau - fake @ W
    caught = margins > 0
    # The range is 2 wide, and samples lie in its middle: no wall is met within so little.
    for norm, order in (("linf", 1), ("l2", 2)):
        distances = np.sort(margins[caught] / np.linalg.norm(W, order)) / 2
        middle = distances[(len(distances) - 1) // 2]
        table = next(d for d in row.details if d.kind == "table" and d.title.startswith("Smallest changes"))
        (cells,) = [r for r in table.rows if r[0].startswith("generated") and r[1] == norm]
        assert (cells[2], cells[3]) == (caught.sum(), pytest.approx(middle, rel=2e-3))
        if norm == "linf":
            assert found["median-distance"].value == pytest.approx(middle, rel=2e-3)
            assert found["median-distance"].n == caught.sum()
    right = (test @ W - tau)[test @ W >= tau]
    distances = np.sort(right / np.abs(W).sum()) / 2
    assert found["median-distance-real"].value == pytest.approx(distances[(len(distances) - 1) // 2], rel=2e-3)
    lifted = pushed(fake, W, 0.016, -1, 1)
    area = stats.mannwhitneyu(test @ W, lifted).statistic / 1600
    assert found["auc-under-attack"].value == pytest.approx(area, abs=1e-9)
    assert found["auc-under-attack"].value < found["auc-under-attack"].null.value


def test_a_smallest_change_breaks_a_sample_at_every_budget_from_its_size_on():
    found = campaign_of(
        torch.tensor([0.5, -1.0, -1.0, -1.0, -1.0]),
        minimal=torch.tensor([0.0, 0.003, 0.02, math.inf, 0.007], dtype=torch.float64),
        entries={0.004: [0, 4], 0.016: [0, 3]},
    )
    assert found.broken_at("linf").tolist() == [0.0, 0.003, 0.02, 0.016, 0.004]
    for share, broken in ((0.0, [0]), (0.003, [0, 1]), (0.004, [0, 1, 4]), (0.016, [0, 1, 3, 4]), (0.02, range(5))):
        assert torch.nonzero(found.fooled("linf", share))[:, 0].tolist() == list(broken)


def campaign_of(scores, minimal, entries):
    """What is left of a campaign against threshold 0 when its attacks are given: by budget, the samples fooled."""
    made = []
    for share, hit in entries.items():
        fooled = torch.zeros(len(scores), dtype=torch.bool)
        fooled[hit] = True
        made.append(campaign_run.Entry("a", "white-box", "linf", share, "", fooled, fooled, scores.double(), 0, 0))
    return campaign.Campaign(
        accused=Accused("fake", torch.zeros(len(scores), 1), ()), threshold=0.0, budgets={"linf": tuple(entries)},
        scores=scores.double(), entries=tuple(made), minimal={"linf": minimal.double()}, nearest=None,
        reached=scores.double(), pushed={}, noised=scores.double(), panel=None, planted=None, notes=(), passes=(0, 0),
    )  # fmt: skip


def test_unit_and_zero_of_the_score_change_nothing():
    runs = [case(c=c, t0=t0)[3] for c, t0 in ((1.0, 0.0), (1e3, 50.0), (1e-3, -50.0))]
    # Shares are counts and equal; a smallest change is bisected, to float32 of the sample.
    for other in runs[1:]:
        for key, one in runs[0].items():
            if "distance" in key:
                assert other[key].value == pytest.approx(one.value, rel=1e-3)
            else:
                assert other[key].value == one.value


@pytest.mark.parametrize("norm", ["l2", "l1"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_other_norms_and_budgets_as_written(norm, low, high):
    made, real = subject(Weighs(W), W, low, high), reference(low, high)
    tau, (fake, test) = threshold(made, real), sides(made, real)
    # Two budgets between the distances of the samples, so that they tell.
    distances = np.sort(least(fake, W, tau, norm, low, high)[tau > fake @ W]) / (high - low)
    budgets = [float(f"{np.mean(distances[i : i + 2]):.4f}") for i in (8, 20)]
    row, found = audited(made, real, NAME, norm=norm, budgets=budgets)
    assert row.status == "measured", row.reason
    for budget in budgets:
        radius = budget * (high - low)
        expected = (
            np.mean(least(fake, W, tau, norm, low, high) > radius),
            np.mean(least(test, -W, -tau, norm, low, high) >= radius),
        )
        assert [found[f"{family}-at-{budget}"].value for family in FAMILIES] == pytest.approx(expected, abs=1e-12)
    assert found["median-distance"].value == pytest.approx(distances[(len(distances) - 1) // 2], rel=2e-3)


def test_budgets_of_zero_and_beyond_the_range_are_measured_and_told():
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    row, found = audited(made, real, NAME, budgets=[0, 3, 0.008])
    assert row.status == "measured", row.reason
    tau, (fake, test) = threshold(made, real), sides(made, real)
    as_they_stand = [np.mean(fake @ W < tau), np.mean(test @ W >= tau)]
    assert [found[f"{family}-at-0"].value for family in FAMILIES] == as_they_stand
    assert [found[f"{family}-at-3"].value for family in FAMILIES] == [0.0, 0.0]
    assert [key for key in found if key.startswith("stored")] == [f"stored-{family}-at-3" for family in FAMILIES]
    assert any(w.startswith("budget 0: nothing was changed") for w in row.warnings)
    assert any(w.startswith("budget 3: more than the whole range") for w in row.warnings)


def test_a_saturated_discriminator_is_masked_and_never_robust():
    hard = Weighs(W, form=lambda s: torch.sigmoid(1000 * (s + 9)).float())
    row, found = audited(subject(hard, W, -1.0, 1.0, shift=0.2), reference(-1.0, 1.0), NAME)
    assert row.status == "measured", row.reason
    for key in ("robust-accuracy-at-0.008", "stored-robust-accuracy-at-0.008", "median-distance", "auc-under-attack"):
        assert found[key].value is None
        assert "voided" in found[key].reason
    assert found["query-robust-accuracy-at-0.008"].value is not None
    assert found["masking"].value == 1.0
    assert (found["masking"].null.value, found["masking"].null.high) == (0.0, 0.0)
    assert any("voided" in w and "gradients vanish" in w for w in row.warnings)
    panel = next(d for d in row.details if d.kind == "table" and "masking" in d.title)
    assert ["generated, to pass as real", "verdict", "masked"] in [r[:3] for r in panel.rows]
    table = next(d for d in row.details if d.kind == "table" and d.title.startswith("Robust accuracy"))
    assert all(r[5] is None for r in table.rows if r[0].startswith("generated") and "void" in r[2])
    curve = next(d for d in row.details if d.kind == "curve" and "linf: generated" in d.title)
    assert "Projected gradient steps" not in {s.name for s in curve.series}


def test_the_saturated_control_raises_the_alarm():
    found = audit(
        "controls/discriminator-saturated", load_glyphs(), samples=200, evaluators={NAME: {}}, cache=False,
    )  # fmt: skip
    watched = {f"{NAME}/masking": "above", **{f"another/{i}": "above" for i in range(30)}}
    (alarm,) = alarms(found, watched)
    assert (alarm.value, alarm.null) == (1.0, 0.0)


def test_one_side_that_is_masked_voids_the_other():
    # Reals lie in the flat part, generated samples do not; and no generated sample is below the threshold.
    for form in (lambda s: torch.sigmoid(50 * s / 20).float(), lambda s: torch.sigmoid(1000 * s).float()):
        row, found = audited(subject(Weighs(W, form=form), W, -1.0, 1.0), reference(-1.0, 1.0), NAME)
        assert row.status == "measured", row.reason
        assert found["masking"].value == 1.0
        for key in ("robust-accuracy-at-0.008", "false-alarm-robustness-at-0.008", "auc-under-attack"):
            assert found[key].value is None, key
            assert "voided" in found[key].reason


def test_gradients_that_lead_astray_are_found_at_the_budgets_where_they_do():
    def misled(s):
        # Steps of 1/200 that no gradient sees, and a gradient that belongs to something else.
        return (torch.floor(s * 200) / 200).detach() + 1e-9 * torch.sin(1e3 * s)

    row, found = audited(subject(Weighs(W, form=misled), W, -1.0, 1.0), reference(-1.0, 1.0), NAME)
    assert row.status == "measured", row.reason
    assert found["masking"].value == 1.0
    assert found["false-alarm-robustness-at-0.032"].value is None


def test_a_budget_that_rounding_swallows_is_told_and_not_masked():
    made, real = subject(Weighs(W), W, 0.0, 255.0), reference(0.0, 255.0)
    row, found = audited(made, real, NAME, budgets=[1e-9, 0.008])
    assert row.status == "measured", row.reason
    assert found["masking"].value == 0.0
    for family in FAMILIES:
        reason = found[f"{family}-at-0.000000001"].reason
        assert "budget 0.000000001 cannot be represented: values from 0 to 255 are float32" in reason
        assert "smallest budget in linf that says anything here is 6e-07" in reason
        assert found[f"{family}-at-0.008"].value is not None
    # Ten units in the last place below 255, over 255.
    assert 10 * np.spacing(np.float32(254.9)) / 255 == pytest.approx(6e-7, rel=0.01)
    row, _ = audited(made, real, NAME, budgets=[0, 1e-9])
    assert row.status == "not_assessable"
    assert "budget 0.000000001 cannot be represented" in row.reason


def test_few_samples_called_rightly_decide_no_panel():
    # The threshold lets half of the reals go, and the generated samples lie well above it: nearly all are called real.
    made, real = subject(Weighs(W), W, -1.0, 1.0, shift=-0.005), reference(-1.0, 1.0, test=12)
    row, found = audited(made, real, NAME)
    assert row.status == "measured", row.reason
    right = [int(found[f"{key}"].n) for key in ("median-distance", "median-distance-real")]
    assert max(right) < 19, "the case must tell"
    assert found["masking"].value is None
    assert "too few samples are called rightly for the panel to decide" in found["masking"].reason
    assert any("the masking panel cannot decide" in w for w in row.warnings)
    panel = next(d for d in row.details if d.kind == "table" and "masking" in d.title)
    assert any(r[2] == f"not decidable at n = {right[1]}" for r in panel.rows if r[0].startswith("real"))


def test_without_gradients_the_black_box_rows_run():
    row, found = audited(subject(Blind(W), W, -1.0, 1.0), reference(-1.0, 1.0), NAME)
    assert row.status == "measured", row.reason
    keys = ("robust-accuracy-at-0.008", "false-alarm-robustness-at-0.004", "median-distance", "auc-under-attack")
    for key in (*keys, "masking"):
        assert found[key].value is None
        assert "no gradients" in found[key].reason
    query = found["query-robust-accuracy-at-0.008"]
    assert query.value <= query.null.value
    table = next(d for d in row.details if d.kind == "table" and d.title.startswith("Robust accuracy"))
    assert {r[2] for r in table.rows} == {"black-box", "baseline"}
    assert any("asking for scores alone" in w for w in row.warnings)


def test_too_few_calibration_reals_are_told_with_the_number_needed():
    row, _ = audited(subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0, calibration=12), NAME)
    assert row.status == "not_assessable"
    assert "needs 19 calibration reals; there are 12" in row.reason


def test_a_discriminator_that_is_told_the_class_is_attacked_class_by_class():
    each = np.stack([weights(P, seed) for seed in (1, 2, 3)])
    made, real = subject(Told(each), each[0], -1.0, 1.0, classes=3), reference(-1.0, 1.0, classes=3)
    assert made.judges_labels
    row, found = audited(made, real, NAME)
    assert row.status == "measured", row.reason
    tau = threshold(made, real)
    labels = made.labels(0, 0, 40)
    fake = made.generate(made.latents(0, 0, 40), labels).flatten(1).double().numpy()
    test, told = real.splits["test"].array.reshape(40, -1), real.splits["test"].labels
    lifted = pushed(fake, each[labels.numpy()], 0.016, -1, 1)
    lowered = -pushed(test, -each[told], 0.016, -1, 1)
    assert found["robust-accuracy-at-0.008"].value == pytest.approx(np.mean(lifted < tau), abs=1e-12)
    assert found["false-alarm-robustness-at-0.008"].value == pytest.approx(np.mean(lowered >= tau), abs=1e-12)


def test_waveforms_have_budgets_of_their_own():
    shape = (1, 1024)
    w = weights(1024, 4)
    made, real = subject(Weighs(w), w, -1.0, 1.0, 0.01, shape), reference(-1.0, 1.0, shape)
    row, found = audited(made, real, NAME, extractor="log-mel")
    assert row.status == "measured", row.reason
    expected = exact(made, real, w, -1, 1, 3e-4 * 2)
    assert [found[f"{family}-at-0.0003"].value for family in FAMILIES] == pytest.approx(expected)
    curve = next(d for d in row.details if d.kind == "curve")
    steps = next(s for s in curve.series if s.name == "Projected gradient steps")
    assert steps.x == [0.0, 1e-4, 3e-4, 1e-3, 3e-3]
    assert set(steps.x) < set(curve.series[0].x)


def test_curves_fall_and_galleries_show_what_needed_least():
    made, real, row, found = case()
    curves = [d for d in row.details if d.kind == "curve"]
    (detection,) = [curve for curve in curves if curve.title.startswith("Detection over the budget")]
    tau, (fake, test) = threshold(made, real), sides(made, real)
    for i, budget in enumerate(detection.series[0].x):
        lifted = pushed(fake, W, 2 * budget, -1, 1)
        area = stats.mannwhitneyu(test @ W, lifted).statistic / 1600
        assert detection.series[0].y[i] == pytest.approx(area, abs=1e-9)
    for curve in curves[:4]:
        assert curve.title.startswith("Robust accuracy")
        strongest = curve.series[0]
        assert strongest.name == "any attack"
        assert all(b <= a for a, b in zip(strongest.y, strongest.y[1:], strict=False))
        assert all(lo <= y <= hi for lo, y, hi in zip(strongest.low, strongest.y, strongest.high, strict=True))
        # The lower envelope: at no budget is one attack alone stronger, also between the budgets of the plan.
        envelope = dict(zip(strongest.x, strongest.y, strict=True))
        assert {"smallest change found", "Projected gradient steps"} < {one.name for one in curve.series}
        for one in curve.series[1:]:
            assert all(envelope[budget] <= y for budget, y in zip(one.x, one.y, strict=True)), one.name
    triplets = next(d for d in row.details if d.kind == "triplets" and d.side == "fake")
    tau = threshold(made, real)
    margins = tau - scored(made, made.generate(made.latents(0, 0, 40)))
    margins[margins <= 0] = np.inf
    assert [item.index for item in triplets.items] == np.argsort(margins)[: len(triplets.items)].tolist()
    for item in triplets.items:
        assert item.score_before < tau <= item.score_after
        assert item.norm == pytest.approx(margins[item.index] / np.abs(W).sum() / 2, rel=2e-3)
    assert found["robust-accuracy-at-0.008"].n == 40


def test_options_are_checked():
    with pytest.raises(ValueError, match="quick, standard, full"):
        AdversarialRobustness(profile="huge")
    with pytest.raises(ValueError, match="fpr: found 0; allowed: above 0 and below 1"):
        AdversarialRobustness(fpr=0)
    with pytest.raises(ValueError, match="linf, l2, l1"):
        AdversarialRobustness(norm="l3")
    for budgets in ((-0.1,), (float("nan"),), (float("inf"),), (0.1, 0.1), (0.0,)):
        with pytest.raises(ValueError, match="budgets: found"):
            AdversarialRobustness(budgets=budgets)
