"""Scores turned once: a reversed discriminator with the option is the same as the right one without."""

import pytest
import torch
from torch import nn

from ganaudit.auditing import audit
from ganaudit.config import make_plan
from ganaudit.document.errors import ConfigError, SubjectError
from ganaudit.subjects.samples import subject_of_samples
from ganaudit.subjects.score_sign import with_score_sign
from ganaudit.subjects.subject import Subject
from tests.evaluators.linear_subjects import LATENT, Weighs, reals, reference, weights
from tests.evaluators.linear_subjects import subject as made_of

NAME = "discriminator-detection"
P = 64
W = weights(P)


class Reversed(Weighs):
    """Smaller for more real, as a number, in a tuple, or as integers."""

    def __init__(self, w, kind="plain"):
        super().__init__(w)
        self.kind = kind

    def forward(self, x):
        scores = -super().forward(x)
        if self.kind == "tuple":
            return scores, torch.ones(len(x), 3)
        return (8 * scores).round().clamp(-128, 127).to(torch.int8) if self.kind == "int8" else scores


def numbers(document):
    return {m.key: m.value for r in document.results for m in r.measurements}


@pytest.fixture(scope="module")
def audits():
    """Of the right discriminator, the reversed one, and the reversed one with the option; evidence is kept."""

    def audited(discriminator, **more):
        made = made_of(discriminator, W, -1.0, 1.0)
        return audit(made, reference(-1.0, 1.0), evaluators={NAME: {}}, samples=40, extractor="pixels", **more)

    return audited(Weighs(W)), audited(Reversed(W)), audited(Reversed(W), score_sign="smaller-real")


def test_a_reversed_discriminator_with_the_option_gives_the_numbers_of_the_right_one(audits):
    right, reversed_, turned = audits
    assert numbers(turned) == numbers(right)
    assert numbers(reversed_)["auc"] == pytest.approx(1 - numbers(turned)["auc"], abs=1e-12)
    assert any("as --score-sign smaller-real says: they are negated" in check for check in turned.subject.checks)
    assert [document.plan["score_sign"] for document in audits] == ["larger-real", "larger-real", "smaller-real"]


def test_the_warning_on_reversed_scores_names_the_option_and_goes_with_it(audits):
    right, reversed_, turned = (
        [w for row in document.results for w in row.warnings if "sign may be reversed" in w] for document in audits
    )
    (warning,) = reversed_
    assert "on calibration reals" in warning
    assert "--score-sign turns it" in warning
    assert not right
    assert not turned


def test_the_sign_is_a_part_of_the_digest_so_that_no_evidence_is_shared(audits):
    _, reversed_, turned = audits
    assert turned.subject.digest != reversed_.subject.digest
    subject = made_of(Weighs(W), W, -1.0, 1.0)
    assert with_score_sign(subject, "larger-real") is subject


def test_what_a_discriminator_returns_beside_its_score_stays():
    x = torch.from_numpy(reals(5, 0, -1.0, 1.0))
    turned = with_score_sign(made_of(Reversed(W, "tuple"), W, -1.0, 1.0), "smaller-real")
    torch.testing.assert_close(turned.discriminate(x), made_of(Weighs(W), W, -1.0, 1.0).discriminate(x))
    assert turned.discriminator(x)[1].shape == (5, 3)


def test_integer_scores_are_turned_without_wrapping_round():
    turned = with_score_sign(made_of(Reversed(1000 * W, "int8"), W, -1.0, 1.0), "smaller-real")
    scores = turned.discriminate(torch.from_numpy(reals(40, 0, -1.0, 1.0)))
    assert set(scores.tolist()) <= {-127.0, 128.0}


def test_gradients_pass_through_and_modes_and_parameters_stay():
    network = nn.Sequential(nn.Flatten(), nn.Linear(P, 1))
    subject = made_of(network, W, -1.0, 1.0)
    turned = with_score_sign(subject, "smaller-real")
    x = torch.from_numpy(reals(3, 0, -1.0, 1.0)).requires_grad_(True)
    (found,) = torch.autograd.grad(turned.score(x).sum(), x)
    torch.testing.assert_close(found.flatten(1), -network[1].weight.detach().expand(3, -1))
    assert not any(module.training for module in turned.discriminator.modules())
    assert sum(p.numel() for p in turned.discriminator.parameters()) == P + 1


def test_nothing_to_turn_is_told():
    made = Subject.from_modules(nn.Sequential(nn.Linear(LATENT, P), nn.Unflatten(1, (1, 8, 8))), latent=LATENT,
                                value_range=(-9.0, 9.0))  # fmt: skip
    with pytest.raises(SubjectError, match="in-process has no discriminator whose scores it could turn"):
        with_score_sign(made, "smaller-real")
    samples = reference(-1.0, 1.0).splits["test"]
    with pytest.raises(SubjectError, match="--discriminator FILE"):
        with_score_sign(subject_of_samples(samples), "smaller-real")


def test_the_plan_knows_two_signs():
    assert make_plan({"score_sign": "smaller-real"}, "options", []).score_sign == "smaller-real"
    with pytest.raises(ConfigError, match=r"score_sign.*larger-real"):
        make_plan({"score_sign": "smaller"}, "options", [])
    plan = make_plan({"score_sign": "smaller-real", "others": {"a": "b.onnx"}}, "options", [])
    assert plan.others["a"].score_sign == "larger-real"
