"""Known answers on scores: K01 to K07, K21, K26."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from benchmarks.known_answer import Answer, several
from ganaudit.numerics.calibration import brier, calibration_error, log_loss
from ganaudit.numerics.copying import members_caught
from ganaudit.numerics.detection import auc, conformal_rank, equal_error_rate
from ganaudit.numerics.detection_costs import detection_cost, likelihood_ratio_cost
from ganaudit.numerics.detection_curves import tpr_at_fpr
from ganaudit.numerics.probe import critical_accuracy, null_deviation, size_needed
from ganaudit.numerics.recalibration import temperature
from ganaudit.numerics.resampling import metropolis_acceptance, rejection_acceptance
from ganaudit.numerics.thresholds import pac_rank, pac_size_needed, rate_upper

__all__ = ["detected"]

_N = 200_000
_FOUR = "4 standard errors"


def detected() -> Iterator[Answer]:
    """Yield the answers on scores."""
    for of in (_two_gaussians, _invariance, _delong, _guarantees, _two_sample, _miscalibrated, _choosing, _members):
        yield from of()


def _scores(d: float, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(d, 1, n)), torch.from_numpy(rng.normal(0, 1, n))


def _two_gaussians() -> Iterator[Answer]:
    """Two unit Gaussians ``d`` apart: the table A3 of the anchors."""
    known = {
        1.0: (0.760250, 0.308538, 0.092362, 0.018298, 0.198986, 0.581726, 0.839253, 0.797241),
        2.0: (0.921350, 0.158655, 0.372081, 0.137805, 0.112400, 0.356316, 0.514056, 0.425745),
        3.0: (0.983053, 0.066807, 0.749734, 0.464051, 0.049311, 0.166370, 0.240021, 0.181424),
    }
    for d, (area, eer, one, tenth, squares, nats, bits, least) in known.items():
        real, fake = _scores(d, _N)
        logits = d * real - d**2 / 2, d * fake - d**2 / 2
        square, loss = brier(*logits), log_loss(*logits)
        name = f"d = {d:g}, "
        yield from several("K01", "tests/numerics/test_detection.py", [
            (f"{name}AUC", area, auc(real, fake).value, 0.002),
            (f"{name}EER", eer, equal_error_rate(real, fake).value, 0.003),
        ])  # fmt: skip
        found = {rate: tpr_at_fpr(real, fake, rate) for rate in (0.01, 0.001)}
        for rate, expected in ((0.01, one), (0.001, tenth)):
            got = found[rate]
            assert got is not None
            # The threshold scatters by sqrt(a/n) in rate, the share by the slope of the curve there, and by its own n.
            at = stats.norm.ppf(rate)
            slope = stats.norm.pdf(d + at) / stats.norm.pdf(at)
            error = math.hypot(slope * math.sqrt(rate / _N), math.sqrt(expected * (1 - expected) / _N))
            test = "tests/numerics/test_detection_curves.py::test_two_normals_against_the_closed_form"
            yield Answer("K01", f"{name}TPR at FPR {rate:.1%}", expected, got.value, 4 * error, test, _FOUR)
        test = "tests/numerics/test_calibration.py::test_brier_and_log_loss_of_two_normals"
        yield Answer("K01", f"{name}Brier", squares, square.value, 4 * square.standard_error, test, _FOUR)
        yield Answer("K01", f"{name}log-loss", nats, loss.value, 4 * loss.standard_error, test, _FOUR)
        test = "tests/numerics/test_detection_costs.py"
        cllr = likelihood_ratio_cost(*logits).value
        yield Answer("K01", f"{name}Cllr, bits", bits, cllr, 4 * loss.standard_error / math.log(2), test, _FOUR)
        # Over the cost of all misses: 1.9 times the error of the FPR and once that of the FNR, each 1/2 at most.
        error = math.hypot(1.9, 1.0) * 0.5 / math.sqrt(_N)
        yield Answer("K01", f"{name}minDCF", least, detection_cost(real, fake).minimum, 4 * error, test, _FOUR)


def _invariance() -> Iterator[Answer]:
    real, fake = _scores(1.0, 20_000)
    plain, test = (
        auc(real, fake).value,
        "tests/numerics/test_detection_curves.py::test_no_scale_or_offset_changes_a_bit",
    )
    for c, t0 in ((1e-3, 50.0), (1.0, -50.0), (1e3, 50.0)):
        yield Answer("K02", f"AUC of {c:g} D {t0:+g}", plain, auc(c * real + t0, c * fake + t0).value, 0.0, test)
    order = torch.from_numpy(np.random.default_rng(1).permutation(len(real)))
    yield Answer("K03", "AUC of shuffled scores", plain, auc(real[order], fake[order]).value, 0.0,
                 "tests/numerics/test_detection.py::test_auc_is_the_pair_loop_and_its_error_is_delongs")  # fmt: skip


def _delong() -> Iterator[Answer]:
    errors, inside, runs = [], 0, 2000
    exact = stats.norm.cdf(1 / math.sqrt(2))
    for seed in range(runs):
        found = auc(*_scores(1.0, 500, seed))
        ends = found.interval(0.95)
        errors.append(found.standard_error)
        inside += ends.low <= exact <= ends.high
    test = "tests/numerics/test_detection.py::test_delongs_error_of_two_normals_is_the_exact_binormal_one"
    yield Answer("K04", "DeLong's standard error, d = 1, n = 500", 0.014939, float(np.mean(errors)), 0.0006, test)
    test = "tests/numerics/test_detection.py::test_auc_intervals_cover"
    yield Answer("K04", f"coverage of its interval, {runs} runs", 0.95, inside / runs, 0.015, test)


def _guarantees() -> Iterator[Answer]:
    test = "tests/numerics/test_thresholds.py::test_published_sizes_and_quantiles"
    yield Answer("K05", "conformal rank, n = 1000, 5 %", 50, conformal_rank(1000, 0.05), 0.0, test)
    for n, k, upper in ((1000, 50, 0.06176), (1000, 10, 0.01565), (10_000, 10, 0.00157), (100, 5, 0.0892)):
        exact = float(stats.beta(k, n + 1 - k).ppf(0.95))
        yield Answer("K05", f"95 % quantile of the rate, n = {n}, k = {k}", exact, rate_upper(n, k), 1e-6, test,
                     f"the anchors print {upper:g}")  # fmt: skip
    test = "tests/numerics/test_thresholds.py::test_published_ranks"
    for n, alpha, k in ((1000, 0.05, 39), (1000, 0.01, 5), (10_000, 0.01, 84), (10_000, 0.001, 5), (5000, 0.001, 2)):
        yield Answer("K05", f"PAC rank, n = {n}, {alpha:.1%}", k, pac_rank(n, alpha), 0.0, test)
    yield Answer("K05", "reals for a PAC threshold at 0.1 %", 2995, pac_size_needed(0.001), 0.0, test)


def _two_sample() -> Iterator[Answer]:
    test = "tests/numerics/test_probe.py::test_the_published_tables"
    for n, deviation, critical in ((200, 0.03536, 0.5600), (1000, 0.01581, 0.5260), (5000, 0.00707, 0.5116)):
        yield Answer(
            "K06", f"null deviation, n = {n}", deviation, null_deviation(n), 5e-6, test, "rounding of the table"
        )
        yield Answer("K06", f"critical accuracy, n = {n}", critical, critical_accuracy(n), 5e-5, test,
                     "rounding of the table")  # fmt: skip
    for accuracy, n in ((0.6, 153), (0.55, 617), (0.52, 3863), (0.51, 15455)):
        yield Answer("K06", f"samples for 80 % power at {accuracy:g}", n, size_needed(accuracy), 0.0, test)


def _miscalibrated() -> Iterator[Answer]:
    test = "tests/numerics/test_calibration.py::test_miscalibrated_logits_have_the_published_error"
    known = {2.0: (0.104546, 0.075401, 0.035689), 0.5: (0.084669, 0.106056, 0.076018)}
    n = 100_000
    for times, errors in known.items():
        for d, expected in zip((1.0, 2.0, 3.0), errors, strict=True):
            real, fake = _scores(d, n, 1)
            logits = times * (d * real - d**2 / 2), times * (d * fake - d**2 / 2)
            found = calibration_error(*logits, np.random.default_rng(0), 50, draws=1)
            tolerance = 4 * 0.5 / math.sqrt(2 * n) + 0.02 * 0.05
            yield Answer("K07", f"ECE of logits x {times:g}, d = {d:g}", expected, found.value, tolerance, test,
                         "chance, and what one of 50 bins can hide")  # fmt: skip
            fitted = temperature(*logits)
            assert fitted is not None
            yield Answer("K07", f"temperature of logits x {times:g}, d = {d:g}", times, fitted, 0.02,
                         "tests/numerics/test_recalibration.py::test_the_temperature_is_recovered")  # fmt: skip


def _choosing() -> Iterator[Answer]:
    """Generated shares (.8, .2) where reals have (.5, .5), scored by the log of their ratio."""
    fakes = torch.tensor([0.8, 0.2], dtype=torch.float64)
    scores = torch.log(0.5 / fakes)
    kept = fakes * rejection_acceptance(scores)
    test = "tests/numerics/test_resampling.py::test_rejection_keeps_two_fifths_and_gives_the_law_of_the_reals"
    yield Answer("K21", "share that rejection keeps", 0.4, float(kept.sum()), 1e-12, test, "rounding")
    yield Answer("K21", "first share after rejection", 0.5, float(kept[0] / kept.sum()), 1e-12, test, "rounding")
    moves = [[float(metropolis_acceptance(scores[[i]], scores[[j]])) for j in (0, 1)] for i in (0, 1)]
    leaves, comes = float(fakes[1]) * moves[0][1], float(fakes[0]) * moves[1][0]
    yield Answer("K21", "first share of the Metropolis chain", 0.5, comes / (leaves + comes), 1e-12,
                 "tests/numerics/test_resampling.py::test_metropolis_has_the_law_of_the_reals", "rounding")  # fmt: skip


def _members() -> Iterator[Answer]:
    known = {0.1: (0.528186, 0.001394), 0.5: (0.638163, 0.004796), 1.0: (0.760250, 0.018298)}
    test = "tests/numerics/test_copying.py::test_k26_members_ranked_and_above_the_thousandth_of_non_members"
    for delta, (area, rate) in known.items():
        members, others = _scores(delta, _N, 4)
        caught = members_caught(members, others, 0.001)
        assert caught is not None
        slope = stats.norm.pdf(stats.norm.isf(0.001) - delta) / stats.norm.pdf(stats.norm.isf(0.001))
        error = math.sqrt(rate * (1 - rate) / _N + slope**2 * 0.001 / _N)
        found = auc(members, others)
        yield Answer(
            "K26", f"AUC of members, delta = {delta:g}", area, found.value, 4 * found.standard_error, test, _FOUR
        )
        yield Answer("K26", f"their TPR at 0.1 %, delta = {delta:g}", rate, caught.value, 4 * error, test, _FOUR)
