"""Programs are exported once for all tests: an export takes longer than what is tested on it."""

import os

import pytest
import torch

from .. import foreign
from .networks import LATENT, Discriminator, Generator, export, script

code = foreign.code


@pytest.fixture(scope="package", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def programs(tmp_path_factory):
    """Paths of good programs by name."""
    folder = tmp_path_factory.mktemp("programs")
    z, x = torch.zeros(4, LATENT), torch.zeros(4, 3, 4, 4)
    batch = torch.export.Dim("batch")
    return {
        "dynamic": export(Generator(), folder / "dynamic.pt2", z, batch=batch),
        "static": export(Generator(), folder / "static.pt2", z),
        "judge": export(Discriminator(), folder / "judge.pt2", x, batch=batch),
        "judge-of-3": export(Discriminator(), folder / "judge-of-3.pt2", torch.zeros(3, 3, 4, 4)),
        "script": script(Generator(), folder / "script.pt", z),
        "script-judge": script(Discriminator(), folder / "script-judge.ts", x),
    }


class Trap:
    """Pickles into a command that leaves a mark."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch '{self.mark}'",))


@pytest.fixture
def trap(tmp_path):
    """An object whose unpickling leaves ``trap.mark``."""
    return Trap(tmp_path / "the-trap-went-off")
