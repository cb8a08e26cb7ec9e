"""Drawn characters, none of which is its own mirror image or another's: a set in which flips show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganaudit.data.oracles.oracle import Oracle
from ganaudit.data.samples import Samples
from ganaudit.data.splits import Reference
from ganaudit.data.storage import allocate
from ganaudit.data.strokes import STROKES, segments
from ganaudit.document.errors import SourceError
from ganaudit.numerics.randomness import child_seed, uniforms

__all__ = [
    "COUNTS",
    "DRAWS",
    "GLYPHS",
    "SCALES",
    "SHIFT",
    "SLANT",
    "STACKED",
    "THICKNESSES",
    "Drawing",
    "draw_glyphs",
    "glyphs_of",
    "load_glyphs",
    "load_stacked_glyphs",
    "render_glyphs",
]

GLYPHS = "".join(STROKES)
"""The characters in the order of their class numbers."""

STACKED = "2345679FGR"
"""The characters of the stacked set, in the order of the digits of its modes."""

SLANT, THICKNESSES, SCALES, SHIFT = 0.2, (0.085, 0.13), (0.85, 1.0), 0.06
"""Laws, each uniform and independent: slant within +-SLANT (shift to the right per height), thickness of the pen as a
share of the side, scale of the character, and shift of its centre within +-SHIFT of the side on each axis."""

DRAWS = 6
"""Uniform draws that a character takes."""

_SIDE = 16
_HEIGHT = 0.68
_MAX_SCALE = 16
COUNTS = {"train": 10_000, "calibration": 2_000, "test": 5_000}
"""Samples of each split."""
_CHUNK_PIXELS = 2**18
_LICENCE = "made by ganaudit from a written rule; no rights of others"
_RULE = (
    "built in: sample i of a split is drawn from the counter-based generator at (split, i) alone; train, calibration "
    "and test are independent draws from one law"
)


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """How N characters are drawn, one entry a character."""

    glyph: npt.NDArray[np.int64]
    """Place in GLYPHS."""
    slant: npt.NDArray[np.float64]
    thickness: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    x: npt.NDArray[np.float64]
    """Place of the character's centre from the left, as a share of the side; ``y`` from the top likewise."""
    y: npt.NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.glyph)

    def take(self, rows: npt.NDArray[np.int64] | slice) -> Drawing:
        """Return the entries at ``rows``."""
        return Drawing(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def load_glyphs(scale: int = 1, size: tuple[int, int] | None = None) -> Reference:
    """Return single characters as grey images of 16·``scale`` squares: 10,000 train, 2,000 calibration, 5,000 test.

    Labels are the characters, each as likely as the others. ``size`` is the height and width of a subject's samples;
    where it is given it decides the scale. Raises SourceError when the set does not come in that size.
    """
    side = _side(scale, size)
    splits = {}
    for split, count in COUNTS.items():
        drawn = draw_glyphs(f"glyphs/{split}", 0, count)
        splits[split] = _samples(f"glyphs/{split}", render_glyphs(drawn, side)[..., None], drawn.glyph, tuple(GLYPHS))
    from ganaudit.data.oracles.reading import GLYPHS_ORACLE  # which itself reads this module

    return _reference("glyphs", splits, GLYPHS_ORACLE)


def load_stacked_glyphs(scale: int = 1, size: tuple[int, int] | None = None) -> Reference:
    """Return RGB images of three independent characters of STACKED, one a channel: 1,000 modes, each as likely.

    Sizes, splits and errors are those of ``load_glyphs``. Labels are the modes, 0 to 999: the places in STACKED of the
    red, green and blue character are hundreds, tens and units.
    """
    side = _side(scale, size)
    classes = tuple(a + b + c for a in STACKED for b in STACKED for c in STACKED)
    splits = {}
    for split, count in COUNTS.items():
        images, modes = allocate((count, side, side, 3), np.dtype(np.uint8)), np.zeros(count, dtype=np.int64)
        for channel in range(3):
            drawn = draw_glyphs(f"glyphs-stacked/{split}/{channel}", 0, count, STACKED)
            images[..., channel] = render_glyphs(drawn, side)
            modes = 10 * modes + np.array([STACKED.find(glyph) for glyph in GLYPHS])[drawn.glyph]
        splits[split] = _samples(f"glyphs-stacked/{split}", images, modes, classes)
    from ganaudit.data.oracles.reading import STACKED_ORACLE  # as above

    return _reference("glyphs-stacked", splits, STACKED_ORACLE)


def draw_glyphs(name: str, start: int, count: int, among: str = GLYPHS) -> Drawing:
    """Return how the characters ``start`` .. ``start + count - 1`` of the stream ``name`` are drawn.

    The character is one of ``among``, each as likely; character i depends on (name, i) and ``among`` alone.
    """
    return glyphs_of(uniforms(child_seed(0, name), 0, start, count, DRAWS), among)


def glyphs_of(draws: npt.NDArray[np.float64], among: str = GLYPHS) -> Drawing:
    """Return the characters that uniform draws, (N, 6) within 0..1, stand for; the first decides which one it is."""
    u = draws.T
    places = np.array([GLYPHS.index(glyph) for glyph in among], dtype=np.int64)
    return Drawing(
        places[np.floor(u[0] * len(among)).astype(np.int64)],
        SLANT * (2 * u[1] - 1),
        THICKNESSES[0] + (THICKNESSES[1] - THICKNESSES[0]) * u[2],
        SCALES[0] + (SCALES[1] - SCALES[0]) * u[3],
        0.5 + SHIFT * (2 * u[4] - 1),
        0.5 + SHIFT * (2 * u[5] - 1),
    )


def render_glyphs(drawing: Drawing, side: int) -> npt.NDArray[np.uint8]:
    """Return the characters white on black, uint8 (N, side, side).

    A pixel is 255·(1/2 + thickness/2 - d), clipped to 0..255 and rounded half up, d the distance in pixels from its
    centre to the nearest stroke: a pen of even thickness with round ends. Only exactly rounded operations are used, so
    every machine gives the same values.
    """
    images = allocate((len(drawing), side, side), np.dtype(np.uint8))
    step = max(1, _CHUNK_PIXELS // side**2)
    for glyph in np.unique(drawing.glyph):
        rows = np.flatnonzero(drawing.glyph == glyph)
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            part = drawing.take(some)
            pen = (part.thickness * side / 2 + 0.5).astype(np.float32)[:, None, None]
            share = pen - _distances(_placed(segments(GLYPHS[glyph]), part, side), side)
            images[some] = np.floor(np.clip(share, 0, 1) * np.float32(255) + np.float32(0.5))
    return images


def _placed(lines: npt.NDArray[np.float64], drawing: Drawing, side: int) -> npt.NDArray[np.float32]:
    """Return each character's segments in pixels, (S, 4, N, 1, 1): x and y of the start, x and y of the end."""
    grow = _HEIGHT * side * drawing.scale
    placed = []
    for x, y in ((lines[:, :1], lines[:, 1:2]), (lines[:, 2:3], lines[:, 3:])):
        placed += [side * drawing.x + grow * (x - drawing.slant * y), side * drawing.y + grow * y]
    return np.stack(placed, axis=1).astype(np.float32)[..., None, None]


def _distances(placed: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Return the distance of every pixel's centre to the nearest of the segments, (N, side, side), in pixels."""
    x = (np.arange(side, dtype=np.float32) + np.float32(0.5))[None, None, :]
    y = x.transpose(0, 2, 1)
    nearest = np.full((placed.shape[2], side, side), np.inf, dtype=np.float32)
    for ax, ay, bx, by in placed:
        ex, ey = bx - ax, by - ay
        along = (x - ax) * ex + (y - ay) * ey
        t = np.clip(along / (ex * ex + ey * ey), 0, 1)
        dx, dy = (x - ax) - t * ex, (y - ay) - t * ey
        np.minimum(nearest, dx * dx + dy * dy, out=nearest)
    return np.sqrt(nearest)


def _samples(
    name: str, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: tuple[str, ...]
) -> Samples:
    return Samples.of(images, "images", name, "built-in", labels=labels.copy(), classes=classes)


def _reference(name: str, splits: dict[str, Samples], oracle: Oracle) -> Reference:
    return Reference.of(
        name,
        "built-in",
        splits,
        seen={"train": "seen", "calibration": "unseen", "test": "unseen"},
        rule=_RULE,
        licence=_LICENCE,
        oracle=oracle,
    )


def _side(scale: int, size: tuple[int, ...] | None) -> int:
    if size is not None:
        return _checked(size)
    if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= _MAX_SCALE:
        raise SourceError(f"glyphs: scale {scale!r} was asked for; allowed are whole numbers from 1 to {_MAX_SCALE}")
    return _SIDE * scale


def _checked(size: tuple[int, ...]) -> int:
    if len(size) == 2 and size[0] == size[1] and size[0] % _SIDE == 0 and 1 <= size[0] // _SIDE <= _MAX_SCALE:
        return size[0]
    found = f"{size[1]} wide and {size[0]} high" if len(size) == 2 else f"no images but of the size {size}"
    raise SourceError(
        f"glyphs: the subject's samples are {found}; the built-in glyphs come as squares of 16, 32, 48, ... "
        f"{_SIDE * _MAX_SCALE} pixels; name other real samples with --reference PATH, and --resize if their size "
        "differs too"
    )
