"""Conditional subjects: labels by the law of the data, and discriminators that are told the class."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomlkit
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from ganaudit import registry
from ganaudit.auditing import audit
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import SubjectError
from ganaudit.subjects.directory import Directory
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.subject import Subject
from ganaudit.training.run import train
from tests.training.recipes import tiny

LAW = (0.5, 0.3, 0.2, 0.0)


class Generator(nn.Module):
    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return (z[:, :1, None, None].expand(-1, 1, 4, 4) / 9 + labels[:, None, None, None] / 8).clamp(-1, 1)


class Discriminator(nn.Module):
    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return 10.0 * labels + x.mean((1, 2, 3))


class Free(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))


def reference(labels: bool = True, classes: int = 4) -> Reference:
    rng = np.random.default_rng(5)
    names = tuple("abcdefgh"[:classes])
    splits = {}
    for name in ("train", "calibration", "test"):
        array = rng.integers(0, 256, (64, 4, 4, 1), dtype=np.uint8)
        told = rng.integers(0, classes, 64) if labels else None
        splits[name] = Samples.of(array, "images", name, "made", labels=told, classes=names if labels else ())
    return Reference.of("made", "built-in", splits, seen=dict.fromkeys(splits, "unknown"), rule="made here")


def subject(discriminator: nn.Module | None = None, **more: Any) -> Subject:
    return Subject.from_modules(Generator(), discriminator, latent=2, classes=4, **more)


def test_labels_follow_the_law_and_each_depends_on_its_index_alone() -> None:
    made = subject(label_law=LAW)
    labels = made.labels(3, 0, 20_000)
    assert labels is not None
    found = np.bincount(labels.numpy(), minlength=4) / 20_000
    for share, probability in zip(found, LAW, strict=True):
        assert abs(share - probability) <= 5 * math.sqrt(probability * (1 - probability) / 20_000)
    assert found[3] == 0
    torch.testing.assert_close(made.labels(3, 700, 50), labels[700:750])
    assert "shares of 0 to 0.5" in " ".join(made.checks)


def test_without_a_law_classes_are_equally_likely() -> None:
    labels = subject().labels(3, 0, 20_000)
    assert labels is not None
    assert np.abs(np.bincount(labels.numpy()) / 20_000 - 0.25).max() < 0.02


def test_the_law_enters_the_digest() -> None:
    assert len({subject().digest, subject(label_law=LAW).digest, subject(label_law=LAW[::-1]).digest}) == 3


def test_a_discriminator_is_told_labels_only_where_it_wants_them() -> None:
    assert subject(Discriminator()).judges_labels
    assert not subject(Free()).judges_labels
    with pytest.raises(SubjectError, match="refused samples"):
        Subject.from_modules(nn.Sequential(nn.Linear(2, 16), nn.Unflatten(1, (1, 4, 4))), Discriminator(), latent=2)


def test_reals_are_judged_with_their_own_class_and_samples_with_the_one_asked_for() -> None:
    document = audit(subject(Discriminator()), reference(), evaluators={"discriminator-detection": {}}, samples=64)
    result = next(r for r in document.results if r.evaluator == "discriminator-detection")
    assert result.status == "measured"
    made = subject(Discriminator())
    test = reference().splits["test"]
    assert test.labels is not None
    real = made.discriminate(test.values(slice(None), -1, 1), torch.from_numpy(test.labels.copy())).numpy()
    labels = made.labels(0, 0, 64)
    fake = made.discriminate(made.generate(made.latents(0, 0, 64), labels), labels).numpy()
    wins = (real[:, None] > fake[None, :]).mean() + 0.5 * (real[:, None] == fake[None, :]).mean()
    auc = next(m.value for m in result.measurements if m.key == "auc")
    assert auc == pytest.approx(wins, abs=1e-12)


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [(False, 4, "is told the class, and the calibration reals have no labels|the test reals have no labels"),
     (True, 5, "knows 4 classes, the reference has 5")],
)  # fmt: skip
def test_reals_without_the_classes_it_knows_are_not_judged(labels: bool, classes: int, told: str) -> None:
    document = audit(
        subject(Discriminator()), reference(labels, classes), evaluators={"discriminator-detection": {}}, samples=64
    )
    result = next(r for r in document.results if r.evaluator == "discriminator-detection")
    assert result.status != "measured"
    assert any(part in (result.reason or "") for part in told.split("|"))


def trained(folder: Path) -> Path:
    config = tiny(
        images=64, data="shapes", scale=1, conditional=True, augmentation={},
        generator={"network": "residual-generator", "options": {"width": 8, "depth": 1, "planes": 2}},
        discriminator={"network": "residual-discriminator", "options": {"width": 8, "depth": 1, "planes": 2}},
    )  # fmt: skip
    train(config, folder, registry.find("datasets", "shapes")())
    return folder


def test_what_training_leaves_is_judged_with_labels_and_knows_their_law(tmp_path: Path) -> None:
    folder = trained(tmp_path / "run")
    loaded = Directory().load(folder, options())
    labels = registry.find("datasets", "shapes")().splits["train"].labels
    np.testing.assert_allclose(loaded.label_law, np.bincount(labels) / len(labels), atol=1e-12)
    assert loaded.judges_labels
    told = tomllib.loads((folder / "subject.toml").read_text())
    network = registry.find("networks", told["discriminator"]["network"])(**told["discriminator"]["options"]).eval()
    network.load_state_dict(load_file(folder / "discriminator.safetensors"))
    x, y = torch.rand(5, 3, 32, 32) * 2 - 1, torch.tensor([0, 1, 2, 3, 0])
    with torch.no_grad():
        torch.testing.assert_close(loaded.discriminate(x, y).float(), network(x, y))


def options() -> LoadOptions:
    return LoadOptions(network=lambda name: registry.find("networks", name))


@pytest.mark.parametrize("law", [[0.5, 0.5], [0.5, 0.5, 0.5, 0.5], [1.5, -0.5, 0.0, 0.0]])
def test_a_law_that_is_none_is_refused(tmp_path: Path, law: list[float]) -> None:
    folder = trained(tmp_path / "run")
    described = tomlkit.parse((folder / "subject.toml").read_text())
    described["sample"]["label_law"] = law  # type: ignore[index]
    (folder / "subject.toml").write_text(tomlkit.dumps(described))
    with pytest.raises(SubjectError, match="label_law"):
        Directory().load(folder, options())
