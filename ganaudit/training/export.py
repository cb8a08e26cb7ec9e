"""What a run leaves: the subject directory, grids of samples and the log."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import ganaudit
from ganaudit.document.errors import OutputError
from ganaudit.document.files import write_atomically
from ganaudit.document.redaction import private_of_this_machine
from ganaudit.numerics.quantise import to_uint8
from ganaudit.subjects.digests import json_digest
from ganaudit.subjects.directory import write_directory
from ganaudit.subjects.subject import LatentSpec, SampleSpec
from ganaudit.training.board import Board
from ganaudit.training.build import augmentation_laws, described, network_options
from ganaudit.training.checkpoint import HARMLESS, Counters
from ganaudit.training.config import TrainConfig
from ganaudit.training.data import TrainingData
from ganaudit.training.health import Look, Verdict
from ganaudit.training.state import State

__all__ = ["Log", "grid", "thinned", "write_subject"]

_MARGIN = 2
_MOST = 100
_T = TypeVar("_T")


def write_subject(
    folder: Path,
    config: TrainConfig,
    state: State,
    data: TrainingData,
    counters: Counters,
    verdict: Verdict,
    *,
    on_the_way: bool = False,
) -> None:
    """Write the subject directory: the averaged generator, the discriminator and the record of the training.

    ``on_the_way``: before the end, so that nothing was chosen yet.
    """
    images = counters.steps * config.batch
    split = "train" if "train" in data.reference.splits else "test"
    networks: dict[str, tuple[str, dict[str, Any], dict[str, Tensor]]] = {}
    modules: dict[str, nn.Module] = {"generator": state.average, "discriminator": state.discriminator}
    for role, module in modules.items():
        options = network_options(config, role, data.shape, data.classes)
        networks[role] = (getattr(config, role).network, options, module.state_dict())
    write_directory(
        folder,
        f"{config.name}-{images}" if on_the_way else config.name,
        LatentSpec(config.latent),
        SampleSpec(data.shape, -1.0, 1.0),
        networks,
        training={
            "data": private_of_this_machine().redact(config.data),
            "split": split,
            "split_digest": data.reference.splits[split].digest,
            "images": images,
            "seed": config.seed,
            "objective": config.objective,
            "batch": config.batch,
            **_penalised(config),
            "weights": _weights(state, images, on_the_way),
            "augmentation": described(config.augmentation),
            "augmentation_data": list(config.augmentation.data),
            "augmentation_seen": list(config.augmentation.seen),
            "augmentation_laws": list(augmentation_laws(config.augmentation, data.shape)),
            "augmentation_probability": float(state.registers["probability"]) if config.augmentation.seen else 0.0,
            "health": verdict.verdict,
            "health_words": verdict.words,
            "health_features": next((one.features for one in state.looks[::-1] if one.features), "none"),
            "config_digest": json_digest(config.recorded([key for key in HARMLESS if key != "deterministic"])),
            "ganaudit": ganaudit.__version__,
            "looks": [_look(look) for look in thinned(state.looks)],
            **({"audits": [dict(one) for one in thinned(state.audits)]} if state.audits else {}),
        },
        classes=data.classes,
        label_law=data.label_law,
    )


def _penalised(config: TrainConfig) -> dict[str, Any]:
    """Return which penalties a step has, and in one of how many steps."""
    plan = config.regularisers
    named = [*plan.penalties, *(n for n in ("consistency", "lecam", "path_length") if getattr(plan, n) > 0)]
    found: dict[str, Any] = {"penalties": named}
    found |= {"discriminator_every": plan.discriminator_every} if plan.penalties else {}
    return found | ({"generator_every": plan.generator_every} if plan.path_length > 0 else {})


def _weights(state: State, images: int, on_the_way: bool) -> str:
    if on_the_way:
        return f"moving average of the generator; discriminator; both as they stood at {images} images, before the end"
    chosen = f", the snapshot at {state.best['images']:.0f} images" if state.best else ""
    return f"moving average of the generator{chosen}; discriminator as it stood at the end"


def thinned(entries: Sequence[_T]) -> list[_T]:
    """Return at most 100 entries, evenly spread, the last among them."""
    step = -(-len(entries) // _MOST)
    return list(entries[::-1][:: max(step, 1)])[::-1]


def _look(found: Look) -> dict[str, Any]:
    """Return what a look found, without what it could not tell: TOML has no word for nothing."""
    numbers = {name: v for name, v in asdict(found).items() if v is not None and name != "features"}
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in numbers.items()} | {
        "alarms": list(found.alarms)
    }


def grid(samples: Tensor) -> bytes:
    """Return images (N, C, H, W) in [-1, 1], or waveforms (N, C, T) as lines, as one PNG of a square of samples.

    One or three channels are shown; of others the first.
    """
    pictures = _waves(samples) if samples.ndim == 3 else to_uint8(samples.float().cpu(), -1.0, 1.0)
    if pictures.shape[1] not in (1, 3):
        pictures = pictures[:, :1]
    count, channels, height, width = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    sheet = np.full((rows * (height + _MARGIN), columns * (width + _MARGIN), channels), 255, dtype=np.uint8)
    for i, picture in enumerate(pictures.permute(0, 2, 3, 1).numpy()):
        top, left = i // columns * (height + _MARGIN), i % columns * (width + _MARGIN)
        sheet[top : top + height, left : left + width] = picture
    image = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    factor = max(1, 640 // max(image.size))
    buffer = io.BytesIO()
    image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST).save(buffer, "PNG")
    return buffer.getvalue()


def _waves(samples: Tensor, width: int = 128, height: int = 48) -> Tensor:
    """Return the envelopes of waveforms (N, C, T) as grey pictures."""
    wave = samples[:, 0].float().cpu()
    wave = wave[:, : wave.shape[1] // width * width].reshape(len(wave), width, -1)
    top = ((1 - wave.amax(2)) / 2 * (height - 1)).round()
    bottom = ((1 - wave.amin(2)) / 2 * (height - 1)).round()
    line = torch.arange(height)[None, :, None]
    inside = (line >= top[:, None]) & (line <= bottom[:, None])
    return torch.where(inside, 30, 245).to(torch.uint8)[:, None]


def _in_words(value: Any) -> Any:
    """Return ``value`` with words in place of numbers that are not finite, however deep."""
    if isinstance(value, dict):
        return {key: _in_words(inner) for key, inner in value.items()}
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


class Log:
    """The log of a run: a line of JSON for each entry, and grids of samples; where asked, for TensorBoard as well."""

    def __init__(self, folder: Path, from_images: int, board: Board | None = None) -> None:
        self._board = board
        self._path = folder / "log.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        # What was written after the checkpoint that the run goes on from will be written again.
        kept = []
        if from_images and self._path.is_file():
            for line in self._path.read_text(encoding="utf-8").splitlines():
                try:
                    if json.loads(line)["images"] <= from_images:
                        kept.append(line)
                except (ValueError, KeyError, TypeError):
                    continue  # half a line of a killed run
        write_atomically(self._path, "".join(f"{line}\n" for line in kept).encode())

    def write(self, **entry: Any) -> None:
        """Append an entry; a number that is not finite is written as a word."""
        line = json.dumps(_in_words(entry), allow_nan=False) + "\n"
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line)
        except OSError as error:
            raise OutputError(f"{self._path}: cannot be written: {error.strerror}; --resume goes on later") from None
        if self._board is not None:
            self._board.write(entry)

    def picture(self, images: int, png: bytes) -> None:
        """Keep a grid of samples."""
        write_atomically(self._path.parent / "samples" / f"{images:09d}.png", png)
        if self._board is not None:
            self._board.picture(images, png)

    def close(self) -> None:
        """Let files go."""
        if self._board is not None:
            self._board.close()
