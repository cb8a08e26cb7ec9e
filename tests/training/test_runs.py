"""Runs from beginning to end: exact resume, checkpoints that survive, signals, refusals in words."""

import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ganaudit.data.digits import load_digits
from ganaudit.document.errors import ConfigError, OutputError
from ganaudit.subjects.directory import read_subject_file
from ganaudit.training.checkpoint import checkpoints
from ganaudit.training.config import TrainConfig
from ganaudit.training.run import train

from .recipes import RECIPES, TINY, data_of, merged, tiny


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return {
        f"{role}.{k}": v
        for role in ("generator", "discriminator")
        for k, v in load_file(folder / f"{role}.safetensors").items()
    }


def run(config: TrainConfig, folder: Path, **more):
    return train(config, folder, data_of(config), **more)


def assert_equal(a: Path, b: Path) -> None:
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_n_and_n_steps_equal_2n_steps_bit_for_bit(tmp_path, name):
    config = tiny(**RECIPES[name])
    whole = run(config, tmp_path / "whole")
    half = config.steps // 2 * config.batch
    parts = run(config, tmp_path / "parts", stop_after=half)
    assert (parts.finished, parts.images, parts.stopped) == (False, half, "stopped as asked")
    assert not (tmp_path / "parts" / "subject.toml").exists(), "an unfinished run must not look like a subject"
    # Another draw from torch's own generator in between must not matter.
    torch.manual_seed(99)
    parts = run(config, tmp_path / "parts", resume=True)
    assert (whole.finished, parts.finished, parts.images) == (True, True, whole.images)
    assert_equal(tmp_path / "whole", tmp_path / "parts")
    assert all(np.isfinite(t.numpy()).all() for t in weights(tmp_path / "whole").values())


def test_another_seed_gives_other_weights(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(seed + 7)
        run(tiny(images=64, seed=seed), tmp_path / name)
    assert_equal(tmp_path / "a", tmp_path / "b")
    a, c = weights(tmp_path / "a"), weights(tmp_path / "c")
    assert not any(torch.equal(a[k], c[k]) for k in a if k.endswith("weight"))


def test_accumulated_parts_are_the_whole_batch_up_to_rounding(tmp_path):
    for name, parts in (("one", 1), ("four", 4)):
        run(tiny(images=96, accumulate=parts), tmp_path / name)
    one, four = weights(tmp_path / "one"), weights(tmp_path / "four")
    for key, value in one.items():
        torch.testing.assert_close(four[key], value, rtol=1e-3, atol=1e-5)


def test_two_checkpoints_are_kept_and_a_broken_newest_is_passed_over(tmp_path):
    config = tiny(checkpoint=64)
    run(config, tmp_path / "whole")
    run(config, tmp_path / "run", stop_after=256)
    newest, before = checkpoints(tmp_path / "run")
    content = newest.read_bytes()
    for damage in (content[: len(content) // 2], content[:-1] + bytes([content[-1] ^ 1]), b""):
        newest.write_bytes(damage)
        told = []
        parts = train(config, tmp_path / "run", data_of(config), resume=True, stop_after=256, told=told.append)
        assert parts.images == 256
        assert newest.name in told[0]
        assert "going back to the one before" in told[0]
    run(config, tmp_path / "run", resume=True)
    assert_equal(tmp_path / "whole", tmp_path / "run")
    del before


def test_without_a_good_checkpoint_every_reason_is_told(tmp_path):
    with pytest.raises(ConfigError, match="holds no checkpoint"):
        run(tiny(), tmp_path, resume=True)
    run(tiny(), tmp_path, stop_after=64)
    for path in checkpoints(tmp_path):
        path.write_bytes(b"nothing")
    with pytest.raises(ConfigError, match=r"no checkpoint in .* can be used") as caught:
        run(tiny(), tmp_path, resume=True)
    assert len(caught.value.problems) >= 2


def test_resume_lists_what_changed_and_allows_the_harmless(tmp_path):
    run(tiny(), tmp_path, stop_after=64)
    with pytest.raises(ConfigError, match=r"batch: 32 then, 16 now.*another run"):
        run(tiny(batch=16), tmp_path, resume=True)
    with pytest.raises(ConfigError, match=r"another run"):
        run(tiny(batch=16), tmp_path, resume=True, allow_change=True)
    with pytest.raises(ConfigError, match=r"checkpoint: .* --allow-change"):
        run(tiny(checkpoint=96), tmp_path, resume=True)
    assert run(tiny(checkpoint=96), tmp_path, resume=True, allow_change=True).finished


def test_a_run_is_not_begun_anew_over_another(tmp_path):
    run(tiny(), tmp_path, stop_after=64)
    with pytest.raises(ConfigError, match="--resume goes on with it"):
        run(tiny(), tmp_path)


class Signalling:
    """Sends a signal to this process as the n-th step is told."""

    def __init__(self, number: int, at: int) -> None:
        self.number, self.at, self.steps = number, at, 0

    def task(self, label, total, unit="samples"):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *exc): ...

    def note(self, text): ...

    def advance(self, steps):
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_after_its_step_with_a_checkpoint(tmp_path, number):
    before = signal.getsignal(number)
    ended = run(tiny(), tmp_path / "a", progress=Signalling(number, 5))
    assert (ended.finished, ended.stopped) == (False, signal.Signals(number).name)
    assert signal.getsignal(number) is before
    run(tiny(), tmp_path / "a", resume=True)
    run(tiny(), tmp_path / "b")
    assert_equal(tmp_path / "a", tmp_path / "b")


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    config = tiny(checkpoint=64)
    run(config, tmp_path / "run", stop_after=128)
    good = {path.name: path.read_bytes() for path in checkpoints(tmp_path / "run")}

    def full(path, content):
        raise OutputError(f"cannot write {path}: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("ganaudit.training.checkpoint.write_atomically", full)
        with pytest.raises(OutputError, match="No space left"):
            run(config, tmp_path / "run", resume=True)
    assert {path.name: path.read_bytes() for path in checkpoints(tmp_path / "run")} == good
    run(config, tmp_path / "run", resume=True)
    run(config, tmp_path / "whole")
    assert_equal(tmp_path / "run", tmp_path / "whole")


def test_a_run_that_breaks_down_says_so_and_keeps_its_last_good_checkpoint(tmp_path):
    config = tiny(images=64_000, checkpoint=32, optimiser={"rate": 1e30})
    with pytest.raises(ConfigError, match=r"broke down.*optimiser.rate"):
        run(config, tmp_path)
    assert not (tmp_path / "subject.toml").exists()
    for path in checkpoints(tmp_path):
        assert all(torch.isfinite(t).all() for t in load_file(path).values())


def test_the_record_says_what_was_trained(tmp_path):
    run(tiny(images=64), tmp_path)
    training = read_subject_file(tmp_path / "subject.toml").training
    assert training["split_digest"] == load_digits().splits["train"].digest
    assert training["images"] == 64
    assert training["batch"] == 32
    assert training["penalties"] == ["r1", "r2"]
    assert training["augmentation_seen"] == ["translation"]
    assert training["augmentation_probability"] == 0.5
    assert training["health"] in ("healthy", "doubtful")
    assert training["health_features"] == "digits-cnn"
    seen = {"spread", "rank", "distinct", "feature_spread", "feature_rank", "feature_distinct"}
    assert seen < set(training["looks"][0])
    assert "features" not in training["looks"][0], "said once"


def test_the_log_tells_losses_shares_and_looks_and_goes_on_after_a_resume(tmp_path):
    config = tiny(log=64, health=128, regularisers={"r1": 1.0, "r2": 1.0})
    run(config, tmp_path, stop_after=192)
    run(config, tmp_path, resume=True)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [e["images"] for e in entries if "discriminator" in e]
    assert losses == sorted(set(losses))
    assert losses[0] == 64
    assert losses[-1] == config.images
    shares = next(e["shares"] for e in entries if "shares" in e)
    assert {"discriminator/adversarial", "discriminator/r1", "discriminator/r2", "generator/adversarial"} == set(shares)
    assert sum(v for k, v in shares.items() if k.startswith("discriminator")) == pytest.approx(1)
    looks = [e["look"] for e in entries if "look" in e]
    assert {look["features"] for look in looks} == {"digits-cnn"}
    assert (tmp_path / "samples.png").read_bytes().startswith(b"\x89PNG")


def test_an_alarm_ends_the_run_where_that_is_asked_for(tmp_path, monkeypatch):
    # An untrained generator is not collapsed; with the bar above what any has, it is told to be.
    monkeypatch.setattr("ganaudit.training.health._RANK", 5.0)
    config = tiny(images=6400, health=64)
    assert run(tiny(images=128, health=64), tmp_path / "free").finished
    ended = run(config, tmp_path / "bound", stop_on=("collapse",))
    assert (ended.finished, ended.stopped) == (False, "signs of collapse")
    assert ended.images < 6400
    assert ended.verdict.verdict == "doubtful"
    assert "collapse" in ended.verdict.alarms


class Measuring:
    """Measures what was planned for each audit, or else something of the weights that goes up and down."""

    def __init__(self, values=None, seconds=0.0):
        self.values, self.seconds = iter(values) if values else None, seconds
        self.snapshots = {}

    def __call__(self, generator, data):
        assert not generator.training
        time.sleep(self.seconds)
        state = {k: v.clone() for k, v in generator.state_dict().items()}
        value = (
            next(self.values) if self.values else math.sin(1e4 * sum(float(v.double().sum()) for v in state.values()))
        )
        self.snapshots[value] = state
        return value, True, {"some/fd": value}


def kept_is(folder, snapshot):
    kept = load_file(folder / "generator.safetensors")
    return all(torch.equal(kept[name], snapshot[name]) for name in snapshot)


def test_audits_on_the_way_keep_the_best_snapshot(tmp_path):
    trial = Measuring([3.0, 1.0, 2.0, 5.0])
    run(tiny(images=128, audit={"every": 32}), tmp_path, trial=trial)
    assert list(trial.snapshots) == [3.0, 1.0, 2.0, 5.0]
    assert kept_is(tmp_path, trial.snapshots[1.0])


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_audits_come_at_their_images_however_long_they_take(tmp_path, seconds):
    # 100 is no multiple of the batch of 32: an audit comes with the step that goes past it.
    told = []
    config = tiny(images=640, audit={"every": 100, "share": 0.001 if seconds else 1.0})
    ended = run(config, tmp_path, trial=Measuring(seconds=seconds), told=told.append)
    training = read_subject_file(tmp_path / "subject.toml").training
    assert [one["images"] for one in training["audits"]] == [128, 224, 320, 416, 512, 608]
    words = "more than audit.share = 0.001: raise audit.every or lower audit.samples"
    assert [line for line in told if "audits took" in line] == [line for line in told if words in line]
    assert len([line for line in told if words in line]) == (1 if seconds else 0), "told once, not at every audit"
    assert (words in ended.verdict.words) == (words in training["health_words"]) == bool(seconds)


@pytest.mark.parametrize("best", ["earlier", "later"])
def test_n_and_n_steps_choose_the_snapshot_of_2n_steps(tmp_path, best):
    values = [4.0, 1.0, 3.0, 2.0, 2.5, 5.0] if best == "earlier" else [4.0, 3.0, 3.5, 2.0, 1.0, 5.0]
    config = tiny(images=192, audit={"every": 32})
    whole = Measuring(values)
    run(config, tmp_path / "whole", trial=whole)
    # The clock of the second run is another: its audits are slow.
    first, second = Measuring(values[:3], seconds=0.02), Measuring(values[3:])
    run(config, tmp_path / "parts", trial=first, stop_after=96)
    run(config, tmp_path / "parts", trial=second, resume=True)
    assert_equal(tmp_path / "whole", tmp_path / "parts")
    assert kept_is(tmp_path / "parts", whole.snapshots[1.0])
    records = [read_subject_file(tmp_path / name / "subject.toml").training for name in ("whole", "parts")]
    assert records[0]["weights"] == records[1]["weights"]
    audits = [[(one["images"], one["some/fd"]) for one in record["audits"]] for record in records]
    assert audits[0] == audits[1] == list(zip(range(32, 193, 32), values, strict=True))


def test_wherever_a_run_is_interrupted_it_chooses_the_same_snapshot(tmp_path):
    config = tiny(images=192, checkpoint=64, audit={"every": 48})
    run(config, tmp_path / "whole", trial=Measuring())
    for stop in (32, 64, 96, 160):
        run(config, tmp_path / "parts", trial=Measuring(), stop_after=stop, resume=stop > 32)
    run(config, tmp_path / "parts", trial=Measuring(), resume=True)
    assert_equal(tmp_path / "whole", tmp_path / "parts")
    weights_of = [
        read_subject_file(tmp_path / name / "subject.toml").training["weights"] for name in ("whole", "parts")
    ]
    assert weights_of[0] == weights_of[1]


def test_a_snapshot_that_is_gone_is_missed_before_the_run_goes_on(tmp_path):
    config = tiny(images=128, audit={"every": 32})
    run(config, tmp_path, trial=Measuring(), stop_after=64)
    for path in tmp_path.glob("best-*.safetensors"):
        path.unlink()
    with pytest.raises(ConfigError, match=r"best-\d+\.safetensors: the best snapshot so far is not there"):
        run(config, tmp_path, trial=Measuring(), resume=True)


def test_looks_and_audits_of_all_sittings_are_in_the_subject(tmp_path):
    config = tiny(images=256, health=64, audit={"every": 32})
    run(config, tmp_path, trial=Measuring([1.0, 3.0, 0.5, 4.0]), stop_after=128)
    ended = run(config, tmp_path, trial=Measuring([2.0, 6.0, 7.0, 8.0]), resume=True)
    training = read_subject_file(tmp_path / "subject.toml").training
    assert [look["images"] for look in training["looks"]] == [64, 128, 192, 256]
    assert [look.images for look in ended.verdict.looks] == [64, 128, 192, 256]
    assert [one["some/fd"] for one in training["audits"]] == [1.0, 3.0, 0.5, 4.0, 2.0, 6.0, 7.0, 8.0]
    assert "the snapshot at 96 images" in training["weights"]


def test_snapshots_that_no_checkpoint_names_go(tmp_path):
    values = iter(float(10 - i) for i in range(10))
    config = tiny(images=256, checkpoint=32, audit={"every": 32})
    run(config, tmp_path, trial=lambda generator, data: (next(values), True, {}))
    assert 1 <= len(list(tmp_path.glob("best-*.safetensors"))) <= 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"generator": {"network": "residual-generato"}}, "residual-generator"),
        ({"generator": {"network": "residual-discriminator"}}, "is a discriminator"),
        ({"generator": {"network": "residual-generator", "options": {"depht": 1}}}, "nearest: depth"),
        ({"scale": 40}, "40"),
        ({"batch": 1000, "images": 2000}, "fewer than a batch"),
        ({"augmentation": {"seen": ["flop"]}}, "flop"),
        ({"device": "cuda"}, "no CUDA device|CUDA devices"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path, changes, told):
    if changes.get("device") == "cuda" and torch.cuda.is_available():
        pytest.skip("a CUDA device is at hand")
    from ganaudit.document.errors import GanauditError

    with pytest.raises(GanauditError, match=told):
        run(tiny(**changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"augmentation": {"adaptive": True}}, "nothing to adapt"),
        ({"regularisers": {"consistency": 1.0}, "augmentation": {}}, "augmentation.seen"),
        ({"objective": "softmax"}, "conditional"),
        ({"accumulate": 5}, "equal parts"),
    ],
)
def test_impossible_pairs_are_refused_by_the_configuration(changes, told):
    with pytest.raises(ValueError, match=told):
        TrainConfig.model_validate(merged(TINY, changes))
