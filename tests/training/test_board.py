"""The log for TensorBoard: what log.jsonl says, read back by TensorBoard's own reader."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import pytest

from ganaudit.document.errors import ConfigError
from ganaudit.training.board import Board
from ganaudit.training.run import train
from tests.training.recipes import data_of, tiny


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder / "tensorboard"), size_guidance={"images": 0, "scalars": 0})
    reader.Reload()
    found = {tag: {event.step: event.value for event in reader.Scalars(tag)} for tag in reader.Tags()["scalars"]}
    return found | {"images": {event.step: event.width for event in reader.Images("samples")}}


def test_it_says_what_the_log_says_and_goes_on_after_a_resume(tmp_path: Path) -> None:
    config = tiny(log=64, health=128, tensorboard=True)
    train(config, tmp_path, data_of(config), stop_after=192)
    train(config, tmp_path, data_of(config), resume=True)
    found = scalars(tmp_path)
    entries = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = {e["images"]: e["discriminator"] for e in entries if "discriminator" in e}
    assert found["discriminator"] == pytest.approx(losses, rel=1e-6)
    shares = {e["images"]: e["shares"]["discriminator/r1"] for e in entries if "shares" in e}
    assert found["shares/discriminator/r1"] == pytest.approx(shares, rel=1e-6)
    looks = {e["images"]: e["look"]["spread"] for e in entries if "look" in e}
    assert found["look/spread"] == pytest.approx(looks, rel=1e-6)
    assert set(found["images"]) == set(looks)


def test_nothing_is_written_unless_asked(tmp_path: Path) -> None:
    config = tiny(images=64)
    train(config, tmp_path, data_of(config))
    assert not (tmp_path / "tensorboard").exists()


def test_without_tensorboard_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ConfigError, match=r"pip install 'ganaudit\[tensorboard\]'"):
        Board(tmp_path, 0)
