"""The samples a run is trained on: on the device where they fit, streamed to it otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.document.errors import ConfigError

__all__ = ["TrainingData", "training_data"]

_ROOM = 0.5  # of a device's free memory, at most, for the data


@dataclass(frozen=True, slots=True, eq=False)
class TrainingData:
    """Real samples with their labels."""

    values: Tensor
    """(N, ...) uint8 levels or float32 values in [-1, 1], on the device or, streamed, on the CPU."""
    labels: Tensor | None
    """(N,) int64, on the CPU."""
    classes: int
    device: torch.device
    deviation: Tensor
    """Standard deviation of all values, a scalar on the device."""
    held_out: Samples | None
    """Reals that are not trained on, for the health of the discriminator."""
    reference: Reference

    def __len__(self) -> int:
        return len(self.values)

    @property
    def digest(self) -> str:
        """Digest of the samples and labels that are trained on."""
        splits = self.reference.splits
        return splits["train" if "train" in splits else "test"].digest

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.values.shape[1:])

    @property
    def label_law(self) -> tuple[float, ...]:
        """Share of each class, of the sum 1; empty without classes."""
        if self.labels is None:
            return ()
        counts = torch.bincount(self.labels, minlength=self.classes).double()
        return tuple((counts / counts.sum()).tolist())

    def batch(self, rows: Tensor) -> Tensor:
        """Return the samples at ``rows`` as float32 in [-1, 1] on the device."""
        if self.values.device == self.device:
            picked = self.values[rows.to(self.device)]
        else:
            picked = self.values[rows].pin_memory().to(self.device, non_blocking=True)
        # Exact for levels: 255 is 1, 0 is -1.
        return picked if picked.is_floating_point() else picked.float().div_(127.5).sub_(1.0)


def training_data(reference: Reference, conditional: bool, batch: int, device: torch.device) -> TrainingData:
    """Return the train split of ``reference``, or all of it where it has none.

    Raises ConfigError when labels are asked for and there are none, a class has fewer than 2 samples, or there are
    fewer samples than a batch.
    """
    split = "train" if "train" in reference.splits else "test"
    real = reference.splits[split]
    if real.kind == "features":
        raise ConfigError(f"data {reference.name}: holds features; images or waveforms are needed to train on")
    if len(real) < batch:
        raise ConfigError(
            f"data {reference.name}: {len(real)} samples are fewer than a batch of {batch}; lower batch to "
            f"{len(real)} or less"
        )
    labels = _labels(reference.name, real) if conditional else None
    values = real.images(slice(None)) if real.value_range is None else real.values(slice(None), -1.0, 1.0)
    held = next((reference.splits[name] for name in ("calibration", "test") if name in reference.splits), None)
    if _fits(values, device):
        values = values.to(device)
    return TrainingData(
        values,
        labels,
        len(real.classes) if conditional else 0,
        device,
        _deviation(values).to(device),
        held if held is not real else None,
        reference,
    )


def _labels(name: str, real: Samples) -> Tensor:
    if real.labels is None:
        raise ConfigError(
            f"conditional: the samples of {name} have no labels; give them by subfolders or reading.labels, or set "
            "conditional = false"
        )
    labels = torch.from_numpy(real.labels.copy())
    counts = torch.bincount(labels, minlength=len(real.classes))
    rare = [f"{real.classes[i]} ({int(counts[i])})" for i in range(len(real.classes)) if counts[i] < 2]
    if rare:
        raise ConfigError(
            f"data {name}: a class needs 2 samples or more; fewer has {', '.join(rare[:5])}: leave it out, or set "
            "conditional = false"
        )
    return labels


def _deviation(values: Tensor) -> Tensor:
    """Return the standard deviation (divisor n) of all values in [-1, 1], float32, chunk by chunk."""
    total = square = 0.0
    for part in torch.split(values, 4096):
        wide = part.double() if part.is_floating_point() else part.double().div(127.5).sub(1)
        total, square = total + float(wide.sum()), square + float(wide.square().sum())
    mean = total / values.numel()
    return torch.tensor(max(0.0, square / values.numel() - mean**2) ** 0.5)


def _fits(values: Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return values.nbytes <= _ROOM * free
