"""Attributes read off samples: by the oracle of a built-in set, the extractor's classifier, a probe, or from labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ganaudit.data.oracles.oracle import Oracle
from ganaudit.evidence.handing import handed
from ganaudit.evidence.judging import chosen, portions
from ganaudit.evidence.view import View
from ganaudit.numerics.class_probe import ClassProbe
from ganaudit.numerics.class_shares import FEWEST, Confusion
from ganaudit.numerics.intervals import clopper_pearson

__all__ = [
    "SOURCES",
    "Reading",
    "Source",
    "beats_chance",
    "class_reading",
    "confusion_of",
    "has_held_out",
    "oracle_readings",
    "refused",
]

Source: TypeAlias = Literal["auto", "oracle", "classifier", "probe", "labels"]
SOURCES: tuple[str, ...] = get_args(Source)
_Found: TypeAlias = npt.NDArray[np.int64]
_Rng: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One attribute of both sides' samples, -1 where it cannot be told, and what it is held against."""

    name: str
    values: tuple[str, ...]
    source: str
    """What read it, in words."""
    fake: _Found
    fake_rows: _Found
    """The generated samples that were read."""
    real: _Found
    """Of the reals ``real_rows``, as read."""
    real_rows: _Found
    confusion: Confusion | None
    """None where what was read counts as true."""
    right: tuple[int, int] | None
    """Held-out reals that are read as they are labelled, and all of them."""
    target: _Found
    """(K,): samples of each value among the reals that the shares are held against."""
    target_name: str
    is_fixed: bool
    """Whether ``target`` is all of a training set, and so without chance."""
    stand_in: _Found
    """Reals read as generated samples are."""
    stand_in_name: str
    read: Callable[[Tensor], _Found] | None
    """Reads samples of the evaluator's own, in the subject's range."""

    def counts(self, found: _Found) -> _Found:
        """Return how often each value was read, (K,)."""
        return np.bincount(found[found >= 0], minlength=len(self.values)).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class _Reader:
    """A way to read the class."""

    source: str
    side: Callable[[str], tuple[_Found, _Found]]
    """Numbers of the samples of a side that it reads, and what it reads off them."""
    of: Callable[[Tensor], _Found] | None
    real_rows: _Found
    """Labelled reals that it was not made from."""
    is_exact: bool = False


def class_reading(view: View, source: Source, samples: int, rng: _Rng) -> Reading | str:
    """Return the class of both sides' samples, read by ``source``, or in words why there is none.

    "auto" takes the first that can be had and is better than chance: the oracle, the extractor's classifier, a probe of
    the features fitted to half of the labelled reals, the labels that samples came with.
    """
    if view.missing("labels/real") is not None:
        return f"needs labelled reals, of 2 classes or more: {view.missing('labels/real')}"
    labels = view["labels/real"].numpy()
    known, top = np.flatnonzero(labels >= 0), int(labels.max())
    names = view.label_classes if len(view.label_classes) > top else tuple(str(i) for i in range(top + 1))
    if len(names) < 2 or not len(known):
        return f"needs 2 classes of labelled reals; there are {len(names)}, and {len(known)} reals with a label"
    reasons = []
    for reader in _readers(view, source, labels, known, names, samples, rng):
        if isinstance(reader, str):
            reasons.append(reader)
            continue
        rows = reader.real_rows
        found = reader.side("real")[1][rows] if reader.of else labels[rows]
        confusion, right = confusion_of(found, labels[rows], len(names))
        if reader.is_exact or confusion.has_inverse or (not confusion.is_full and beats_chance(right, names)):
            used = confusion if confusion.has_inverse and reader.of else None
            return _reading(view, reader, names, found, used, right, labels[known])
        reasons.append(refused(reader.source, confusion, right, names))
    return "; ".join(reasons) or "nothing reads the class of generated samples: 0 ways can be had"


def oracle_readings(view: View, samples: int, rng: _Rng) -> list[Reading]:
    """Return what the oracle of the reference reads besides its labels; its answers count as true."""
    oracle = view.oracle
    if oracle is None or any(view.missing(f"values/{side}") for side in ("real", "fake")):
        return []
    has_train = view.missing("values/train") is None
    asked = ["real", "fake", *(["train"] if has_train else [])]
    sides = {side: _asked(view, oracle, side, samples, rng) for side in asked}
    # Last, so that no number depends on whether there is a null.
    has_spare = not has_train and view.missing("values/null-fake") is None
    spare = _asked(view, oracle, "null-fake", samples, rng)[1] if has_spare else None
    found = []
    for at, attribute in enumerate(oracle.attributes):
        if attribute.values == view.label_classes:
            continue
        column = {side: read[:, at] for side, (_, read) in sides.items()}
        real, target = column["real"], column.get("train", column["real"])
        stand_in = real if spare is None else spare[:, at]
        found.append(
            Reading(
                attribute.name,
                attribute.values,
                f"the oracle of {oracle.name}",
                column["fake"],
                sides["fake"][0],
                real,
                sides["real"][0],
                None,
                None,
                np.bincount(target[target >= 0], minlength=len(attribute.values)).astype(np.int64),
                f"{len(target)} {'train' if has_train else view.against} reals",
                False,
                stand_in,
                f"{len(stand_in)} {'other' if has_spare else view.against} reals",
                lambda x, at=at: _read(view, oracle, x)[:, at],  # type: ignore[misc]
            )
        )
    return found


def _readers(
    view: View, source: Source, labels: _Found, known: _Found, names: tuple[str, ...], samples: int, rng: _Rng
) -> Iterator[_Reader | str]:
    """Yield the ways to read the class, the best first, or why one cannot be had."""
    if source in ("auto", "oracle"):
        yield from _by_oracle(view, labels, names, samples, rng)
    if source in ("auto", "classifier", "probe") and not has_held_out(view):
        yield f"needs held-out reals, and 0 are left: {view.against} holds the train split, which classifiers come from"
    elif source in ("auto", "classifier") and _classifies(view, names):
        yield _Reader("the extractor's classifier", partial(_most, view), lambda x: _top(view.logits_of(x)), known)
    elif source == "classifier":
        yield f"the extractor is no classifier of the {len(names)} classes of the reference"
    if source in ("auto", "probe") and has_held_out(view):
        yield _by_probe(view, labels, known, len(names), rng)
    if source in ("auto", "labels"):
        yield from _by_labels(view, known)


def has_held_out(view: View) -> bool:
    """Return whether the reals compared with are such as no classifier was fitted to."""
    return view.against in ("test", "calibration") or view.missing("labels/train") is not None


def _classifies(view: View, names: tuple[str, ...]) -> bool:
    return not any(view.missing(f"logits/{side}") for side in ("real", "fake")) and len(view.classes) == len(names)


def _reading(
    view: View, reader: _Reader, names: tuple[str, ...], real: _Found, confusion: Confusion | None,
    right: tuple[int, int], labels: _Found,
) -> Reading:  # fmt: skip
    has_train = view.missing("labels/train") is None
    train = view["labels/train"].numpy() if has_train else labels
    target = np.bincount(train[(train >= 0) & (train < len(names))], minlength=len(names)).astype(np.int64)
    has_spare = not has_train and view.missing("features/null-fake") is None
    fake_rows, fake = reader.side("fake")
    return Reading(
        "class",
        names,
        reader.source,
        fake,
        fake_rows,
        real,
        reader.real_rows,
        confusion,
        right if reader.of else None,
        target,
        f"{len(train)} {'train' if has_train else view.against} reals",
        has_train,
        reader.side("null-fake")[1] if has_spare else real,
        view.null_rule if has_spare else f"{len(real)} {view.against} reals",
        reader.of,
    )


def _by_oracle(view: View, labels: _Found, names: tuple[str, ...], samples: int, rng: _Rng) -> Iterator[_Reader]:
    oracle = view.oracle
    if oracle is None or any(view.missing(f"values/{side}") for side in ("real", "fake")):
        return
    at = next((i for i, one in enumerate(oracle.attributes) if one.values == names), None)
    if at is None:
        return
    real_rows, real = _asked(view, oracle, "real", samples, rng)
    spread = np.full(len(labels), -1, np.int64)
    spread[real_rows] = real[:, at]

    def side(name: str) -> tuple[_Found, _Found]:
        if name == "real":
            return np.arange(len(labels)), spread
        rows, found = _asked(view, oracle, name, samples, rng)
        return rows, found[:, at]

    yield _Reader(
        f"the oracle of {oracle.name}",
        side,
        lambda x: _read(view, oracle, x)[:, at],
        real_rows[labels[real_rows] >= 0],
        True,
    )


def _by_probe(view: View, labels: _Found, known: _Found, classes: int, rng: _Rng) -> _Reader | str:
    if len(known) < 4:
        return f"a probe needs 4 labelled reals; there are {len(known)}"
    order = rng.permutation(known)
    half, rest = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    features = view["features/real"]
    probe = ClassProbe.fitted(features[torch.from_numpy(half)], torch.from_numpy(labels[half]), classes)

    def side(name: str) -> tuple[_Found, _Found]:
        found = torch.cat([probe.said(rows) for _, rows in view.blocks(f"features/{name}")]).numpy()
        return np.arange(len(found)), found

    source = f"a probe of the features fitted to {len(half)} reals"
    return _Reader(source, side, lambda x: probe.said(view.features_of(x)).numpy(), rest)


def _by_labels(view: View, known: _Found) -> Iterator[_Reader | str]:
    if view.missing("values/fake") is None and view.subject.samples is None:
        yield "0 labels came with generated samples: those a generator is told say what was asked for, not what it made"
    elif view.missing("labels/fake") is not None:
        yield f"0 labels of generated samples fit: {view.missing('labels/fake')}"
    else:

        def side(name: str) -> tuple[_Found, _Found]:
            labels = view[f"labels/{name}"].numpy()
            return np.arange(len(labels)), labels

        yield _Reader("the labels that the samples came with", side, None, known, True)


def _asked(view: View, oracle: Oracle, side: str, samples: int, rng: _Rng) -> tuple[_Found, _Found]:
    rows = chosen(view, side, view.count(f"values/{side}"), samples, rng)
    return np.asarray(rows, dtype=np.int64), np.concatenate(
        [_read(view, oracle, x) for x, _ in portions(view, side, rows)]
    )


def _read(view: View, oracle: Oracle, x: Tensor) -> _Found:
    sample = view.subject.sample
    given = handed(x, sample.low, sample.high, "round")
    return oracle.read((given.permute(0, 2, 3, 1) if given.ndim == 4 else given).contiguous().numpy())


def confusion_of(found: _Found, labels: _Found, classes: int) -> tuple[Confusion, tuple[int, int]]:
    """Return how what was read, -1 where it cannot be told, goes with the labels, and how many are right of all."""
    told = found >= 0
    confusion = Confusion.of(found[told], labels[told], classes)
    return confusion, (confusion.right, len(labels))


def refused(source: str, confusion: Confusion, right: tuple[int, int], names: tuple[str, ...]) -> str:
    """Return by which rule shares do not follow from what ``source`` says, with what was found and what is asked."""
    found = right[0] / right[1] if right[1] else 0.0
    words = (
        f"{source} is right for {right[0]} of {right[1]} held-out reals ({found:.3g}; guessing among {len(names)} "
        f"values gives {1 / len(names):.3g})"
    )
    if confusion.is_full:
        asked = "its errors can be taken out only where it tells every two values apart beyond the noise of these reals"
    else:
        few = int((confusion.sizes < FEWEST).sum())
        asked = (
            f"{few} values have fewer than the {FEWEST} reals from which errors are taken out, and without that it "
            f"must be right in more than {2 / len(names):.3g}, twice as often as guessing, with 99 % confidence"
        )
    return f"{words}; {asked}: shares do not follow from what it says"


def beats_chance(right: tuple[int, int], names: tuple[str, ...]) -> bool:
    """Return whether so many right of so many are surely above twice what guessing among the names gives."""
    return right[1] > 0 and clopper_pearson(*right, 0.99).low > 2 / len(names)


def _most(view: View, side: str) -> tuple[_Found, _Found]:
    found = torch.cat([rows.argmax(1) for _, rows in view.blocks(f"logits/{side}")]).numpy()
    return np.arange(len(found)), found


def _top(logits: Tensor) -> _Found:
    return logits.argmax(1).numpy()
