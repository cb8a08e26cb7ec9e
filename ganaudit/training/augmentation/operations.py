"""The operations that a recipe may name, in the order in which they act."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from ganaudit.training.augmentation import audio, filters, geometry, images

__all__ = ["OPERATIONS", "Kind", "Operation", "Option"]

Kind = Literal["image", "audio"]


@dataclass(frozen=True)
class Option:
    """A number that an operation takes: whole where its default is whole."""

    default: int | float
    least: float
    most: float

    def problem(self, value: object) -> str | None:
        """Return what is wrong with ``value``, None when nothing is."""
        sort = "a whole number" if isinstance(self.default, int) else "a number"
        allowed = int if isinstance(self.default, int) else int | float
        if isinstance(value, bool) or not isinstance(value, allowed) or not self.least <= value <= self.most:
            return f"found {value!r}; allowed: {sort} from {self.least:g} to {self.most:g}"
        return None


@dataclass(frozen=True)
class Operation:
    """An operation on one kind of sample."""

    name: str
    kind: Kind
    law: str
    """What it does to a sample that it acts on; ``{option}`` stands for an option's value."""
    draws: int
    """How many uniform draws its law needs; one more decides whether it acts."""
    function: Callable[..., Tensor]
    """(samples, uniforms (B, draws), **options) -> samples, twice differentiable in the samples."""
    options: Mapping[str, Option] = field(default_factory=dict)


_FILL = Option(0.0, -1.0, 1.0)
_STRENGTH = Option(0.2, 0.0, 1.0)
"""The paper's 0.2 octaves."""

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        Operation("flip", "image", "mirrored left to right with probability 1/2", 1, images.flip),
        Operation(
            "turn",
            "image",
            "turned by 0, 90, 180 or 270 degrees, uniform (0 or 180 where the sides differ)",
            1,
            geometry.turn,
        ),
        Operation(
            "crop",
            "image",
            "a window of a share of each side uniform in {least}..1, anywhere, enlarged to the full size",
            3,
            images.crop,
            {"least": Option(0.8, 0.1, 1.0)},
        ),
        Operation(
            "translation",
            "image",
            "moved by whole pixels, uniform within {share} of each side ({pixels} pixels where that is not 0), "
            "filled with {fill}",
            2,
            images.translation,
            {"share": Option(0.125, 0.0, 1.0), "pixels": Option(0, 0, 4096), "fill": _FILL},
        ),
        Operation(
            "scaling",
            "image",
            "both sides times 2^({strength} n) about the middle, n standard normal, filled with {fill}",
            1,
            geometry.scaling,
            {"strength": _STRENGTH, "fill": _FILL},
        ),
        Operation(
            "rotation",
            "image",
            "rotated about the middle, uniform within {degrees} degrees either way, filled with {fill}",
            1,
            geometry.rotation,
            {"degrees": Option(180.0, 0.0, 180.0), "fill": _FILL},
        ),
        Operation(
            "stretch",
            "image",
            "width times s and height divided by s about the middle, s = 2^({strength} n), n standard normal, filled "
            "with {fill}",
            1,
            geometry.stretch,
            {"strength": _STRENGTH, "fill": _FILL},
        ),
        Operation(
            "colour",
            "image",
            "brightness moved within {brightness}, saturation (three channels) and contrast multiplied within "
            "1 -+ {saturation} and 1 -+ {contrast}",
            3,
            images.colour,
            {
                "brightness": Option(0.5, 0.0, 2.0),
                "saturation": Option(1.0, 0.0, 1.0),
                "contrast": Option(0.5, 0.0, 1.0),
            },
        ),
        Operation(
            "bands",
            "image",
            "four bands of frequencies, an octave apart, each amplified by 2^({strength} n), n standard normal, the "
            "power of natural images kept",
            4,
            filters.bands,
            {"strength": Option(1.0, 0.0, 2.0)},
        ),
        Operation(
            "cutout",
            "image",
            "a rectangle of {share} of each side, its middle anywhere, set to {fill}",
            2,
            images.cutout,
            {"share": Option(0.5, 0.0, 1.0), "fill": _FILL},
        ),
        Operation("polarity", "audio", "sign changed with probability 1/2", 1, audio.polarity),
        Operation(
            "shift",
            "audio",
            "moved around in time, uniform within {share} of the length",
            1,
            audio.shift,
            {"share": Option(0.125, 0.0, 0.5)},
        ),
        Operation(
            "gain",
            "audio",
            "multiplied by a factor uniform in {least}..1",
            1,
            audio.gain,
            {"least": Option(0.5, 0.0, 1.0)},
        ),
    )
}
