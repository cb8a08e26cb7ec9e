"""The built-in sets as functions of uniform draws: what a generator that knew their law would compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from ganaudit.data import digits, glyphs, shapes, tones
from ganaudit.numerics.randomness import child_seed, generator, uniforms

__all__ = ["LAWS", "NO_ROW", "Law", "places_of"]

NO_ROW = -1
"""In place of the number of a train sample: the sample is none."""

_NOTE_LENGTH = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Law:
    """How samples of one set come about."""

    name: str
    draws: int
    """Uniform draws that a sample takes."""
    shares: npt.NDArray[np.float64]
    """Probability of each mode; the first draw decides which, in this order."""
    rows: int
    """Samples of the train split."""
    known: Callable[[], npt.NDArray[np.float64]]
    """The draws of the train split, (rows, draws)."""
    made: Callable[[npt.NDArray[np.float64], npt.NDArray[np.int64]], npt.NDArray[np.float32]]
    """(draws (N, draws), numbers of train samples (N,) or NO_ROW) -> samples (N, C, ...) in -1..1."""

    def sample(
        self, draws: npt.NDArray[np.float64], rows: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.float32]:
        """Return the samples of ``draws``, (N, C, H, W) or (N, C, T) in -1..1.

        Where ``rows`` (N,) is a number of the train split the sample is that one, value for value.
        """
        if rows is None:
            rows = np.full(len(draws), NO_ROW, dtype=np.int64)
        own = np.where(rows[:, None] == NO_ROW, draws, self.known()[np.maximum(rows, 0)])
        return self.made(own, rows)


def places_of(u: npt.NDArray[np.float64], shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the mode that each uniform draw ``u`` (N,) picks by ``shares``: the inverse of their running sum."""
    edges = np.cumsum(shares)
    return np.searchsorted(edges / edges[-1], u, side="right").clip(max=len(shares) - 1).astype(np.int64)


def _values(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Return levels 0..255 (N, H, W, C) as values in -1..1, (N, C, H, W)."""
    values: npt.NDArray[np.float32] = (images.astype(np.float64) / 127.5 - 1).astype(np.float32)
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2))


@cache
def _known_of(name: str, rows: int, draws: int) -> npt.NDArray[np.float64]:
    return uniforms(child_seed(0, f"{name}/train"), 0, 0, rows, draws)


def _glyphs(u: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return _values(glyphs.render_glyphs(glyphs.glyphs_of(u), 16)[..., None])


def _shapes(u: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    return _values(shapes.render_shapes(shapes.shapes_of(u), 32))


def _tones(u: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    def noise(first: int, count: int) -> npt.NDArray[np.float64]:
        # Of a train sample its own; of every other one that its draws decide, so that equal draws sound alike.
        return np.stack(
            [
                tones.noise_of("train", int(row), 1, _NOTE_LENGTH)[0]
                if row != NO_ROW
                else generator(0, own.tobytes().hex()).uniform(-1, 1, _NOTE_LENGTH)
                for row, own in zip(rows[first : first + count], u[first : first + count], strict=True)
            ]
        )

    return tones.sound_tones(tones.tones_of(u), _NOTE_LENGTH, noise)


def _digits(u: npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    held = _digits_held()
    return _values(held[np.floor(u[:, 0] * len(held)).astype(np.int64)])


@cache
def _digits_held() -> npt.NDArray[np.uint8]:
    array: npt.NDArray[np.uint8] = digits.load_digits().split("train").array
    return array


def _digits_known() -> npt.NDArray[np.float64]:
    return (np.arange(_DIGITS) + 0.5)[:, None] / _DIGITS


_DIGITS = 898

LAWS: Mapping[str, Law] = {
    law.name: law
    for law in (
        Law(
            "glyphs",
            glyphs.DRAWS,
            np.full(len(glyphs.GLYPHS), 1 / len(glyphs.GLYPHS)),
            glyphs.COUNTS["train"],
            lambda: _known_of("glyphs", glyphs.COUNTS["train"], glyphs.DRAWS),
            _glyphs,
        ),
        Law(
            "shapes",
            shapes.DRAWS,
            shapes.LAW.ravel(),
            shapes.COUNTS["train"],
            lambda: _known_of("shapes", shapes.COUNTS["train"], shapes.DRAWS),
            _shapes,
        ),
        Law(
            "tones",
            tones.DRAWS,
            tones.NOTE_LAW,
            tones.COUNTS["train"],
            lambda: _known_of("tones", tones.COUNTS["train"], tones.DRAWS),
            _tones,
        ),
        # No law of handwriting is known: the draw picks a train sample, so everything it makes is a copy.
        Law("digits", 1, np.ones(1), _DIGITS, _digits_known, _digits),
    )
}
"""By the name of the set."""
