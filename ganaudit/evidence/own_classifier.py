"""An attribute read by a classifier of the user's own, its errors known from labelled reals that it is tried on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.document.errors import ExtractorError
from ganaudit.evidence.attributes import Reading, beats_chance, confusion_of, has_held_out, refused
from ganaudit.evidence.handing import handed
from ganaudit.evidence.judging import chosen, portions
from ganaudit.evidence.view import View
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import ExtractorOptions, block_of
from ganaudit.features.module import Module
from ganaudit.numerics.class_shares import Confusion

__all__ = ["Own", "check_given", "own_classifier", "own_reading"]

_Found = npt.NDArray[np.int64]
_UNKNOWN: _Found = np.full(0, -1, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A classifier from a file."""

    network: Module
    file: str
    values: tuple[str, ...]
    """What its answers stand for; numbers where the declaration does not name them."""
    is_named: bool

    def said(self, view: View, x: Tensor) -> _Found:
        """Return the place in ``values`` that it gives each of the samples ``x``, as a file would hold them."""
        subject = view.subject
        given = handed(x, subject.sample.low, subject.sample.high, "round")
        block = block_of(self.network, subject.device)
        found = extracted(self.network.extract, given, block, subject.device, subject.room)
        return found.get("logits", found["features"]).argmax(1).numpy()


@dataclass(frozen=True, slots=True, eq=False)
class _Read:
    """Some samples of a side."""

    rows: _Found
    said: _Found
    true: _Found
    """-1 where nothing says so."""


def check_given(file: str) -> None:
    """Raise ValueError when the classifier ``file``, or its declaration beside it, is not there: before any work."""
    path = Path(file)
    for what, asked in (("the program", path), ("its declaration", path.with_suffix(".toml"))):
        if not asked.is_file():
            raise ValueError(
                f"classifier: {what} {asked}: no such file; allowed: a .pt2 or TorchScript program with its "
                "declaration NAME.toml beside it, which says what it takes, as for the extractor module"
            )


def own_classifier(view: View, file: str) -> Own | str:
    """Return the classifier in ``file``, vetted and tried as an extractor from a file is, or why it cannot be used."""
    options = ExtractorOptions(view.subject.sample.shape, weights=Path(file), device=view.subject.device)
    try:
        network = Module(options)
    except ExtractorError as error:
        return f"the classifier {file} cannot be used: {error}"
    outputs = network.classes or network.dimensions
    if outputs < 2:
        return f"the classifier {file} gives {outputs} number for a sample; allowed: one for each of 2 values or more"
    named = network.names
    if named and len(named) != outputs:
        return f"the classifier {file} gives {outputs} numbers for a sample; its declaration names {len(named)} classes"
    return Own(network, file, named or tuple(str(i) for i in range(outputs)), bool(named))


def own_reading(view: View, own: Own, name: str, samples: int, rng: np.random.Generator) -> Reading | str:
    """Return the attribute ``name`` of both sides as ``own`` reads it, or in words why nothing follows from that.

    Where reals have it as their label (``name`` is "class"), or the oracle of the reference reads one of that name, the
    classifier's errors are those on reals held out from the training, and are taken out. A classifier that is no better
    than chance on them is refused. Elsewhere what it says of generated samples is held against what it says of reals.
    """
    missing = [view.missing(f"values/{side}") for side in ("real", "fake")]
    if any(missing):
        return f"0 samples can be read by {own.file}: {missing[0] or missing[1]}"
    values = _values(view, name)
    order = None if values is None else _placed(own, name, values)
    if isinstance(order, str):
        return order
    if order is not None and not has_held_out(view):
        return (
            f"needs held-out reals, and 0 are left: {view.against} holds the train split, which classifiers come from"
        )
    read = partial(_side, view, own, name, samples, rng, order)
    sides = {side: read(side) for side in ("real", "fake")}
    train = None if view.missing("values/train") is not None else read("train")
    names, source = own.values if values is None else values, f"the classifier {Path(own.file).name}"
    confusion, right = None, None
    if values is None:
        if len(np.unique(np.concatenate([sides["real"].said, sides["fake"].said]))) < 2:
            return (
                f"{source} says {names[int(sides['real'].said[0])]} of all {len(sides['real'].said)} reals and all "
                f"{len(sides['fake'].said)} generated samples, and 0 reals have a label of {name}: nothing shows that "
                "it tells anything apart, and shares do not follow from what it says"
            )
        source += f", whose errors are not known (0 reals have a label of {name})"
    else:
        tried = _tried(sides["real"], names, f"{source} of {name}")
        if isinstance(tried, str):
            return tried
        confusion, right = tried
    target, target_name, is_fixed = _target(view, name, values is not None, sides["real"], train)
    real, fake = sides["real"], sides["fake"]
    return Reading(
        name, names, source, fake.said, fake.rows, real.said, real.rows, confusion, right,
        np.bincount(target[(target >= 0) & (target < len(names))], minlength=len(names)).astype(np.int64),
        target_name, is_fixed, real.said, f"{len(real.said)} {view.against} reals",
        lambda x: _placed_as(order, own.said(view, x)),
    )  # fmt: skip


def _tried(real: _Read, names: tuple[str, ...], source: str) -> tuple[Confusion | None, tuple[int, int]] | str:
    """Return the confusion on labelled reals where it can be taken out, and how many are right; or why not to go on."""
    known = real.true >= 0
    confusion, right = confusion_of(real.said[known], real.true[known], len(names))
    if confusion.has_inverse:
        return confusion, right
    if not confusion.is_full and beats_chance(right, names):
        return None, right
    return refused(source, confusion, right, names)


def _values(view: View, name: str) -> tuple[str, ...] | None:
    """Return the names of the values that reals are known to have, or None where nothing tells their ``name``."""
    if name == "class" and view.missing("labels/real") is None:
        top = int(view["labels/real"].max())
        return view.label_classes if len(view.label_classes) > top else tuple(str(i) for i in range(top + 1))
    attributes = () if view.oracle is None else view.oracle.attributes
    return next((one.values for one in attributes if one.name == name), None)


def _placed(own: Own, name: str, values: tuple[str, ...]) -> _Found | str:
    """Return the place in ``values`` of each answer, or why the two do not match."""
    if len(own.values) == len(values) > 1 and not own.is_named:
        return np.arange(len(values))
    if len(values) > 1 and sorted(own.values) == sorted(values):
        return np.array([values.index(one) for one in own.values])
    listed = [", ".join(some[:8]) + (", ..." if len(some) > 8 else "") for some in (own.values, values)]
    return (
        f"the classifier {own.file} tells {len(own.values)} values ({listed[0]}), and reals have {len(values)} of "
        f"{name} ({listed[1]}): they do not match; name them alike in its declaration (classes), or call the attribute "
        "by another name"
    )


def _placed_as(order: _Found | None, said: _Found) -> _Found:
    return said if order is None else order[said]


def _side(
    view: View, own: Own, name: str, samples: int, rng: np.random.Generator, order: _Found | None, side: str
) -> _Read:
    rows = np.asarray(chosen(view, side, view.count(f"values/{side}"), samples, rng), dtype=np.int64)
    told = _told(view, name, side, rows) if order is not None and side != "fake" else None
    said, true = [], []
    for x, _ in portions(view, side, rows.tolist()):
        said.append(_placed_as(order, own.said(view, x)))
        true.append(_UNKNOWN if told is None else told(x))
    return _Read(rows, np.concatenate(said), np.concatenate(true))


def _told(view: View, name: str, side: str, rows: _Found) -> Callable[[Tensor], _Found]:
    """Return what tells the truth of the next samples of ``rows``, in order."""
    if name == "class":
        left = iter(view[f"labels/{side}"][torch.from_numpy(rows)].tolist())
        return lambda x: np.array([next(left) for _ in range(len(x))], dtype=np.int64)
    oracle, sample = view.oracle, view.subject.sample
    assert oracle is not None
    at = next(i for i, one in enumerate(oracle.attributes) if one.name == name)

    def read(x: Tensor) -> _Found:
        given = handed(x, sample.low, sample.high, "round")
        return oracle.read((given.permute(0, 2, 3, 1) if given.ndim == 4 else given).contiguous().numpy())[:, at]

    return read


def _target(view: View, name: str, is_known: bool, real: _Read, train: _Read | None) -> tuple[_Found, str, bool]:
    """Return what the shares are held against, in words, and whether it is all of a training set as labelled."""
    if name == "class" and is_known and view.missing("labels/train") is None:
        labels = view["labels/train"].numpy()
        return labels, f"{len(labels)} train reals", True
    side = real if train is None else train
    found = side.true if is_known else side.said
    told = "" if is_known else ", read alike"
    return found, f"{len(found)} {view.against if train is None else 'train'} reals{told}", False
