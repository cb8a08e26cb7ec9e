"""What detection and robustness of the reference model ``digits`` cost on each profile, evaluator by evaluator."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import run, seconds
from ganaudit.numerics.convolutional import convolutional_probe

_LIMIT = 60.0
_EVALUATORS = (
    "discriminator-detection",
    "discriminator-calibration",
    "discriminator-overfit",
    "threshold-transfer",
    "detection-by-group",
    "two-sample-test",
    "adversarial-robustness",
    "latent-robustness",
    "certified-robustness",
)


def profiles() -> list[dict[str, Any]]:
    """Return a row for the audit without a profile, for quick and standard, and for the network of the two-sample test.

    Seconds are those that the document tells of the evaluators, the evidence that each was first to ask for among them;
    no store is hit. The processor's time of the whole process stands beside, since another program at the same time
    stretches seconds alone.
    """
    return [*(_audit(name) for name in (None, "quick", "standard")), _network()]


def full() -> list[dict[str, Any]]:
    """Return the row of the profile full, which takes long."""
    return [_audit("full")]


def _audit(profile: str | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = [sys.executable, "-m", "ganaudit", "audit", "digits", "--evaluators", ",".join(_EVALUATORS)]
        command += ["--out", str(folder / "out"), *(["--profile", profile] if profile else [])]
        done = run(command, {"GANAUDIT_CACHE": str(folder / "cache")})
        document = json.loads((folder / "out" / "document.json").read_text())
    found = {result["evaluator"]: result for result in document["results"]}
    if lost := [name for name in _EVALUATORS if found[name]["status"] != "measured"]:
        raise RuntimeError(f"digits, profile {profile}: not measured: {', '.join(lost)}")
    spent = {name: found[name]["seconds"] for name in _EVALUATORS}
    given, samples = f"profile {profile}" if profile else "no profile given", document["plan"]["samples"]
    return _row(
        f"detection and robustness of digits, {given}, {samples} samples",
        sum(spent.values()),
        _LIMIT if profile in (None, "quick") else None,
        **{name.replace("-", "_"): taken for name, taken in spent.items()},
        processor_seconds_of_all=round(done.cpu_seconds, 1),
        threads=torch.get_num_threads(),
    )


def _network() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    real, fake = (torch.from_numpy(rng.integers(0, 256, (1000, 3, 32, 32), dtype=np.uint8)) for _ in range(2))
    convolutional_probe(real[:20], fake[:20], rng, 2, steps=2)  # what is set up once is not timed
    clock = time.process_time()
    taken = seconds(lambda: convolutional_probe(real, fake, rng))
    spent = time.process_time() - clock
    work = "two-sample test by the network, 1000 + 1000 of 3x32x32, without its null"
    return _row(work, taken, None, processor_seconds_of_all=round(spent, 1), threads=torch.get_num_threads())


def _row(work: str, taken: float, limit: float | None, **more: Any) -> dict[str, Any]:
    """Return a row of results.json that no peer stands beside, at most a limit of seconds."""
    return {
        "work": work,
        "peer": "none" if limit is None else f"the limit of {limit:g} s on 2 cores",
        "ours_seconds": round(taken, 4),
        "peer_seconds": limit,
        "ratio": None if limit is None else round(limit / taken, 3),
        "target": None if limit is None else 1.0,
        "error": None,
        **more,
    }


if __name__ == "__main__":
    for row in full() if "--full" in sys.argv[1:] else profiles():
        print(row)
