"""Searches over latents of a linear generator under a linear discriminator, where every answer is a formula."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from ganaudit.evaluators import latent_robustness
from ganaudit.evaluators.latent_robustness import LatentRobustness
from ganaudit.subjects.subject import LatentSpec, Subject
from tests.evaluators.linear_subjects import LATENT, SHAPE, Told, Weighs, audited, reference, threshold, weights

NAME = "latent-robustness"
P = 64
W = weights(P)
SMALL = {"samples": 24, "steps": 60, "targets": 6, "jacobians": 4}


class Linear(nn.Module):
    def __init__(self, classes=0, broken=False):
        super().__init__()
        made = np.random.default_rng(5).standard_normal((max(classes, 1), LATENT, P)) * 0.05
        self.register_buffer("mix", torch.from_numpy(made).float())
        self.broken = broken

    def forward(self, z, labels=None):
        mix = self.mix[0].expand(len(z), -1, -1) if labels is None else self.mix[labels]
        made = (z[:, None] @ mix).view(-1, *SHAPE)
        return torch.from_numpy(made.numpy().copy()) if self.broken else made


def subject(latent=LATENT, classes=0, broken=False):
    return Subject.from_modules(Linear(classes, broken), Weighs(W), latent=latent, classes=classes)


@pytest.fixture(scope="module")
def linear():
    made, real = subject(), reference(-1.0, 1.0)
    row, found = audited(made, real, NAME, **SMALL)
    assert row.status == "measured", row.reason
    return made, real, row, found


def test_the_condition_is_that_of_the_matrix(linear):
    made, _, _, found = linear
    values = np.linalg.svd(made.generator.mix[0].double().numpy(), compute_uv=False)
    # The samples are float32: each singular value is right to about 1e-6 of the largest.
    assert found["log-condition"].value == pytest.approx(2 * math.log(values[0] / values[-1]), abs=1e-4)


def test_the_smallest_step_lies_where_the_law_of_the_margin_puts_it(linear):
    made, real, _, found = linear
    slope = made.generator.mix[0].double().numpy() @ W
    # The score of a latent is normal with deviation |slope|; the step is |score - tau|/|slope|, of length sqrt(d).
    tau = threshold(made, real) / np.linalg.norm(slope)
    one = found["median-latent-step"]
    steps = np.abs(np.random.default_rng(0).standard_normal(200_000) - tau) / math.sqrt(LATENT)
    # The lower median of 24 is the 12th; its law among uniform ranks is Beta(12, 13). Seven in a million lie beyond.
    low, high = np.quantile(steps, stats.beta(12, 13).ppf([3e-6, 1 - 3e-6]))
    assert low <= one.value <= high
    assert one.interval.low <= one.value <= one.interval.high
    assert one.n == 24


def test_the_worst_samples_lie_at_the_edge_of_the_shell(linear):
    made, real, row, found = linear
    slope = np.linalg.norm(made.generator.mix[0].double().numpy() @ W)
    least = -slope * (math.sqrt(LATENT) + 3 / math.sqrt(2))
    table = next(d for d in row.details if d.kind == "table" and d.title.startswith("Scores of ordinary"))
    assert table.rows[1][1:] == pytest.approx([least] * 3, rel=1e-3)
    scores = real.splits["calibration"].array.reshape(-1, P).astype(np.float64) @ W
    spread = np.subtract(*np.quantile(scores, [0.75, 0.25]))
    # The drop of the middle start: from its own score, which the table tells, to the edge (24 starts: lower median).
    assert found["worst-quality-drop"].value <= (table.rows[0][2] - least) / spread * (1 + 1e-3)
    assert found["worst-quality-drop"].value > 0


def test_reach_never_beats_the_projection_and_unseen_reals_are_the_null(linear):
    made, real, row, found = linear
    table = next(d for d in row.details if d.kind == "table" and d.title.startswith("How nearly"))
    basis, _ = np.linalg.qr(made.generator.mix[0].double().numpy().T)
    x = real.splits["test"].array.reshape(40, -1).astype(np.float64)
    left = np.sqrt(np.mean((x - x @ basis @ basis.T) ** 2, axis=1)) / 2
    rows = {r[0]: r for r in table.rows}
    assert rows["test reals"][3] >= left.min() - 1e-6
    assert {"values inverted", "values shuffled over places"} <= set(rows)
    assert "upside down" not in rows  # a 0 or an 8 then is none that lies outside
    assert sum(rows[name][1] for name in rows if not name.endswith("reals")) == 6
    assert found["reach-auc"].null.n == 6
    assert found["reach-auc"].interval.low <= found["reach-auc"].value <= found["reach-auc"].interval.high


def test_a_generator_that_takes_classes_is_searched_class_by_class():
    row, found = audited(subject(classes=3), reference(-1.0, 1.0, classes=3), NAME, **SMALL)
    assert row.status == "measured", row.reason
    assert all(found[key].value is not None for key in ("median-latent-step", "log-condition", "reach-auc"))
    logs = []
    for mix in Linear(3).mix.double().numpy():
        values = np.linalg.svd(mix, compute_uv=False)
        logs.append(2 * math.log(values[0] / values[-1]))
    assert min(logs) - 1e-4 <= found["log-condition"].value <= max(logs) + 1e-4


@pytest.mark.parametrize("told", [False, True])
def test_of_many_classes_some_are_drawn_and_named(monkeypatch, told):
    monkeypatch.setattr(latent_robustness, "_CLASSES", 2)
    asked, plain = [], latent_robustness.reach

    def spy(generate, targets, *rest, **options):
        asked.append(targets.flatten(1))
        return plain(generate, targets, *rest, **options)

    monkeypatch.setattr(latent_robustness, "reach", spy)
    critic = Told(np.stack([weights(P, seed) for seed in (1, 2, 3)])) if told else Weighs(W)
    made = Subject.from_modules(Linear(3), critic, latent=LATENT, classes=3)
    real = reference(-1.0, 1.0, classes=3)
    row, found = audited(made, real, NAME, **SMALL)
    assert row.status == "measured", row.reason
    assert found["reach-auc"].value is not None
    note = next(d.text for d in row.details if d.kind == "note" and "reach is searched in 2 of 3 classes" in d.text)
    classes = {int(c) for c in note.split("(")[1].split(")")[0].split(",")}
    assert len(classes) == 2
    assert len(asked) == 2 * 4  # each set of targets in each class drawn
    test = real.splits["test"]
    x = torch.from_numpy(test.array.reshape(40, -1).copy())
    labels = {int(test.labels[int((x - one).abs().sum(1).argmin())]) for one in torch.cat(asked[:2])}
    assert labels <= classes if told else "reals of any class" in note


def test_uniform_latents_have_no_shell():
    row, found = audited(subject(LatentSpec(LATENT, "uniform")), reference(-1.0, 1.0), NAME, **SMALL)
    assert row.status == "measured", row.reason
    for key in ("median-latent-step", "worst-quality-drop", "reach-auc"):
        assert "uniform" in found[key].reason
    assert found["log-condition"].value is not None


def test_a_generator_without_gradients_is_told():
    row, found = audited(subject(broken=True), reference(-1.0, 1.0), NAME, **SMALL)
    assert row.status == "measured", row.reason
    assert all(m.value is None and "no gradients" in m.reason for m in found.values())


class Once(torch.autograd.Function):
    """Has a first derivative and refuses the second, as torch's own operators without one do."""

    @staticmethod
    def forward(ctx, x):
        return x * 1.0

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        return gradient


class Twice(torch.autograd.Function):
    """Has derivatives, and runs out of memory in the first: what an audit never gets at by halving."""

    @staticmethod
    def forward(ctx, x):
        return x * 1.0

    @staticmethod
    def backward(ctx, gradient):
        if gradient.requires_grad:  # the tape of the second derivative does not fit
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")
        return gradient * 1.0


class Through(Linear):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, z, labels=None):
        return self.function.apply(super().forward(z, labels))


@pytest.mark.parametrize(
    ("function", "told", "never"),
    [(Once, "no second derivative", "memory"), (Twice, "memory ran out with 1 latent", "derivative")],
)
def test_a_missing_second_derivative_and_missing_memory_are_told_apart(function, told, never):
    made = Subject.from_modules(Through(function), Weighs(W), latent=LATENT)
    row, found = audited(made, reference(-1.0, 1.0), NAME, **SMALL)
    assert row.status == "measured", row.reason
    assert told in found["log-condition"].reason
    assert never not in found["log-condition"].reason
    assert found["median-latent-step"].value is not None


def test_samples_alone_and_too_few_reals_are_not_assessable(tmp_path):
    np.save(tmp_path / "fake.npy", np.zeros((30, 8, 8, 1), np.uint8))
    row, _ = audited(str(tmp_path / "fake.npy"), reference(-1.0, 1.0), NAME)
    assert row.status == "not_assessable"
    row, _ = audited(subject(), reference(-1.0, 1.0, calibration=10), NAME)
    assert "needs 19 calibration reals; there are 10" in row.reason


def test_options_are_checked():
    for name in ("samples", "steps", "jacobians", "targets", "starts"):
        with pytest.raises(ValueError, match=name):
            LatentRobustness(**{name: 0})
    with pytest.raises(ValueError, match="fpr"):
        LatentRobustness(fpr=1.0)
