"""Subjects whose worst case is known: linear discriminators over images or sounds of any range."""

import math

import numpy as np
import torch
from torch import nn

from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.numerics.detection import conformal_threshold
from ganaudit.subjects.subject import Subject

SHAPE, LATENT = (1, 8, 8), 16


class Makes(nn.Module):
    """Values in the middle of the range, moved against ``w`` by ``shift`` so that they are told from reals."""

    def __init__(self, w, low, high, shift, shape=SHAPE):
        super().__init__()
        mix = np.random.default_rng(3).standard_normal((LATENT, w.size)) / math.sqrt(LATENT)
        self.register_buffer("mix", torch.from_numpy(mix).float())
        self.register_buffer("away", torch.from_numpy(shift * np.sign(w)).float())
        self.low, self.high, self.shape = low, high, shape

    def forward(self, z, labels=None):
        unit = 0.5 + 0.3 * torch.tanh(z @ self.mix) - self.away
        return (self.low + (self.high - self.low) * unit.clamp(0, 1)).view(-1, *self.shape)


class Weighs(nn.Module):
    def __init__(self, w, c=1.0, t0=0.0, form=None):
        super().__init__()
        self.register_buffer("w", torch.from_numpy(np.atleast_2d(w)))
        self.c, self.t0, self.form = c, t0, form or (lambda s: s)

    def forward(self, x):
        return self.form(self.c * (x.flatten(1).double() @ self.w[0]) + self.t0)


class Told(Weighs):
    def forward(self, x, labels):
        return (x.flatten(1).double() * self.w[labels]).sum(1)


class Blind(Weighs):
    """The same without gradients, as a program of another library."""

    def forward(self, x):
        return torch.from_numpy(x.detach().double().numpy().reshape(len(x), -1) @ self.w[0].numpy())


def weights(p, seed=1):
    return np.random.default_rng(seed).standard_normal(p)


def reals(n, seed, low, high, shape=SHAPE):
    """Around the middle of the range, 0.5 ± 0.3 of it."""
    unit = 0.5 + 0.3 * np.tanh(np.random.default_rng(seed).standard_normal((n, *shape)))
    return (low + (high - low) * unit).astype(np.float32)


def reference(low, high, shape=SHAPE, calibration=100, test=40, classes=0):
    splits = {}
    for seed, (name, n) in enumerate({"calibration": calibration, "test": test}.items()):
        told = {}
        if classes:
            told = {"labels": np.arange(n) % classes, "classes": tuple("abc"[:classes])}
        splits[name] = Samples.of(
            reals(n, seed, low, high, shape), "floats", name, "npy", value_range=(low, high), **told
        )
    return Reference.of("r", "npy", splits, seen=dict.fromkeys(splits, "unknown"), rule="a test made them")


def subject(discriminator, w, low, high, shift=0.06, shape=SHAPE, classes=0):
    made = Makes(w, low, high, shift, shape)
    return Subject.from_modules(made, discriminator, latent=LATENT, value_range=(low, high), classes=classes)


def audited(made, real, evaluator, extractor="pixels", **options):
    found = audit(made, real, evaluators={evaluator: options}, samples=40, cache=False, extractor=extractor)
    row = next(r for r in found.results if r.evaluator == evaluator)
    return row, {m.key: m for m in row.measurements}


def scored(made, x, labels=None):
    return made.discriminate(torch.as_tensor(x), labels).numpy()


def threshold(made, real, fpr=0.05):
    split = real.splits["calibration"]
    labels = None if split.labels is None or not made.judges_labels else torch.from_numpy(split.labels.copy())
    return conformal_threshold(made.discriminate(torch.from_numpy(split.array.copy()), labels), fpr)


def pushed(x, w, radius, low, high):
    """The highest w·y within ``radius`` of each row of ``x`` (n, p), coordinate by coordinate."""
    best = np.where(w > 0, np.minimum(x + radius, high), np.maximum(x - radius, low))
    return (best * w).sum(-1)
