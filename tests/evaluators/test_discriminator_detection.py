"""Detection through the public API, where the answer is known: planted normal laws, brute force, exact laws."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from ganaudit import registry
from ganaudit.auditing import audit
from ganaudit.document.model import Curve, Histogram, Table
from ganaudit.evidence.score_cautions import score_cautions
from ganaudit.numerics.thresholds import thresholds
from ganaudit.subjects.subject import Subject
from tests.evaluators.critics import RANGE, Planted, Reader, audited, planted, reference, values
from tests.evaluators.test_contract import FakeView

DETECTION = "discriminator-detection"
N = 10_000
APART = 2.0
RANKS = ("auc", "eer", "tpr-at-fpr-1pct", "average-precision", "partial-auc", "min-dcf", "cllr-min",
         "fpr-at-threshold", "tpr-at-threshold", "fpr-at-pac-threshold", "tpr-at-pac-threshold",
         "exchangeability-p-value")  # fmt: skip


def evaluated(real, fake, calibration, train=None, of=DETECTION, **options):
    """Evaluate given scores, without an audit around them."""
    nodes = {"scores/test": real, "scores/fake": fake, "scores/calibration": calibration, "scores/train": train}
    nodes |= {"others/test": None, "others/fake": None}

    class Given(FakeView):
        def missing(self, node):
            return "not there" if nodes.get(node) is None else None

        def __getitem__(self, node):
            return nodes[node]

    found = registry.find("evaluators", of)(**options).evaluate(Given({}), np.random.default_rng(0))
    return found, {m.key: m for m in found.measurements}


def normals(n, mean, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(n) + mean)


def table(details, title):
    (found,) = [d for d in details if isinstance(d, Table) and d.title.startswith(title)]
    return found


# --- known answers


@pytest.fixture(scope="module")
def two_normals():
    """The optimal critic of N(1, 1) against N(-1, 1): the log-likelihood ratio of value x is 2 x."""
    return audited(DETECTION, APART, N, lambda x: APART * x)


def test_two_normal_laws_give_what_theory_says(two_normals):
    _, found = two_normals
    phi, quantile = stats.norm.cdf, stats.norm.ppf
    # DeLong's variance of the area for unit normals is below area (1 - area)/n by both sides; so are those of rates.
    error = 5 * math.sqrt(2 * 0.25 / N)
    assert abs(found["auc"].value - phi(APART / math.sqrt(2))) < error
    assert abs(found["eer"].value - phi(-APART / 2)) < error
    assert abs(found["cllr"].value - 0.514056) < error * 3  # a score moves Cllr by up to 3 bits in its bulk
    assert abs(found["cllr-min"].value - 0.514056) < error * 3
    # The cost weighs false alarms by 1.9: 0.95/0.5.
    assert abs(found["min-dcf"].value - 0.425745) < error * 1.9
    assert abs(found["act-dcf"].value - 0.425745) < error * 1.9
    # The rate of the threshold is Beta(k, n + 1 - k), and moves the share by the slope of the ROC curve.
    for key, rate in (("tpr-at-fpr-1pct", 0.01), ("tpr-at-fpr-0.1pct", 0.001)):
        share, at = phi(APART + quantile(rate)), quantile(rate)
        by_threshold = stats.norm.pdf(APART + at) / stats.norm.pdf(at) * math.sqrt(rate * (1 - rate) / N)
        by_fakes = math.sqrt(share * (1 - share) / N)
        assert abs(found[key].value - share) < 5 * math.hypot(by_threshold, by_fakes), key
        assert found[key].interval.low < share < found[key].interval.high
    grid = (np.arange(200_000) + 0.5) / 2_000_000
    area = float(np.mean(phi(APART + quantile(grid)))) * 0.1
    standardised = (1 + (area - 0.005) / (0.1 - 0.005)) / 2
    assert abs(found["partial-auc"].value - standardised) < error


def test_numbers_agree_with_peers_on_the_planted_values(two_normals):
    _, found = two_normals
    real, fake = values(reference(APART, {"calibration": N, "test": N}), "test"), planted(APART, N)
    generated = np.concatenate([np.zeros(N), np.ones(N)])
    scores = -torch.cat([real, fake]).numpy()
    assert found["auc"].value == pytest.approx(roc_auc_score(generated, scores), abs=1e-12)
    assert found["average-precision"].value == pytest.approx(average_precision_score(generated, scores), abs=1e-12)
    peer = roc_auc_score(generated, scores, max_fpr=0.1)
    assert found["partial-auc"].value == pytest.approx(peer, abs=1e-12)


MOVED = {"calibration": 1000, "test": 200}


@pytest.fixture(scope="module")
def plain():
    return audited(DETECTION, 1.0, 200, sizes=MOVED)[1]


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 50.0), (1e3, 50.0), (1.0, -50.0)])
def test_scale_and_offset_change_no_rank(scale, offset, plain):
    _, moved = audited(DETECTION, 1.0, 200, lambda x: scale * x + offset, sizes=MOVED)
    for key in RANKS:
        assert moved[key].value == plain[key].value, key
        if plain[key].interval is not None and key != "tpr-at-fpr-1pct":
            assert moved[key].interval == plain[key].interval, key
    assert moved["threshold"].value == pytest.approx(scale * plain["threshold"].value + offset, abs=1e-12 * abs(offset))


# --- thresholds


def test_the_guaranteed_threshold_keeps_its_promise_and_the_conformal_one_its_mean():
    rng = np.random.default_rng(4)
    rates = {"threshold": [], "pac-threshold": []}
    draws, n = 2000, 150
    for _ in range(draws):
        conformal, pac = thresholds(torch.from_numpy(rng.random(n)), [0.05], 0.95)
        rates["threshold"].append(conformal.value)  # of uniform scores the threshold is its own rate
        rates["pac-threshold"].append(pac.value)
    held = sum(rate <= 0.05 for rate in rates["pac-threshold"])
    assert held / draws >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / draws)
    assert np.mean(rates["threshold"]) <= 0.05 + 4 * 0.018 / math.sqrt(draws)


def test_thresholds_are_order_statistics_of_calibration_and_quote_their_law():
    real, fake, calibration = normals(400, 0.0, 1), normals(300, -1.0, 2), normals(1000, 0.0, 3)
    found, by_key = evaluated(real, fake, calibration)
    ordered = calibration.sort().values
    assert by_key["threshold"].value == float(ordered[49])  # k = 50 and k* = 39 for n = 1000 at 5 %
    assert by_key["pac-threshold"].value == float(ordered[38])
    null = by_key["fpr-at-pac-threshold"].null
    assert "Beta(39, 962)" in null.rule
    assert "at most 0.05 with confidence 0.95" in null.rule
    assert (null.low, null.high) == pytest.approx(stats.beta(39, 962).interval(0.95))
    below = int((real < by_key["threshold"].value).sum())
    assert by_key["fpr-at-threshold"].value == below / 400
    expected = stats.betabinom(400, 50, 951).sf(below - 1)
    assert by_key["exchangeability-p-value"].value == pytest.approx(float(expected))
    told = table(found.details, "Thresholds from 1000 calibration reals")
    assert told.columns[:2] == ["FPR promised, at most", "FPR achieved"]
    rows = [dict(zip(told.columns, row, strict=True)) for row in told.rows]
    assert [row[told.columns[0]] for row in rows] == [0.1, 0.1, 0.05, 0.05, 0.01, 0.01, 0.001, 0.001]
    for row in rows[:7]:
        below = int((real < row["threshold"]).sum())
        assert row["FPR achieved"] == below / 400
        exact = stats.binomtest(below, 400).proportion_ci(0.95, "exact")
        assert (row["low (95 %)"], row["high"]) == pytest.approx((exact.low, exact.high), abs=1e-9)
        assert row["generated samples caught"] == float((fake < row["threshold"]).double().mean())
    law = [row["law over calibration"] for row in rows]
    assert law[2:4] == ["Beta(50, 951)", "Beta(39, 962)"]
    assert law[7] == "needs 2995 calibration reals"
    assert rows[7]["threshold"] is None
    assert by_key["fpr-at-threshold"].null.of == "Beta(50, 951)"


def test_strict_rates_are_refused_below_ten_reals_and_say_how_many_it_takes():
    real, fake = normals(300, 0.0, 1), normals(300, -1.0, 2)
    _, few = evaluated(real, fake, normals(999, 0.0, 3))
    assert few["tpr-at-fpr-1pct"].value is None
    told = "needs 1000 reals of one split, for 10 of them below the threshold; there are 999 for calibration and 300"
    assert told in few["tpr-at-fpr-1pct"].reason
    _, enough = evaluated(real, fake, normals(1000, 0.0, 3))
    assert enough["tpr-at-fpr-1pct"].value is not None
    assert "needs 10000 reals of one split" in enough["tpr-at-fpr-0.1pct"].reason


def test_test_reals_set_the_threshold_of_a_strict_rate_where_calibration_reals_are_too_few():
    real, fake, few = normals(1200, 0.0, 1), normals(300, -1.0, 2), normals(300, 0.0, 3)
    at = real.sort().values[11]  # k = floor(1201 · 1 %) = 12
    for calibration in (few, None):
        _, found = evaluated(real, fake, calibration)
        rate = found["tpr-at-fpr-1pct"]
        assert rate.value == float((fake < at).double().mean())
        assert rate.sizes == {"real": 1200, "fake": 300}
        assert "the drawing of test reals, which set the threshold" in rate.interval.covers
    assert rate.null is None
    assert "needs 2 calibration reals" in rate.null_reason
    _, found = evaluated(real, fake, few)
    assert found["tpr-at-fpr-1pct"].null.value == float((few < at).double().mean())
    assert "300 calibration reals in place of generated" in found["tpr-at-fpr-1pct"].null.rule


FROM_CALIBRATION = {"threshold", "fpr-at-threshold", "tpr-at-threshold", "pac-threshold", "fpr-at-pac-threshold",
                    "tpr-at-pac-threshold", "exchangeability-p-value"}  # fmt: skip


def test_without_calibration_reals_all_but_thresholds_is_measured_and_they_say_what_it_takes():
    real, fake = normals(300, 0.5, 1), normals(200, -0.5, 2)
    whole, with_ = evaluated(real, fake, normals(250, 0.5, 3))
    bare, without = evaluated(real, fake, None)
    strict = {"tpr-at-fpr-1pct", "tpr-at-fpr-0.1pct", "overfit"}  # 300 reals are too few, and there is no train split
    assert {key for key, m in without.items() if m.value is None} == FROM_CALIBRATION | strict
    for key in set(without) - FROM_CALIBRATION - strict:
        assert without[key].value == with_[key].value, key
        if key != "calibration-error":
            assert without[key].null is None
            assert "needs 2 calibration reals in place of generated samples: not there" in without[key].null_reason
    for key in FROM_CALIBRATION:
        sure = " with confidence 0.95 needs 59" if "pac" in key else " needs 19"
        assert without[key].reason == f"a false positive rate of 0.05{sure} calibration reals: not there"
    titles = {d.title for d in bare.details if isinstance(d, Table)}
    assert {d.title.split(" from ")[0] for d in whole.details if isinstance(d, Table)} - titles == {"Thresholds"}
    assert "% of test reals" in bare.exhibits[0].captions[0]


def test_one_calibration_real_is_none():
    _, found = evaluated(normals(50, 0.5, 1), normals(50, -0.5, 2), normals(1, 0.5, 3))
    assert found["auc"].null_reason.endswith("there are 1")
    assert found["threshold"].reason.endswith("needs 19 calibration reals: there are 1")


def test_without_calibration_reals_a_reversed_sign_is_noticed_on_test_reals():
    (told,) = score_cautions(normals(300, -1.0, 1), normals(300, 1.0, 2), None)
    assert "on test reals" in told
    assert "the sign may be reversed" in told


def test_too_few_reals_for_any_threshold_leave_the_ranks():
    _, found = evaluated(normals(50, 0.0, 1), normals(50, -1.0, 2), normals(30, 0.0, 3))
    assert found["threshold"].value is not None
    assert found["pac-threshold"].value is None
    assert "with confidence 0.95 needs 59 calibration reals; there are 30" in found["pac-threshold"].reason
    assert found["tpr-at-pac-threshold"].value is None
    assert found["auc"].value is not None


@pytest.mark.parametrize("wrong", [{"confidence": 1.0}, {"prior_fake": 0.0}, {"cost_real": 0.0}, {"cost_fake": -1.0}])
def test_options_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        registry.find("evaluators", DETECTION)(**wrong)


def test_costs_follow_their_options():
    real, fake, calibration = normals(400, 1.0, 1), normals(400, -1.0, 2), normals(400, 1.0, 3)
    _, found = evaluated(real, fake, calibration, prior_fake=0.5, cost_real=1.0, cost_fake=1.0)
    # At equal weights the threshold is 0 and the cost is the sum of both errors.
    expected = float((real < 0).double().mean() + (fake >= 0).double().mean())
    assert found["act-dcf"].value == pytest.approx(expected)
    assert found["min-dcf"].value <= expected


# --- what is odd about scores


def test_probabilities_are_noticed_and_raw_scores_are_not(plain):
    squashed, found = audited(DETECTION, 1.0, 200, lambda x: torch.sigmoid(3 * x), sizes=MOVED)
    assert any("scores lie in [0, 1]" in w and "they are probabilities" in w for w in squashed.warnings)
    assert found["auc"].value == plain["auc"].value
    raw = [normals(300, mean, seed) for seed, mean in enumerate((1.0, -1.0, 1.0))]
    assert score_cautions(*raw) == []
    (middling,) = score_cautions(*(0.5 + side / 200 for side in raw))
    assert "may be probabilities" in middling


def test_a_constant_critic_is_told_first_and_shows_no_samples():
    result, found = audited(DETECTION, APART, 200, lambda x: 0 * x + 0.25)
    assert len(result.warnings) == 1
    assert "the same score (0.25)" in result.warnings[0]
    assert found["auc"].value == 0.5
    assert found["eer"].interval is None
    assert "cannot" in found["eer"].interval_reason
    assert not [d for d in result.details if d.kind == "gallery"]


def test_a_saturated_critic_is_told_that_its_scores_tie():
    sides = (normals(300, mean, seed) for seed, mean in enumerate((1.0, -1.0, 1.0)))
    (told,) = score_cautions(*((30 * side).clamp(-20, 20) for side in sides))
    assert "of all scores are exactly" in told


def test_a_reversed_sign_is_noticed_on_calibration_reals():
    result, found = audited(DETECTION, APART, 400, lambda x: -x)
    assert found["auc"].value < 0.2
    assert any("the sign may be reversed" in w and "calibration" in w for w in result.warnings)


def test_chance_is_seldom_taken_for_a_reversed_sign():
    runs = 400
    spoken = sum(bool(score_cautions(*(normals(100, 0.0, 3 * s + i) for i in range(3)))) for s in range(runs))
    assert spoken / runs <= 0.025 + 4 * math.sqrt(0.025 / runs)  # one side of a 95 % interval


def test_train_reals_tell_a_reversed_sign_from_one_learnt_by_heart():
    sides = normals(300, -1.0, 1), normals(300, 1.0, 2), normals(300, -1.0, 3)
    (turned,) = score_cautions(*sides, normals(300, -1.0, 4))
    (learnt,) = score_cautions(*sides, normals(300, 4.0, 5))
    (unknown,) = score_cautions(*sides)
    assert "so the sign may be reversed" in turned
    assert "learnt its train reals by heart and finds" in learnt
    assert "or it learnt its train reals by heart" in unknown


def test_calibration_of_another_kind_is_noticed():
    found, by_key = evaluated(normals(400, 0.0, 1), normals(300, -1.0, 2), normals(400, 1.0, 3))
    assert by_key["exchangeability-p-value"].value < 1e-6
    assert any("not of one kind" in w for w in found.warnings)


def test_full_separation_has_no_interval_from_resamples_but_one_from_theory():
    real, fake = normals(50, 20.0, 1), normals(50, -20.0, 2)
    found, by_key = evaluated(real, fake, normals(100, 20.0, 3))
    assert by_key["auc"].value == 1.0
    assert by_key["auc"].interval.low == pytest.approx(0.025 ** (1 / 50), abs=1e-9)
    assert by_key["eer"].value == 0.0
    assert by_key["eer"].interval is None
    assert any(d.kind == "note" and "detection error trade-off is empty" in d.text for d in found.details)


# --- what is shown


def test_exhibits_are_the_most_confidently_wrong():
    apart, n = 1.0, 120
    result, _ = audited(DETECTION, apart, n)
    fake, real = (d for d in result.details if d.kind == "gallery")
    made, test = planted(apart, n), values(reference(apart, {"calibration": n, "test": n}), "test")
    assert [item.index for item in fake.items] == np.argsort(-made.numpy())[:16].tolist()
    assert [item.index for item in real.items] == np.argsort(test.numpy())[:16].tolist()
    assert fake.side, real.side == ("fake", "real")
    assert f"score {float(made.max()):.4g}" in fake.items[0].caption
    share = float((values(reference(apart, {"calibration": n, "test": n}), "calibration") < made.max()).double().mean())
    assert f"above {share:.1%} of calibration reals" in fake.items[0].caption


def test_reals_are_shown_only_where_they_are_the_split_compared_with():
    class Other(FakeView):
        against = "all"

        def __init__(self, sizes):
            super().__init__(sizes)
            self.against = "all"

    found = registry.find("evaluators", DETECTION)().evaluate(Other({"real": 60}), np.random.default_rng(0))
    assert [e.side for e in found.exhibits] == ["fake"]


def test_all_score_laws_are_in_one_histogram_and_the_det_curve_of_normals_is_straight():
    sizes = {"train": 400, "calibration": 400, "test": 2000}
    result, found = audited(DETECTION, 1.0, 2000, sizes=sizes)
    (chart,) = [d for d in result.details if isinstance(d, Histogram)]
    assert [s.name for s in chart.series] == ["train reals", "test reals", "generated"]
    assert all(sum(s.shares) == pytest.approx(1.0) for s in chart.series)
    assert [r.at for r in chart.rules] == [found["threshold"].value, found["pac-threshold"].value]
    (det,) = [d for d in result.details if isinstance(d, Curve) and d.title.startswith("Detection error")]
    line = det.series[0]
    x, y = np.array(line.x), np.array(line.y)
    middle = np.abs(x) < 1.5  # errors below 7 % rest on few samples
    slope, offset = np.polyfit(x[middle], y[middle], 1)
    # Equal spreads: slope -1, and where x = 0 the miss rate is Phi(-apart).
    assert abs(slope + 1) < 0.12
    assert abs(offset + 1) < 0.12


def test_hull_error_rate_stands_beside_the_other_convention():
    real, fake = normals(300, 0.5, 1), normals(300, -0.5, 2)
    found, by_key = evaluated(real, fake, normals(300, 0.5, 3))
    rows = dict(table(found.details, "In other conventions").rows)
    assert rows["equal error rate on the convex hull of the ROC curve"] <= by_key["eer"].value + 1e-12
    cost = rows["cost of the wrong threshold (act-dcf less min-dcf)"]
    assert cost == pytest.approx(by_key["act-dcf"].value - by_key["min-dcf"].value)


def test_a_subject_without_a_discriminator_says_so():
    subject = Subject.from_modules(Planted(0.0), latent=2, value_range=RANGE)
    document = audit(subject, reference(1.0, {"calibration": 50, "test": 50}), evaluators={DETECTION: {}}, samples=50,
                     extractor="pixels")  # fmt: skip
    assert "no discriminator" in document.result(DETECTION).reason


def test_train_reals_never_stand_in_for_calibration():
    subject = Subject.from_modules(Planted(0.0), Reader(lambda x: x), latent=2, value_range=RANGE)
    real = reference(1.0, {"train": 50, "test": 50})
    document = audit(subject, real, evaluators={DETECTION: {}}, samples=50, extractor="pixels")
    found = {m.key: m for m in document.result(DETECTION).measurements}
    assert found["auc"].value is not None
    for text in (found["threshold"].reason, found["auc"].null_reason):
        assert "train reals are never substituted" in text
        assert "--reference calibration=PATH names" in text
    assert document.measurement(f"{DETECTION}/overfit").value is not None


# --- beside other discriminators


class Company(FakeView):
    """Given scores by this discriminator and by others, of the same samples."""

    def __init__(self, real, fake, **others):
        super().__init__({"real": len(real), "fake": len(fake)})
        self.own, self.theirs = {"scores/test": real, "scores/fake": fake}, others

    def others(self, side):
        return {name: scores[side] for name, scores in self.theirs.items()}

    def __getitem__(self, node):
        return self.own[node] if node in self.own else super().__getitem__(node)


def test_two_discriminators_are_compared_on_the_same_samples():
    """Against jackknifed areas, which know nothing of placements or ranks."""
    real, fake = normals(60, 1, 3), normals(50, 0, 4)
    scores = {
        "near": {"test": real + 0.5 * normals(60, 0, 5), "fake": fake + 0.5 * normals(50, 0, 6)},
        "far": {"test": normals(60, 0, 7), "fake": normals(50, 0, 8)},
    }
    found = registry.find("evaluators", DETECTION)().evaluate(Company(real, fake, **scores), np.random.default_rng(0))
    compared = table(found.details, "Against other discriminators")
    rows = {r[0]: dict(zip(compared.columns, r, strict=True)) for r in compared.rows}

    def areas(keep_real, keep_fake, theirs):
        truth = np.r_[np.ones(len(keep_real)), np.zeros(len(keep_fake))]
        pairs = ((real, fake), (theirs["test"], theirs["fake"]))
        one, two = (roc_auc_score(truth, np.r_[r[keep_real], f[keep_fake]]) for r, f in pairs)
        return one, two

    for name, theirs in scores.items():
        every = np.arange(60), np.arange(50)
        one, two = areas(*every, theirs)
        assert rows[name]["AUC of this discriminator"] == pytest.approx(one, abs=1e-12)
        assert rows[name]["AUC of the other"] == pytest.approx(two, abs=1e-12)
        assert rows[name]["difference"] == pytest.approx(one - two, abs=1e-12)
        without = [[np.subtract(*areas(np.delete(every[0], i), every[1], theirs)) for i in range(60)],
                   [np.subtract(*areas(every[0], np.delete(every[1], j), theirs)) for j in range(50)]]  # fmt: skip
        # The jackknife of a two-sample U-statistic: its variance is DeLong's, exactly.
        variance = sum((len(w) - 1) ** 2 / len(w) * np.var(w, ddof=1) for w in without)
        z = (one - two) / math.sqrt(variance)
        assert rows[name]["p-value"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-6)
        assert rows[name]["high"] - rows[name]["low"] == pytest.approx(2 * 1.959964 * math.sqrt(variance), rel=1e-5)
    assert rows["far"]["p-value"] < 0.01  # areas of 0.76 and 0.5 of as many samples lie 3.6 standard errors apart


def test_without_others_there_is_no_comparison():
    found = registry.find("evaluators", DETECTION)().evaluate(
        FakeView({"real": 60, "fake": 50}, hidden=("others/test", "others/fake")), np.random.default_rng(0)
    )
    assert not [d for d in found.details if isinstance(d, Table) and d.title.startswith("Against other")]


# --- calibration and overfit beside the ranking


def test_calibration_error_and_overfit_are_those_of_their_own_evaluators():
    real, fake, train = normals(400, 1, 1), normals(300, -1, 2), normals(500, 1.5, 3)
    calibration = normals(200, 1, 4)
    _, found = evaluated(2 * real, 2 * fake, 2 * calibration, 2 * train)
    # The number itself is held against written-out bins where it is at home.
    _, own = evaluated(2 * real, 2 * fake, 2 * calibration, of="discriminator-calibration")
    assert own["ece"].value > 0.02  # scores were doubled
    assert same(found["calibration-error"], own["ece"])
    _, own = evaluated(2 * real, 2 * fake, 2 * calibration, 2 * train, of="discriminator-overfit")
    assert same(found["overfit"], own["r-v"])
    r_v = (train.mean() - real.mean()) / (train.mean() - fake.mean())
    assert found["overfit"].value == pytest.approx(float(r_v), rel=1e-12)
    assert found["overfit"].interval.low < float(r_v) < found["overfit"].interval.high
    assert abs(found["overfit"].null.value) < 0.1


def same(one, other):
    """One number under two keys: value, interval, null, sizes, direction and definition."""
    return one.model_copy(update={"key": other.key}) == other


def test_overfit_needs_scores_of_train_reals():
    _, found = evaluated(normals(50, 1, 1), normals(50, -1, 2), normals(50, 1, 4))
    assert found["overfit"].value is None
    assert "needs 2 scores of train reals" in found["overfit"].reason
