"""Scores between subjects: each discriminator on the other's samples, whatever the ranges and sizes of batches."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.document.errors import EvidenceError, SubjectError
from ganaudit.evidence.others import beside
from ganaudit.evidence.store import Store
from ganaudit.evidence.view import View
from ganaudit.subjects.samples import subject_of_samples
from ganaudit.subjects.subject import Subject
from tests.evidence.evidences import Convolving, Judging, evidence, reals, reference

SETS = ("fake", "train", "calibration", "test")


class Shifted(nn.Module):
    """Makes what ``Convolving`` makes, but in 0..1, turned upside down."""

    def __init__(self):
        super().__init__()
        self.inner = Convolving()

    def forward(self, z, labels=None):
        return (1 - self.inner(z, labels)) / 2


class Weighs(nn.Module):
    """A linear critic of images in 0..1, with weights of a seed; told the class, it adds 10 for each."""

    def __init__(self, seed=5):
        super().__init__()
        self.register_buffer("w", torch.from_numpy(np.random.default_rng(seed).standard_normal(192)))

    def forward(self, x):
        return x.double().flatten(1) @ self.w


class Told(Weighs):
    def forward(self, x, labels):
        return super().forward(x) + 10 * labels


def audited():
    return Subject.from_modules(Convolving(), Judging(), latent=16)


def other(judge=None, **more):
    return Subject.from_modules(Shifted(), judge or Weighs(), latent=16, value_range=(0.0, 1.0), **more)


def company(subject=None, **others):
    subject = subject or audited()
    return {"subject": subject, "others": {name: beside(name, one, subject) for name, one in others.items()}}


def made(**more):
    return evidence(**{**company(late=other()), **more})


def test_each_set_is_judged_by_the_other_in_its_own_range():
    found = made()
    w = np.random.default_rng(5).standard_normal(192)
    for name in ("train", "calibration", "test"):
        array = found.reference.splits[name].array.transpose(0, 3, 1, 2).reshape(-1, 192) / 255
        np.testing.assert_allclose(found.others_scores(name)["late"], array @ w, atol=1e-4)
    x = torch.cat([found.subject.generate(found.subject.latents(3, s, 16)) for s in range(0, 80, 16)])[:75]
    by_hand = ((x.double().flatten(1) + 1) / 2).numpy() @ w
    np.testing.assert_allclose(found.others_scores("fake")["late"], by_hand, atol=1e-4)


def test_the_others_samples_are_judged_by_this_discriminator_in_this_range():
    found, maker = made(), other()
    y = torch.cat([maker.generate(maker.latents(3, s, 16)) for s in range(0, 80, 16)])[:75]
    judged = torch.cat([found.subject.discriminate(2 * part - 1) for part in y.split(16)])
    torch.testing.assert_close(found.others_scores("generated")["late"], judged, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 17, 64])
def test_the_batch_size_changes_no_bit(batch):
    whole, parts = made(batch=500), made(batch=batch)
    for side in (*SETS, "generated"):
        assert torch.equal(whole.others_scores(side)["late"], parts.others_scores(side)["late"]), side
        assert len(parts.others_scores(side)["late"]) == parts.count(f"others/{side}")


def test_more_samples_keep_those_that_were_there():
    few, many = made(samples=40), made(samples=75)
    for side in ("fake", "generated"):
        assert torch.equal(few.others_scores(side)["late"], many.others_scores(side)["late"][:40])


def test_programs_of_one_batch_size_meet():
    class Static(Weighs):
        def forward(self, x):
            assert len(x) == 7
            return super().forward(x)

    class Seven(Shifted):
        def forward(self, z, labels=None):
            assert len(z) == 7
            return super().forward(z)

    fixed = Subject(
        "fixed", "in-process", "sha256:0", other().sample, "operators", Seven().eval(), Static().eval(),
        audited().latent, block=7,
    )  # fmt: skip
    found, free = made(**company(fixed=fixed)), made()
    for side in (*SETS, "generated"):
        one, two = found.others_scores(side)["fixed"], free.others_scores(side)["late"]
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_labels_go_to_those_who_are_told_them():
    subject = Subject.from_modules(Convolving(), Judging(), latent=16, classes=10)
    plain, told = other(classes=10), other(Told(), classes=10)
    found = evidence(**company(subject, plain=plain, told=told), held=reference(calibration=40, test=50, train=60))
    for side in SETS:
        scores = found.others_scores(side)
        labels = found.node("labels/fake") if side == "fake" else torch.arange(len(scores["told"])) % 10
        torch.testing.assert_close(scores["told"] - scores["plain"], (10 * labels).double())
    for told_labels, judge in ((None, plain), (torch.tensor([4, 5]), told)):
        given = found.values("values/test", [4, 5], judge)[1]
        assert (given is None) == (told_labels is None)
        assert given is None or torch.equal(given, told_labels)


def test_samples_with_a_discriminator_stand_beside_a_generator():
    from dataclasses import replace

    held = reals(30, 9)
    files = replace(subject_of_samples(held), discriminator=Weighs().eval())  # in 0..255
    found = made(**company(files=files))
    w = np.random.default_rng(5).standard_normal(192)
    by_hand = found.reference.splits["test"].array.transpose(0, 3, 1, 2).reshape(-1, 192) @ w
    np.testing.assert_allclose(found.others_scores("test")["files"], by_hand, rtol=1e-4, atol=1e-2)
    values = held.values(slice(None), -1.0, 1.0)
    expected = found.subject.discriminate(values)
    torch.testing.assert_close(found.others_scores("generated")["files"], expected, rtol=1e-5, atol=1e-5)


def test_what_is_kept_belongs_to_the_weights_not_to_the_name(tmp_path):
    store = Store(tmp_path)
    first = made(store=store).others_scores("test")["late"]
    again = made(**company(late=other(Weighs(6))), store=store).others_scores("test")["late"]
    assert torch.equal(made(store=store).others_scores("test")["late"], first)
    assert not torch.equal(first, again)


@pytest.mark.parametrize(
    ("name", "one", "words"),
    [
        ("a", lambda: Subject.from_modules(Shifted(), latent=16, value_range=(0, 1)), "'a': .* has no discriminator"),
        ("c", lambda: other(Told(), classes=4), "'c': .*told the class; .* 4 classes and .* has 0"),
    ],
)
def test_what_cannot_stand_beside_is_refused_in_words(name, one, words):
    with pytest.raises(SubjectError, match=words):
        beside(name, one(), audited())


def test_another_shape_is_refused_with_both():
    class Sums(nn.Module):
        def forward(self, x):
            return x.flatten(1).sum(1)

    small = Subject.from_modules(
        nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Unflatten(1, (3, 2, 2))), Sums(), latent=4
    )
    with pytest.raises(SubjectError, match=r"shape \(3, 2, 2\); allowed: \(3, 8, 8\)"):
        beside("small", small, audited())


def test_without_others_the_words_say_how_to_give_one():
    assert "--other NAME=SUBJECT" in evidence().missing("others/test")
    assert made().missing("others/test") is None
    assert "no calibration split" in made(train=60, test=50).missing("others/calibration")


def test_the_view_hands_out_what_was_declared():
    found = made()
    view = View(found, ("others/test",))
    assert list(view.others("test")) == list(view.other_subjects) == ["late"]
    with pytest.raises(EvidenceError, match="without being declared"):
        view.others("fake")
    with pytest.raises(EvidenceError, match="without any others"):
        View(found, ("values/test",)).other_subjects  # noqa: B018
