"""Subjects whose discriminator reads a value that is planted in each sample, so that what it can tell is known."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.model import EvaluatorResult
from ganaudit.subjects.subject import Subject

RANGE = (-60.0, 60.0)


class Planted(nn.Module):
    """Images of one value each, drawn from N(mean, 1)."""

    def __init__(self, mean: float) -> None:
        super().__init__()
        self.mean = mean

    def forward(self, z: Tensor) -> Tensor:
        return (z[:, :1, None, None] + self.mean).expand(-1, 1, 2, 2)


class Reader(nn.Module):
    """Scores an image by a function of its first value, in float64: a scale of the scores must cost no digits."""

    def __init__(self, map_: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.map = map_

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x[:, 0, 0, 0].double())


def images(values: np.ndarray, name: str) -> Samples:
    array = np.broadcast_to(values.astype(np.float32)[:, None, None, None], (len(values), 1, 2, 2)).copy()
    return Samples.of(array, "floats", name, "made", value_range=RANGE)


def reference(apart: float, sizes: dict[str, int], seed: int = 3, train_shift: float = 0.0) -> Reference:
    """Reals N(apart/2, 1); those of train lie ``train_shift`` higher, as if learnt by heart."""
    rng = np.random.default_rng(seed)
    splits = {
        name: images(rng.standard_normal(n) + apart / 2 + (train_shift if name == "train" else 0.0), name)
        for name, n in sizes.items()
    }
    return Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")


def audited(
    evaluator: str,
    apart: float,
    n: int,
    map_: Callable[[Tensor], Tensor] = lambda x: x,
    *,
    sizes: dict[str, int] | None = None,
    options: dict | None = None,
    train_shift: float = 0.0,
    seed: int = 0,
) -> tuple[EvaluatorResult, dict]:
    """Return what an evaluator says of reals N(apart/2, 1) and generated N(-apart/2, 1), and its numbers by key."""
    subject = Subject.from_modules(Planted(-apart / 2), Reader(map_), latent=2, value_range=RANGE)
    real = reference(apart, sizes or {"calibration": n, "test": n}, train_shift=train_shift)
    document = audit(subject, real, evaluators={evaluator: options or {}}, samples=n, seed=seed, extractor="pixels")
    result = document.result(evaluator)
    assert result is not None
    return result, {m.key: m for m in result.measurements}


def planted(apart: float, n: int, seed: int = 0) -> Tensor:
    """Return the values of the generated samples of ``audited``."""
    subject = Subject.from_modules(Planted(-apart / 2), latent=2, value_range=RANGE)
    return subject.generate(subject.latents(seed, 0, n))[:, 0, 0, 0].double()


def values(real: Reference, split: str) -> Tensor:
    return torch.from_numpy(real.splits[split].array[:, 0, 0, 0].astype(np.float64))
