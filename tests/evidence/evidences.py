"""Evidence of small made-up subjects, for the tests of this folder and the processes that they start."""

import numpy as np
import torch
from torch import nn

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.evidence.evidence import Evidence, EvidencePlan
from ganaudit.evidence.nodes import node_names
from ganaudit.evidence.ranks import SINGLE
from ganaudit.evidence.store import Store
from ganaudit.features.extractor import Activations, ExtractorOptions
from ganaudit.features.random_conv import RandomConv
from ganaudit.progress import Silent
from ganaudit.subjects.subject import Subject

SHAPE = (3, 8, 8)
CLASSES = tuple("abcdefghij")
NODES = [n for n in node_names() if n.split("/")[0] not in ("moments", "values", "others") and n != "labels/fake"]
"""What the evidence of an unconditional generator has as tensors."""


def reals(n, seed, name="test"):
    array = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    return Samples.of(array, "images", name, "npy", labels=np.arange(n) % 10, classes=CLASSES)


def reference(**sizes):
    splits = {name: reals(n, i, name) for i, (name, n) in enumerate(sizes.items())}
    return Reference.of("r", "npz", splits, seen=dict.fromkeys(splits, "unknown"), rule="a test made them")


class Convolving(nn.Module):
    """A generator whose float32 convolutions would differ with the batch, if it were let."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(16, 64 * 16)
        self.layers = nn.Sequential(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 3, 3, padding=1))
        self.gain = 1.0
        self.seen = []

    def forward(self, z, labels=None):
        self.seen.append(float(z[0, 0]))
        if labels is not None:
            z = z + labels[:, None] / 10
        return torch.tanh(self.gain * self.layers(self.first(z).view(-1, 64, 4, 4)))


class Judging(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32 * 64, 1))

    def forward(self, x):
        return self.layers(x)


class Classifying(RandomConv):
    """Random features with logits, to have every kind of node."""

    classes = 10

    def extract(self, images):
        features = super().extract(images).features
        return Activations(features, features[:, :10].contiguous())


def evidence(
    subject=None,
    *,
    batch=512,
    samples=75,
    seed=3,
    against="test",
    quantiser="round",
    store=None,
    extractor=None,
    ranks=SINGLE,
    earlier=None,
    held=None,
    others=None,
    **sizes,
):
    return Evidence(
        subject or Subject.from_modules(Convolving(), Judging(), latent=16),
        held or reference(**(sizes or {"train": 60, "calibration": 40, "test": 50})),
        extractor or Classifying(ExtractorOptions(SHAPE)),
        EvidencePlan(samples=samples, seed=seed, against=against, batch=batch, quantiser=quantiser),
        store or Store(None),
        Silent(),
        ranks,
        earlier,
        others,
    )


def generating(made):
    """Return the first numbers of the blocks of 16 that the generator of ``made`` has been asked for, in order."""
    starts = {float(made.subject.latents(made.plan.seed, s, 1)[0, 0]): s for s in range(0, made.plan.samples, 16)}
    return [starts[first] for first in made.subject.generator.seen if first in starts]
