"""The oracles of the built-in sets, in the one form in which evaluators ask them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ganaudit.data.glyphs import GLYPHS, STACKED
from ganaudit.data.oracles.glyphs import glyphs_attributes, stacked_attributes
from ganaudit.data.oracles.oracle import Attribute, Oracle
from ganaudit.data.oracles.shapes import shapes_attributes
from ganaudit.data.oracles.tones import tones_attributes
from ganaudit.data.shapes import HUES, SHAPES
from ganaudit.data.tones import NOTES

__all__ = ["GLYPHS_ORACLE", "SHAPES_ORACLE", "STACKED_ORACLE", "TONES_ORACLE"]

_Read = npt.NDArray[np.int64]


def _shapes(images: npt.NDArray[Any]) -> _Read:
    found = shapes_attributes(images)
    known = (found.shape >= 0) & (found.hue >= 0)
    shape, hue = np.where(known, found.shape, -1), np.where(known, found.hue, -1)
    return np.stack([shape, hue, np.where(known, shape * len(HUES) + hue, -1)], axis=1)


def _glyphs(images: npt.NDArray[Any]) -> _Read:
    return glyphs_attributes(images).glyph[:, None]


def _stacked(images: npt.NDArray[Any]) -> _Read:
    return stacked_attributes(images).mode[:, None]


def _tones(waves: npt.NDArray[Any]) -> _Read:
    found = tones_attributes(waves)
    return np.where(found.on_grid, found.note, -1)[:, None]


SHAPES_ORACLE = Oracle(
    "shapes",
    (
        Attribute("shape", SHAPES),
        Attribute("hue", HUES),
        Attribute("hue and shape", tuple(f"{hue} {shape}" for shape in SHAPES for hue in HUES)),
    ),
    _shapes,
)
GLYPHS_ORACLE = Oracle("glyphs", (Attribute("character", tuple(GLYPHS)),), _glyphs)
STACKED_ORACLE = Oracle(
    "glyphs-stacked",
    (Attribute("mode", tuple(a + b + c for a in STACKED for b in STACKED for c in STACKED)),),
    _stacked,
)
TONES_ORACLE = Oracle("tones", (Attribute("note", NOTES),), _tones)
