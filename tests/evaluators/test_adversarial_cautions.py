"""What attacks cannot say, and that it is said: chance, constant scores, few samples, rounding, noise on the same."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats

from ganaudit.attacks import campaign_run
from ganaudit.attacks.spatial import Spatial
from ganaudit.evaluators import adversarial_robustness
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
)

NAME = "adversarial-robustness"
P = 64
W = weights(P)
SIDES = {"fake": "generated", "real": "real"}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    small = dataclasses.replace(
        campaign_run.PROFILES["quick"],
        samples=40,
        steps=6,
        queries=6,
        minimal_steps=10,
        spatial=Spatial(shifts=3, angles=1),
    )
    monkeypatch.setitem(campaign_run.PROFILES, "quick", small)


class Rolls(Weighs):
    """Adds chance of about the spread of the scores, drawn anew at every asking."""

    def forward(self, x):
        found = super().forward(x)
        return found + torch.randn_like(found)


def table(row, title):
    return next(d for d in row.details if d.kind == "table" and title in d.title)


def checks(row, side):
    return {r[1]: r[2] for r in table(row, "masking panel").rows if r[0].startswith(side)}


def test_chance_in_the_score_is_the_only_thing_said():
    row, found = audited(subject(Rolls(W), W, -1.0, 1.0), reference(-1.0, 1.0), NAME)
    assert row.status == "measured", row.reason
    for key, one in found.items():
        if not key.endswith("-at-0"):
            assert one.value is None, key
            assert "the same samples score differently when asked for twice" in one.reason
            assert "gradients" not in one.reason
    assert not any("vanish" in w or "mislead" in w for w in row.warnings)
    for side in SIDES.values():
        assert set(checks(row, side)) == {"same input, same score", "evaluation mode", "verdict"}
        assert checks(row, side)["verdict"] == "chance"
    assert {r[2].split(": ")[1] for r in table(row, "by attack").rows} == {"void (chance)"}


def test_a_constant_score_is_called_constant():
    flat = Weighs(W, form=lambda s: 0 * s + 0.5)
    row, found = audited(subject(flat, W, -1.0, 1.0), reference(-1.0, 1.0), NAME)
    assert row.status == "measured", row.reason
    for key in ("false-alarm-robustness-at-0.008", "query-false-alarm-robustness-at-0.008", "masking"):
        assert found[key].value is None
        assert "the score is constant" in found[key].reason
        assert "nothing moves it, and robustness says nothing" in found[key].reason
    assert not any("masked" in w or "mislead" in w for w in row.warnings)
    assert checks(row, "real")["verdict"] == "constant"


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("budget", [0.001, 0.002, 0.01])
def test_as_stored_no_fewer_samples_stand(low, high, budget):
    made, real = subject(Weighs(W), W, low, high), reference(low, high)
    row, found = audited(made, real, NAME, budgets=[budget])
    assert row.status == "measured", row.reason
    for family in ("robust-accuracy", "false-alarm-robustness"):
        assert found[f"stored-{family}-at-{budget}"].value >= found[f"{family}-at-{budget}"].value
    columns = table(row, "by attack").columns
    for cells in table(row, "by attack").rows:
        one = dict(zip(columns, cells, strict=True))
        assert one["stored"] >= one["robust"], cells


def test_noise_on_the_same_samples_is_a_paired_test():
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    row, found = audited(made, real, NAME)
    told = {(r[0].split(",")[0], r[1], r[2]): r[3:] for r in table(row, "against noise").rows}
    cases = [
        (side, family, budget)
        for side, family in (("generated", "robust-accuracy"), ("real", "false-alarm-robustness"))
        for budget in (0.004, 0.008, 0.016, 0.032)
    ]
    for side, family, budget in cases:
        n, more, less, p = told[side, budget, "any"]
        one = found[f"{family}-at-{budget}"]
        assert n == one.n == 40
        # The shares differ by what one of the two alone fooled, since the rest is common to both.
        assert one.null.value - one.value == pytest.approx((more - less) / n)
        assert one.null.p_value == p
        assert p == pytest.approx(stats.binomtest(less, more + less).pvalue if more + less else 1.0)
    assert min(cells[3] for cells in told.values()) < 0.01, "the case must tell"


def test_found_zero_is_exact_and_no_caution_goes_with_it():
    """Few generated samples are caught, and all of them fall at the least budget: there is nothing too high."""
    made, real = subject(Weighs(W), W, -1.0, 1.0, shift=0.0), reference(-1.0, 1.0)
    caught = int((scored(made, made.generate(made.latents(0, 0, 40))) < threshold(made, real)).sum())
    assert 0 < caught < 19, "the case must tell"
    row, found = audited(made, real, NAME, budgets=[0.3, 0.5])
    assert [found[f"robust-accuracy-at-{budget}"].value for budget in (0.3, 0.5)] == [0.0, 0.0]
    assert checks(row, "generated")["verdict"] == "weakened"
    assert not any("generated samples may be too high" in w for w in row.warnings)
    # The null of `masking` rests on the side that has enough.
    assert found["masking"].null.n >= 19
    row, _ = audited(made, real, NAME, budgets=[0.001])
    assert any("generated samples may be too high" in w for w in row.warnings)


def test_a_null_of_too_few_planted_critics_is_none():
    # Dead gradients are plain at any number of samples; that right ones pass is not.
    hard = Weighs(W, form=lambda s: torch.sigmoid(1000 * (s + 9)).float())
    made, real = subject(hard, W, -1.0, 1.0, shift=0.02), reference(-1.0, 1.0, test=8)
    caught = int((scored(made, made.generate(made.latents(0, 0, 40))) < threshold(made, real)).sum())
    assert caught < 19, "the case must tell"
    row, found = audited(made, real, NAME)
    assert row.status == "measured", row.reason
    assert found["masking"].value == 1.0
    assert found["masking"].null is None
    assert "8 samples at most; fewer than 19 decide nothing" in found["masking"].null_reason


def test_one_change_for_all_is_not_made_where_every_class_has_one_sample():
    each = np.stack([weights(P, seed) for seed in range(1, 4)])
    made, real = subject(Told(each), each[0], -1.0, 1.0, shift=0.0, classes=3), reference(-1.0, 1.0, classes=3)
    tau = threshold(made, real)
    labels = made.labels(0, 0, 40)
    scores = scored(made, made.generate(made.latents(0, 0, 40), labels), labels)
    counts = np.bincount(labels.numpy()[scores < tau], minlength=3)
    row, _ = audited(made, real, NAME)
    rows = [r for r in table(row, "by attack").rows if r[0] == "generated" and r[1].startswith("One perturbation")]
    alone = int((counts == 1).sum())
    assert alone, f"the case must tell: {counts}"
    if counts.max() == 1:
        assert all(r[2] == "white-box: not made, no class has 2 samples called rightly" for r in rows)
        assert all(r[5:9] == [None] * 4 and r[10] == 0 for r in rows)
    else:
        assert all(f"{alone} alone in their class left as they are" in r[2] for r in rows)


def test_budget_zero_alone_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match=r"found \[0.0\], at which nothing is changed; .* add one, such as 0.008, or"):
        AdversarialRobustness(budgets=(0.0,))
    with pytest.raises(ValueError, match="each once; leave out"):
        AdversarialRobustness(budgets=(0.1, 0.1))


def test_attacks_of_others_count_as_ours_do_and_move_no_number_of_ours():
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    alone, _ = audited(made, real, NAME)
    row, _ = audited(made, real, NAME, attacks=["foolbox-pgd"])
    if row.status != "measured":
        pytest.skip(row.reason)
    title = "Projected gradient steps of foolbox"
    every = table(row, "Robust accuracy by attack").rows
    peers = [r for r in every if r[1] == title]
    assert {(r[0], r[3]) for r in peers} == {(side, norm) for side in ("generated", "real") for norm in ("linf", "l2")}
    assert [r for r in every if r[1] != title] == table(alone, "Robust accuracy by attack").rows
    ours = {tuple(r[:2]) + tuple(r[3:5]): r[5] for r in every}
    for r in peers:  # a linear critic: both are exact
        assert r[5] == ours[r[0], "Projected gradient steps", r[3], r[4]]


class Knows:
    """Goes where a linear critic is least, whatever our attacks find."""

    id, kind, title = "knows", "black-box", "The closed form"

    def __call__(self, critic, x, threat, rng):
        if threat.budget.norm != "linf":
            raise ValueError("linf alone")
        sign = 1.0 if threat.side == "fake" else -1.0
        step = torch.from_numpy(np.sign(W)).float().view(1, *x.shape[1:])
        return x + sign * threat.budget.radius * step


def test_a_plugin_that_finds_more_makes_the_numbers_worse(monkeypatch):
    """A critic without gradients: our queries are few, the plugin needs none."""
    monkeypatch.setattr(adversarial_robustness, "plugged", lambda names, steps: [Knows() for _ in names])
    made, real = subject(Blind(W), W, -1.0, 1.0), reference(-1.0, 1.0)
    _, weak = audited(made, real, NAME)
    row, found = audited(made, real, NAME, attacks=["knows"])
    key = "query-robust-accuracy-at-0.008"
    fake = made.generate(made.latents(0, 0, 40)).flatten(1).double().numpy()
    exact = np.mean(pushed(fake, W, 0.016, -1, 1) < threshold(made, real))
    assert found[key].value == pytest.approx(exact)
    assert found[key].value < weak[key].value
    assert any("knows in l2: not made, linf alone" in w for w in row.warnings)


def test_without_gradients_no_curve_speaks_of_any_attack():
    row, _ = audited(subject(Blind(W), W, -1.0, 1.0), reference(-1.0, 1.0), NAME, attacks=["pgd"])
    curves = [d for d in row.details if d.kind == "curve"]
    named = [c.series[0].name for c in curves if c.title.startswith("Robust accuracy")]
    assert named
    assert set(named) == {"any attack without gradients"}
    under = [d.title for d in row.details if d.kind in ("curve", "table") and d.title.startswith("Detection")]
    assert len(under) == 2
    assert all("by attacks that only ask for scores" in title for title in under)
    assert any("pgd needs gradients" in w for w in row.warnings)


@pytest.mark.parametrize("calibration", [100, 1000])
def test_detection_under_attack_has_no_number_without_an_interval_or_words(calibration):
    made, real = subject(Weighs(W), W, -1.0, 1.0), reference(-1.0, 1.0, calibration=calibration)
    row, _ = audited(made, real, NAME)
    under = table(row, "Detection under attack")
    assert all(cell is not None for r in under.rows for cell in r)
    rare = "TPR at 1 % FPR" in under.columns
    assert rare == (calibration == 1000)
    curve = next(d for d in row.details if d.kind == "curve" and d.title.startswith("Detection over"))
    caught = curve.series[-1]
    assert caught.name == f"TPR at {'1 % FPR' if rare else 'the threshold'}, generated attacked"
    at = under.columns.index("TPR at 1 % FPR" if rare else "TPR at the threshold")
    assert caught.y == [r[at] for r in under.rows if r[1] in ("nothing", "generated")]
    assert all(low <= y <= high for low, y, high in zip(caught.low, caught.y, caught.high, strict=True))
    told = "TPR at 1 % FPR needs 1,000 calibration reals, and there are 100" in " ".join(
        d.text for d in row.details if d.kind == "note"
    )
    assert told != rare
