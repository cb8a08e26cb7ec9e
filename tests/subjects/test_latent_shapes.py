"""Generators that take latents as (B, size, 1, 1), and generators that mix their batch."""

from pathlib import Path

import torch
from torch import nn

from ganaudit.programs.exported import read_program
from ganaudit.subjects.subject import Subject


class Dcgan(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.ConvTranspose2d(6, 1, 8)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(z))


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.norm = nn.Linear(6, 64), nn.BatchNorm1d(64, track_running_stats=False)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.norm(self.linear(z))).view(-1, 1, 8, 8)


def test_spatial_latents_are_found_and_said() -> None:
    subject = Subject.from_modules(Dcgan(), latent=6)
    assert subject.sample.shape == (1, 8, 8)
    assert any("(B, size, 1, 1)" in check for check in subject.checks)
    z = subject.latents(0, 0, 3)
    torch.testing.assert_close(subject.generate(z), subject.generator(z[:, :, None, None]).detach())


def test_an_exported_program_tells_the_size_of_its_spatial_latents(tmp_path: Path) -> None:
    exported = torch.export.export(Dcgan().eval(), (torch.randn(4, 6, 1, 1),))
    torch.export.save(exported, tmp_path / "g.pt2")
    program = read_program(tmp_path / "g.pt2", "cpu")
    assert (program.latent, program.block) == (6, 4)


def test_a_generator_that_mixes_its_batch_is_cautioned() -> None:
    torch.manual_seed(0)
    subject = Subject.from_modules(Mixing(), latent=6)
    assert any("depends on the batch" in check for check in subject.checks)
