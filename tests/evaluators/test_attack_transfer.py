"""Attacks carried between audited subjects, held against the closed form of linear discriminators."""

import numpy as np
import pytest
from scipy import stats

from ganaudit.auditing import audit
from ganaudit.document.errors import ConfigError
from ganaudit.subjects.subject import Subject

from .linear_subjects import LATENT, SHAPE, Blind, Makes, Told, Weighs, reference, subject, threshold, weights
from .made_up import by_key

ID = "attack-transfer"
LOW, HIGH = -1.0, 1.0
P = int(np.prod(SHAPE))
W = weights(P)
BUDGETS = (0.02, 0.05)


def leaning(share, seed=8):
    """Weights that agree with ``W`` in a share of their variance."""
    return share * W + np.sqrt(1 - share**2) * weights(P, seed)


def judging(w, network=None):
    return subject(network or Weighs(w), W, LOW, HIGH)


def found(mine, others, real=None, **options):
    document = audit(
        mine, real or reference(LOW, HIGH), others=others, samples=60, cache=False, extractor="pixels",
        evaluators={ID: {"budgets": list(BUDGETS), **options}},
    )  # fmt: skip
    return document, document.result(ID)


def table(row):
    one = next(d for d in row.details if d.kind == "table")
    return {tuple(r[:4]): dict(zip(one.columns, r, strict=True)) for r in one.rows}


def flat(x):
    return np.asarray(x, np.float64).reshape(len(x), -1)


def samples_of(mine, real, n=60):
    made = flat(mine.generate(mine.latents(0, 0, n)))
    return {"fake": np.clip(made, LOW, HIGH), "real": flat(real.splits["test"].array)}


def by_hand(first, second, limits, x, radius, side):
    """Return n, the share of the samples right by both that fools ``first`` when made on it, and that fools ``second``.

    The best point of ball and box for a linear critic is coordinate by coordinate; what it does to another is that
    point's inner product with the other's weights.
    """
    right = [x @ w < t if side == "fake" else x @ w >= t for w, t in zip((first, second), limits, strict=True)]
    x = x[right[0] & right[1]]
    up = first > 0 if side == "fake" else first < 0
    best = np.where(up, np.minimum(x + radius, HIGH), np.maximum(x - radius, LOW))
    fooled = [best @ w >= t if side == "fake" else best @ w < t for w, t in zip((first, second), limits, strict=True)]
    return len(x), fooled[0].mean(), fooled[1].mean()


@pytest.mark.parametrize("share", [1.0, 0.7, 0.0])
def test_rates_are_those_of_two_linear_discriminators(share):
    w = leaning(share)
    mine, late, real = judging(W), judging(w), reference(LOW, HIGH)
    _, row = found(mine, {"late": late}, real)
    limits = threshold(mine, real), threshold(late, real)
    rows, x = table(row), samples_of(mine, real)
    names = {"fake": "generated samples", "real": "reals"}
    for side, told in names.items():
        for budget in BUDGETS:
            radius = budget * (HIGH - LOW)
            for way in ("to", "from"):
                order = 1 if way == "to" else -1
                n, made, tried = by_hand(*(W, w)[::order], limits[::order], x[side], radius, side)
                key = ("this subject", "late")[::order]
                cell = rows[(*key, told, budget)]
                assert cell["n"] == n > 0
                assert cell["fooled where made"] == pytest.approx(made, abs=1e-12)
                assert cell["fooled where tried"] == pytest.approx(tried, abs=1e-12)
                exact = stats.binomtest(round(tried * n), n).proportion_ci(0.95, "exact")
                assert (cell["low"], cell["high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)
                if budget == BUDGETS[0]:
                    number = by_key(row)[f"transfer-rate-{way}-{side}"]
                    assert number.value == pytest.approx(tried, abs=1e-12)
                    assert (number.n, number.null.n) == (n, n)
                    assert number.null.value == cell["fooled by noise"]
                if cell["fooled by noise"] == 0:  # only the attack turns any: as many coins that all fall alike
                    assert cell["p-value against noise"] == pytest.approx(min(1, 2 * 0.5 ** round(tried * n)))
                    if budget == BUDGETS[0]:
                        assert number.null.p_value == pytest.approx(cell["p-value against noise"])
    if share == 1.0:
        assert any(cell["fooled by noise"] == 0 and cell["p-value against noise"] < 1e-3 for cell in rows.values())
        assert all(cell["fooled where made"] == cell["fooled where tried"] for cell in rows.values())
        assert by_key(row)["transfer-rate-from-fake"].value > 0.5 > by_key(row)["transfer-rate-from-fake"].null.high


def test_what_one_does_not_look_at_is_not_carried_to_it():
    seen = np.where(np.arange(P) % 2 == 0, W, 0.0)
    unseen = W - seen
    _, row = found(judging(seen), {"late": judging(unseen)})
    for cell in table(row).values():
        assert cell["fooled where tried"] == 0
        assert cell["fooled where made"] > 0


def test_the_worst_of_several_is_told_with_an_interval_for_all():
    others = {"near": judging(leaning(0.9)), "far": judging(leaning(0.2))}
    document, row = found(judging(W), others)
    cells = table(row)
    for way, side, told in (("from", "fake", "generated samples"), ("to", "real", "reals")):
        order = 1 if way == "to" else -1
        both = [cells[(*("this subject", name)[::order], told, BUDGETS[0])] for name in others]
        number = by_key(row)[f"transfer-rate-{way}-{side}"]
        assert number.value == max(c["fooled where tried"] for c in both)
        exact = [stats.binomtest(round(c["fooled where tried"] * c["n"]), c["n"]).proportion_ci(0.975, "exact")
                 for c in both]  # fmt: skip
        assert number.interval.low == pytest.approx(max(e.low for e in exact), abs=1e-9)
        assert number.interval.high == pytest.approx(max(e.high for e in exact), abs=1e-9)
    alone = table(found(judging(W), {"near": others["near"]})[1])
    assert {k: v for k, v in cells.items() if "near" in k} == alone
    key = document.comparability.fields["evaluators"][ID]
    assert key["others"] == {name: one.digest for name, one in others.items()}
    assert [(o.name, o.digest) for o in document.others] == [(n, one.digest) for n, one in others.items()]


def test_another_range_changes_no_rate():
    mine, w = judging(W), leaning(0.6)
    # In 0..1 the same critic weighs twice as much and is lower by the sum of its weights.
    halved = Subject.from_modules(
        Makes(W, 0.0, 1.0, 0.06), Weighs(w, c=2.0, t0=-w.sum()), latent=LATENT, value_range=(0.0, 1.0)
    )
    plain, (document, moved) = found(mine, {"late": judging(w)})[1], found(mine, {"late": halved})
    assert table(moved) == table(plain)
    assert document.others[0].converted == "values in [-1, 1] are mapped linearly onto its range [0, 1]"


def test_a_discriminator_without_gradients_can_be_tried_but_not_attacked():
    w = leaning(0.9)
    seen, blind = (found(judging(W), {"late": judging(w, network)})[1] for network in (Weighs(w), Blind(w)))
    by_way = {k: v for k, v in table(seen).items() if k[0] == "this subject"}
    assert table(blind) == by_way
    numbers = by_key(blind)
    assert numbers["transfer-rate-to-fake"].value == by_key(seen)["transfer-rate-to-fake"].value
    assert numbers["transfer-rate-from-fake"].value is None
    assert "attacks on late: its discriminator gives no gradients" in numbers["transfer-rate-from-fake"].reason


def test_one_that_is_told_the_class_meets_one_that_is_not():
    several = np.stack([W, leaning(0.8, 9), leaning(0.8, 10)])
    real = reference(LOW, HIGH, classes=3)
    plain, told = (subject(network, W, LOW, HIGH, classes=3) for network in (Weighs(W), Told(several)))
    rows = table(found(plain, {"told": told}, real)[1])
    labels = real.splits["test"].labels
    x = samples_of(plain, real)["real"]
    limits = threshold(plain, real), threshold(told, real)
    right = (x @ W >= limits[0]) & ((x * several[labels]).sum(1) >= limits[1])
    radius = BUDGETS[0] * (HIGH - LOW)
    for way, key in (("to", ("this subject", "told")), ("from", ("told", "this subject"))):
        cell = rows[(*key, "reals", BUDGETS[0])]
        assert cell["n"] == right.sum()
        toward = np.tile(W, (len(x), 1)) if way == "to" else several[labels]
        worst = np.where(toward < 0, np.minimum(x + radius, HIGH), np.maximum(x - radius, LOW))[right]
        other = several[labels][right] if way == "to" else W
        limit = limits[1] if way == "to" else limits[0]
        assert cell["fooled where tried"] == pytest.approx(((worst * other).sum(1) < limit).mean(), abs=1e-12)


def test_an_attack_that_fails_at_home_is_warned_of():
    mine = judging(W, Weighs(W, form=lambda s: s.detach() + 0 * s))  # no slope: gradients are 0
    _, row = found(mine, {"late": judging(leaning(0.5))})
    poor = [cell for key, cell in table(row).items() if key[3] == BUDGETS[0] and cell["fooled where made"] < 0.5]
    assert len(row.warnings) == len(poor)
    for cell in poor:
        told = f"attacks made on {cell['made on']} fool it on {round(cell['fooled where made'] * cell['n'])} of"
        assert any(warning.startswith(told) and cell["samples"] in warning for warning in row.warnings)
    assert sum(cell["fooled where made"] == 0 for cell in poor if cell["made on"] == "this subject") == 2


def test_without_others_it_says_how_to_give_one():
    document, row = found(judging(W), {})
    assert row.status == "not_assessable"
    assert "--other NAME=SUBJECT" in row.reason
    assert document.others == []
    assert "others" not in document.plan


def test_where_nothing_is_called_rightly_there_is_no_number():
    lets_all_pass = subject(Weighs(-W), W, LOW, HIGH, shift=0.2)  # generated samples score above every real
    _, row = found(lets_all_pass, {"late": judging(W)})
    number = by_key(row)["transfer-rate-to-fake"]
    assert number.value is None
    assert "0 of 60 are called rightly by both" in number.reason


def test_no_more_samples_are_tried_than_asked_for():
    document = audit(
        judging(W), reference(LOW, HIGH), others={"late": judging(leaning(0.7))}, samples=60, cache=False,
        extractor="pixels", evaluators={ID: {"samples": 7}},
    )  # fmt: skip
    assert {cell["n"] for cell in table(document.result(ID)).values()} == {7}
    assert {key[3] for key in table(document.result(ID))} == {2 / 255, 8 / 255}


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="budgets"):
        found(judging(W), {"late": judging(W)}, budgets=[0.0])
