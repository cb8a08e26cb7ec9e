"""Samples before a subject's discriminator: classes apart and together again, fixed blocks, gradients found out."""

import dataclasses

import numpy as np
import torch
from torch import nn

from ganaudit.attacks.accused import accused, has_gradients, padded
from ganaudit.attacks.blackbox import RandomNoise
from ganaudit.attacks.drawn import drawn, generation
from ganaudit.attacks.gradient import Fgsm
from ganaudit.attacks.spatial import unbounded
from ganaudit.subjects.subject import LatentSpec, SampleSpec, Subject


class Told(nn.Module):
    """The mean, counted up for one class and down for the other; takes blocks of one size where ``block`` is given."""

    def __init__(self, block=None):
        super().__init__()
        self.block = block

    def forward(self, x, labels):
        assert self.block in (None, len(x))
        return x.flatten(1).mean(1) * torch.where(labels == 0, 1.0, -1.0)


def subject(block=None):
    return Subject(
        name="s", kind="test", digest="", sample=SampleSpec((1, 4, 4)), trust="in-process", discriminator=Told(block),
        generator=nn.Sequential(nn.Linear(3, 16), nn.Unflatten(1, (1, 4, 4))), latent=LatentSpec(3),
        judges_labels=True, block=block,
    )  # fmt: skip


def cases(n=11):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.uniform(-1.2, 1.2, (n, 1, 4, 4))).float()
    return x, torch.from_numpy(rng.integers(2, size=n))


def test_classes_are_judged_apart_and_come_back_in_order():
    x, labels = cases()
    for block in (None, 4):
        found = accused(subject(block), x, labels, "fake", 0.5)
        assert len(found.groups) == 2
        plain = x.clamp(-1, 1).double().flatten(1).mean(1) * torch.where(labels == 0, 1.0, -1.0)
        torch.testing.assert_close(found.scores(), plain, atol=1e-6, rtol=0)
        outcome = found.attempt(Fgsm(), unbounded(-1.0, 1.0, "fake"), np.random.default_rng(0))
        # The whole range at the attacker's hands: every value to the end that its class calls more real.
        ends = torch.where(labels == 0, 1.0, -1.0)[:, None, None, None].expand_as(x)
        still = plain >= 0.5
        assert torch.equal(outcome.samples[~still], ends[~still])
        assert outcome.fooled.all()


def test_a_part_keeps_its_critics():
    x, labels = cases()
    found = accused(subject(), x, labels, "real", 0.0)
    wanted = torch.arange(11) % 3 == 0
    torch.testing.assert_close(found.part(wanted).scores(), found.scores()[wanted])
    only = found.part(labels == 1)
    assert [group.label for group in only.groups] == [1]
    torch.testing.assert_close(only.scores(), found.scores()[labels == 1])


def test_opened_no_sample_is_left_out():
    x, labels = cases()
    for side in ("fake", "real"):
        found = accused(subject(), x, labels, side, 0.0).opened()
        assert not any(bool(g.critic.fooled(found.x[g.places], side).any()) for g in found.groups)
        outcome = found.attempt(RandomNoise(2), unbounded(-1.0, 1.0, side), np.random.default_rng(0))
        assert (outcome.norms > 0).all()


def test_gradients_are_found_out():
    x = cases()[0]
    assert has_gradients(lambda v: v.flatten(1).sum(1), x)
    assert not has_gradients(lambda v: torch.from_numpy(v.detach().numpy().sum((1, 2, 3))), x)
    assert not has_gradients(lambda v: torch.zeros(len(v)), x)
    assert not has_gradients(lambda v: torch.zeros(len(v), requires_grad=True), x)


def test_padding_asks_for_one_size_alone():
    seen = []

    def network(v):
        seen.append(len(v))
        return v.flatten(1).sum(1)

    x = cases()[0]
    torch.testing.assert_close(padded(network, x, 4), x.flatten(1).sum(1))
    assert seen == [4, 4, 4]


def test_the_generator_is_lent_with_gradients_and_in_blocks():
    one = subject()
    z = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    for block in (None, 2):
        made = generation(dataclasses.replace(one, block=block), None)(z)
        torch.testing.assert_close(made, one.generator(z))
        assert made.requires_grad


def test_latents_are_drawn_by_the_subjects_law_and_shared_out_by_class():
    plain = dataclasses.replace(subject(), judges_labels=False, discriminator=Mean())
    found = drawn(plain, 7, 0.0, np.random.default_rng(0))
    assert [len(part.z) for part in found.portions] == [7]
    assert [len(part.z) for part in found.first(3).portions] == [3]
    assert found.dimension == 3
    told = dataclasses.replace(plain, classes=2, generator=Both())
    found = drawn(told, 40, 0.0, np.random.default_rng(0))
    assert [part.label for part in found.portions] == [0, 1]
    assert sum(len(part.z) for part in found.portions) == 40
    for part in found.portions:
        expected = part.z.sum(1).view(-1, 1, 1, 1) + torch.full((1, 1, 4, 4), float(part.label))
        torch.testing.assert_close(part.generate(part.z), expected)
    assert sum(len(part.z) for part in found.first(10).portions) == 10


class Mean(nn.Module):
    def forward(self, x):
        return x.flatten(1).mean(1)


class Both(nn.Module):
    def forward(self, z, labels):
        return z.sum(1).view(-1, 1, 1, 1) + labels.view(-1, 1, 1, 1) + torch.zeros(1, 1, 4, 4)
