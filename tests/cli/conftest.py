"""A way to run the program in this process and see its streams, and small subjects to run it on."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganaudit.auditing import finished
from ganaudit.cli.main import run

from .. import foreign

code = foreign.code


@dataclass(frozen=True)
class Called:
    code: int
    out: str
    err: str


Run = Callable[..., Called]


@pytest.fixture
def ganaudit(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``ganaudit ARGUMENTS`` in an empty working folder; the contract of every verb's last line is checked here."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CI", "1")

    def call(*arguments: str | Path) -> Called:
        capfd.readouterr()
        code = run([str(a) for a in arguments])
        out, err = capfd.readouterr()
        return Called(code, out, err)

    return call


class Generator(nn.Module):
    def __init__(self, latent: int = 8, size: int = 16, channels: int = 1) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, channels * size * size)
        self.channels, self.size = channels, size

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(z)).view(-1, self.channels, self.size, self.size)


class Discriminator(nn.Module):
    def __init__(self, size: int = 16) -> None:
        super().__init__()
        self.linear = nn.Linear(size * size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


def traced(module: nn.Module, example: torch.Tensor, path: Path) -> Path:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), example).save(str(path))
    return path


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with g.pt, d.pt (TorchScript, latent 8), g.pt2 and d.pt2 (exported), all of 1x16x16 samples."""
    folder = tmp_path_factory.mktemp("programs")
    torch.manual_seed(0)
    g, d = Generator().eval(), Discriminator().eval()
    traced(g, torch.randn(2, 8), folder / "g.pt")
    traced(d, torch.randn(2, 1, 16, 16), folder / "d.pt")
    batch = torch.export.Dim("batch")
    torch.export.save(torch.export.export(g, (torch.randn(4, 8),), dynamic_shapes=({0: batch},)), folder / "g.pt2")
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(torch.export.export(d, (torch.randn(4, 1, 16, 16),), dynamic_shapes=shapes), folder / "d.pt2")
    return folder


@pytest.fixture
def by_all(audits_in_short: Any) -> Iterator[None]:
    """Audits of this test ask every evaluator."""
    audits_in_short.whole = True
    yield
    audits_in_short.whole = False


@pytest.fixture(scope="session")
def digits_audit(
    tmp_path_factory: pytest.TempPathFactory, audits_in_short: Any, _asked_anew: Callable[..., Any]
) -> Path:
    """The folder of a whole audit of the reference model, by every evaluator; what they found is kept."""
    out = tmp_path_factory.mktemp("digits") / "audit"
    before = os.environ.get("CI")
    os.environ["CI"] = "1"
    audits_in_short.whole = True
    never, finished.key_of = finished.key_of, _asked_anew
    try:
        assert run(["audit", "digits", "--out", str(out)]) == 0
    finally:
        finished.key_of = never
        audits_in_short.whole = False
        if before is None:
            del os.environ["CI"]
    return out
