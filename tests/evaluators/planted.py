"""Subjects and references whose errors can be computed by hand."""

import numpy as np
import torch
from torch import nn

from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.subjects.subject import Subject

SIDE = 6


class Grey(nn.Module):
    """Even images of a grey that the latent says; samples of class c are brighter by c/8."""

    def forward(self, z, labels=None):
        x = (z[:, :1, None, None] / 6).expand(-1, 1, SIDE, SIDE)
        return (x if labels is None else x + labels[:, None, None, None] / 8).clamp(-0.9, 0.9)


class Mean(nn.Module):
    """A critic that reads the mean of a sample."""

    def forward(self, x):
        return x.flatten(1).mean(1)


class Told(nn.Module):
    """A critic that reads the mean and adds 10 for each class."""

    def forward(self, x, labels):
        return 10.0 * labels + x.flatten(1).mean(1)


def subject(critic, **more):
    return Subject.from_modules(Grey(), critic, latent=2, **more)


def even(levels):
    """Images of one grey level each, uint8 (N, H, W, 1)."""
    return np.broadcast_to(np.asarray(levels, np.uint8)[:, None, None, None], (len(levels), SIDE, SIDE, 1)).copy()


def reference(labels=None, **arrays):
    splits = {}
    for name, array in arrays.items():
        told = None if labels is None else labels[name]
        names = () if told is None else tuple("abcdefgh"[: int(told.max()) + 1])
        kind, more = ("images", {}) if array.dtype == np.uint8 else ("floats", {"value_range": (-1.0, 1.0)})
        splits[name] = Samples.of(array, kind, name, "made", labels=told, classes=names, **more)
    return Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")


def row(evaluator, made, real, samples=96, options=None, **more):
    """Return the result of one evaluator in a whole audit."""
    document = audit(made, real, evaluators={evaluator: options or {}}, samples=samples, cache=False, **more)
    return document.result(evaluator)


def table(result, title):
    """Return the rows of a table by their first cells."""
    found = next(d for d in result.details if d.kind == "table" and title in d.title)
    return {tuple(r[:2]): dict(zip(found.columns, r, strict=True)) for r in found.rows}


def fakes(made, n):
    """Return the generated samples of seed 0 and their labels."""
    labels = made.labels(0, 0, n)
    return made.generate(made.latents(0, 0, n), labels), labels


def tensor(array):
    return torch.from_numpy(array)
