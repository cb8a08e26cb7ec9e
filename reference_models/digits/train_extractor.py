"""Trains the extractor digits-cnn on the train split of the digits, about half a minute on two cores.

    python reference_models/digits/train_extractor.py [digits-cnn.safetensors]

Small random rotations, scalings and shifts stand in for more writers; the other splits are only counted at the end.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from ganaudit.data.digits import load_digits
from ganaudit.data.samples import Samples
from ganaudit.document.files import write_atomically
from ganaudit.features.digits_cnn import Classifier
from ganaudit.training.denormals import flushed_denormals

_SEED, _EPOCHS, _BATCH, _RATE, _DECAY, _SMOOTHING = 0, 40, 64, 2e-3, 1e-2, 0.05


def moved(x: Tensor, rng: torch.Generator) -> Tensor:
    """Return images turned by up to 10 degrees, scaled by up to 8 % and shifted by up to a pixel; paper fills in."""
    draws = torch.rand(len(x), 4, generator=rng) * 2 - 1
    angle, scale, shift = draws[:, 0] * 0.1745, 1 + 0.08 * draws[:, 1], draws[:, 2:] * (2.0 / x.shape[-1])
    rows = [
        torch.stack([angle.cos() / scale, -angle.sin() / scale, shift[:, 0]], 1),
        torch.stack([angle.sin() / scale, angle.cos() / scale, shift[:, 1]], 1),
    ]
    places = functional.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return functional.grid_sample(x + 1, places, align_corners=False) - 1


def network_input(samples: Samples) -> tuple[Tensor, Tensor]:
    """Return images in [-1, 1] and labels."""
    assert samples.labels is not None
    return samples.values(slice(None), -1.0, 1.0), torch.from_numpy(samples.labels.copy())


def train(samples: Samples) -> Classifier:
    """Return the classifier after all epochs."""
    torch.manual_seed(_SEED)
    rng = torch.Generator().manual_seed(_SEED + 1)
    network = Classifier()
    x, y = network_input(samples)
    optimiser = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY)
    steps = len(x) // _BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=_EPOCHS * steps)
    for _ in range(_EPOCHS):
        order = torch.randperm(len(x), generator=rng)
        for i in range(steps):
            rows = order[i * _BATCH : (i + 1) * _BATCH]
            loss = functional.cross_entropy(network(moved(x[rows], rng)), y[rows], label_smoothing=_SMOOTHING)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def main() -> None:
    """Train, write, and print the accuracy on every split."""
    beside = Path(__file__).parent / "digits-cnn.safetensors"
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else beside
    reference = load_digits()
    with flushed_denormals():
        network = train(reference.splits["train"])
    write_atomically(target, save(network.state_dict()))
    for name, samples in reference.splits.items():
        x, y = network_input(samples)
        with torch.no_grad():
            right = int((network(x).argmax(1) == y).sum())
        print(f"{name}: {right} of {len(y)} right ({right / len(y):.2%})")  # noqa: T201 - a script's answer


if __name__ == "__main__":
    main()
