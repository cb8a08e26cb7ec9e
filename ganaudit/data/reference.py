"""A reference from what a user writes: a built-in set's name, named splits, or a path."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ganaudit.data.options import ReadOptions
from ganaudit.data.reading import read_samples
from ganaudit.data.samples import Samples
from ganaudit.data.splits import SPLITS, Reference, Seen, check_matches
from ganaudit.data.statistics import is_statistics, read_statistics
from ganaudit.document.errors import SourceError, nearest
from ganaudit.progress import Progress, Silent

__all__ = ["SPLITS", "Datasets", "Reference", "Seen", "check_matches", "load_reference", "parse_splits"]

Datasets: TypeAlias = Callable[[str], Callable[..., Reference] | None]
"""Finds the loader of a built-in set by name. It is called with ``size=(height, width)`` when that is known."""

_NAMED = re.compile(r"([A-Za-z][\w-]*)=")
_BETWEEN = re.compile(r",\s*(?=[A-Za-z][\w-]*=)")
_SILENT = Silent()
_SPLIT_RULE = (
    "one source, split by a fixed rule: row numbers i in the order of sha256('ganaudit-split/i'); the first third is "
    "calibration, the rest test; whether the subject saw them is unknown"
)
_WHOLE_RULE = "one source, used as it stands: every row is in test; whether the subject saw them is unknown"
_NAMED_RULE = "splits named by the user: train was seen in training, the others were not"


def load_reference(
    spec: str | Mapping[str, str],
    options: ReadOptions,
    datasets: Datasets,
    progress: Progress = _SILENT,
    size: tuple[int, int] | None = None,
) -> Reference:
    """Return the reference that ``spec`` means; raises SourceError when it cannot be found, read or used.

    ``size`` is the height and width of the subject's samples, for built-in sets that come in several.
    """
    if not isinstance(spec, str):
        return _from_splits({_known_split(name, dict(spec)): path for name, path in spec.items()}, options, progress)
    path = Path(spec).expanduser()
    loader = datasets(spec)
    if loader is not None:
        return loader() if size is None else loader(size=size)
    if not spec.strip():
        raise SourceError(f"the reference is empty; {_FORMS}")
    if not path.exists() and _NAMED.match(spec):
        return _from_splits(parse_splits(spec), options, progress)
    if not path.exists():
        raise SourceError(f"reference {spec}: neither a built-in set nor a file or folder that is there; {_FORMS}")
    return _from_path(path, options, progress)


def parse_splits(spec: str) -> dict[str, str]:
    """Return the paths by split of ``train=PATH,calibration=PATH,test=PATH``; raises SourceError for other names.

    A path may hold ``=`` and commas; only a comma followed by ``name=`` begins the next split.
    """
    splits: dict[str, str] = {}
    for part in _BETWEEN.split(spec.strip()):
        name, _, path = part.partition("=")
        if _known_split(name, spec) in splits:
            raise SourceError(f"reference {spec}: the split {name} is given twice; name each split once")
        splits[name] = path.strip()
    return splits


def _known_split(name: str, spec: object) -> str:
    if name not in SPLITS:
        raise SourceError(
            f"reference {spec}: {name!r} is no split; {nearest(name, SPLITS)}; {_FORMS}; a path with a comma and = in "
            "it can be given in the configuration, as reference = { test = PATH }"
        )
    return name


def _from_splits(paths: Mapping[str, str], options: ReadOptions, progress: Progress) -> Reference:
    statistics = {split: path for split, path in paths.items() if is_statistics(Path(path.strip()).expanduser())}
    if statistics:
        return _only_statistics(statistics, paths)
    read: dict[str, Samples] = {}
    for split in (name for name in SPLITS if name in paths):
        if not paths[split].strip():
            raise SourceError(f"reference: the split {split} has an empty path; {_FORMS}")
        read[split] = read_samples(Path(paths[split]).expanduser(), options, progress)
    if not read:
        raise SourceError(f"reference: no split is named; {_FORMS}")
    splits = _with_common_classes(read)
    return Reference.of(
        ",".join(f"{split}={samples.name}" for split, samples in splits.items()),
        "+".join(dict.fromkeys(samples.form for samples in splits.values())),
        splits,
        seen={split: "seen" if split == "train" else "unseen" for split in splits},
        rule=_NAMED_RULE,
    )


def _only_statistics(statistics: Mapping[str, str], paths: Mapping[str, str]) -> Reference:
    """Return the reference of statistics that stand for the test split alone; raises SourceError for all else."""
    (split, path), *_ = statistics.items()
    if list(paths) == ["test"]:
        return Reference.of_statistics(read_statistics(Path(path.strip()).expanduser()))
    raise SourceError(
        f"reference {split}={path}: holds a mean and a covariance of features (mu, sigma), no samples; allowed: alone, "
        f"as --reference {path} or test={path}; beside other splits, and as train or calibration, samples are needed"
    )


def _from_path(path: Path, options: ReadOptions, progress: Progress) -> Reference:
    if is_statistics(path):
        return Reference.of_statistics(read_statistics(path))
    samples = read_samples(path, options, progress)
    if samples.kind == "features":
        splits, rule = {"test": samples}, _WHOLE_RULE
    else:
        calibration, test = _thirds(len(samples))
        splits = {"test": samples.take(test, f"{samples.name}/test")}
        if len(calibration):
            splits["calibration"] = samples.take(calibration, f"{samples.name}/calibration")
        # The files that were skipped belong to the source; they are told once.
        splits["test"] = replace(splits["test"], unreadable=samples.unreadable, reasons=samples.reasons)
        rule = _SPLIT_RULE
    seen: dict[str, Seen] = dict.fromkeys(splits, "unknown")
    return Reference.of(samples.name, samples.form, splits, seen=seen, rule=rule)


def _thirds(count: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the row numbers of calibration and of test, each ascending."""
    order = sorted(range(count), key=lambda row: hashlib.sha256(f"ganaudit-split/{row}".encode()).digest())
    first, rest = sorted(order[: count // 3]), sorted(order[count // 3 :])
    return np.array(first, dtype=np.int64), np.array(rest, dtype=np.int64)


def _with_common_classes(splits: Mapping[str, Samples]) -> dict[str, Samples]:
    """Return the splits with one numbering of classes: a folder that lacks a class must not shift the others."""
    named = {samples.classes for samples in splits.values() if samples.labels is not None}
    if len(named) < 2:
        return dict(splits)
    largest = max(named, key=len)
    every = set().union(*named)
    classes = largest if every == set(largest) else tuple(sorted(every))
    return {split: _renumbered(samples, classes) for split, samples in splits.items()}


def _renumbered(samples: Samples, classes: tuple[str, ...]) -> Samples:
    if samples.labels is None or samples.classes == classes:
        return samples
    numbers = np.array([classes.index(name) for name in samples.classes], dtype=np.int64)
    return Samples.of(
        samples.array,
        samples.kind,
        samples.name,
        samples.form,
        labels=numbers[samples.labels],
        classes=classes,
        value_range=samples.value_range,
        rate=samples.rate,
        unreadable=samples.unreadable,
        reasons=samples.reasons,
    )


_FORMS = (
    "allowed are a built-in set (see `ganaudit list`), a folder, .zip, .npz or .npy, or "
    "train=PATH,calibration=PATH,test=PATH with any subset of the three"
)
