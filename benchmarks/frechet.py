"""The Fréchet distance of 2048 features, from moments and from few features, against torch-fidelity and pytorch-fid."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from benchmarks.measuring import Pair, record, seconds
from ganaudit.numerics.frechet import frechet_distance
from ganaudit.numerics.moments import Moments

FEATURES = 2048


def features(n: int, seed: int) -> Tensor:
    """Return n rows shaped like Inception's: not negative, correlated, with a spectrum that falls over two decades."""
    mixing = torch.linalg.qr(torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(0))).Q
    noise = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(1 + seed))
    return torch.relu((noise * torch.logspace(0, -2, FEATURES)) @ mixing + 0.05 + 0.005 * seed)


def frechet_moments(repeats: int = 3) -> list[dict[str, Any]]:
    """n = 5000: from moments to the distance, with each root computed anew and with the reference's kept."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    sides = [features(5000, seed) for seed in (0, 1)]
    theirs = [fid_features_to_statistics(side) for side in sides]
    # float64 means for all: torch-fidelity's are float32, which is worth 1e-9 of the distance.
    theirs = [{"mu": side.double().mean(0).numpy(), "sigma": t["sigma"]} for side, t in zip(sides, theirs, strict=True)]
    moments = [Moments.of(side) for side in sides]

    def anew() -> float:
        return frechet_distance(*(Moments(m.n, m.mean, m.scatter) for m in moments))

    def kept() -> float:
        # The reference's root was computed by the first comparison, as in an audit.
        return frechet_distance(moments[0], Moments(moments[1].n, moments[1].mean, moments[1].scatter))

    def fidelity() -> float:
        return float(fid_statistics_to_metric(*theirs, False)[KEY_METRIC_FID])

    def pytorch_fid() -> float:
        one, other = theirs
        shift = one["mu"] - other["mu"]
        root = sqrtm(one["sigma"] @ other["sigma"])
        return float(shift @ shift + np.trace(one["sigma"]) + np.trace(other["sigma"]) - 2 * np.trace(root).real)

    kept()
    work = f"Fréchet distance from moments, {FEATURES} features, n = 5000"
    return [
        _row(work, "torch-fidelity (eigvals)", anew, fidelity, repeats, 6.0),
        _row(f"{work}, the reference's root kept", "torch-fidelity (eigvals)", kept, fidelity, repeats, 6.0),
        _row(work, "scipy sqrtm, as pytorch-fid calls it", anew, pytorch_fid, repeats, 10.0),
    ]


def frechet_gram(repeats: int = 3) -> list[dict[str, Any]]:
    """n = 500: from features to the distance."""
    from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

    real, fake = (features(500, seed) for seed in (0, 1))

    def ours() -> float:
        return frechet_distance(real, fake)

    def fidelity() -> float:
        statistics = [fid_features_to_statistics(side) for side in (real, fake)]
        return float(fid_statistics_to_metric(*statistics, False)[KEY_METRIC_FID])

    work = f"Fréchet distance from features, {FEATURES} features, n = 500"
    return [_row(work, "torch-fidelity", ours, fidelity, repeats, 50.0)]


def _row(work: str, peer: str, ours: Any, theirs: Any, repeats: int, target: float) -> dict[str, Any]:
    expected = theirs()  # also its warm-up
    error = abs(ours() - expected) / expected
    times = [(_settled(ours), _settled(theirs)) for _ in range(repeats)]
    pair = Pair(
        statistics.median(o for o, _ in times),
        statistics.median(p for _, p in times),
        statistics.median(p / o for o, p in times),
    )
    return record(work, peer, pair, target, error)


def _settled(work: Callable[[], float]) -> float:
    """Return the seconds of ``work``, begun when the threads of the library that ran before have gone to sleep.

    They spin for some 0.03 s after their last work, on the cores that the next library would use.
    """
    time.sleep(0.2)
    return seconds(work)
