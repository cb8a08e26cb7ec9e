"""One command over two folders of image files, cold and again, against torch-fidelity's ``fidelity``."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.inception import pictures, random_weights
from benchmarks.measuring import Pair, record, run
from ganaudit.features.precision import has_bf16

_EVALUATORS = "frechet-distance,kernel-distance,inception-score,precision-recall"


def end_to_end(repeats: int = 1, n: int = 400) -> list[dict[str, Any]]:
    """Return the rows for fp32, bf16 and the second run of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights = random_weights(folder)
        for side, seed, contrast in (("fake", 1, 0.7), ("real", 2, 1.0)):
            (folder / side).mkdir()
            for i, image in enumerate(pictures(n, 64, seed, contrast)):
                Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / side / f"{i:05d}.png")
        precisions = ["fp32", "bf16"] if has_bf16("cpu") else ["fp32"]
        times: dict[str, list[float]] = {key: [] for p in precisions for key in (p, f"{p} again")}
        peer = []
        for repeat in range(repeats):
            peer.append(run(_theirs(folder, weights)).seconds)
            for precision in precisions:
                cache = {"GANAUDIT_CACHE": str(folder / f"cache-{precision}-{repeat}")}
                for key in (precision, f"{precision} again"):
                    times[key].append(run(_ours(folder, weights, precision), cache).seconds)
        targets = {"fp32": 1.6, "bf16": 2.5, "fp32 again": 20.0, "bf16 again": None}
        work = f"FID + KID + IS + precision/recall of {n} + {n} image files, one command"
        return [
            record(
                f"{work}, {key if 'again' in key else key + ' cold'}",
                "torch-fidelity, fidelity --isc --fid --kid --prc",
                _pair(times[key], peer),
                targets[key],
                None,
            )
            for key in times
        ]


def _ours(folder: Path, weights: Path, precision: str) -> list[str]:
    return [
        sys.executable, "-m", "ganaudit", "audit", str(folder / "fake"), "--reference", f"test={folder / 'real'}",
        "--extractor", "inception-v3", "--extractor-weights", str(weights), "--evaluators", _EVALUATORS,
        "--precision", precision, "--out", str(folder / "out"),
    ]  # fmt: skip


def _theirs(folder: Path, weights: Path) -> list[str]:
    return [
        str(Path(sys.executable).parent / "fidelity"), "--cpu", "--isc", "--fid", "--kid", "--prc", "--no-cache",
        "--input1", str(folder / "fake"), "--input2", str(folder / "real"), "--kid-subset-size", "200",
        "--feature-extractor", "inception-v3-compat", "--feature-extractor-weights-path", str(weights),
    ]  # fmt: skip


def _pair(ours: list[float], peer: list[float]) -> Pair:
    ratio = statistics.median(p / o for o, p in zip(ours, peer, strict=True))
    return Pair(statistics.median(ours), statistics.median(peer), ratio)


if __name__ == "__main__":
    for row in end_to_end():
        print(row)
