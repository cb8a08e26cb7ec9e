"""Whether the intervals, tests and guarantees of detection keep what they promise, over simulated audits.

Reals score N(d, 1) and fakes N(0, 1), so every truth is known in closed form.
Run it as ``python -m benchmarks.detection_coverage --audits 2000``; ``--only`` picks rows.
``python -m benchmarks --only detection-coverage`` writes them all to RESULTS.md.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from ganaudit.numerics.calibration import calibration_error, calibration_test
from ganaudit.numerics.convolutional import convolutional_probe
from ganaudit.numerics.detection import auc
from ganaudit.numerics.detection_comparison import auc_difference
from ganaudit.numerics.detection_curves import tpr_at_fpr
from ganaudit.numerics.groups import rate_gap
from ganaudit.numerics.intervals import Bounds, clopper_pearson
from ganaudit.numerics.overfit import discriminator_overfit
from ganaudit.numerics.probe import probe
from ganaudit.numerics.thresholds import achieved, thresholds

LEVEL = 0.95
Rng = np.random.Generator


@dataclass(frozen=True)
class Case:
    """One promise: the share of audits for which ``kept`` is true."""

    name: str
    what: str
    promised: str
    kept: Callable[[Rng], bool]
    share: float = 1.0
    """Of the audits asked for: what costs more is done less often."""


def normals(rng: Rng, n: int, mean: float = 0.0, columns: int | None = None) -> Tensor:
    return torch.from_numpy(rng.normal(mean, 1, n if columns is None else (n, columns)))


def holds(bounds: Bounds, truth: float) -> bool:
    return bounds.low <= truth <= bounds.high


def area(n: int, m: int, d: float) -> Callable[[Rng], bool]:
    truth = float(stats.norm.cdf(d / math.sqrt(2)))
    return lambda rng: holds(auc(normals(rng, n, d), normals(rng, m)).interval(LEVEL), truth)


def critics(rng: Rng, n: int, first: float, second: float, agreement: float, same: bool) -> tuple[float, Bounds]:
    """Return p-value and interval for two critics whose scores correlate by ``agreement``."""
    factor = np.linalg.cholesky([[1, agreement], [agreement, 1]])
    real, fake = (torch.from_numpy(rng.normal(size=(n, 2)) @ factor.T) for _ in range(2))
    fake = fake if same else normals(rng, n, columns=2)
    found = auc_difference((real[:, 0] + first, fake[:, 0]), (real[:, 1] + second, fake[:, 1]), same_fakes=same)
    return found.p_value, found.interval(LEVEL)


def difference(n: int, agreement: float) -> Callable[[Rng], bool]:
    truth = float(stats.norm.cdf(1.2 / math.sqrt(2)) - stats.norm.cdf(0.8 / math.sqrt(2)))
    return lambda rng: holds(critics(rng, n, 1.2, 0.8, agreement, True)[1], truth)


def alarm(n: int, d: float, agreement: float, same: bool) -> Callable[[Rng], bool]:
    return lambda rng: critics(rng, n, d, d, agreement, same)[0] < 1 - LEVEL


def guarantee(n: int, alpha: float, decimals: int | None = None) -> Callable[[Rng], bool]:
    def kept(rng: Rng) -> bool:
        scores = normals(rng, n) if decimals is None else normals(rng, n).round(decimals=decimals)
        value = thresholds(scores, [alpha])[1].value
        assert value is not None
        reach = 0.0 if decimals is None else 0.5 * 10**-decimals
        return float(stats.norm.cdf(value - reach)) <= alpha

    return kept


def on_average(n: int, alpha: float) -> Callable[[Rng], bool]:
    """One new real for each calibration: called generated in a share of at most alpha."""

    def called(rng: Rng) -> bool:
        value = thresholds(normals(rng, n), [alpha])[0].value
        return value is not None and float(rng.normal()) < value

    return called


def count_alarm(n: int, alpha: float, tests: int) -> Callable[[Rng], bool]:
    return lambda rng: achieved(normals(rng, tests), thresholds(normals(rng, n), [alpha])[0]).p_value <= 1 - LEVEL


def rate(n: int, m: int, alpha: float, d: float) -> Callable[[Rng], bool]:
    truth = float(stats.norm.cdf(d + stats.norm.ppf(alpha)))

    def kept(rng: Rng) -> bool:
        found = tpr_at_fpr(normals(rng, n, d), normals(rng, m), alpha, LEVEL)
        return found is not None and holds(found.at_rate, truth)

    return kept


def ratio(n: int, train: float, unseen: float) -> Callable[[Rng], bool]:
    def kept(rng: Rng) -> bool:
        found = discriminator_overfit(normals(rng, n, train), normals(rng, n, unseen), normals(rng, n), LEVEL)
        return found.bounds is not None and holds(found.bounds, (train - unseen) / train)

    return kept


def likelihood_ratios(rng: Rng, n: int, d: float) -> tuple[Tensor, Tensor]:
    return d * normals(rng, n, d) - d**2 / 2, d * normals(rng, n) - d**2 / 2


def sums_alarm(n: int, d: float) -> Callable[[Rng], bool]:
    return lambda rng: calibration_test(*likelihood_ratios(rng, n, d)).p_value < 1 - LEVEL


def bins_alarm(n: int, d: float) -> Callable[[Rng], bool]:
    return lambda rng: calibration_error(*likelihood_ratios(rng, n, d), rng, draws=99).p_value <= 1 - LEVEL


def probe_alarm(n: int, features: int, shift: float = 0.0) -> Callable[[Rng], bool]:
    def alarmed(rng: Rng) -> bool:
        step = shift / math.sqrt(features)
        found = probe(normals(rng, n, step, features), normals(rng, n, 0.0, features), rng, folds=2)
        return found.held_out.p_value <= 1 - LEVEL

    return alarmed


def network_alarm(n: int, shape: tuple[int, ...], steps: int) -> Callable[[Rng], bool]:
    def alarmed(rng: Rng) -> bool:
        real, fake = (torch.from_numpy(rng.normal(size=(n, *shape))) for _ in range(2))
        return convolutional_probe(real, fake, rng, folds=2, steps=steps).held_out.p_value <= 1 - LEVEL

    return alarmed


def gap_alarm(sizes: tuple[int, ...], share: float) -> Callable[[Rng], bool]:
    groups = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
    n = sum(sizes)

    def alarmed(rng: Rng) -> bool:
        found = rate_gap(torch.from_numpy(rng.random(n) < share), groups, rng, 199)
        return found is not None and found.p_value <= 1 - LEVEL

    return alarmed


CASES = (
    Case("auc", "DeLong, d = 1, 500 + 500", "95 %", area(500, 500, 1.0)),
    Case("auc", "DeLong, d = 0, 100 + 100", "95 %", area(100, 100, 0.0)),
    Case("auc", "DeLong, d = 2, 200 + 500", "95 %", area(200, 500, 2.0)),
    Case("auc", "DeLong, d = 3, 100 + 100", "95 %", area(100, 100, 3.0)),
    Case("paired", "equal critics, d = 1, correlation 0.5, 200 + 200, alarms", "5 %", alarm(200, 1.0, 0.5, True)),
    Case("paired", "equal critics, d = 2, correlation 0.9, 200 + 200, alarms", "5 %", alarm(200, 2.0, 0.9, True)),
    Case("paired", "equal critics, other fakes, 200 + 200, alarms", "5 %", alarm(200, 1.0, 0.5, False)),
    Case("paired", "critics of d = 1.2 and 0.8, 200 + 200, interval", "95 %", difference(200, 0.5)),
    Case("threshold", "PAC, 1,000 reals, 5 %", ">= 95 %", guarantee(1000, 0.05)),
    Case("threshold", "PAC, 1,000 reals, 1 %", ">= 95 %", guarantee(1000, 0.01)),
    Case("threshold", "PAC, 1,000 reals rounded to 0.1, 5 %", ">= 95 %", guarantee(1000, 0.05, 1)),
    Case("threshold", "conformal, 200 reals, 5 %, one new real called generated", "<= 5 %", on_average(200, 0.05)),
    Case("threshold", "count on 300 test reals, 200 reals, 5 %, alarms", "<= 5 %", count_alarm(200, 0.05, 300)),
    Case("tpr", "at FPR 1 %, d = 2, 1,000 reals, 500 fakes", "95 %", rate(1000, 500, 0.01, 2.0)),
    Case("tpr", "at FPR 5 %, d = 1, 200 reals, 200 fakes", "95 %", rate(200, 200, 0.05, 1.0)),
    Case("overfit", "r_v = 0, 200 each", "95 %", ratio(200, 1.0, 1.0)),
    Case("overfit", "r_v = 0.5, 200 each", "95 %", ratio(200, 2.0, 1.0)),
    Case("calibration", "Z, d = 1, 200 + 200, alarms", "5 %", sums_alarm(200, 1.0)),
    Case("calibration", "ECE, d = 1, 500 + 500, alarms", "<= 5 %", bins_alarm(500, 1.0), 0.5),
    Case("groups", "gap of 4 equal groups, alarms", "<= 5 %", gap_alarm((20, 50, 100, 300), 0.1), 0.5),
    Case("probe", "one law, 100 + 100, 8 features, alarms", "<= 5 %", probe_alarm(100, 8), 0.25),
    Case("probe", "shift 1, 100 + 100, 8 features, found", "power", probe_alarm(100, 8, 1.0), 0.1),
    Case("network", "one law, 40 + 40 of 1x8x8, 5 steps, alarms", "<= 5 %", network_alarm(40, (1, 8, 8), 5), 0.15),
)


def rows(audits: int, seed: int, names: list[str] | None = None) -> Iterator[tuple[Case, int, int]]:
    """Yield each case with how many of how many audits kept it."""
    for number, case in enumerate(CASES):
        if names is None or case.name in names:
            runs = max(1, round(audits * case.share))
            rng = np.random.default_rng([seed, number])
            yield case, sum(case.kept(rng) for _ in range(runs)), runs


def detection_coverage(audits: int = 2000, seed: int = 0) -> list[dict[str, Any]]:
    """Return the rows of results.json: no seconds, but what was promised, found and how sure that is."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    found = [_row(case, kept, runs) for case, kept, runs in rows(audits, seed)]
    torch.set_num_threads(threads)
    return found


def _row(case: Case, kept: int, runs: int) -> dict[str, Any]:
    sure = clopper_pearson(kept, runs, 0.95)
    untimed = dict.fromkeys(("ours_seconds", "peer_seconds", "ratio", "target", "error"))
    promise = {"audits": runs, "promised": case.promised, "found": kept / runs, "sure": [sure.low, sure.high]}
    return {"work": f"{case.name}: {case.what}", "peer": "simulated audits", **untimed, **promise}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audits", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=sorted({case.name for case in CASES}))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print("| of | audits | promised | found | sure |")
    print("| --- | --- | --- | --- | --- |")
    for case, kept, runs in rows(asked.audits, asked.seed, asked.only):
        sure = clopper_pearson(kept, runs, 0.95)
        cells = [f"{case.name}: {case.what}", runs, case.promised, f"{kept / runs:.1%}"]
        print("| " + " | ".join(map(str, [*cells, f"{sure.low:.1%} to {sure.high:.1%}"])) + " |", flush=True)


if __name__ == "__main__":
    main()
