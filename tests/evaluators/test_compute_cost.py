"""Cost: published counts of DCGAN (K23), the real loop of training, programs, meters, clocks, and bad input."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ganaudit import registry
from ganaudit.document.model import Measurement
from ganaudit.document.spec import Findings, NotAssessable
from ganaudit.evaluators.compute_cost import ComputeCost
from ganaudit.evidence.expense import expense, grown_flops, recipe_of, roles, step_flops
from ganaudit.evidence.expense_tables import fractile
from ganaudit.evidence.meters import Meter, meter_of
from ganaudit.evidence.timing import timed
from ganaudit.numerics.flops import tallied
from ganaudit.programs.exported import read_program as read_exported
from ganaudit.programs.script import read_program as read_script
from ganaudit.subjects.control import ControlFile, subject_of_control
from ganaudit.subjects.directory import Directory
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.subject import Subject
from ganaudit.training.export import _penalised
from ganaudit.training.networks.cost import cost
from ganaudit.training.run import Run
from tests.numerics.test_flops import dcgan_discriminator, dcgan_generator
from tests.training.recipes import data_of, tiny

NONE = Meter("", "0 meters")


def found(subject: Subject, **options: Any) -> Findings:
    view: Any = SimpleNamespace(subject=subject)
    return ComputeCost(**{"seconds": 0.0, **options}).evaluate(view, np.random.default_rng(0))


def by_key(findings: Findings) -> dict[str, Measurement]:
    return {m.key: m for m in findings.measurements}


class Small(nn.Module):
    """8 latents to an image of 1 x 4 x 4 by one product with a matrix: 2 · 8 · 16 operations."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 16)
        self.register_buffer("steps", torch.zeros(3, dtype=torch.int64))

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.layer(z)).view(-1, 1, 4, 4)


class Judge(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(16, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1))[:, 0]


def small(generator: nn.Module | None = None, discriminator: nn.Module | None = None) -> Subject:
    return Subject.from_modules(generator or Small(), discriminator or Judge(), latent=8)


def test_dcgan_has_the_published_parameters_operations_and_penalty() -> None:
    subject = Subject.from_modules(dcgan_generator(), dcgan_discriminator(), latent=100)
    findings = found(subject, batches=(1,))
    values = {key: m.value for key, m in by_key(findings).items()}
    assert values["parameters"] == 3_576_704
    assert values["discriminator-parameters"] == 2_765_568
    assert values["flops"] == 209_256_448
    assert values["discriminator-flops"] == 207_634_432
    assert values["r1-flops"] == 1_245_773_824
    # 2 · (backward to weights) + forward and backward of the generator + through the discriminator to the sample
    assert values["training-step-flops"] == 2 * 616_611_840 + expense(roles(subject)[0], 1).flops("to_weights") + (
        2 * 207_634_432
    )
    (passes,) = [d for d in findings.details if d.kind == "table" and d.title.startswith("Operations")]
    assert {row[3] for row in passes.rows if row[1] == "forward, and backward to both"} == {3.0}
    assert findings.warnings == []


def test_small_networks_by_hand() -> None:
    measured = by_key(found(small(), batches=(1, 5)))
    assert measured["parameters"].value == 8 * 16 + 16
    assert measured["parameter-bytes"].value == 4 * (8 * 16 + 16) + 3 * 8
    assert measured["flops"].value == 2 * 8 * 16
    assert measured["discriminator-flops"].value == 2 * 16
    # Kept: latents for the gradient of the weights, samples for that of tanh.
    assert measured["activation-memory"].value == 4 * (8 + 16)
    # Weights, five latents, and at most the product and its tanh.
    assert measured["peak-memory"].value == 4 * (8 * 16 + 16) + 24 + 4 * 5 * 8 + 2 * 4 * 5 * 16
    assert measured["peak-memory"].n == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"regularisers": {}},
        {"regularisers": {}, "objective": "non-saturating"},
        {"regularisers": {"r1": 1.0}},
        {"regularisers": {"r1": 1.0, "r2": 1.0, "discriminator_every": 2}},
        {"regularisers": {"wgan_gp": 10.0}, "objective": "wasserstein"},
        {"regularisers": {"r1": 1.0, "path_length": 2.0, "generator_every": 2}},
        {"regularisers": {"lecam": 0.3}, "objective": "hinge"},
    ],
    ids=str,
)
def test_a_step_of_the_real_loop_does_what_its_record_says(changes: dict[str, Any]) -> None:
    config = tiny(augmentation={}, scale=1, batch=4, **changes)
    run = Run(config, Path(), data_of(config))
    period = run.loop.period
    done = sum(tallied(lambda number=number: run.loop.step(number)).flops for number in range(period)) / period
    subject = Subject.from_modules(run.state.generator, run.state.discriminator, latent=8)
    recipe = recipe_of({"objective": config.objective, "batch": config.batch, **_penalised(config)})
    spent = [expense(role, 1) for role in roles(subject)]
    parts = step_flops(*spent, recipe)
    assert parts is not None
    assert sum(parts.values()) == done / config.batch


def test_a_record_of_another_kind_says_nothing() -> None:
    assert recipe_of({}) == recipe_of({"penalties": "r1", "batch": -1, "images": True, "discriminator_every": "2"})
    assert recipe_of({}).penalties is None
    subject = dataclasses.replace(small(), training={"penalties": ["r1"], "images": 1000, "batch": 4})
    plain, with_r1 = (by_key(found(s))["training-step-flops"].value for s in (small(), subject))
    assert plain is not None
    assert with_r1 is not None
    assert with_r1 > plain
    told = [d.text for s in (small(), subject) for d in found(s).details if d.kind == "note"]
    assert "does not name its penalties" in told[0]
    assert "with its recorded penalties: r1" in told[1]
    assert "1,000 shown come to" in told[1]


class Recurrent(Small):
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.LSTM(8, 8, batch_first=True)

    def forward(self, z: Tensor) -> Tensor:
        return super().forward(self.memory(z[:, None])[0][:, 0])


def test_an_lstm_is_named_as_left_out() -> None:
    findings = found(small(Recurrent()))
    assert by_key(findings)["flops"].value == 2 * 8 * 16
    assert any("rnn" in w or "lstm" in w for w in findings.warnings)
    assert all("generator" in w for w in findings.warnings)


def traced(path: Path) -> nn.Module:
    torch.jit.trace(Small().eval(), torch.zeros(2, 8)).save(path / "g.ts")
    return read_script(path / "g.ts", "cpu").module


def exported(path: Path) -> nn.Module:
    batch = torch.export.Dim("batch", min=1, max=512)
    program = torch.export.export(Small().eval(), (torch.zeros(2, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path / "g.pt2")
    return read_exported(path / "g.pt2", "cpu").module


def plain(subject: Subject) -> dict[str, float | None]:
    """All values but bytes: a program lets go of state that nothing reads, and of tensors at other moments."""
    return {m.key: m.value for m in found(subject).measurements if m.key not in ("peak-memory", "parameter-bytes")}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("program", [traced, exported])
def test_programs_cost_what_their_module_does(program: Callable[[Path], nn.Module], tmp_path: Path) -> None:
    assert plain(small(program(tmp_path))) == plain(small())


@pytest.mark.filterwarnings("ignore")
def test_a_frozen_program_tells_its_operations_and_not_its_parameters() -> None:
    measured = by_key(found(small(torch.jit.freeze(torch.jit.trace(Small().eval(), torch.zeros(2, 8))))))
    assert measured["flops"].value == 2 * 8 * 16
    assert measured["parameters"].value is None
    assert "0 parameters" in (measured["parameters"].reason or "")


class Elsewhere(nn.Module):
    """As ONNX Runtime works: torch sees nothing of it."""

    def forward(self, z: Tensor) -> Tensor:
        return torch.from_numpy(np.tanh(z.numpy() @ np.ones((8, 16), dtype=np.float32))).view(-1, 1, 4, 4)


class InNumpy(nn.Module):
    """The same image, made where torch does not look."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = np.random.default_rng(0).normal(size=(8, 16))

    def forward(self, z: Tensor) -> Tensor:
        made = np.tanh(z.detach().cpu().double().numpy() @ self.weights).astype(np.float32)
        return torch.from_numpy(made).view(-1, 1, 4, 4)


def test_a_generator_of_numpy_has_no_count_of_nothing() -> None:
    findings = found(small(InNumpy()), seconds=0.2, batches=(1,))
    measured = by_key(findings)
    for key in ("parameters", "flops", "parameter-bytes", "peak-memory", "activation-memory", "training-step-flops"):
        assert measured[key].value is None, key
    assert "outside torch" in (measured["flops"].reason or "")
    assert "outside torch" in (measured["parameters"].reason or "")
    assert "the subject records none" in (measured["growth-exponent"].reason or "")
    # Its time and the discriminator, which is a network, are known.
    assert measured["latency-p50"].value is not None
    assert measured["discriminator-flops"].value == 2 * 16
    said = " ".join(d.text for d in findings.details if d.kind == "note")
    assert "takes 0" not in said
    assert "cannot be seen" in said


def test_a_control_is_not_said_to_cost_nothing() -> None:
    subject = subject_of_control(ControlFile.model_validate({"set": "glyphs", "discriminator": "sensible"}), "perfect")
    measured = by_key(found(subject, batches=(1,)))
    assert measured["flops"].value is None
    assert "outside torch" in (measured["flops"].reason or "")
    # Its discriminator is a product with 25 mean images, which are no parameters.
    assert measured["discriminator-flops"].value == 2 * 25 * 16 * 16
    assert f"{25 * 256 + 2:,} numbers of other state" in (measured["discriminator-parameters"].reason or "")


def test_what_runs_outside_torch_is_timed_and_not_counted() -> None:
    subject = dataclasses.replace(small(Elsewhere()), runtime="onnxruntime 9")
    measured = by_key(found(subject, seconds=0.2, batches=(1, 4)))
    for key in ("parameters", "flops", "peak-memory", "activation-memory"):
        assert measured[key].value is None
        assert "onnxruntime 9: torch sees 0" in (measured[key].reason or "")
    assert measured["training-step-flops"].value is None
    assert measured["discriminator-flops"].value == 2 * 16
    assert (measured["latency-p50"].value or 0) > 0


def test_a_generator_of_nan_costs_what_it_would_cost() -> None:
    subject = small()
    before = plain(subject)
    assert subject.generator is not None
    with torch.no_grad():
        for weight in subject.generator.parameters():
            weight.fill_(torch.nan)
    assert plain(subject) == before


def test_networks_are_as_before_afterwards() -> None:
    subject = small()
    assert subject.generator is not None
    assert subject.discriminator is not None
    weights = [*subject.generator.parameters(), *subject.discriminator.parameters()]
    weights[0].requires_grad_(False)
    found(subject)
    assert [w.requires_grad for w in weights] == [False, True, True, True]
    assert all(w.grad is None for w in weights)


def test_samples_alone_have_no_cost() -> None:
    with pytest.raises(NotAssessable, match="0 networks"):
        found(dataclasses.replace(small(), generator=None))


def test_without_a_discriminator_the_rest_is_counted() -> None:
    measured = by_key(found(dataclasses.replace(small(), discriminator=None), seconds=0.05))
    assert measured["flops"].value == 2 * 8 * 16
    for key in ("training-step-flops", "r1-flops", "discriminator-parameters", "discriminator-latency-p50"):
        assert "no discriminator" in (measured[key].reason or "")


def test_a_program_of_one_batch_size_is_counted_for_one_sample() -> None:
    measured = by_key(found(dataclasses.replace(small(), block=4), batches=(1, 64)))
    assert measured["flops"].value == 2 * 8 * 16
    assert measured["activation-memory"].value == 4 * (8 + 16)
    assert measured["peak-memory"].n == 4


class Refusing(Small):
    def forward(self, z: Tensor) -> Tensor:
        if len(z) > 6:
            raise RuntimeError("at most 6")
        return super().forward(z)


def test_a_batch_that_is_refused_ends_the_row_and_says_so() -> None:
    findings = found(small(Refusing()), seconds=0.1, batches=(1, 4, 16, 64))
    measured = by_key(findings)
    assert measured["peak-memory"].n == 4
    (times,) = [d for d in findings.details if d.kind == "table" and d.title.startswith("Times")]
    ours = [row for row in times.rows if row[0] == "generator"]
    assert [row[1] for row in ours] == [1, 4, 16]
    assert "at most 6" in str(ours[-1][2])
    assert measured["throughput"].value == pytest.approx(ours[1][6], rel=1e-2)


class Full(nn.Module):
    """8 latents spread over a square, one convolution: 2 · 9 · 8 operations a pixel."""

    def __init__(self, size: int = 4) -> None:
        super().__init__()
        self.size = size
        self.layer = nn.Conv2d(8, 1, 3, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        return torch.tanh(self.layer(z[:, :, None, None].expand(-1, -1, self.size, self.size)))


def test_a_convolution_over_the_area_grows_with_its_square() -> None:
    subject = dataclasses.replace(small(Full()), grown=lambda _, factor: Full(4 * factor))
    state = torch.get_rng_state()
    measured = by_key(found(subject))["growth-exponent"]
    assert measured.value == pytest.approx(2.0, abs=1e-12)
    assert torch.equal(state, torch.get_rng_state())


def test_growth_that_cannot_be_known_says_why() -> None:
    def refuses(_: str, factor: int) -> nn.Module:
        raise ValueError(f"size {factor} is not to be had")

    assert "the subject records none" in (by_key(found(small()))["growth-exponent"].reason or "")
    refused = dataclasses.replace(small(), grown=refuses)
    assert "size 1 is not to be had" in (by_key(found(refused))["growth-exponent"].reason or "")


def test_a_subject_directory_grows_as_its_network_built_larger_does() -> None:
    folder = Path(__file__).resolve().parents[2] / "reference_models" / "digits"
    subject = Directory().load(folder, LoadOptions(network=lambda name: registry.find("networks", name)))
    build = registry.find("networks", "residual-generator")
    options = {"channels": 1, "latent": 64, "width": 224, "depth": 2, "planes": 8}
    for factor in (1, 2):
        assert grown_flops(subject, factor) == cost(build(size=16 * factor, **options), torch.zeros(1, 64)).flops


def test_without_timings_two_runs_are_equal() -> None:
    subject = small()
    first, second = found(subject), found(subject)
    assert first == second
    assert not any(d.volatile for d in first.details)
    assert all(m.value is None for m in first.measurements if m.volatile)
    assert "option seconds" in (by_key(first)["latency-p50"].reason or "")


def test_timings_are_marked_and_nothing_else_is() -> None:
    first, second = (found(small(), seconds=0.1) for _ in range(2))
    keys = {m.key for m in first.measurements if m.volatile}
    assert keys == {
        "latency-p50", "latency-p95", "latency-p99", "throughput", "energy", "discriminator-latency-p50"
    }  # fmt: skip
    assert [m for m in first.measurements if not m.volatile] == [m for m in second.measurements if not m.volatile]
    assert [d for d in first.details if not d.volatile] == [d for d in second.details if not d.volatile]


def test_order_statistics_are_those_of_numpy() -> None:
    rng = np.random.default_rng(1)
    for n in (1, 2, 7, 20, 100, 101, 300):
        seconds = torch.from_numpy(rng.exponential(size=n))
        for share in (0.5, 0.95, 0.99):
            value, k = fractile(seconds, share)
            assert value == np.quantile(seconds.numpy(), share, method="inverted_cdf")
            assert (seconds <= value).sum() == k


def test_a_clock_times_what_was_slept_and_stops() -> None:
    seen = timed(lambda: time.sleep(0.004), "cpu", 0.05, 1, 1000, NONE)
    assert float(seen.seconds.min()) >= 0.004
    assert 3 <= len(seen.seconds) <= 13
    assert seen.joules is None
    assert len(timed(lambda: None, "cpu", 0.0, 1, 1000, NONE).seconds) == 3
    assert len(timed(lambda: None, "cpu", 10.0, 5, 7, NONE).seconds) == 7


def test_a_meter_of_a_steady_power_gives_that_power() -> None:
    begun = time.perf_counter()
    watts = Meter("made up", "", lambda: 50.0 * (time.perf_counter() - begun))
    seen = timed(lambda: time.sleep(0.002), "cpu", 0.05, 1, 1000, watts)
    assert seen.joules == pytest.approx(50.0 * float(seen.seconds.sum()), rel=0.1)


def zone(folder: Path, name: str, joules: float, wrap: float = 100.0) -> None:
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (folder / name / "max_energy_range_uj").write_text(f"{round(wrap * 1e6)}\n")


def test_the_counter_of_a_processor_is_read_by_package_and_wraps(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 99.0)
    zone(tmp_path, "intel-rapl:0:0", 50.0)  # a part of the package, in it already
    meter = meter_of("cpu", tmp_path)
    assert "1 processor package " in meter.name
    assert meter.read() == 99.0
    before = meter.read()
    zone(tmp_path, "intel-rapl:0", 2.0)
    assert meter.between(before, meter.read()) == pytest.approx(3.0)
    zone(tmp_path, "intel-rapl:1", 5.0)
    assert meter_of("cpu", tmp_path).read() == 7.0


def test_a_counter_that_is_not_there_or_no_number_is_no_meter(tmp_path: Path) -> None:
    assert "0 processor packages" in meter_of("cpu", tmp_path).reason
    zone(tmp_path, "intel-rapl:0", 1.0)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("none")
    assert "cannot be read" in meter_of("cpu", tmp_path).reason
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert "cannot be read" in meter_of("cpu", tmp_path).reason


def test_energy_is_measured_or_estimated_or_told_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "ganaudit.evaluators.compute_cost.meter_of"
    monkeypatch.setattr(module, lambda _: NONE)
    lacking = by_key(found(small(), seconds=0.1))["energy"]
    assert lacking.value is None
    assert "0 meters; option power = WATTS" in (lacking.reason or "")
    findings = found(small(), seconds=0.1, power=65.0, grid=400.0)
    told = by_key(findings)
    assert told["energy"].value == pytest.approx(65.0 / (told["throughput"].value or 0))
    assert told["energy"].estimator.startswith("estimated")
    (table,) = [d for d in findings.details if d.kind == "table" and "estimated" in d.title]
    assert table.rows[1][1] == pytest.approx(400 * table.rows[0][1])
    begun = time.perf_counter()
    monkeypatch.setattr(module, lambda _: Meter("made up", "", lambda: 1e3 * (time.perf_counter() - begun)))
    measured = by_key(found(small(), seconds=0.1, power=65.0))["energy"]
    assert measured.estimator.startswith("measured")


@pytest.mark.parametrize(
    ("options", "word"),
    [({"seconds": -1.0}, "seconds"), ({"power": float("nan")}, "power"), ({"grid": -1.0}, "grid"),
     ({"batches": ()}, "batches"), ({"batches": (0,)}, "batches"), ({"batches": (2, 2)}, "batches")],
)  # fmt: skip
def test_options_out_of_reach_are_refused(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        ComputeCost(**options)
