"""Subjects made of modules: what the self-check refuses, what it cautions, and what the digest stands for."""

import subprocess
import sys

import pytest
import torch

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.subject import LatentSpec, Subject

from .networks import LATENT, Conditional, Discriminator, Generator, Stubborn


def subject(fault="", form=None, **more):
    discriminator = Discriminator(form) if form is not None else None
    return Subject.from_modules(Generator(fault), discriminator, latent=LATENT, **more)


def cautions(made):
    return [check for check in made.checks if check.startswith("caution")]


def test_a_good_subject_has_no_cautions():
    made = subject(form="b1")
    assert made.sample.shape == (3, 4, 4)
    assert cautions(made) == []
    assert (made.trust, made.kind) == ("in-process", "in-process")
    assert "one finite score per sample" in " ".join(made.checks)
    assert made.latent.describe() == "N(0, I), 8 dimensions"
    assert made.sample.describe() == "3x4x4 in [-1, 1]"


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("flat", r"4 latents gave shape \(4, 48\); allowed: \(4, C, H, W\)"),
        ("fewer", r"4 latents gave shape \(3, 3, 4, 4\)"),
        ("integer", "returned a tensor .* of int64; allowed: one float tensor"),
        ("tuple", "returned a tuple; allowed: one float tensor"),
        ("nan", "1 of 4 samples hold NaN or infinity"),
        ("infinite", "4 of 4 samples hold NaN or infinity"),
        ("unit-as-bytes", r"% of its values lie outside the declared range \[-1, 1\] .*--range LOW,HIGH"),
        ("raises", r"generator: refused latents \(4, 8\): no such size \(--latent N"),
    ],
)
def test_a_generator_that_breaks_its_promise_is_refused(fault, told):
    with pytest.raises(SubjectError, match=told) as caught:
        subject(fault)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("overshoot", "lie outside [-1, 1]"),
        ("constant", "the generator may be constant"),
        ("noisy", "equal latents gave unequal samples"),
    ],
)
def test_a_generator_that_is_only_odd_is_cautioned(fault, told):
    (caution,) = cautions(subject(fault))
    assert told in caution


def test_the_wrong_latent_size_is_told_with_the_option():
    with pytest.raises(SubjectError, match=r"refused latents \(4, 9\).*--latent N"):
        Subject.from_modules(Generator(), latent=9)


@pytest.mark.parametrize("value_range", [(1.0, -1.0), (0.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_a_range_without_room_is_refused(value_range):
    with pytest.raises(SubjectError, match="two finite numbers, the lower first"):
        subject(value_range=value_range)


def test_the_declared_range_is_the_one_that_counts():
    assert cautions(subject("unit-as-bytes", value_range=(0.0, 255.0))) == []


def test_a_generator_that_stays_in_training_mode_is_refused():
    with pytest.raises(SubjectError, match="still in training mode after eval"):
        Subject.from_modules(Stubborn(), latent=LATENT)


def test_modules_are_put_into_eval_mode():
    generator = Generator().train()
    generator.dropout = torch.nn.Dropout()
    assert not Subject.from_modules(generator, latent=LATENT).generator.training
    assert not generator.dropout.training


# --- discriminators


@pytest.mark.parametrize("form", ["b", "b1", "b1hw", "bhw", "tuple", "list"])
def test_every_usual_form_of_score_is_one_number_per_sample(form):
    made = subject(form=form)
    x = made.generate(made.latents(0, 0, 5))
    scores = made.discriminate(x)
    assert scores.shape == (5,)
    assert scores.dtype == torch.float64
    module = Discriminator()
    expected = module.map(x).mean((1, 2, 3)) if form in ("b1hw", "bhw", "list") else module.linear(x.flatten(1))[:, 0]
    torch.testing.assert_close(scores, expected.detach().double())


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("b2", r"returned 2 numbers per sample, shape \(4, 2\); allowed: a tensor of one score per sample"),
        ("b2hw", r"returned 2 numbers per sample, shape \(4, 2, 4, 4\)"),
        ("scalar", r"returned a tensor \(\) of float32 for 4 samples"),
        ("fewer", r"returned a tensor \(3, 1\) of float32 for 4 samples"),
        ("dict", r"returned a dict with the keys 'score' for 4 samples; allowed: .*; wrap the network .* alone"),
        ("no-dict", "returned an empty dict for 4 samples; allowed: a tensor"),
        ("no-tuple", r"returned an empty tuple for 4 samples; allowed: .*tensor first; wrap .* the score first"),
        ("no-list", "returned an empty list for 4 samples; allowed: a tensor"),
        ("dict-first", "returned a dict with the keys 'score' as the first of 2 outputs for 4 samples; allowed"),
        ("none", "returned a NoneType for 4 samples; allowed: .*; wrap .* one raw score for every sample"),
        ("nan", "4 of 4 scores are NaN or infinity; allowed: one finite number per sample"),
    ],
)
def test_a_discriminator_without_one_score_per_sample_is_refused(form, told):
    with pytest.raises(SubjectError, match=told):
        subject(form=form)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("batch", "depends on the batch it is in"),
        ("refuses-one", "depends on the batch it is in"),
        ("noisy", "equal samples gave unequal scores"),
    ],
)
def test_a_discriminator_that_is_only_odd_is_cautioned_once_and_of_what_is_known(form, told):
    (caution,) = cautions(subject(form=form))
    assert told in caution


def test_a_discriminator_of_another_size_is_told():
    with pytest.raises(SubjectError, match=r"discriminator: refused samples \(4, 1, 4, 4\)"):
        Subject.from_modules(Generator(channels=1), Discriminator(), latent=LATENT)


# --- labels


def test_a_conditional_generator_is_given_labels():
    made = Subject.from_modules(Conditional(), latent=LATENT, classes=5)
    labels = made.labels(3, 0, 500)
    assert labels.dtype == torch.int64
    assert set(labels.tolist()) == set(range(5))
    assert torch.equal(made.labels(3, 40, 10), labels[40:50])
    assert subject().labels(0, 0, 4) is None
    with pytest.raises(SubjectError, match="--classes N makes labels"):
        Subject.from_modules(Conditional(), latent=LATENT)


# --- digests

DIGEST = """
import torch
from tests.subjects.networks import Discriminator, Generator
from ganaudit.subjects.subject import Subject
print(Subject.from_modules(Generator(), Discriminator(), latent=8).digest)
"""


def test_the_digest_is_equal_in_another_process():
    found = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == subject(form="b1").digest


def test_the_digest_changes_with_everything_that_can_change_a_number():
    def digest(change=None, discriminator=None, **more):
        generator = Generator()
        if change:
            change(generator)
        return Subject.from_modules(generator, discriminator, latent=more.pop("latent", LATENT), **more).digest

    def one_weight(generator):
        with torch.no_grad():
            generator.linear.weight[0, 0] += 1e-6

    def one_attribute(generator):
        generator.gain = 1.01

    def one_module(generator):
        generator.idle = torch.nn.ReLU()

    digests = [
        digest(),
        digest(one_weight),
        digest(one_attribute),
        digest(one_module),
        digest(value_range=(-2.0, 2.0)),
        digest(latent=LatentSpec(LATENT, "uniform")),
        digest(discriminator=Discriminator()),
        digest(discriminator=Discriminator("b")),
    ]
    assert len(set(digests)) == len(digests)
    assert digest() == digest()
    assert digest(lambda generator: generator.train()) == digest()
    assert digest(name="other") == digest()


# --- latents


@pytest.mark.parametrize("law", ["normal", "uniform"])
def test_latent_i_depends_on_the_seed_and_i_alone(law):
    spec = LatentSpec(7, law)
    rows = spec.draw(5, 0, 40)
    assert rows.shape == (40, 7)
    assert rows.dtype == torch.float32
    for start, count in ((0, 1), (13, 20), (39, 1)):
        assert torch.equal(spec.draw(5, start, count), rows[start : start + count])
    assert not torch.equal(spec.draw(6, 0, 40), rows)
    assert len({tuple(row.tolist()) for row in rows}) == 40


def test_latents_follow_their_law():
    normal, uniform = LatentSpec(4).draw(0, 0, 20_000), LatentSpec(4, "uniform").draw(0, 0, 20_000)
    error = 4 / 80_000**0.5
    assert abs(float(normal.mean())) < error
    assert abs(float(normal.var()) - 1) < 2**0.5 * error
    assert float(uniform.abs().max()) < 1
    assert abs(float(uniform.var()) - 1 / 3) < error
    assert LatentSpec(4, "uniform").describe() == "U(-1, 1), 4 dimensions"
