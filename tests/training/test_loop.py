"""What the loop does beyond its parts: pace of lazy penalties, parts of a batch, what telling changes, trouble."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from ganaudit.document.errors import ConfigError, OutputError, SourceError
from ganaudit.training import checkpoint
from ganaudit.training.checkpoint import checkpoints
from ganaudit.training.export import Log
from ganaudit.training.run import Run, train
from ganaudit.training.trial import Trials, passes
from tests.training.recipes import data_of, tiny


def run_of(**changes: Any) -> Run:
    config = tiny(**changes)
    return Run(config, Path(), data_of(config))


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {f"{role}/{k}": v.clone() for role, module in run.state.modules() for k, v in module.state_dict().items()}


@pytest.mark.parametrize("every", [2, 4])
def test_every_step_of_a_lazily_regularised_optimiser_is_paced(every: int, monkeypatch: pytest.MonkeyPatch) -> None:
    regular = {"r1": 1.0, "discriminator_every": every, "path_length": 1.0, "generator_every": every}
    run = run_of(regularisers=regular, optimiser={"rate": 1e-3, "end": 1.0, "beta1": 0.5, "beta2": 0.99})
    seen: dict[str, list[tuple[float, float, float]]] = {"discriminator": [], "generator": []}
    for name, kept in seen.items():
        optimiser = getattr(run.state, f"{name}_optimiser")
        step = optimiser.step

        def told(step: Any = step, optimiser: Any = optimiser, kept: Any = kept) -> None:
            group = optimiser.param_groups[0]
            kept.append((group["lr"], *group["betas"]))
            step()

        monkeypatch.setattr(optimiser, "step", told)
    for number in range(2 * every):
        run.loop.step(number)
    share = every / (every + 1)
    for kept in seen.values():
        assert len(kept) == 2 * (every + 1)
        # Over k losses and their one penalty it moves as far, and forgets as much, as over k losses alone.
        assert sum(lr for lr, _, _ in kept) / (2 * every) == pytest.approx(1e-3)
        assert np.prod([b2 for _, _, b2 in kept]) == pytest.approx(0.99 ** (2 * every))
        assert [b1 for _, b1, _ in kept] == pytest.approx([0.5**share] * len(kept))


def test_parts_of_a_batch_learn_what_a_whole_one_does_also_with_a_critic_fed_back() -> None:
    unet = {
        "generator": {"network": "unet-generator", "options": {"width": 4, "planes": 2, "critic_width": 4}},
        "discriminator": {"network": "seed-discriminator", "options": {"width": 4}},
        "augmentation": {},
    }
    whole, parts = run_of(**unet), run_of(**unet, accumulate=4)
    for run in (whole, parts):
        run.state.generator.double(), run.state.discriminator.double(), run.state.average.double()
        for name, value in run.state.registers.items():
            run.state.registers[name] = value.double()
        batch = run.loop._batch

        def wider(*asked: Any, batch: Any = batch) -> Any:
            made = batch(*asked)
            return type(made)(made.real.double(), made.labels, made.latents.double(), made.fake_labels, made.draws)

        run.loop._batch = wider  # type: ignore[method-assign]
    for number in range(4):
        shown = [run.loop.step(number, tells=number == 3) for run in (whole, parts)]
    for key, value in weights(whole).items():
        torch.testing.assert_close(weights(parts)[key], value, rtol=1e-6, atol=1e-9)
    # The norm of a term's gradient is that of the whole batch, however many parts it came in.
    for key, norm in shown[0].shares.items():
        assert float(shown[1].shares[key]) == pytest.approx(float(norm), rel=1e-6)


def test_telling_changes_nothing() -> None:
    silent, telling = run_of(), run_of()
    for number in range(5):
        silent.loop.step(number)
        telling.loop.step(number, tells=True)
    for key, value in weights(silent).items():
        assert torch.equal(weights(telling)[key], value)


def test_what_is_done_to_the_data_is_done_to_every_sample() -> None:
    run = run_of(augmentation={"data": ["flip"]}, batch=256, images=5120)
    plain = run_of(augmentation={}, batch=256, images=5120)
    kind = run.loop._kind(0)
    turned, apart = 0, 0
    for number in range(3):
        ours, theirs = run.loop._batch(number, 0, kind).real, plain.loop._batch(number, 0, kind).real
        is_mirrored = (ours == theirs.flip(3)).flatten(1).all(1)
        is_same = (ours == theirs).flatten(1).all(1)
        assert bool((is_mirrored | is_same).all())
        turned, apart = turned + int((is_mirrored & ~is_same).sum()), apart + int((is_mirrored ^ is_same).sum())
    assert abs(turned / apart - 0.5) < 5 * 0.5 / apart**0.5  # the law of a flip: one in two


@pytest.mark.parametrize("settings", [{"log": 32}, {"health": 32}, {"checkpoint": 32}, {}])
def test_a_run_that_breaks_down_says_so_and_keeps_what_was_good(tmp_path: Path, settings: dict[str, int]) -> None:
    good = tiny(images=640)
    train(good, tmp_path, data_of(good), stop_after=64)
    before = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    run = Run(tiny(images=640, **settings), tmp_path, data_of(good))
    with torch.no_grad():
        next(run.state.generator.parameters()).fill_(torch.nan)
    from ganaudit.progress import Silent
    from ganaudit.training.checkpoint import Counters
    from ganaudit.training.run import _Caught

    with (
        pytest.raises(ConfigError, match=r"training broke down: \d+ entries.*--resume goes on from checkpoint-"),
        Silent().task("x", 1, "y") as task,
    ):
        run.go(Counters(), 20, (), task, _Caught())
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == before
    assert not (tmp_path / "subject.toml").exists()
    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def test_a_full_disk_under_the_log_is_told(tmp_path: Path) -> None:
    log = Log(tmp_path, 0)
    (tmp_path / "log.jsonl").unlink()
    (tmp_path / "log.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"log.jsonl: cannot be written"):
        log.write(images=1)


def pictures(folder: Path, level: int, shape: tuple[int, int] = (16, 16)) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(40):
        array = np.full(shape, level + i, dtype=np.uint8)
        Image.fromarray(array).save(folder / f"{i:02d}.png")
    return folder


def test_a_resume_on_other_samples_is_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 10)
    config = tiny(scale=1, data=str(folder), images=160, batch=16)
    train(config, tmp_path / "run", data_of(config), stop_after=64)
    pictures(folder, 100)
    with pytest.raises(ConfigError, match="was trained on other samples: their digest was sha256:"):
        train(config, tmp_path / "run", data_of(config), resume=True)
    pictures(folder, 10)
    assert train(config, tmp_path / "run", data_of(config), resume=True).finished


def test_the_record_of_a_resumed_run_is_that_of_an_unbroken_one(tmp_path: Path) -> None:
    config = tiny(images=320, log=96, health=64, regularisers={"r1": 1.0})
    train(config, tmp_path / "whole", data_of(config))
    train(config, tmp_path / "halves", data_of(config), stop_after=208)
    train(config, tmp_path / "halves", data_of(config), resume=True)
    for name in ("subject.toml", "generator.safetensors", "discriminator.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "halves" / name).read_bytes()

    def entries(folder: str) -> list[dict[str, Any]]:
        lines = (tmp_path / folder / "log.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]

    assert entries("halves") == entries("whole")


def test_a_checkpoint_that_was_passed_over_is_none_of_the_last_two(tmp_path: Path) -> None:
    config = tiny(images=640, checkpoint=64)
    train(config, tmp_path, data_of(config), stop_after=320)
    names = sorted(path.name for path in tmp_path.glob("checkpoint-*"))
    assert len(names) == 2
    (tmp_path / names[1]).write_bytes(b"junk")
    train(config, tmp_path, data_of(config), resume=True, stop_after=288)
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == [
        names[0],
        "checkpoint-000000000009.safetensors",
    ]


def test_images_that_are_no_squares_are_refused(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 10, (16, 24))
    config = tiny(scale=1, data=str(folder), images=32, batch=16)
    with pytest.raises(ConfigError, match=r"24 wide and 16 high; networks make squares: give reading\.resize a square"):
        train(config, tmp_path / "run", data_of(config))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"reading": {"resize": [4, 4]}}, "reading: is for samples of a path; 'digits' is a built-in set"),
        ({"data": "PATH", "scale": 3}, "scale: is for built-in sets"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    folder = pictures(tmp_path / "pictures", 10)
    changes = {k: str(folder) if v == "PATH" else v for k, v in changes.items()}
    with pytest.raises(ConfigError, match=told):
        data_of(tiny(**changes))


def test_what_reading_says_is_told_in_keys_of_the_configuration(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 10)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "odd.png")
    with pytest.raises(SourceError, match=r"reading\.resize") as caught:
        data_of(tiny(scale=1, data=str(folder)))
    assert "--resize" not in str(caught.value)
    (folder / "odd.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"reading\.skip_unreadable = true"):
        data_of(tiny(scale=1, data=str(folder)))
    assert len(data_of(tiny(scale=1, data=str(folder), reading={"skip_unreadable": True})).splits["train"]) == 36


def test_float_samples_are_brought_from_their_own_range(tmp_path: Path) -> None:
    array = np.random.default_rng(0).uniform(0, 1, (40, 1, 16, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", array)
    config = tiny(scale=1, data=str(tmp_path / "x.npy"), reading={"range": [0.0, 1.0], "held_out": 0.0}, images=32)
    x = Run(config, Path(), data_of(config)).data.batch(torch.arange(40))
    torch.testing.assert_close(x, torch.from_numpy(array) * 2 - 1, rtol=0, atol=1e-6)


def test_a_table_written_by_a_spreadsheet_is_read_and_two_labels_of_one_file_are_not(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "pictures", 10)
    rows = [f"{i:02d}.png,{'ab'[i % 2]}" for i in range(40)]
    table = tmp_path / "labels.csv"
    table.write_text("\ufefffile,label\n" + "\n".join(rows), encoding="utf-8")
    config = tiny(scale=1, data=str(folder), conditional=True, reading={"labels": str(table)})
    assert data_of(config).splits["train"].classes == ("a", "b")
    for bad in ("00.png,b", "00.png"):
        table.write_text("file,label\n" + "\n".join([*rows, bad]), encoding="utf-8")
        with pytest.raises(ConfigError, match=r"00\.png has several labels, or none in one row"):
            data_of(config)


def test_where_nobody_audits_no_audit_is_due() -> None:
    config = tiny(audit={"every": 32})
    run = Run(config, Path(), data_of(config))
    trials = Trials(config, Path("nowhere"), None)
    trials.maybe(64, 1.0, run.state, run.data, None)
    assert run.state.audits == []


@pytest.mark.parametrize(("images", "batch", "every"), [(640, 32, 100), (1000, 7, 7), (500, 50, 20), (300, 3, 1000)])
def test_a_step_passes_a_multiple_where_one_of_its_images_is_it(images: int, batch: int, every: int) -> None:
    for done in range(batch, images, batch):
        shown = range(done - batch + 1, done + 1)  # counted from 1
        assert passes(done, batch, every) == any(image % every == 0 for image in shown)
    assert not passes(0, batch, every)


def rates(run: Run, steps: int) -> list[tuple[float, float]]:
    """Return what the optimisers of discriminator and generator are given at each step."""
    found = []
    for number in range(steps):
        run.loop.step(number)
        optimisers = (run.state.discriminator_optimiser, run.state.generator_optimiser)
        found.append((optimisers[0].param_groups[0]["lr"], optimisers[1].param_groups[0]["lr"]))
    return found


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_rates_follow_their_schedule_and_rise_before(schedule: str) -> None:
    plan = {"rate": 1e-3, "generator_rate": 5e-4, "schedule": schedule, "warmup": 80}
    plan |= {"end": 0.1} if schedule != "constant" else {}
    run = run_of(images=640, optimiser=plan)
    expected = []
    for step in range(20):
        t = step / 20
        turn = complex(0, np.pi * t)
        left = {"cosine": 0.1 + 0.9 * (1 + np.exp(turn).real) / 2, "linear": (1 - t) + 0.1 * t, "constant": 1.0}[
            schedule
        ]
        expected.append(left * min((step + 1) * 32, 80) / 80)
    found = rates(run, 20)
    assert [d for d, _ in found] == pytest.approx([1e-3 * share for share in expected], rel=1e-9)
    assert [g for _, g in found] == pytest.approx([5e-4 * share for share in expected], rel=1e-9)


def test_a_constant_rate_that_is_to_end_elsewhere_is_refused() -> None:
    with pytest.raises(ValueError, match=r"optimiser\.end: found 0\.1; schedule 'constant' keeps the rate"):
        tiny(optimiser={"schedule": "constant", "end": 0.1})
    assert tiny(optimiser={"schedule": "constant", "end": 1.0}).optimiser.schedule == "constant"
    with pytest.raises(ValueError, match="'cosine', 'linear' or 'constant'"):
        tiny(optimiser={"schedule": "step"})


def test_a_key_that_came_later_changes_no_digest_and_no_resume(tmp_path: Path) -> None:
    config = tiny(images=128)
    assert "schedule" not in config.recorded()["optimiser"]
    assert config.recorded(["audit"]) | {"audit": config.audit.model_dump(mode="json")} == config.recorded()
    assert tiny(optimiser={"schedule": "linear"}).recorded()["optimiser"]["schedule"] == "linear"
    train(config, tmp_path, data_of(config), stop_after=64)
    # As an earlier version wrote it.
    path = next(iter(checkpoints(tmp_path)))
    metadata, tensors = checkpoint._read(path)
    written = json.loads(metadata["config"])
    del written["optimiser"]["schedule"]
    metadata["config"] = json.dumps(written)
    metadata["digest"] = checkpoint._digest(metadata, tensors)
    path.write_bytes(save(tensors, metadata=metadata))
    other = tiny(images=128, optimiser={"schedule": "linear"})
    with pytest.raises(ConfigError, match="optimiser would make it another run"):
        train(other, tmp_path, data_of(other), resume=True)
    assert train(config, tmp_path, data_of(config), resume=True).finished
