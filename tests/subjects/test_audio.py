"""Subjects that make waveforms."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.data.audio import wav
from ganaudit.document.errors import SubjectError
from ganaudit.subjects.directory import Directory, read_subject_file, write_directory
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.samples import SampleFiles
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject

from .networks import find

LATENT, LENGTH = 8, 128


class Waves(nn.Module):
    def __init__(self, channels: int = 1, fault=None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(LATENT, channels * LENGTH)
        self.channels, self.fault = channels, fault

    def forward(self, z):
        x = torch.tanh(self.linear(z)).view(-1, self.channels, LENGTH)
        return x if self.fault is None else self.fault(x)


class Ear(nn.Module):
    """One score a sound, in one of the shapes that people return."""

    def __init__(self, form=lambda score, map: score) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.map = nn.Conv1d(1, 1, 25, 4)
        self.form = form

    def forward(self, x):
        made = self.map(x)
        return self.form(made.mean((1, 2)), made)


@pytest.mark.parametrize("channels", [1, 2])
def test_waveforms_are_samples(channels):
    subject = Subject.from_modules(Waves(channels), latent=LATENT)
    assert subject.sample.shape == (channels, LENGTH)
    assert subject.sample.describe() == f"{channels}x{LENGTH} in [-1, 1]"
    assert f"4 samples of shape ({channels}, {LENGTH}), finite" in subject.checks
    assert not any(check.startswith("caution") for check in subject.checks)
    assert subject.generate(subject.latents(0, 0, 3)).shape == (3, channels, LENGTH)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (lambda x: x.flatten(1), r"or audio \(4, C, T\) with C 1 or 2"),
        (lambda x: x.view(-1, 8, 16), r"gave shape \(4, 8, 16\)"),
        (lambda x: x[1:], r"gave shape \(3, 1, 128\)"),
        (lambda x: x * 2 + 2, "outside the declared range"),
        (lambda x: x * float("nan"), "NaN or infinity"),
        (lambda x: (x, x), r"\(B, C, T\) of audio"),
    ],
)
def test_generators_that_break_a_promise(fault, told):
    with pytest.raises(SubjectError, match=told):
        Subject.from_modules(Waves(fault=fault), latent=LATENT)


@pytest.mark.parametrize("form", [lambda s, m: s, lambda s, m: s[:, None], lambda s, m: m, lambda s, m: (s, m)])
def test_discriminators_of_waveforms(form):
    subject = Subject.from_modules(Waves(), Ear(form), latent=LATENT)
    x = subject.generate(subject.latents(0, 0, 5))
    with torch.no_grad():
        expected = Ear()(x).double()
    torch.testing.assert_close(subject.discriminate(x), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("form", [lambda s, m: m[:, 0], lambda s, m: torch.cat([m, m], 1)])
def test_several_numbers_a_sound_are_refused(form):
    with pytest.raises(SubjectError, match=r"numbers per sample.*for audio \(B, 1, t\)"):
        Subject.from_modules(Waves(), Ear(form), latent=LATENT)


def write(folder, shape=(1, LENGTH)):
    networks = {"generator": ("waves", {"channels": 1}, Waves().state_dict())}
    write_directory(folder, "w", LatentSpec(LATENT), SampleSpec(shape), networks, {})
    return folder


def known(name):
    return Waves if name == "waves" else find(name)


def test_the_directory_of_training_holds_audio(tmp_path):
    folder = write(tmp_path)
    assert read_subject_file(folder / "subject.toml").sample.shape == (1, LENGTH)
    subject = Directory().load(folder, LoadOptions(network=known))
    assert subject.sample.shape == (1, LENGTH)
    z = subject.latents(0, 0, 4)
    with torch.no_grad():
        assert torch.equal(subject.generate(z), Waves().eval()(z))
    write(folder, (2, LENGTH))
    with pytest.raises(SubjectError, match=r"subject.toml says \(2, 128\)"):
        Directory().load(folder, LoadOptions(network=known))


@pytest.mark.parametrize("shape", ["[4096]", "[1, 2, 3, 4]"])
def test_shapes_that_are_none(tmp_path, shape):
    path = write(tmp_path) / "subject.toml"
    text = path.read_text()
    assert "[1, 128]" in text
    path.write_text(text.replace("[1, 128]", shape))
    with pytest.raises(SubjectError, match="shape"):
        read_subject_file(path)


def test_a_folder_of_sounds_is_a_subject(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(3):
        (tmp_path / f"{i}.wav").write_bytes(wav(rng.uniform(-1, 1, (1, LENGTH)), 8000))
    assert SampleFiles().accepts(tmp_path)
    subject = SampleFiles().load(tmp_path, LoadOptions(network=find))
    assert (subject.sample.shape, subject.sample.low, subject.sample.high) == ((1, LENGTH), -1, 1)
    assert subject.checks == ("3 floats of 1x128 float32 in -1..1, 8000 a second",)
