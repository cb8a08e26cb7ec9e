"""What extractors are handed: levels of images, waveforms as they are."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.evidence.evidence import Evidence, EvidencePlan
from ganaudit.evidence.handing import handed, read, shown
from ganaudit.evidence.store import Store
from ganaudit.features.extractor import Activations
from ganaudit.numerics.quantise import quantised
from ganaudit.progress import Silent
from ganaudit.subjects.subject import Subject


@pytest.mark.parametrize("quantiser", ["round", "floor", "none"])
def test_images_become_levels(quantiser):
    x = torch.linspace(-1.2, 1.2, 48).view(1, 3, 4, 4)
    assert torch.equal(handed(x, -1, 1, quantiser), quantised(x, -1, 1, quantiser))
    samples = Samples.of(x.clamp(-1, 1).numpy().copy(), "floats", "s", "npy", value_range=(-1.0, 1.0))
    assert torch.equal(read(samples, [0], quantiser), quantised(x.clamp(-1, 1), -1, 1, quantiser))
    assert torch.equal(shown(samples, [0]), samples.images([0]))
    levels = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
    images = Samples.of(levels, "images", "s", "npy")
    assert torch.equal(read(images, slice(0, 1), quantiser), torch.from_numpy(levels.copy()).permute(0, 3, 1, 2))


@pytest.mark.parametrize("quantiser", ["round", "floor", "none"])
def test_waveforms_are_never_quantised(quantiser):
    x = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (3, 1, 200)).astype(np.float32))
    assert torch.equal(handed(x, -1.0, 1.0, quantiser), x)
    assert torch.equal(handed(1.5 * x, -1.0, 1.0, quantiser), (1.5 * x).clamp(-1, 1))
    torch.testing.assert_close(handed((x + 1) / 2, 0.0, 1.0, quantiser), x, atol=2**-22, rtol=0)


class Listening:
    """Keeps what it is handed; one feature is a value as it stands."""

    id, digest, dimensions, classes, preprocessing, caution, takes = "listening", "l/1", 2, 0, "none", "", "audio"

    def __init__(self):
        self.seen = []

    def extract(self, images):
        self.seen.append(images)
        return Activations(torch.stack([images[:, 0, 0], images[:, 0, 1:].mean(1)], 1))


class Waves(nn.Module):
    def forward(self, z):
        return 3 * torch.tanh(z).repeat(1, 8).view(-1, 1, 64)


def test_every_node_of_a_subject_of_audio():
    rng = np.random.default_rng(1)
    splits = {
        name: Samples.of(
            rng.uniform(-1, 1, (n, 1, 64)).astype(np.float32), "floats", name, "npy", value_range=(-1.0, 1.0)
        )
        for name, n in {"calibration": 20, "test": 33}.items()
    }
    reference = Reference.of("r", "npy", splits, seen=dict.fromkeys(splits, "unknown"), rule="a test made them")
    subject = Subject.from_modules(Waves(), Mean(), latent=8,
                                   value_range=(-3.0, 3.0))  # fmt: skip
    extractor = Listening()
    made = Evidence(subject, reference, extractor, EvidencePlan(40, 0, "test", 16), Store(None), Silent())
    fake = made.node("features/fake")
    x = subject.generate(subject.latents(0, 0, 40))
    torch.testing.assert_close(fake[:, 0], x[:, 0, 0] / 3, atol=1e-6, rtol=0)
    real = made.node("features/real")
    assert torch.equal(real[:, 0], torch.from_numpy(splits["test"].array[:, 0, 0].copy()))
    assert all(part.dtype == torch.float32 and part.shape[1:] == (1, 64) for part in extractor.seen)
    assert made.node("scores/fake").shape == (40,)
    # The discriminator reads reals in the range of the generator.
    expected = 3 * torch.from_numpy(splits["test"].array.copy()).double().mean((1, 2))
    torch.testing.assert_close(made.node("scores/test"), expected, atol=1e-6, rtol=0)
    assert len(made.node("features/null-fake")) + len(made.node("features/null-real")) > 0
    torch.testing.assert_close(made.fake_shown([5, 0]), x[[5, 0]] / 3, atol=1e-6, rtol=0)
    again = made.features_by(extractor, "real", [3, 1])
    assert torch.equal(again, real[[3, 1]])


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((1, 2))
