"""Small networks with known faults, and how programs of them are saved."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ganaudit.document.errors import SubjectError

LATENT = 8


class Generator(nn.Module):
    """Latents (B, 8) to images (B, channels, 4, 4) in [-1, 1]; ``fault`` makes it break one promise."""

    def __init__(self, fault: str = "", channels: int = 3, gain: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(LATENT, channels * 16)
        self.gain = gain
        self.fault = fault
        self.channels = channels

    def forward(self, z: Tensor) -> Tensor:
        x = torch.tanh(self.gain * self.linear(z)).view(-1, self.channels, 4, 4)
        return FAULTS[self.fault](x)


def _nan(x: Tensor) -> Tensor:
    x = x.clone()
    x[1, 0, 0, 0] = float("nan")
    return x


FAULTS = {
    "": lambda x: x,
    "flat": lambda x: x.flatten(1),
    "fewer": lambda x: x[1:],
    "integer": lambda x: (x * 100).to(torch.int64),
    "tuple": lambda x: (x, x),
    "nan": _nan,
    "infinite": lambda x: x * float("inf"),
    "unit-as-bytes": lambda x: (x + 1) * 127.5,
    "overshoot": lambda x: torch.where(x == x.amax((1, 2, 3), keepdim=True), torch.full_like(x, 1.5), x),
    "constant": lambda x: torch.zeros_like(x),
    "noisy": lambda x: x * 0.9 + 0.01 * torch.rand_like(x),
    "raises": lambda x: (_ for _ in ()).throw(ValueError("no such size")),
}


class Stubborn(Generator):
    def train(self, mode: bool = True) -> Stubborn:
        super().train(mode)
        self.training = True
        return self


class Conditional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(5, LATENT)
        self.linear = nn.Linear(2 * LATENT, 48)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.tanh(self.linear(torch.cat([z, self.embedding(labels)], 1))).view(-1, 3, 4, 4)


class Discriminator(nn.Module):
    """Images (B, 3, 4, 4) to one score each, in one of the shapes that people return."""

    def __init__(self, form: str = "b1") -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear = nn.Linear(48, 1)
        self.map = nn.Conv2d(3, 1, 3, padding=1)
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        return FORMS[self.form](self.linear(x.flatten(1)), self.map(x))


FORMS = {
    "b": lambda score, map: score[:, 0],
    "b1": lambda score, map: score,
    "b1hw": lambda score, map: map,
    "bhw": lambda score, map: map[:, 0],
    "tuple": lambda score, map: (score, map),
    "list": lambda score, map: [map, score],
    "b2": lambda score, map: torch.cat([score, -score], 1),
    "b2hw": lambda score, map: torch.cat([map, -map], 1),
    "scalar": lambda score, map: score.mean(),
    "fewer": lambda score, map: score[1:],
    "dict": lambda score, map: {"score": score},
    "no-dict": lambda score, map: {},
    "no-tuple": lambda score, map: (),
    "no-list": lambda score, map: [],
    "dict-first": lambda score, map: ({"score": score}, map),
    "none": lambda score, map: None,
    "nan": lambda score, map: score * float("nan"),
    "batch": lambda score, map: score - score.mean(0),
    "noisy": lambda score, map: score + torch.rand_like(score),
    "refuses-one": lambda score, map: functional.batch_norm(score, None, None, training=True),
}


class Image(nn.Module):
    """Layers of many kinds in one generator."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(LATENT, 64)
        self.layers = nn.ModuleDict(
            {
                "up-1": nn.ConvTranspose2d(4, 4, 4, 2, 1),
                "norm": nn.BatchNorm2d(4),
                "group": nn.GroupNorm(2, 4),
                "last": nn.Conv2d(4, 3, 3, padding=1),
            }
        )
        self.register_buffer("scale", torch.ones(3, 1, 1))
        self.gain = nn.Parameter(torch.tensor(1.5))

    def forward(self, z: Tensor) -> Tensor:
        z = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        x = functional.leaky_relu(self.layers["norm"](self.layers["up-1"](self.first(z).view(-1, 4, 4, 4))), 0.2)
        x = functional.interpolate(self.layers["group"](x), scale_factor=2, mode="bilinear", align_corners=False)
        x = functional.interpolate(functional.avg_pool2d(x, 4), size=(8, 8), mode="nearest")
        return torch.tanh(self.gain * self.scale * self.layers["last"](x))


class Attentive(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(LATENT, 128)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Linear(8, 3)

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z).view(-1, 16, 8)
        x = self.norm(x + self.attention(x, x, x)[0])
        x = functional.scaled_dot_product_attention(x, x, x)
        return torch.tanh(self.last(x)).transpose(1, 2).reshape(-1, 3, 4, 4)


class Normalised(nn.Module):
    """Weight and spectral norm, a constant, masks and a class of its own for every row."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.utils.parametrizations.weight_norm(nn.Linear(LATENT, 48))
        self.second = nn.utils.parametrizations.spectral_norm(nn.Linear(48, 48))
        self.embedding = nn.Embedding(4, 48)

    def forward(self, z: Tensor) -> Tensor:
        x = self.second(functional.silu(self.first(z))) + self.embedding((z[:, 0] > 0).to(torch.int64))
        x = torch.where(x > 0, x, 0.2 * x).view(-1, 3, 4, 4)
        return torch.sigmoid(x + torch.arange(3.0).view(3, 1, 1)) * 2 - 1


class Paired(nn.Module):
    """Sizes that are more than the batch: pairs of rows, so that guards hold quotients and products."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(LATENT, 48)

    def forward(self, z: Tensor) -> Tensor:
        pairs = z.view(z.shape[0] // 2, 2, -1)
        z = (pairs - 0.1 * pairs.mean(1, keepdim=True)).reshape(z.shape[0], -1)
        return torch.tanh(self.first(z)).view(-1, 3, 4, 4)


class Branching(nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        x = torch.cond(z.sum() > 0, lambda z: torch.tanh(z), lambda z: torch.tanh(-z), (z,))
        return x.view(-1, 1, 2, 4)


def find(name: str):
    """The registry of networks that tests hand to a loader."""
    known = {"fake-generator": Generator, "fake-discriminator": Discriminator}
    if name not in known:
        raise SubjectError(f"network {name!r}: unknown; allowed: {', '.join(known)}")
    return known[name]


def export(module: nn.Module, path: Path, *inputs: Tensor, batch: object = None) -> Path:
    """Save an exported program; ``batch`` is the dynamic dimension of the batch, None for a static one."""
    shapes = None if batch is None else tuple({0: batch} for _ in inputs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(module.eval(), inputs, dynamic_shapes=shapes), path)
    return path


def script(module: nn.Module, path: Path, *inputs: Tensor) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(module.eval(), inputs, check_trace=False).save(str(path))
    return path


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def zipped(path: Path, content: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path
