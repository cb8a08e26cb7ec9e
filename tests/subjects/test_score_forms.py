"""What discriminators return beside one raw score: judged rightly and said, or refused in words."""

import numpy as np
import pytest
import torch
from onnx import helper, numpy_helper

from ganaudit.auditing import audit
from ganaudit.document.errors import SubjectError
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.onnx import Onnx
from tests.onnx_models import discriminator, generator, save, weights

from .networks import find

SHAPE = (1, 8, 8)
NODE = helper.make_node
COLUMNS = [NODE("Neg", ["linear"], ["other"]), NODE("Concat", ["linear", "other"], ["score"], axis=1)]
FORMS = {
    "columns": (COLUMNS, [("score", ("batch", 2))]),
    "map": ([NODE("Mul", ["x", "w-map"], ["score"])], [("score", ("batch", *SHAPE))]),
    "tuple": ([NODE("Identity", ["linear"], ["score"]), NODE("Sigmoid", ["linear"], ["sure"])],
              [("score", ("batch", 1)), ("sure", ("batch", 1))]),
    "nan": ([NODE("Sub", ["linear", "linear"], ["none"]), NODE("Div", ["none", "none"], ["score"])],
            [("score", ("batch", 1))]),
    "nan-at-times": ([NODE("Sqrt", ["linear"], ["score"])], [("score", ("batch", 1))]),
    "constant": ([NODE("Sub", ["linear", "linear"], ["score"])], [("score", ("batch", 1))]),
    "probability": ([NODE("Sigmoid", ["linear"], ["score"])], [("score", ("batch", 1))]),
    "plain": (None, [("score", ("batch", 1))]),
}  # fmt: skip


def saved(form, folder):
    nodes, outputs = FORMS[form]
    per_place = numpy_helper.from_array(weights(SHAPE).reshape(1, *SHAPE), "w-map")
    save(generator(SHAPE), folder / "g.onnx")
    save(discriminator(SHAPE, last=nodes, outputs=outputs, held=[per_place]), folder / "d.onnx")
    return folder / "g.onnx", folder / "d.onnx"


def load(form, folder):
    g, d = saved(form, folder)
    return Onnx().load(g, LoadOptions(network=find, discriminator=d))


def audited(form, folder, evaluator="discriminator-detection", **more):
    return next(r for r in document(form, folder, evaluator=evaluator, **more).results if r.evaluator == evaluator)


def document(form, folder, calibration=40, evaluator="discriminator-detection", judged=True):
    folder.mkdir(exist_ok=True)
    g, d = saved(form, folder)
    rng = np.random.default_rng(0)
    for name, n in (("calibration", calibration), ("test", 40)):
        np.save(folder / f"{name}.npy", rng.uniform(-0.5, 0.5, (n, *SHAPE)).astype(np.float32))
    reals = {name: str(folder / f"{name}.npy") for name in ("calibration", "test")}
    return audit(g, reals, discriminator=d if judged else None, samples=40, extractor="pixels",
                  evaluators={evaluator: {}}, cache=False)  # fmt: skip


def test_a_map_or_a_tuple_is_cautioned_of_in_the_document_and_one_number_is_not(tmp_path):
    told = {form: document(form, tmp_path / form).warnings for form in ("map", "tuple", "plain")}
    assert "the score is the mean of a map of 64 scores of the discriminator, 1x8x8" in told["map"]
    assert "of the 2 outputs of the discriminator the first is read as the score" in told["tuple"]
    assert not any("discriminator" in warning for warning in told["plain"])


def test_the_mean_of_a_map_is_the_score_and_it_is_said(tmp_path):
    made = load("map", tmp_path)
    x = made.generate(made.latents(0, 0, 5))
    wanted = (x.numpy().astype(np.float64) * weights(SHAPE).reshape(SHAPE)).mean((1, 2, 3))
    np.testing.assert_allclose(made.discriminate(x).numpy(), wanted, rtol=1e-5, atol=1e-7)
    assert "caution: the score is the mean of a map of 64 scores of the discriminator, 1x8x8" in made.checks


def test_the_first_of_several_outputs_is_the_score_and_it_is_said(tmp_path):
    made = load("tuple", tmp_path)
    x = made.generate(made.latents(0, 0, 5))
    torch.testing.assert_close(made.discriminate(x), load("plain", tmp_path).discriminate(x))
    assert "caution: of the 2 outputs of the discriminator the first is read as the score" in made.checks


def test_one_number_per_sample_needs_no_words(tmp_path):
    assert not any("map" in check or "outputs" in check for check in load("plain", tmp_path).checks)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (
            "columns",
            r"returned 2 numbers per sample, shape \(4, 2\); allowed: .* the real one less the other",
        ),
        ("nan", "4 of 4 scores are NaN or infinity; allowed: one finite number per sample"),
        ("nan-at-times", r"\d of 4 scores are NaN or infinity"),
    ],
)
def test_what_cannot_be_a_score_is_refused_before_any_work(tmp_path, form, told):
    with pytest.raises(SubjectError, match=told):
        load(form, tmp_path)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ("constant", "gives every sample the same score (0): it tells nothing apart"),
        ("probability", "scores lie in [0, 1]"),
    ],
)
def test_scores_that_mislead_are_said(tmp_path, form, told):
    row = audited(form, tmp_path)
    assert row.status == "measured", row.reason
    assert any(told in warning for warning in row.warnings), row.warnings
    assert all(m.value is not None or m.reason for m in row.measurements)


def test_no_discriminator_is_not_assessable(tmp_path):
    row = audited("plain", tmp_path, judged=False)
    assert row.status == "not_assessable"
    assert row.reason == "the subject has no discriminator (--discriminator FILE gives one)"


@pytest.mark.parametrize("evaluator", ["adversarial-robustness", "certified-robustness", "latent-robustness"])
def test_too_few_reals_for_a_threshold_are_told_with_how_many_it_takes(tmp_path, evaluator):
    row = audited("plain", tmp_path, calibration=10, evaluator=evaluator)
    assert row.status == "not_assessable"
    assert row.reason == "a false positive rate of 0.05 needs 19 calibration reals; there are 10"
