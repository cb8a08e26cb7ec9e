"""Real samples with splits: which of them the subject was trained on, and which it never saw."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from ganaudit.data.oracles.oracle import Oracle
from ganaudit.data.samples import Samples, concatenate, digests_of_rows
from ganaudit.data.statistics import FeatureStatistics
from ganaudit.document.errors import SourceError, nearest

__all__ = ["SPLITS", "Reference", "Seen", "check_matches"]

Seen: TypeAlias = Literal["seen", "unseen", "unknown"]

SPLITS = ("train", "calibration", "test")


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Real samples by split; make one with ``Reference.of``, which computes digest and overlap."""

    name: str
    form: str
    splits: Mapping[str, Samples]
    """In the order train, calibration, test; a split without samples is not there."""
    seen: Mapping[str, Seen]
    """Whether the subject saw a split in training."""
    rule: str
    """How the splits came about, in words."""
    licence: str
    extractor: str | None
    """The extractor that was made for this set."""
    digest: str
    overlap: int = 0
    """How many rows of the other splits are found in train, value for value."""
    left_out: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """By split, how many of its rows ``disjoint`` took out, and of how many."""
    statistics: FeatureStatistics | None = None
    """Published mean and covariance of features; such a reference holds no samples and has no splits."""
    oracle: Oracle | None = None
    """Reads attributes off samples of this set, where it is one whose samples follow a written rule."""
    _joined: dict[str, Samples] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        name: str,
        form: str,
        splits: Mapping[str, Samples],
        *,
        seen: Mapping[str, Seen],
        rule: str,
        licence: str = "not stated",
        extractor: str | None = None,
        oracle: Oracle | None = None,
    ) -> Reference:
        """Return a reference of splits that agree in kind and shape; raises SourceError when they do not."""
        ordered = {split: splits[split] for split in SPLITS if split in splits}
        assert ordered
        assert ordered.keys() == splits.keys() == seen.keys()
        _check_alike(ordered)
        text = json.dumps({split: samples.digest for split, samples in ordered.items()})
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        return cls(name, form, ordered, dict(seen), rule, licence, extractor, digest, _overlap(ordered), oracle=oracle)

    @classmethod
    def of_statistics(cls, statistics: FeatureStatistics) -> Reference:
        """Return a reference that is known by the mean and covariance of its features alone."""
        count = "an unstated number of" if statistics.n is None else str(statistics.n)
        return cls(
            statistics.name,
            "statistics",
            {},
            {},
            f"mean and covariance of the features of {count} samples; the samples themselves are not at hand",
            "not stated",
            None,
            f"sha256:{statistics.digest}",
            statistics=statistics,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample, equal in every split: (C, H, W), (C, T) for audio, or (D,) for features."""
        return next(iter(self.splits.values())).shape

    @property
    def unreadable(self) -> tuple[str, ...]:
        """Names of the files that were skipped, of every split."""
        return tuple(name for samples in self.splits.values() for name in samples.unreadable)

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def split(self, name: str) -> Samples:
        """Return one split, or ``all`` of them in the order train, calibration, test.

        Raises SourceError when there is no such split.
        """
        if self.statistics is not None:
            raise SourceError(f"reference {self.name}: holds mean and covariance of features, no samples")
        if name == "all":
            return self._all()
        if name not in self.splits:
            raise SourceError(
                f"reference {self.name}: has no split {name!r}; {nearest(name, [*self.splits, 'all'])}; splits are "
                "named by --reference train=PATH,calibration=PATH,test=PATH"
            )
        return self.splits[name]

    def disjoint(self) -> Reference:
        """Return the reference without those rows of the other splits that are in train too, value for value.

        A split that has none left is not there. What training has seen is no unseen real, whatever it is named.
        """
        if not self.overlap or self.left_out:
            return self
        known = set(digests_of_rows(self.splits["train"]))
        splits, left_out = {}, {}
        for name, samples in self.splits.items():
            rows = [] if name == "train" else [i for i, row in enumerate(digests_of_rows(samples)) if row not in known]
            if name == "train" or len(rows) == len(samples):
                splits[name] = samples
                continue
            left_out[name] = (len(samples) - len(rows), len(samples))
            if rows:
                kept = samples.take(rows, samples.name)
                splits[name] = replace(kept, unreadable=samples.unreadable, reasons=samples.reasons)
        seen = {name: self.seen[name] for name in splits}
        apart = Reference.of(self.name, self.form, splits, seen=seen, rule=self.rule, licence=self.licence,
                             extractor=self.extractor, oracle=self.oracle)  # fmt: skip
        return replace(apart, left_out=left_out)

    def without(self, split: str) -> str:
        """Return why the reference has no ``split`` though it was named, in words; empty where it was not."""
        if split in self.splits or split not in self.left_out:
            return ""
        count = self.left_out[split][0]
        return f"all {count} {split} reals are also in the train split, value for value, and were left out"

    def default_against(self) -> str:
        """Return the split that fidelity is measured against when nobody says: ``test`` if there, else ``all``."""
        return "test" if "test" in self.splits else "all"

    def _all(self) -> Samples:
        if len(self.splits) == 1:
            return next(iter(self.splits.values()))
        if "all" not in self._joined:
            self._joined["all"] = concatenate(list(self.splits.values()), f"{self.name}/all")
        return self._joined["all"]


def check_matches(subject_shape: tuple[int, ...], reference: Reference) -> None:
    """Raise SourceError when a subject's samples and the real samples have different shapes."""
    real = reference.shape
    if tuple(subject_shape) == real:
        return
    raise SourceError(
        f"the subject's samples have the shape {tuple(subject_shape)}, the real samples of {reference.name} have "
        f"{real}; they must be equal: {_remedy(tuple(subject_shape), real)}"
    )


def _remedy(fake: tuple[int, ...], real: tuple[int, ...]) -> str:
    if len(fake) == len(real) == 2:
        return "cut, pad or mix the real sounds to the channels and the length that the subject makes"
    if sorted((len(fake), len(real))) == [2, 3]:
        return "one side is audio (C, T), the other images (C, H, W): give the same kind on both sides"
    if len(fake) != 3 or len(real) != 3:
        return "give feature rows of one extractor on both sides, or images on both sides"
    (channels, height, width), words = fake, []
    if (height, width) != real[1:]:
        words.append(f"--resize {width}x{height} would resize every image to {width}x{height} with antialiased bicubic")
    if channels != real[0]:
        words.append(
            f"one side is grey (1 channel) and the other colour (3): convert the real images to {channels} "
            f"channel{'s' if channels > 1 else ''}; --resize leaves a set that is all grey or all colour as it is"
        )
    return "; ".join(words)


def _check_alike(splits: Mapping[str, Samples]) -> None:
    (first, expected), *others = splits.items()
    for name, samples in others:
        rates = {samples.rate, expected.rate} - {None}
        if _alike(samples) != _alike(expected) or len(rates) > 1:
            raise SourceError(
                f"reference splits must hold the same kind and shape: {first} ({expected.name}) holds {expected.kind} "
                f"of {expected.describe()}, {name} ({samples.name}) holds {samples.kind} of {samples.describe()}; "
                "write both in one format, and bring images to one size with --resize WxH"
            )


def _alike(samples: Samples) -> tuple[object, ...]:
    return (samples.kind, samples.shape, samples.value_range)


def _overlap(splits: Mapping[str, Samples]) -> int:
    if "train" not in splits or len(splits) == 1:
        return 0
    known = set(digests_of_rows(splits["train"]))
    others = [samples for name, samples in splits.items() if name != "train"]
    return sum(row in known for samples in others for row in digests_of_rows(samples))
