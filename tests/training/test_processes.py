"""Several processes over gloo: the gradients of one process on the whole batch, penalties and last biases included."""

import os
import socket
import subprocess
import sys

import pytest
import torch

PROCESS = """
import sys
from pathlib import Path
import torch
from ganaudit.evidence.ranks import launched
from tests.training.recipes import RECIPES, data_of, tiny
from ganaudit.training.run import Run

torch.set_num_threads(1)
found = {}

def doubled(run):
    # In float64, so that what the order of a sum does to its rounding does not hide an error.
    run.state.generator.double(), run.state.discriminator.double(), run.state.average.double()
    for name, value in run.state.registers.items():
        run.state.registers[name] = value.double()
    batch = run.loop._batch
    wide = lambda t: t.double() if torch.is_tensor(t) and t.is_floating_point() else t
    def wider(number, part, kind):
        made = batch(number, part, kind)
        fields = {name: wide(getattr(made, name)) for name in ("real", "labels", "latents", "fake_labels")}
        return type(made)(**fields, draws={name: wide(t) for name, t in made.draws.items()})
    run.loop._batch = wider

with launched("cpu") as ranks:
    for name in ("merged penalties", "lazy penalties", "wgan-gp", "path length", "consistency and lecam"):
        config = tiny(**RECIPES[name])
        run = Run(config, Path(), data_of(config), ranks=ranks)
        doubled(run)
        shown = run.loop.step(0, tells=True)
        for role, module in run.state.modules():
            if role != "average":
                found |= {f"{name}/{role}/{k}": p.grad.clone() for k, p in module.named_parameters()}
        found |= {f"{name}/shown/{k}": v for k, v in shown.values.items()}
    if ranks.rank == 0:
        torch.save(found, sys.argv[1])
"""


def launch(path, size):
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        port = str(it.getsockname()[1])
    processes = []
    for rank in range(size):
        env = {**os.environ, "OMP_NUM_THREADS": "1"}
        if size > 1:
            env |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
            env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", PROCESS, str(path)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
        )
    for process in processes:
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output.decode()[-3000:]
    return torch.load(path, weights_only=True)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    return {size: launch(folder / f"{size}.pt", size) for size in (1, 2)}


def test_two_processes_have_the_gradients_of_one(found):
    one, two = found[1], found[2]
    assert one.keys() == two.keys()
    for name, value in one.items():
        scale = float(value.abs().max()) or 1.0
        # Uniform draws and the two halves' means are exact; sums differ by float64's rounding. The generator's phase
        # comes after one descent of the discriminator, in which Adam divides by the size of a gradient.
        assert float((two[name] - value).abs().max()) <= 1e-6 * scale + 1e-14, name
