"""Coloured shapes on grey: a set of images whose joint law of shape and hue is known exactly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.data.samples import Samples
from ganaudit.data.splits import Reference
from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.numerics.randomness import child_seed, uniforms

__all__ = [
    "COUNTS",
    "DRAWS",
    "HUES",
    "LAW",
    "PERIODS",
    "SHAPES",
    "ShapeAttributes",
    "colours",
    "coverages",
    "draw_shapes",
    "load_shapes",
    "load_shapes_by_cell",
    "render_shapes",
    "shapes_of",
]

SHAPES = ("disc", "square", "triangle", "cross")
HUES = ("red", "yellow", "green", "cyan", "blue", "magenta")

LAW: npt.NDArray[np.float64] = np.array(
    [
        # red  yellow green cyan  blue  magenta
        [0.200, 0.04, 0.05, 0.02, 0.03, 0.02],  # disc
        [0.020, 0.04, 0.05, 0.02, 0.12, 0.02],  # square
        [0.025, 0.04, 0.05, 0.03, 0.03, 0.02],  # triangle
        [0.005, 0.03, 0.05, 0.03, 0.02, 0.04],  # cross
    ]
)
"""Probability of each shape (row) with each hue (column): four of five reds are discs, three of five blues squares, one
sample of 200 is a red cross, and no other cell is below 2 %."""
LAW.flags.writeable = False

PERIODS = (360.0, 90.0, 120.0, 90.0)
"""Degrees after which each shape looks the same again; a disc has no rotation."""

SIZES = (0.12, 0.20)
PLACES = (0.35, 0.65)
BACKGROUNDS = (40, 216)
"""Laws of size, place (both axes) and background: uniform between these ends, independent of each other and of the
cell. The largest triangle at the outermost place still ends 1.2 pixels of 32 before the border."""

_SIDE = 32
_MAX_SCALE = 8
COUNTS = {"train": 10_000, "calibration": 2_000, "test": 5_000}
"""Samples of each split."""

DRAWS = 6
"""Uniform draws that an image takes."""

_STRONG, _WEAK = 220, 30
_SIGNS = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]])
_CHUNK_PIXELS = 2**20

# Measures for a disc of radius 1 and for the other shapes of its area: a square's half side, a triangle's distance from
# centre to edge, and half the width of a cross's arm, which is three times as long.
_HALF_SIDE = np.float32(np.sqrt(np.pi) / 2)
_APOTHEM = np.float32(np.sqrt(np.pi / np.sqrt(27.0)))
_ARM = np.float32(np.sqrt(np.pi / 20))
_SLOPE = np.float32(np.sqrt(0.75))

_LICENCE = "made by ganaudit from a written rule; no rights of others"
_RULE = (
    "built in: sample i of a split is drawn from the counter-based generator at (split, i) alone; train, calibration "
    "and test are independent draws from one law"
)


@dataclass(frozen=True, slots=True, eq=False)
class ShapeAttributes:
    """What N images show, one entry an image; drawn by the set's law, or read off images by the oracle."""

    shape: npt.NDArray[np.int64]
    """Place in SHAPES; -1 where the oracle cannot tell."""
    hue: npt.NDArray[np.int64]
    """Place in HUES; -1 where the oracle cannot tell."""
    size: npt.NDArray[np.float64]
    """Radius of the disc of equal area, as a share of the image's side."""
    x: npt.NDArray[np.float64]
    """Centre of mass from the left, as a share of the side; ``y`` from the top likewise."""
    y: npt.NDArray[np.float64]
    rotation: npt.NDArray[np.float64]
    """Degrees clockwise, 0 to the shape's entry in PERIODS; NaN for a disc."""
    background: npt.NDArray[np.float64]
    """Level of the grey behind the shape, 0 to 255."""
    confidence: npt.NDArray[np.float64]
    """How well the image agrees with the attributes, 0 to 1; 1 for attributes that were drawn."""

    def __len__(self) -> int:
        return len(self.shape)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> ShapeAttributes:
        """Return the entries at ``rows``."""
        return ShapeAttributes(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def load_shapes(
    scale: int = 1,
    size: tuple[int, int] | None = None,
    law: Sequence[Sequence[float]] | npt.NDArray[np.float64] | None = None,
    by_cell: bool = False,
) -> Reference:
    """Return coloured shapes as RGB images of 32·``scale`` squares: 10,000 train, 2,000 calibration, 5,000 test.

    Labels are the shapes; with ``by_cell`` shape and hue together, 24 classes in the order of LAW's rows. ``size`` is
    the height and width of a subject's samples; where it is given it decides the scale. ``law`` is the joint law of
    shape and hue, (4, 6), in place of LAW. Raises SourceError when the set does not come in that size or ``law`` is no
    law.
    """
    if size is not None:
        scale = _scale_of(size)
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise SourceError(f"shapes: scale {scale!r} was asked for; allowed are whole numbers from 1 to {_MAX_SCALE}")
    splits, name = {}, "shapes-by-cell" if by_cell else "shapes"
    for split, count in COUNTS.items():
        drawn = draw_shapes(split, 0, count, law)
        images = render_shapes(drawn, _SIDE * scale)
        splits[split] = Samples.of(
            images,
            "images",
            f"{name}/{split}",
            "built-in",
            labels=drawn.shape * len(HUES) + drawn.hue if by_cell else drawn.shape.copy(),
            classes=tuple(f"{hue} {shape}" for shape in SHAPES for hue in HUES) if by_cell else SHAPES,
        )
    from ganaudit.data.oracles.reading import SHAPES_ORACLE  # which itself reads this module

    return Reference.of(
        name,
        "built-in",
        splits,
        seen={"train": "seen", "calibration": "unseen", "test": "unseen"},
        rule=_RULE if law is None else f"{_RULE}; with a joint law of shape and hue that the caller gave",
        licence=_LICENCE,
        oracle=SHAPES_ORACLE,
    )


def load_shapes_by_cell(scale: int = 1, size: tuple[int, int] | None = None) -> Reference:
    """Return the images of :func:`load_shapes`, labelled by shape and hue together, as ``red disc``."""
    return load_shapes(scale, size, by_cell=True)


def draw_shapes(
    split: str,
    start: int,
    count: int,
    law: Sequence[Sequence[float]] | npt.NDArray[np.float64] | None = None,
) -> ShapeAttributes:
    """Return the attributes of samples ``start`` .. ``start + count - 1`` of a split.

    Sample i depends on (split, i) and the law alone. Raises SourceError when ``law`` is no law of 4 shapes and 6 hues.
    """
    return shapes_of(uniforms(child_seed(0, f"shapes/{split}"), 0, start, count, DRAWS), law)


def shapes_of(
    draws: npt.NDArray[np.float64], law: Sequence[Sequence[float]] | npt.NDArray[np.float64] | None = None
) -> ShapeAttributes:
    """Return the attributes that uniform draws, (N, 6) within 0..1, stand for; the first decides shape and hue.

    Raises SourceError as ``draw_shapes`` does.
    """
    edges = np.cumsum(_checked(law).ravel())
    u = draws.T
    # The last edge may be 1 - 2^-53 by rounding, and a cell of probability 0 must never be drawn: divide by it.
    cell = np.searchsorted(edges / edges[-1], u[0], side="right").astype(np.int64)
    shape, hue = np.divmod(cell, len(HUES))
    low, high = BACKGROUNDS
    return ShapeAttributes(
        shape,
        hue,
        SIZES[0] + (SIZES[1] - SIZES[0]) * u[1],
        PLACES[0] + (PLACES[1] - PLACES[0]) * u[2],
        PLACES[0] + (PLACES[1] - PLACES[0]) * u[3],
        np.where(shape == 0, np.nan, np.array(PERIODS)[shape] * u[4]),
        low + np.floor((high + 1 - low) * u[5]),
        np.ones(len(draws)),
    )


def render_shapes(attributes: ShapeAttributes, side: int) -> npt.NDArray[np.uint8]:
    """Return the images of ``attributes``, uint8 (N, side, side, 3).

    A pixel is background + coverage·(colour - background), rounded half up. Every machine gives the same values:
    after the cosine of the rotation only exactly rounded operations follow.
    """
    images = allocate((len(attributes), side, side, 3), np.dtype(np.uint8))
    table = colours().astype(np.float32)
    step = max(1, _CHUNK_PIXELS // side**2)
    for start in range(0, len(attributes), step):
        part = attributes.take(slice(start, start + step))
        cover = coverages(part, side)
        ground = part.background.astype(np.float32)[:, None, None]
        for channel in range(3):
            lift = table[part.hue, channel][:, None, None] - ground
            images[start : start + step, :, :, channel] = np.floor(ground + cover * lift + np.float32(0.5))
    return images


def colours() -> npt.NDArray[np.uint8]:
    """Return the colour of each hue, RGB (6, 3)."""
    return np.where(_SIGNS == 1, _STRONG, _WEAK).astype(np.uint8)


def coverages(attributes: ShapeAttributes, side: int) -> npt.NDArray[np.float32]:
    """Return the share of each pixel that the shape covers, (N, side, side), 0 to 1.

    It is 1/2 - d, clipped, for the signed distance d in pixels from the pixel's centre to the shape's edge (beyond a
    corner: to the farther of the two edges' lines): the exact share where an edge runs along the grid.
    """
    cover = np.empty((len(attributes), side, side), dtype=np.float32)
    for shape in range(len(SHAPES)):
        rows = np.flatnonzero(attributes.shape == shape)
        if len(rows):
            part = attributes.take(rows)
            distance = _distances(shape, *_local(part, side), (part.size * side).astype(np.float32)[:, None, None])
            cover[rows] = np.clip(np.float32(0.5) - distance, 0, 1)
    return cover


def _local(attributes: ShapeAttributes, side: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the pixels' centres in each shape's own axes, in pixels, two arrays (N, side, side)."""
    turn = np.deg2rad(np.nan_to_num(attributes.rotation))
    c, s = (part.astype(np.float32)[:, None] for part in (np.cos(turn), np.sin(turn)))
    centres = np.arange(side) + 0.5
    dx = (centres - side * attributes.x[:, None]).astype(np.float32)
    dy = (centres - side * attributes.y[:, None]).astype(np.float32)
    u = (c * dx)[:, None, :] + (s * dy)[:, :, None]
    v = (c * dy)[:, :, None] - (s * dx)[:, None, :]
    return u, v


def _distances(
    shape: int, u: npt.NDArray[np.float32], v: npt.NDArray[np.float32], r: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """Return signed distances to the edge of one shape, negative inside; ``r`` is the radius of equal area."""
    if shape == 0:
        distance: npt.NDArray[np.float32] = np.sqrt(u * u + v * v) - r
    elif shape == 1:
        distance = np.maximum(np.abs(u), np.abs(v)) - r * _HALF_SIDE
    elif shape == 2:
        distance = np.maximum(v, np.abs(u) * _SLOPE - v * np.float32(0.5)) - r * _APOTHEM
    else:
        # Of the two bars the pixel is nearer to the one along the axis on which it lies farther out.
        u, v, arm = np.abs(u), np.abs(v), r * _ARM
        distance = np.maximum(np.maximum(u, v) - 3 * arm, np.minimum(u, v) - arm)
    return distance


def _checked(law: Sequence[Sequence[float]] | npt.NDArray[np.float64] | None) -> npt.NDArray[np.float64]:
    if law is None:
        return LAW
    table = np.asarray(law, dtype=np.float64)
    if table.shape != LAW.shape or not (table >= 0).all() or not abs(table.sum() - 1) < 1e-9:
        raise SourceError(
            f"shapes: the joint law has the shape {table.shape}, the least entry {table.min(initial=0):g} and the sum "
            f"{table.sum():g}; allowed are {len(SHAPES)} rows (shapes) of {len(HUES)} entries (hues), none below 0, "
            "with the sum 1"
        )
    return table


def _scale_of(size: tuple[int, ...]) -> int:
    if len(size) == 2 and size[0] == size[1] and size[0] % _SIDE == 0 and 1 <= size[0] // _SIDE <= _MAX_SCALE:
        return size[0] // _SIDE
    found = f"{size[1]} wide and {size[0]} high" if len(size) == 2 else f"no images but of the size {size}"
    raise SourceError(
        f"shapes: the subject's samples are {found}; the built-in shapes come as squares of 32, 64, 96, ... "
        f"{_SIDE * _MAX_SCALE} pixels; name other real samples with --reference PATH, and --resize if their size "
        "differs too"
    )
