"""The second latent space of generators in two parts, found only where the parts make up the whole."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.data.samples import Samples
from ganaudit.subjects.mapping import Mapped, mapped
from ganaudit.subjects.subject import Subject

SHAPE = (1, 4, 4)


class Cube(nn.Module):
    def forward(self, z, labels=None):
        return z**3 if labels is None else z**3 + labels[:, None]


class Paint(nn.Module):
    def forward(self, w):
        return torch.tanh(w.repeat(1, 4)).view(-1, *SHAPE)


class TwoParts(nn.Module):
    def __init__(self, bias=0.0):
        super().__init__()
        self.mapping, self.synthesis, self.bias = Cube(), Paint(), bias

    def forward(self, z, *labels):
        return self.synthesis(self.mapping(z, *labels) + self.bias)


def subject(generator, **options):
    return Subject.from_modules(generator, latent=4, **options)


def test_the_parts_make_what_the_whole_makes():
    made = subject(TwoParts())
    found = mapped(made)
    assert isinstance(found, Mapped)
    z = made.latents(0, 0, 7)
    assert torch.equal(found.w(z, None), z**3)
    assert torch.equal(found.subject.generate(found.w(z, None)), made.generate(z))


def test_a_mapping_may_be_told_the_class():
    made = subject(TwoParts(), classes=3)
    found = mapped(made)
    assert isinstance(found, Mapped)
    z, labels = made.latents(0, 0, 5), made.labels(0, 0, 5)
    assert torch.equal(found.subject.generate(found.w(z, labels)), made.generate(z, labels))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_torchscript_keeps_the_parts(tmp_path):
    scripted = torch.jit.trace(TwoParts(), torch.zeros(2, 4))
    scripted.save(tmp_path / "g.pt")
    assert isinstance(mapped(subject(torch.jit.load(tmp_path / "g.pt"))), Mapped)


def test_without_a_w_the_words_say_why():
    assert "not in two parts" in mapped(subject(Whole()))
    # A part that goes by the name but is not what the generator runs through.
    assert "is off what the generator makes" in mapped(subject(TwoParts(bias=0.5)))
    odd = TwoParts()
    odd.synthesis = nn.Linear(3, 3)
    odd.forward = lambda z: Paint()(z)
    assert "synthesis(mapping(z)) fails" in mapped(subject(odd))
    files = Samples.of(np.zeros((4, 4, 4, 1), np.uint8), "images", "t", "npy")
    bare = Subject("s", "npy", "0", sample=subject(Whole()).sample, trust="data", samples=files)
    assert "not in two parts" in mapped(bare)


class Whole(nn.Module):
    def forward(self, z):
        return Paint()(z)
