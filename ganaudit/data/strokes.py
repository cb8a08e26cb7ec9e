"""The strokes of the set ``glyphs``: lines and arcs of our own, so that no version of a font can change them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt

__all__ = ["STROKES", "Arc", "Line", "segments"]

Line = tuple[tuple[float, float], ...]
"""Corners (x, y) in a box of height 1 and width 0.7 with its upper left corner at (0, 0); y points down."""

Arc = tuple[float, float, float, float, int, int]
"""Centre x and y, radii along x and y, first and last angle in degrees: 0 is right, 90 is down."""

STROKES: dict[str, tuple[Line | Arc, ...]] = {
    "2": ((0.35, 0.28, 0.32, 0.28, -170, 40), ((0.595, 0.46), (0.02, 1.0), (0.68, 1.0))),
    "3": (((0.05, 0.0), (0.62, 0.0), (0.3, 0.38)), (0.3, 0.69, 0.34, 0.31, -90, 140)),
    "4": (((0.52, 1.0), (0.52, 0.0), (0.0, 0.68), (0.7, 0.68)),),
    "5": (((0.62, 0.0), (0.12, 0.0), (0.08, 0.42)), (0.3, 0.68, 0.35, 0.32, -130, 140)),
    "6": ((0.35, 0.68, 0.32, 0.32, 0, 360), ((0.55, 0.0), (0.2, 0.3), (0.04, 0.62))),
    "7": (((0.02, 0.0), (0.68, 0.0), (0.25, 1.0)),),
    "9": ((0.35, 0.3, 0.3, 0.3, 0, 360), ((0.65, 0.3), (0.6, 0.66), (0.36, 1.0))),
    "C": ((0.4, 0.5, 0.36, 0.5, 45, 315),),
    "D": (((0.05, 0.0), (0.05, 1.0), (0.25, 1.0)), (0.25, 0.5, 0.42, 0.5, -90, 90), ((0.25, 0.0), (0.05, 0.0))),
    "E": (((0.66, 0.0), (0.06, 0.0), (0.06, 1.0), (0.66, 1.0)), ((0.06, 0.5), (0.54, 0.5))),
    "F": (((0.66, 0.0), (0.08, 0.0), (0.08, 1.0)), ((0.08, 0.48), (0.54, 0.48))),
    "G": ((0.38, 0.5, 0.36, 0.5, 0, 310), ((0.74, 0.5), (0.42, 0.5))),
    "J": (((0.2, 0.0), (0.6, 0.0), (0.6, 0.7)), (0.31, 0.7, 0.29, 0.3, 0, 150)),
    "K": (((0.06, 0.0), (0.06, 1.0)), ((0.64, 0.0), (0.06, 0.58)), ((0.28, 0.38), (0.66, 1.0))),
    "L": (((0.08, 0.0), (0.08, 1.0), (0.66, 1.0)),),
    "N": (((0.04, 1.0), (0.04, 0.0), (0.66, 1.0), (0.66, 0.0)),),
    "Q": ((0.35, 0.46, 0.35, 0.46, 0, 360), ((0.42, 0.66), (0.72, 1.04))),
    "R": (
        ((0.06, 1.0), (0.06, 0.0), (0.36, 0.0)),
        (0.36, 0.26, 0.3, 0.26, -90, 90),
        ((0.36, 0.52), (0.06, 0.52)),
        ((0.32, 0.52), (0.66, 1.0)),
    ),
    "S": ((0.36, 0.25, 0.3, 0.25, -30, -270), (0.36, 0.75, 0.32, 0.25, -90, 150)),
    "Z": (((0.02, 0.0), (0.66, 0.0), (0.02, 1.0), (0.68, 1.0)),),
    "a": (
        (0.33, 0.66, 0.3, 0.33, 0, 360),
        ((0.64, 0.3), (0.64, 1.0)),
    ),
    "b": (((0.05, 0.0), (0.05, 1.0)), (0.35, 0.67, 0.3, 0.32, 0, 360)),
    "h": (((0.06, 0.0), (0.06, 1.0)), (0.34, 0.62, 0.28, 0.26, -180, 0), ((0.62, 0.62), (0.62, 1.0))),
    "q": (((0.65, 0.0), (0.65, 1.0)), (0.35, 0.33, 0.3, 0.32, 0, 360)),
    "y": (((0.02, 0.0), (0.34, 0.55)), ((0.68, 0.0), (0.1, 1.0))),
}
"""What each character is drawn of."""

_ARC_STEP = 30


def segments(glyph: str) -> npt.NDArray[np.float64]:
    """Return the straight pieces of a character about its middle, (S, 4): x and y of the start, x and y of the end."""
    pieces: list[tuple[float, float, float, float]] = []
    for stroke in STROKES[glyph]:
        corners = _corners(stroke) if isinstance(stroke[0], float) else stroke
        pieces += [(*start, *end) for start, end in itertools.pairwise(corners)]
    lines = np.array(pieces)
    xs, ys = lines[:, ::2], lines[:, 1::2]
    middle = np.array([xs.min() + xs.max(), ys.min() + ys.max()] * 2) / 2
    return lines - middle


def _corners(arc: Arc) -> Line:
    x, y, rx, ry, first, last = arc
    count = max(1, round(abs(last - first) / _ARC_STEP))
    angles = [math.radians(first + (last - first) * i / count) for i in range(count + 1)]
    # Rounded, so that the last bit of a machine's cosine stays out of the images.
    return tuple((round(x + rx * math.cos(a), 6), round(y + ry * math.sin(a), 6)) for a in angles)
