"""Networks that run out of memory above a few rows: the audit halves, says so, and its numbers stay."""

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.attacks.accused import accused
from ganaudit.attacks.blackbox import Square
from ganaudit.attacks.gradient import Pgd
from ganaudit.attacks.threat import Budget, Threat
from ganaudit.attacks.universal import Universal
from ganaudit.auditing import audit
from ganaudit.document.errors import ExtractorError, SubjectError
from ganaudit.features.extractor import Activations
from ganaudit.subjects.subject import Subject
from tests.evaluators.linear_subjects import LATENT, SHAPE, Weighs, reference, weights

P = 64
SAID = "[enforce fail at alloc_cpu.cpp:114] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate"
ERRORS = {"cpu": RuntimeError(SAID), "cuda": torch.OutOfMemoryError("CUDA out of memory")}


class Cramped(nn.Module):
    """``network`` in a memory of ``most`` rows."""

    def __init__(self, network, most, error="cpu"):
        super().__init__()
        self.network, self.most, self.error = network, most, error

    def forward(self, rows):
        if len(rows) > self.most:
            raise ERRORS[self.error]
        return self.network(rows)


class Makes(nn.Module):
    def __init__(self):
        super().__init__()
        made = np.random.default_rng(5).standard_normal((LATENT, P)) * 0.1
        self.register_buffer("mix", torch.from_numpy(made).float())

    def forward(self, z):
        return torch.tanh(z @ self.mix).view(-1, *SHAPE)


def audited(make=99, judge=99, error="cpu", **more):
    made = Subject.from_modules(Cramped(Makes(), make, error), Cramped(Weighs(weights(P)), judge, error), latent=LATENT)
    return audit(made, reference(-1.0, 1.0), samples=40, cache=False, **{"extractor": "pixels", **more})


def numbers(document):
    found = {(r.evaluator, m.key): m.value for r in document.results for m in r.measurements}
    return {key: value for key, value in found.items() if value is not None}


@pytest.fixture(scope="module")
def roomy():
    return audited()


@pytest.mark.parametrize(
    ("room", "told"),
    [
        ({"make": 5}, "generating was done with 4 at once in place of 16"),
        ({"judge": 9, "error": "cuda"}, "judging was done with 8 at once in place of 16"),
    ],
)
def test_generation_and_judging_are_halved_and_it_is_said(roomy, room, told):
    found = audited(**room)
    assert any(told in w for w in found.warnings), found.warnings
    assert not any("out of memory" in w for w in roomy.warnings)
    assert numbers(found) == pytest.approx(numbers(roomy), rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("room", [{"make": 0}, {"judge": 0}])
def test_one_sample_that_does_not_fit_is_told_in_words(room):
    with pytest.raises(SubjectError, match=r"out of memory on cpu .* 1 at once; free memory"):
        audited(**room)


class Cuts:
    """An extractor that takes few images at once."""

    id, digest, dimensions, classes, preprocessing, caution = "cuts", "sha256:cuts", P, 0, "none", ""

    def __init__(self, most):
        self.most = most

    def extract(self, images):
        if len(images) > self.most:
            raise ERRORS["cpu"]
        return Activations(images.flatten(1).float() / 255, None)


def test_extraction_is_halved_and_it_is_said():
    found = audited(extractor=Cuts(3), evaluators={"frechet-distance": {}})
    assert any("extracting features was done with 2 at once in place of 16" in w for w in found.warnings)
    assert numbers(found) == numbers(audited(extractor=Cuts(99), evaluators={"frechet-distance": {}}))
    with pytest.raises(ExtractorError, match="out of memory on cpu with one sample at once"):
        audited(extractor=Cuts(0), evaluators={"frechet-distance": {}})


@pytest.mark.parametrize("error", list(ERRORS))
@pytest.mark.parametrize("attack", [Pgd(4), Universal(4), Square(9)])
def test_attacks_are_halved_and_it_is_said(attack, error):
    rng = np.random.default_rng(2)
    x = torch.from_numpy(rng.uniform(-0.9, 0.9, (24, *SHAPE)).astype(np.float32))
    threat = Threat(Budget("linf", 0.05), -1.0, 1.0, "fake")

    def attacked(most):
        judge = Cramped(Weighs(weights(P)), most, error)
        made = Subject.from_modules(Makes(), judge, latent=LATENT)
        found = accused(made, x, None, "fake", threshold=3.0).attempt(attack, threat, np.random.default_rng(0))
        return found, [*found.notes, *made.room.told()]

    (found, told), (roomy, nothing) = attacked(7), attacked(99)
    assert any("out of memory" in sentence for sentence in told)
    assert not nothing
    torch.testing.assert_close(found.samples, roomy.samples, rtol=0, atol=1e-6)
    assert torch.equal(found.fooled, roomy.fooled)


@pytest.mark.parametrize("most", [5, 2])
def test_searches_of_latents_are_halved_and_it_is_said(most):
    small = {"samples": 8, "steps": 6, "targets": 3, "jacobians": 2}
    one = {"latent-robustness": small}
    found, roomy = audited(make=most, evaluators=one), audited(evaluators=one)
    for told in ("searching latents", "differentiating the generator"):
        assert any(told in w and "out of memory" in w for w in found.warnings), found.warnings
    assert numbers(found) == pytest.approx(numbers(roomy), rel=1e-4)
