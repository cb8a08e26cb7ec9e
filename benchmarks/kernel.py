"""The kernel distance of subsets against torch-fidelity, on the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.measuring import paired, record
from ganaudit.numerics.kernel import kernel_distance, kernel_distance_subsets


def kernel(repeats: int = 3, n: int = 5000, d: int = 2048) -> list[dict[str, Any]]:
    from torch_fidelity.metric_kid import kid_features_to_metric

    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.standard_normal((n, d), dtype=np.float32)).relu() for _ in range(2))
    fake = fake * 1.05
    said = {
        "kid_subsets": 100, "kid_subset_size": 1000, "kid_kernel": "poly", "kid_kernel_poly_degree": 3,
        "kid_kernel_poly_gamma": None, "kid_kernel_poly_coef0": 1.0, "rng_seed": 2020, "verbose": False,
    }  # fmt: skip

    def theirs() -> float:
        return float(kid_features_to_metric(fake, real, **said)["kernel_inception_distance_mean"])

    def ours() -> float:
        theirs_rng = np.random.RandomState(2020)
        draws = []
        for _ in range(100):
            first = theirs_rng.choice(n, 1000, replace=False)
            draws.append((theirs_rng.choice(n, 1000, replace=False), first))
        return float(kernel_distance_subsets(real, fake, draws).mean())

    error = abs(ours() / theirs() - 1)
    pair = paired(ours, theirs, repeats, warm=False)
    work = f"kernel distance, 100 subsets of 1000, n = {n}, d = {d}"
    rows = [record(work, "torch-fidelity 0.4 (float32)", pair, 2.0, error)]
    pair = paired(lambda: kernel_distance(real, fake), theirs, 1, warm=False)
    work = f"kernel distance of all pairs with its standard error, n = {n}, d = {d}"
    return [*rows, record(work, "torch-fidelity 0.4, 100 subsets of 1000", pair, None, None)]


if __name__ == "__main__":
    for row in kernel():
        print(row)
