"""Precision, recall, density and coverage against torch-fidelity and prdc: seconds in turn, peak memory each alone.

Peak memory is what a process's largest resident set grows by from the moment the features are loaded, each in a
process of its own: ``python -m benchmarks.neighbours --memory ours`` prints it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.measuring import paired, record, run
from ganaudit.numerics.neighbours import neighbourhood

FEATURES, SAMPLES = 2048, 10_000
TARGET, MEMORY_TARGET = 1.5, 4.0


def features(n: int, seed: int) -> Tensor:
    """Return n rows shaped like Inception's: not negative, with a spectrum that falls over two decades."""
    noise = torch.randn(n, FEATURES, generator=torch.Generator().manual_seed(seed))
    return noise.mul_(torch.logspace(0, -2, FEATURES)).add_(0.05 + 0.005 * seed).relu_()


def compute_prdc(real: npt.NDArray[Any], fake: npt.NDArray[Any], k: int) -> dict[str, float]:
    """Do what clovaai's prdc does: three full matrices by scikit-learn with 8 jobs, then comparisons of all pairs."""
    from sklearn.metrics import pairwise_distances

    def radii(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        own = pairwise_distances(x, x, metric="euclidean", n_jobs=8)
        nearest = np.argpartition(own, k + 1, axis=-1)[..., : k + 1]
        return np.take_along_axis(own, nearest, axis=-1).max(axis=-1)

    real_radii, fake_radii = radii(real), radii(fake)
    between = pairwise_distances(real, fake, metric="euclidean", n_jobs=8)
    inside = between < real_radii[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((between < fake_radii[None, :]).any(axis=1).mean()),
        "density": float(inside.sum(axis=0).mean() / k),
        "coverage": float((between.min(axis=1) < real_radii).mean()),
    }


def ours(real: Tensor, fake: Tensor, k: int = 5, boundary: Any = "<") -> dict[str, float]:
    found = neighbourhood(real, fake, k, boundary)
    return {name: getattr(found, name) for name in ("precision", "recall", "density", "coverage")}


def prdc(real: Tensor, fake: Tensor) -> dict[str, float]:
    return compute_prdc(real.numpy(), fake.numpy(), 5)


def fidelity(real: Tensor, fake: Tensor) -> dict[str, float]:
    from torch_fidelity.metric_prc import prc_features_to_metric

    found = prc_features_to_metric(
        fake, real, prc_neighborhood=3, prc_batch_size=10_000, save_cpu_ram=False, verbose=False
    )
    return {name: found[name] for name in ("precision", "recall")}


WORKS: dict[str, Callable[[Tensor, Tensor], dict[str, float]]] = {"ours": ours, "prdc": prdc, "fidelity": fidelity}


def neighbours(repeats: int = 3, n: int = SAMPLES) -> list[dict[str, Any]]:
    real, fake = features(n, 1), features(n, 2)
    memory = {name: _memory(name, n) for name in WORKS}
    work = f"precision, recall, density, coverage, n = {n} + {n}, {FEATURES} features"
    peers = {
        "torch-fidelity (precision and recall only)": ("fidelity", ours(real, fake, 3, "<=")),
        "prdc's algorithm (scikit-learn, 8 jobs)": ("prdc", ours(real, fake)),
    }
    rows = []
    for title, (name, mine) in peers.items():
        pair = paired(lambda: ours(real, fake), lambda name=name: WORKS[name](real, fake), repeats, warm=False)
        theirs = WORKS[name](real, fake)
        error = max(abs(mine[key] - theirs[key]) for key in theirs)
        rows.append(
            record(
                work,
                title,
                pair,
                TARGET,
                error,
                peak_memory_mib=round(memory["ours"]),
                peer_peak_memory_mib=round(memory[name]),
                memory_ratio=round(memory[name] / memory["ours"], 2),
                memory_target=MEMORY_TARGET,
            )
        )
    return rows


def _memory(name: str, n: int) -> float:
    command = [sys.executable, "-m", "benchmarks.neighbours", "--memory", name, "--samples", str(n)]
    return float(run(command).output.split()[-1])


def _grown(name: str, n: int) -> float:
    """Return by how many MiB one work lets this process grow."""
    real, fake = features(n, 1), features(n, 2)
    WORKS[name](real[:20], fake[:20])  # what is imported and started once belongs to nobody's matrices
    # Linux forgets the peak so far on this; making the features has one of its own.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    WORKS[name](real, fake)
    return _status("VmHWM") - before


def _status(key: str) -> float:
    """Return a memory figure of this process in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--memory", choices=list(WORKS), help="print the MiB that one work takes")
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    if asked.memory:
        print(_grown(asked.memory, asked.samples))
    else:
        for row in neighbours(asked.repeats, asked.samples):
            print(row)
