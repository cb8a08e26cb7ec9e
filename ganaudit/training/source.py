"""The samples a configuration names: a built-in set at its scale, or a path."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ganaudit.data.collection import is_sample
from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.data.reference import Reference, Seen
from ganaudit.data.samples import Samples
from ganaudit.document.errors import ConfigError, SourceError, nearest
from ganaudit.training.config import DataConfig, TrainConfig

__all__ = ["opened"]

_KEYS = {
    "--resize WxH": "reading.resize = [W, H]",
    "--resize": "reading.resize",
    "--range LOW,HIGH": "reading.range = [LOW, HIGH]",
    "--range": "reading.range",
    "--skip-unreadable": "reading.skip_unreadable = true",
}
_RULE = "one source; {share:.0%} of it, by sha256('ganaudit-held-out/i') of row numbers i, is not trained on"


def opened(
    config: TrainConfig, built_in: Sequence[str], loader: Callable[[str], Callable[..., Reference]]
) -> Reference:
    """Return the data as a reference whose train split is trained on.

    Raises ConfigError when nothing has this name or labels do not fit, SourceError for samples that cannot be read.
    """
    if config.data in built_in:
        if config.reading != DataConfig():
            raise ConfigError(f"reading: is for samples of a path; {config.data!r} is a built-in set, leave it out")
        return loader(config.data)(scale=config.scale)
    path = Path(config.data).expanduser()
    if not path.exists():
        raise ConfigError(
            f"data {config.data!r}: neither a built-in set nor a path that is there; {nearest(config.data, built_in)}"
        )
    if config.scale != 1:
        raise ConfigError(f"scale: is for built-in sets; samples of {path} have the size they have, or reading.resize")
    samples = _read(path, config.reading)
    if config.reading.labels is not None:
        samples = _labelled(samples, path, config.reading.labels)
    return _split(samples, config.reading.held_out)


def _read(path: Path, plan: DataConfig) -> Samples:
    options = ReadOptions(resize=plan.resize, value_range=plan.range, skip_unreadable=plan.skip_unreadable)
    try:
        return read_samples(path, options)
    except SourceError as error:
        # The words are those of `ganaudit audit`, whose options are keys here.
        words = str(error)
        for option, key in _KEYS.items():
            words = words.replace(option, key)
        raise SourceError(words) from None


def _labelled(samples: Samples, path: Path, table: Path) -> Samples:
    """Return samples with the labels that a CSV file gives their files."""
    names = _files(path)
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            given = [(row["file"], row["label"]) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"reading.labels {table}: cannot be read: {error}") from None
    except KeyError:
        raise ConfigError(f"reading.labels {table}: needs the columns file and label") from None
    rows = {name: label for name, label in given if name and label}
    twice = sorted({name for name, label in given if name and rows.get(name) != label})
    if twice:
        raise ConfigError(f"reading.labels {table}: {twice[0]} has several labels, or none in one row; give it one")
    lacking = [name for name in names if name not in rows]
    if lacking or len(names) != len(samples):
        raise ConfigError(
            f"reading.labels {table}: {len(lacking)} of {len(names)} files have no label, such as "
            f"{', '.join(lacking[:3])}; give each file below {path} a row"
        )
    classes = tuple(sorted({rows[name] for name in names}))
    labels = np.array([classes.index(rows[name]) for name in names], dtype=np.int64)
    return replace(samples, labels=labels, classes=classes)


def _files(path: Path) -> list[str]:
    if not path.is_dir():
        raise ConfigError(f"reading.labels: is for folders of files; {path} is none")
    names = (p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    return sorted(name for name in names if is_sample(name))


def _split(samples: Samples, held_out: float) -> Reference:
    order = sorted(range(len(samples)), key=lambda row: hashlib.sha256(f"ganaudit-held-out/{row}".encode()).digest())
    count = round(held_out * len(samples))
    parts = {"calibration": sorted(order[:count]), "train": sorted(order[count:])}
    splits = {
        name: samples.take(np.array(rows, dtype=np.int64), f"{samples.name}/{name}")
        for name, rows in parts.items()
        if rows
    }
    seen: dict[str, Seen] = {"train": "seen", "calibration": "unseen"}
    return Reference.of(
        samples.name,
        samples.form,
        splits,
        seen={name: seen[name] for name in splits},
        rule=_RULE.format(share=held_out),
    )
