"""Training: losses and penalties against closed forms, order and noise as functions of position, resume bit for bit."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from ganaudit.document.errors import ConfigError
from ganaudit.training.augmentation import draw_shifts, shifted
from ganaudit.training.average import average_into, power_decay
from ganaudit.training.checkpoint import FILE
from ganaudit.training.config import TrainConfig, load_config
from ganaudit.training.loop import falling
from ganaudit.training.networks import ResidualDiscriminator, ResidualGenerator
from ganaudit.training.objectives import relativistic_discriminator_loss, relativistic_generator_loss
from ganaudit.training.order import image_rows, noise
from ganaudit.training.regularisers import gradient_norms, zero_centred_penalty
from ganaudit.training.run import train

TINY = {
    "name": "tiny",
    "images": 640,
    "batch": 32,
    "latent": 8,
    "generator": {"network": "residual-generator", "options": {"width": 16, "depth": 1, "planes": 2}},
    "discriminator": {"network": "residual-discriminator", "options": {"width": 16, "depth": 1, "planes": 2}},
    "penalty": {"r1": 1.0, "r2": 1.0, "every": 2},
    "augmentation": {"shift": 0.5},
}


def tiny(**changes: object) -> TrainConfig:
    return TrainConfig.model_validate({**TINY, **changes})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{role}.{k}": v
        for role in ("generator", "discriminator")
        for k, v in load_file(folder / f"{role}.safetensors").items()
    }


def test_relativistic_losses_against_the_formula() -> None:
    real, fake = torch.tensor([2.0, -1.0]), torch.tensor([0.5, 3.0])
    expected = np.mean([math.log(1 + math.exp(0.5 - 2.0)), math.log(1 + math.exp(3.0 + 1.0))])
    assert float(relativistic_discriminator_loss(real, fake)) == pytest.approx(expected, rel=1e-6)
    swapped = relativistic_discriminator_loss(fake, real)
    assert float(relativistic_generator_loss(real, fake)) == pytest.approx(float(swapped), rel=1e-7)
    assert float(relativistic_generator_loss(real, real)) == pytest.approx(math.log(2), rel=1e-6)


def test_penalty_of_a_linear_discriminator_is_its_squared_norm_and_trains_it() -> None:
    # D(x) = w.x: R1 = coefficient / 2 |w|^2 whatever the samples, and its derivative is coefficient * w.
    network = nn.Linear(6, 1, bias=True).double()
    x = torch.randn(5, 6, dtype=torch.float64, requires_grad=True)
    penalty = zero_centred_penalty(gradient_norms(network(x).squeeze(1), x), coefficient=3.0)
    assert float(penalty.detach()) == pytest.approx(1.5 * float(network.weight.detach().square().sum()), rel=1e-12)
    (gradient,) = torch.autograd.grad(penalty, [network.weight])
    torch.testing.assert_close(gradient, 3.0 * network.weight.detach())


def test_penalty_of_the_real_discriminator_against_finite_differences() -> None:
    torch.manual_seed(0)
    network = ResidualDiscriminator(8, 1, width=12, depth=1, planes=2).double()
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    norms = gradient_norms(network(x), x)
    h, found = 1e-6, torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for i in range(64):
            step = torch.zeros(1, 1, 8, 8, dtype=torch.float64)
            step.view(-1)[i] = h
            found += ((network(x + step) - network(x - step)) / (2 * h)).square()
    torch.testing.assert_close(norms.detach(), found, rtol=1e-6, atol=1e-10)


def test_the_average_weighs_step_t_as_t_to_the_power() -> None:
    power, values = 3.0, [1.0, -2.0, 5.0, 0.5, 2.5, -1.0]
    average, moving = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for t, value in enumerate(values):
        nn.init.constant_(moving.weight, value)
        average_into(average, moving, power_decay(t, power))
    # The recursion is a product: brute force over all steps gives the weight of each.
    shares = [
        (1 - power_decay(t, power)) * math.prod(power_decay(s, power) for s in range(t + 1, len(values)))
        for t in range(len(values))
    ]
    assert sum(shares) == pytest.approx(1.0)
    expected = sum(w * v for w, v in zip(shares, values, strict=True))
    assert float(average.weight.detach()) == pytest.approx(expected, rel=1e-5)
    assert shares == sorted(shares)


def test_every_pass_over_the_data_is_a_permutation_and_batches_follow_on() -> None:
    rows = torch.cat([image_rows(10, start, 7, seed=3) for start in range(0, 70, 7)])
    for epoch in range(7):
        assert sorted(rows[epoch * 10 : epoch * 10 + 10].tolist()) == list(range(10))
    assert rows[:10].tolist() != rows[10:20].tolist()
    torch.testing.assert_close(rows, image_rows(10, 0, 70, seed=3), rtol=0, atol=0)
    assert image_rows(10, 0, 70, seed=4).tolist() != rows.tolist()


def test_noise_depends_on_seed_and_position_alone() -> None:
    whole = noise(0, 100, 8, seed=1)
    torch.testing.assert_close(torch.cat([noise(0, 33, 8, 1), noise(33, 67, 8, 1)]), whole, rtol=0, atol=0)
    from ganaudit.subjects.subject import LatentSpec

    assert not torch.equal(LatentSpec(8).draw(1, 0, 100), whole), "training must not see the audit's own latents"


def test_shifts_move_pixels_and_nothing_else() -> None:
    x = torch.arange(2 * 1 * 4 * 5, dtype=torch.float64).view(2, 1, 4, 5)
    moved = shifted(x, torch.tensor([[1, -1], [0, 0]]))
    expected = torch.full((4, 5), -1.0, dtype=torch.float64)
    for row in range(4):
        for column in range(5):
            if 0 <= row - 1 < 4 and 0 <= column + 1 < 5:
                expected[row, column] = x[0, 0, row - 1, column + 1]
    torch.testing.assert_close(moved[0, 0], expected)
    torch.testing.assert_close(moved[1], x[1])


def test_shifts_are_drawn_with_the_stated_law_and_pass_second_derivatives() -> None:
    n = 20_000
    shifts = draw_shifts(0, n, probability=0.6, pixels=1, seed=0, stream=9)
    unmoved = float((shifts == 0).all(1).double().mean())
    expected = 0.4 + 0.6 / 9
    assert abs(unmoved - expected) < 4 * math.sqrt(expected * (1 - expected) / n)
    assert set(shifts.flatten().tolist()) == {-1, 0, 1}
    torch.testing.assert_close(draw_shifts(7, 5, 0.6, 1, 0, 9), shifts[7:12], rtol=0, atol=0)
    x = torch.randn(3, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    chosen = torch.tensor([[1, 0], [-1, 1], [0, 0]])
    assert torch.autograd.gradgradcheck(lambda y: shifted(y, chosen).pow(3), (x,))


def test_falling_goes_from_one_to_the_end() -> None:
    values = [falling(t / 10, 0.2) for t in range(11)]
    assert values[0] == 1.0
    assert values[-1] == pytest.approx(0.2)
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(("size", "channels"), [(8, 1), (16, 3), (32, 1)])
def test_networks_make_and_judge_every_size(size: int, channels: int) -> None:
    torch.manual_seed(0)
    generator = ResidualGenerator(size, channels, 8, width=16, depth=1, planes=2).eval()
    discriminator = ResidualDiscriminator(size, channels, width=16, depth=1, planes=2)
    x = generator(torch.randn(5, 8))
    assert x.shape == (5, channels, size, size)
    assert float(x.detach().abs().max()) <= 1.0
    assert discriminator(x).shape == (5,)
    # No sample's score depends on its neighbours in the batch.
    torch.testing.assert_close(discriminator(x)[2:3], discriminator(x[2:3]), rtol=1e-5, atol=1e-6)


def test_sizes_that_are_no_multiple_of_eight_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        ResidualGenerator(20)


def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole = train(tiny(), tmp_path / "whole")
    parts = train(tiny(), tmp_path / "parts", stop_after=320)
    assert (parts.finished, parts.images) == (False, 320)
    assert not (tmp_path / "parts" / "subject.toml").exists(), "an unfinished run must not look like a subject"
    parts = train(tiny(), tmp_path / "parts", resume=True)
    assert (whole.finished, parts.finished, parts.images) == (True, True, whole.images)
    ours, theirs = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert ours.keys() == theirs.keys()
    for name in ours:
        assert torch.equal(ours[name], theirs[name]), name


def test_another_seed_gives_other_weights_and_the_global_generator_does_not_matter(tmp_path: Path) -> None:
    torch.manual_seed(123)
    train(tiny(images=64), tmp_path / "a")
    torch.manual_seed(321)
    train(tiny(images=64), tmp_path / "b")
    train(tiny(images=64, seed=1), tmp_path / "c")
    a, b, c = (weights(tmp_path / name) for name in "abc")
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a if k.endswith("weight"))


def test_training_learns_something(tmp_path: Path) -> None:
    from ganaudit.data.digits import load_digits

    config = tiny(images=12_000, batch=64, augmentation={"shift": 0.0})
    train(config, tmp_path)
    generator = ResidualGenerator(16, 1, 8, width=16, depth=1, planes=2).eval()
    generator.load_state_dict(load_file(tmp_path / "generator.safetensors"))
    real = load_digits().splits["train"].values(slice(None), -1.0, 1.0)
    with torch.no_grad():
        fake = generator(noise(10**6, 400, 8, 0))
    untrained = ResidualGenerator(16, 1, 8, width=16, depth=1, planes=2).eval()
    with torch.no_grad():
        before = untrained(noise(10**6, 400, 8, 0))
    distance = [float((x.mean(0) - real.mean(0)).square().mean()) for x in (before, fake)]
    assert distance[1] < 0.25 * distance[0]


def test_training_leaves_the_processors_arithmetic_as_it_was(tmp_path: Path) -> None:
    small = torch.full((1,), 1e-40)
    train(tiny(images=64), tmp_path / "a")
    assert float(small * 1.0) > 0
    torch.set_flush_denormal(True)
    try:
        train(tiny(images=64), tmp_path / "b")
        assert float(small * 1.0) == 0
    finally:
        torch.set_flush_denormal(False)


def test_the_record_says_what_was_trained(tmp_path: Path) -> None:
    from ganaudit.data.digits import load_digits
    from ganaudit.subjects.directory import read_subject_file

    train(tiny(images=64), tmp_path)
    described = read_subject_file(tmp_path / "subject.toml")
    assert described.training["split_digest"] == load_digits().splits["train"].digest
    assert described.training["images"] == 64
    assert "probability 0.5" in described.training["augmentation"]


def test_resume_refuses_another_configuration_a_damaged_and_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        train(tiny(), tmp_path, resume=True)
    train(tiny(), tmp_path, stop_after=64)
    with pytest.raises(ConfigError, match=r"batch: 32 then, 16 now"):
        train(tiny(batch=16), tmp_path, resume=True)
    content = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(ConfigError, match="cannot be read"):
        train(tiny(), tmp_path, resume=True)


def test_an_interruption_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    class Interrupted:
        steps = 0

        def task(self, label: str, total: int, unit: str = "samples") -> "Interrupted":
            return self

        def __enter__(self) -> "Interrupted":
            return self

        def __exit__(self, *exc: object) -> None: ...

        def note(self, text: str) -> None: ...

        def advance(self, steps: int) -> None:
            self.steps += 1
            if self.steps == 8:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiny(), tmp_path / "a", progress=Interrupted())
    train(tiny(), tmp_path / "a", resume=True)
    train(tiny(), tmp_path / "b")
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(a[k], b[k]) for k in a)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name = 'x'", "images: required"),
        ("name = 'x'\nimages = 0", "greater than or equal to 1"),
        ("name = '../x'\nimages = 5", "should match pattern"),
        ("name = 'x'\nimages = 5\npenality = 3", "nearest: penalty"),
        ("name = [", "cannot be read"),
    ],
)
def test_bad_configurations_are_told_with_their_key(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=told):
        load_config(path)


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text("images = 0\nbatch = 1\nunknown = 2")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert len(caught.value.problems) >= 5


def test_overrides_are_laid_over_the_file() -> None:
    path = Path(__file__).parents[2] / "reference_models/digits/train.toml"
    config = load_config(path, ["optimiser.rate=0.25", "name=other", "seed=7"])
    assert (config.optimiser.rate, config.name, config.seed) == (0.25, "other", 7)
    assert config.optimiser.beta2 == 0.99


@pytest.mark.parametrize(
    "changes",
    [
        {"data": "digit"},
        {"generator": {"network": "residual-generato"}},
        {"generator": {"network": "residual-generator", "options": {"depht": 1}}},
        {"device": "cuda"},
    ],
)
def test_unknown_names_are_refused_before_training(tmp_path: Path, changes: dict[str, object]) -> None:
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("a CUDA device is at hand")
    with pytest.raises(ConfigError):
        train(tiny(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_diverging_run_says_so_and_names_what_to_change(tmp_path: Path) -> None:
    config = tiny(images=64_000, optimiser={"rate": 1e30}, penalty={"r1": 0.0, "r2": 0.0})
    with pytest.raises(ConfigError, match="diverged"):
        train(config, tmp_path)
    assert not (tmp_path / "subject.toml").exists()
