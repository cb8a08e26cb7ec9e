"""Code of somebody's own that tests hand to ganaudit: written to the working folder, forgotten afterwards."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

NETWORKS = """
import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, latent=8, scale=1.0):
        super().__init__()
        self.linear = nn.Linear(latent, 256)
        self.scale = scale

    def forward(self, z):
        return self.scale * torch.tanh(self.linear(z)).view(-1, 1, 16, 16)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(256, 1)

    def forward(self, x):
        return self.linear(x.flatten(1))


def seeded(network, seed=3):
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.copy_(0.1 * torch.randn(tensor.shape, generator=rng))
    return network


def generator():
    return seeded(Generator())


def discriminator():
    return seeded(Discriminator())


def pair():
    return generator(), discriminator()
"""
"""Networks of 8 latents and 1x16x16 samples, and factories that give them the same weights at every call."""

Write = Callable[..., str]


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write a module to the working folder and return its name; what is imported from there is forgotten at the end."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a module that changes within a second is read again

    def write(text: str = NETWORKS, name: str = "own_networks") -> str:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        forget(tmp_path)
        return name

    yield write
    forget(tmp_path)


def forget(folder: Path) -> None:
    """Drop every module that was imported from ``folder``, as a new process would not have it."""
    for name, module in list(sys.modules.items()):
        if str(vars(module).get("__file__") or "").startswith(str(folder)):
            del sys.modules[name]
