"""A training step against the loop of PyTorch's DCGAN tutorial on the same networks; what penalty and average cost."""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.measuring import Pair, Worker, paired, record, serve
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.features.precision import has_bf16
from ganaudit.numerics.allocator import keep_memory
from ganaudit.training.average import average_into
from ganaudit.training.config import TrainConfig
from ganaudit.training.denormals import flushed_denormals
from ganaudit.training.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganaudit.training.run import Run

SIDE, BATCH, LATENT = 64, 64, 100
STEPS = 2  # at a time
PEER = "the loop of PyTorch's DCGAN tutorial"


def training(repeats: int = 5) -> list[dict[str, Any]]:
    """Return rows for fp32 and bf16, the penalty and the average; on a CUDA device also for recorded steps.

    Each side works in a process of its own, as its user would run it: how ours keeps memory does not help the peer.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rows = []
    for precision, target in (("fp32", 1.25), ("bf16", 1.9)):
        if precision == "bf16" and device == "cpu" and not has_bf16("cpu"):
            continue
        work = f"DCGAN step with average, {SIDE}x{SIDE}, batch {BATCH}, {precision}, {device}"
        rows.append(_against_the_tutorial(work, target, repeats, device=device, precision=precision))
    if device == "cuda":
        work = f"DCGAN step with average, 32x32, batch {BATCH}, fp32, recorded, cuda"
        rows.append(_against_the_tutorial(work, 5.0, repeats, device=device, side=32, backend="cudagraph"))
    # Without batch normalisation, under which a penalty means nothing.
    with worker(device=device, norm="none") as plain, worker(device=device, norm="none", r1=1.0) as penalised:
        pair = paired(plain, penalised, repeats)
    rows.append(
        record(f"DCGAN step with R1 in every step, {device}", "the step without", pair, None, None,
               times_the_plain_step=round(1 / pair.ratio if pair.ratio > 1 else pair.peer / pair.ours, 3),
               limit=1.6 if device == "cpu" else 1.5)
    )  # fmt: skip
    with flushed_denormals():
        rows.append(average(steps(pictures(), device, norm="none"), device))
    return rows


def _against_the_tutorial(work: str, target: float, repeats: int, **how: Any) -> dict[str, Any]:
    theirs = {key: value for key, value in how.items() if key in ("device", "side")}
    with worker(**how) as ours, worker(who="tutorial", **theirs) as peer:
        pair = paired(ours, peer, repeats)
    pair = Pair(pair.ours / STEPS, pair.peer / STEPS, pair.ratio)
    return record(work, PEER, pair, target, None, images_per_second=round(BATCH / pair.ours, 1))


def worker(**how: Any) -> Worker:
    """Return a process that does ``STEPS`` steps each time it is called."""
    return Worker("benchmarks.training", **how)


def serve_steps(how: dict[str, Any]) -> None:
    """Do ``STEPS`` steps of one kind when asked."""
    device, side = how.pop("device", "cpu"), how.pop("side", SIDE)
    if how.pop("who", "ours") == "tutorial":
        work = tutorial(pictures(side), device, side)
    else:
        keep_memory()
        if r1 := how.pop("r1", 0.0):
            how["regularisers"] = {"r1": r1}
        work = steps(pictures(side), device, **how)
    with flushed_denormals():
        serve(lambda: [work() for _ in range(STEPS)])


def pictures(side: int = SIDE, n: int = 256) -> Reference:
    """Return random pictures as a data set."""
    array = np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)
    samples = Samples.of(array, "images", "noise", "built-in")
    return Reference.of("noise", "built-in", {"train": samples}, seen={"train": "seen"}, rule="made for timing")


def steps(reference: Reference, device: str, norm: str = "batch", **more: Any) -> Callable[[], None]:
    """Return a function that does one step of ours."""
    config = TrainConfig.model_validate(
        {
            "name": "bench", "images": 10**7, "batch": BATCH, "latent": LATENT, "device": device,
            "objective": "non-saturating",
            "generator": {"network": "dcgan-generator", "options": {"norm": "batch"}},
            "discriminator": {"network": "dcgan-discriminator", "options": {"norm": norm}},
            "optimiser": {"rate": 2e-4, "beta1": 0.5, "beta2": 0.999},
            **more,
        }
    )  # fmt: skip
    run = Run(config, Path(), reference)
    number = 0

    def work() -> None:
        nonlocal number
        run.loop.step(number)
        number += 1
        _wait(device)

    return work


def tutorial(reference: Reference, device: str, side: int = SIDE) -> Callable[[], None]:
    """Return a function that does one step as the tutorial does: three backward passes, two optimisers, no average."""
    generator = DcganGenerator(side, 3, LATENT, norm="batch").to(device)
    discriminator = DcganDiscriminator(side, 3, norm="batch").to(device)
    adams = [torch.optim.Adam(n.parameters(), lr=2e-4, betas=(0.5, 0.999)) for n in (discriminator, generator)]
    criterion = nn.BCEWithLogitsLoss()
    data = reference.splits["train"].values(slice(None), -1.0, 1.0)

    def work() -> None:
        real = data[:BATCH].to(device)
        ones, zeros = torch.ones(BATCH, device=device), torch.zeros(BATCH, device=device)
        discriminator.zero_grad()
        criterion(discriminator(real), ones).backward()
        fake = generator(torch.randn(BATCH, LATENT, device=device))
        criterion(discriminator(fake.detach()), zeros).backward()
        adams[0].step()
        generator.zero_grad()
        criterion(discriminator(fake), ones).backward()
        adams[1].step()
        _wait(device)

    return work


def average(step: Callable[[], None], device: str, repeats: int = 20) -> dict[str, Any]:
    """Return what share of a step the moving average takes."""
    network, kept = (DcganGenerator(SIDE, 3, LATENT).to(device) for _ in range(2))

    def timed(work: Callable[[], None], times: int) -> float:
        found = []
        for _ in range(times):
            start = time.perf_counter()
            work()
            _wait(device)
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    own, whole = timed(lambda: average_into(kept, network, 0.99), repeats), timed(step, 3)
    row = record(f"moving average of DCGAN-{SIDE}, {device}", "a whole step", Pair(own, whole, whole / own), None, None)
    return {**row, "share_of_a_step": round(own / whole, 4), "limit": 0.02}


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    serve_steps(json.loads(sys.argv[1]))
