"""The contract, run over every registered evaluator, third parties' included."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from ganaudit import registry
from ganaudit.document.model import EvaluatorResult
from ganaudit.document.spec import EvaluatorSpec, Findings, NotAssessable
from ganaudit.evidence.nodes import node_names
from ganaudit.evidence.view import Evaluator
from ganaudit.numerics.memory import Room
from ganaudit.numerics.moments import GroupedMoments
from ganaudit.numerics.randomness import generator
from ganaudit.numerics.world import ALONE
from ganaudit.subjects.subject import LatentSpec, SampleSpec

NAMES = registry.names("evaluators")
D, C = 6, 5


class FakeGenerator(torch.nn.Module):
    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(z.repeat(1, 16).view(-1, 1, 8, 8) * torch.linspace(0.5, 1.5, 64).view(8, 8))


class FakeSubject:
    """A critic that reads the mean, of images in -1..1."""

    sample = SampleSpec((1, 8, 8))
    judges_labels = False
    samples = block = None
    device = "cpu"
    discriminator = None
    classes = 0
    spatial_latent = False
    latent = LatentSpec(4)
    room = Room()
    runtime = ""
    grown = None
    training: dict[str, object] = {}

    def __init__(self) -> None:
        self.generator = FakeGenerator()

    def generate(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.generator(z)

    def latents(self, seed: int, start: int, count: int) -> Tensor:
        return self.latent.draw(seed, start, count)

    def labels(self, seed: int, start: int, count: int) -> None:
        return None

    def discriminate(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return x.double().flatten(1).mean(1)

    def score(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return x.flatten(1).mean(1)


class FakeView:
    """Hands out made-up nodes and remembers which were read."""

    subject = FakeSubject()

    def __init__(self, sizes: dict[str, int], seed: int = 0, hidden: tuple[str, ...] = ()) -> None:
        self.sizes, self.seed, self.hidden = sizes, seed, hidden
        self.read: set[str] = set()
        self.null_rule = "a made-up null"
        self.against = "test"
        self.classes = self.label_classes = tuple("abcde")
        self.oracle = None
        self.differentiable = None
        self.world = ALONE

    def missing(self, node: str) -> str | None:
        return "hidden" if node in self.hidden else None

    def trained_on(self, split: str) -> bool:
        return split == "train"

    def blocks(self, node: str) -> Iterator[tuple[int, Tensor]]:
        rows = self[node]
        for start in range(0, len(rows), 64):
            yield start, rows[start : start + 64]

    def count(self, node: str) -> int:
        side = node.partition("/")[2]
        return self.sizes.get("fake" if side == "generated" else side, self.sizes["real"])

    def moments(self, side: str) -> GroupedMoments:
        rows = self[f"features/{side}"]
        self.read.discard(f"features/{side}")
        self.read.add(f"moments/{side}")
        others = {"real": "fake", "fake": "real", "null-real": "null-fake", "null-fake": "null-real"}
        core = min(len(rows), self.sizes.get(others[side], self.sizes["real"]))
        groups = GroupedMoments.groups_for(core, D)
        return GroupedMoments.gather([(0, rows)], len(rows), groups, np.random.default_rng(0), ALONE, core)

    @property
    def other_subjects(self) -> dict[str, FakeSubject]:
        return {"late": FakeSubject()}

    def others(self, side: str) -> dict[str, Tensor]:
        return {"late": self[f"others/{side}"]}

    def values(self, side: str, rows: Sequence[int], judge: FakeSubject | None = None) -> tuple[Tensor, Tensor | None]:
        return self[f"values/{side}"][list(rows)], None

    def chance(self, name: str) -> np.random.Generator:
        return generator(self.seed, name)

    def features_of(self, x: Tensor, quantiser: str | None = None) -> Tensor:
        return x.flatten(1)[:, :: x[0].numel() // D][:, :D]

    def logits_of(self, x: Tensor) -> Tensor:
        return self.features_of(x)[:, :C]

    def __getitem__(self, node: str) -> Tensor:
        self.read.add(node)
        kind, _, side = node.partition("/")
        n = self.sizes.get("fake" if side == "generated" else side, self.sizes["real"])
        rng = torch.Generator().manual_seed(self.seed * 1000 + sum(map(ord, node)))
        if kind == "labels":
            return torch.arange(n) % C
        if kind == "values":
            return 2 * torch.rand(n, *self.subject.sample.shape, generator=rng) - 1
        if kind in ("scores", "others"):
            return torch.randn(n, generator=rng, dtype=torch.float64) - (1.0 if side in ("fake", "generated") else 0.0)
        return torch.randn(n, D if kind == "features" else C, generator=rng) + (0.2 if side == "fake" else 0.0)


def build(name: str) -> Evaluator:
    return registry.find("evaluators", name)()


def evaluated(name: str, view: FakeView, seed: int = 0) -> Findings:
    return build(name).evaluate(view, np.random.default_rng(seed))  # type: ignore[arg-type]


def repeatable(found: Findings) -> Findings:
    """What a second run finds too: all but what says of itself that it is volatile."""
    return dataclasses.replace(
        found,
        measurements=[m for m in found.measurements if not m.volatile],
        details=[d for d in found.details if not d.volatile],
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_spec_says_all_that_a_reader_needs(name: str) -> None:
    spec: EvaluatorSpec = build(name).spec
    assert spec.id == name
    assert spec.question.endswith("?")
    assert spec.misleads
    assert spec.references
    assert {*spec.needs, *spec.wants} <= set(node_names())
    assert set(spec.one_of) <= {*spec.needs, *spec.wants}
    assert set(spec.minimum) <= set(spec.needs)
    keys = [m.key for m in spec.measurements]
    assert len(keys) == len(set(keys)) > 0
    for m in spec.measurements:
        assert all((m.title, m.meaning, m.unit, m.estimator))
        assert "/" not in m.key
        low, high = m.bounds
        assert low is None or high is None or low < high


@pytest.mark.parametrize("name", NAMES)
def test_options_are_a_frozen_dataclass_with_defaults(name: str) -> None:
    evaluator = build(name)
    assert dataclasses.is_dataclass(evaluator)
    assert type(evaluator).__dataclass_params__.frozen  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", NAMES)
def test_it_measures_what_it_declares_within_range_with_interval_and_null_or_the_reason(name: str) -> None:
    view = FakeView({"real": 120, "fake": 100})
    found = evaluated(name, view)
    spec = build(name).spec
    families = [spec.promise(m.key) for m in found.measurements]
    assert list(dict.fromkeys(families)) == list(spec.measurements)
    assert any(m.value is not None for m in found.measurements)
    for m, promised in zip(found.measurements, families, strict=True):
        low, high = promised.bounds
        if m.value is None:
            assert any(character.isdigit() for character in m.reason or ""), "a reason names the n it needs"
            continue
        assert low is None or m.value >= low
        assert high is None or m.value <= high
        assert m.n > 0
        assert m.n == min(m.sizes.values())
        if m.interval:
            assert m.interval.low <= m.interval.high
            assert m.interval.covers
            if m.interval.level == 0.95 and m.key not in ("density",):
                assert m.interval.low - 1e-12 <= m.value <= m.interval.high + 1e-12, m.key
    assert view.read <= {*spec.needs, *spec.wants}, "it read what it did not declare"
    assert any(d.kind in ("curve", "histogram", "note") for d in found.details)


@pytest.mark.parametrize("name", NAMES)
def test_it_repeats_itself_and_touches_no_global_randomness(name: str) -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = evaluated(name, FakeView({"real": 80, "fake": 60}))
    second = evaluated(name, FakeView({"real": 80, "fake": 60}))
    assert repeatable(first) == repeatable(second)
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


@pytest.mark.parametrize("name", NAMES)
def test_without_a_null_the_numbers_stay_and_say_why(name: str) -> None:
    nulls = tuple(n for n in node_names() if "/null-" in n)
    whole = evaluated(name, FakeView({"real": 80, "fake": 60}))
    bare = evaluated(name, FakeView({"real": 80, "fake": 60}, hidden=nulls))
    assert [m.value for m in repeatable(bare).measurements] == [m.value for m in repeatable(whole).measurements]
    needs_null = any("/null-" in n for n in build(name).spec.needs)
    if needs_null:
        assert all(m.null is None and m.null_reason for m in bare.measurements)


@pytest.mark.parametrize("name", NAMES)
def test_it_works_or_says_what_it_needs_at_its_own_minimum(name: str) -> None:
    spec = build(name).spec
    reasons: list[str] = []
    for n in (max([2, *spec.minimum.values()]), 7, 25):
        try:
            found = evaluated(name, FakeView({"real": n, "fake": n, "calibration": n, "test": n}))
        except NotAssessable as answer:
            reasons.append(str(answer))
            continue
        for m in found.measurements:
            if m.value is None:
                reasons.append(m.reason or "")
    assert all(any(character.isdigit() for character in reason) for reason in reasons), "a reason names the n it needs"


@pytest.mark.parametrize("name", NAMES)
def test_constant_evidence_gives_numbers_not_nan(name: str) -> None:
    class Constant(FakeView):
        def __getitem__(self, node: str) -> Tensor:
            return torch.ones_like(super().__getitem__(node))

    found = evaluated(name, Constant({"real": 60, "fake": 60}))
    for m in found.measurements:
        assert m.reason if m.value is None else np.isfinite(m.value)


@pytest.mark.parametrize("name", NAMES)
def test_its_row_can_be_written(name: str) -> None:
    found = evaluated(name, FakeView({"real": 80, "fake": 60}))
    row = EvaluatorResult(
        evaluator=name,
        title="t",
        question="q?",
        status="measured",
        measurements=found.measurements,
        details=found.details,
    )
    assert EvaluatorResult.model_validate_json(row.model_dump_json()) == row


def _moved(view_shift: float, name: str, key: str) -> float:
    class Moved(FakeView):
        def __getitem__(self, node: str) -> Tensor:
            found = super().__getitem__(node)
            return found - view_shift if node.endswith("/fake") and found.is_floating_point() else found

    found = evaluated(name, Moved({"real": 150, "fake": 150}))
    value = next(m.value for m in found.measurements if m.key == key)
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("name", "key", "worse"),
    [
        ("frechet-distance", "fd", lambda near, far: far > near),
        ("kernel-distance", "kd", lambda near, far: far > near),
        ("precision-recall", "precision", lambda near, far: far < near),
        ("precision-recall", "coverage", lambda near, far: far < near),
        ("discriminator-detection", "auc", lambda near, far: far > near),
        ("discriminator-detection", "eer", lambda near, far: far < near),
        ("discriminator-detection", "tpr-at-threshold", lambda near, far: far > near),
    ],
)
def test_moving_generated_samples_away_moves_the_number_its_way(
    name: str, key: str, worse: Callable[[float, float], bool]
) -> None:
    assert worse(_moved(0.2, name, key), _moved(3.0, name, key))


def test_reals_of_two_kinds_void_the_promised_rate_and_it_says_so() -> None:
    class TwoKinds(FakeView):
        def __getitem__(self, node: str) -> Tensor:
            return super().__getitem__(node) + (4.0 if node == "scores/calibration" else 0.0)

    assert any("not of one kind" in w for w in evaluated("discriminator-detection", TwoKinds({"real": 200})).warnings)
    assert not evaluated("discriminator-detection", FakeView({"real": 200})).warnings


def test_threshold_without_enough_calibration_reals_names_the_n() -> None:
    found = evaluated("discriminator-detection", FakeView({"real": 50, "fake": 50, "calibration": 10}))
    by_key = {m.key: m for m in found.measurements}
    assert by_key["threshold"].value is None
    assert "19 calibration reals" in (by_key["threshold"].reason or "")
    assert by_key["auc"].value is not None


def test_kernel_distance_by_subsets_refuses_sets_smaller_than_a_subset() -> None:
    evaluator = registry.find("evaluators", "kernel-distance")(estimator="subsets", subset_size=1000)
    with pytest.raises(NotAssessable, match="at least 1000"):
        evaluator.evaluate(FakeView({"real": 50, "fake": 50}), np.random.default_rng(0))


def test_kernel_distance_by_subsets_agrees_with_the_full_sample() -> None:
    build_one = registry.find("evaluators", "kernel-distance")
    view = FakeView({"real": 300, "fake": 300})
    full = build_one().evaluate(view, np.random.default_rng(0)).measurements[0]
    part = build_one(estimator="subsets", subset_size=150).evaluate(view, np.random.default_rng(0)).measurements[0]
    assert full.interval.low < part.value < full.interval.high
    assert part.interval is None
    assert part.interval_reason


def test_precision_recall_uses_peers_convention_when_asked() -> None:
    import torch_fidelity.metric_prc as peer

    view = FakeView({"real": 90, "fake": 70})
    evaluator = registry.find("evaluators", "precision-recall")(neighbours=3, boundary="<=")
    found = {m.key: m.value for m in evaluator.evaluate(view, np.random.default_rng(0)).measurements}
    theirs = peer.prc_features_to_metric(
        view["features/fake"], view["features/real"], prc_neighborhood=3, prc_batch_size=1000, verbose=False,
        save_cpu_ram=False,
    )  # fmt: skip
    # The peer's shares are float32; the counts behind them must be equal.
    assert round(found["precision"] * 70) == round(theirs[peer.KEY_METRIC_PRECISION] * 70)
    assert round(found["recall"] * 90) == round(theirs[peer.KEY_METRIC_RECALL] * 90)
