"""Samples in a fixed order: uint8 or float images, waveforms or feature rows, with a digest of all that they say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from ganaudit.data.storage import allocate
from ganaudit.document.errors import SourceError
from ganaudit.numerics.quantise import to_range, to_uint8

__all__ = ["Indices", "Kind", "Samples", "concatenate", "content_digest", "digests_of_rows"]

Kind: TypeAlias = Literal["images", "floats", "features"]
Indices: TypeAlias = slice | Sequence[int] | npt.NDArray[np.integer[Any]] | torch.Tensor

_CHUNK_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Samples as they were read.

    ``array`` is uint8 (N, H, W, C) for images, float32 (N, C, H, W) or, for audio, (N, C, T) within ``value_range``
    for floats, and float32 or float64 (N, D) for features. It is read-only. Make one with ``Samples.of``, which
    computes the digest.
    """

    array: npt.NDArray[Any] = field(repr=False)
    kind: Kind
    name: str
    form: str
    labels: npt.NDArray[np.int64] | None = field(repr=False)
    classes: tuple[str, ...]
    digest: str
    value_range: tuple[float, float] | None = None
    unreadable: tuple[str, ...] = ()
    """Names of the files that were skipped."""
    reasons: tuple[str, ...] = ()
    """Why, file by file."""
    rate: int | None = None
    """Of audio: values a second, where the source says it."""

    def __post_init__(self) -> None:
        ndims, dtypes = {
            "images": ((4,), (np.uint8,)),
            "floats": ((3, 4), (np.float32,)),
            "features": ((2,), (np.float32, np.float64)),
        }[self.kind]
        assert self.array.ndim in ndims, f"{self.kind} of shape {self.array.shape}"
        assert self.array.dtype in dtypes, f"{self.kind} of {self.array.dtype}"
        assert (self.value_range is not None) == (self.kind == "floats")
        assert self.labels is None or self.labels.shape == (len(self.array),)
        self.array.flags.writeable = False  # the digest would no longer be true

    @classmethod
    def of(
        cls,
        array: npt.NDArray[Any],
        kind: Kind,
        name: str,
        form: str,
        *,
        labels: npt.NDArray[np.int64] | None = None,
        classes: tuple[str, ...] = (),
        value_range: tuple[float, float] | None = None,
        unreadable: tuple[str, ...] = (),
        reasons: tuple[str, ...] = (),
        rate: int | None = None,
    ) -> Samples:
        """Return samples with the digest of their content; ``array`` is kept, not copied, and becomes read-only."""
        digest = content_digest(array, labels, value_range)
        return cls(array, kind, name, form, labels, classes, digest, value_range, unreadable, reasons, rate)

    def __len__(self) -> int:
        return len(self.array)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample: (C, H, W), (C, T) for audio, or (D,) for features."""
        if self.kind == "images":
            _, height, width, channels = self.array.shape
            return (channels, height, width)
        return tuple(self.array.shape[1:])

    @property
    def is_audio(self) -> bool:
        """Whether the samples are waveforms."""
        return self.array.ndim == 3

    def describe(self) -> str:
        """Return one sample in words: ``1x16x16 uint8``."""
        if self.kind == "features":
            return f"{self.shape[0]} features {self.array.dtype}"
        text = "x".join(map(str, self.shape)) + f" {self.array.dtype}"
        if self.value_range is not None:
            text += f" in {self.value_range[0]:g}..{self.value_range[1]:g}"
        return text if self.rate is None else f"{text}, {self.rate} a second"

    def images(self, indices: Indices) -> torch.Tensor:
        """Return uint8 images (B, C, H, W), a copy; float images are quantised as they would be when written."""
        assert not self.is_audio, "waveforms have no levels; ask for values"
        if self.value_range is not None:
            return to_uint8(self._copy(indices), *self.value_range)
        self._refuse_features("images")
        return self._copy(indices)

    def values(self, indices: Indices, low: float, high: float) -> torch.Tensor:
        """Return float32 images (B, C, H, W) or waveforms (B, C, T), a copy, mapped linearly onto low .. high."""
        if self.value_range is None:
            self._refuse_features("images")
            return to_range(self._copy(indices), low, high, torch.float32)
        x = self._copy(indices)
        a, b = self.value_range
        return x if (a, b) == (low, high) else (x - a) * ((high - low) / (b - a)) + low

    def features(self, indices: Indices) -> torch.Tensor:
        """Return feature rows (B, D) as they are stored, a copy."""
        if self.kind != "features":
            what = "audio" if self.is_audio else "images"
            raise SourceError(
                f"{self.name}: features were asked for, found {what} of {self.describe()}; the extractor identity "
                f"needs an .npz or .npy with a float array (N, D); for {what} choose another --extractor"
            )
        return self._copy(indices)

    def take(self, indices: Indices, name: str) -> Samples:
        """Return the samples at ``indices``, in that order, under a name and a digest of their own."""
        rows = _rows(indices)
        array = self.array[rows] if isinstance(rows, slice) else _gather(self.array, rows)
        labels = None if self.labels is None else self.labels[rows]
        return Samples.of(
            array,
            self.kind,
            name,
            self.form,
            labels=labels,
            classes=self.classes,
            value_range=self.value_range,
            rate=self.rate,
        )

    def _copy(self, indices: Indices) -> torch.Tensor:
        array = self.array[_rows(indices)]
        if self.kind == "images":
            array = array.transpose(0, 3, 1, 2)
        return torch.from_numpy(np.array(array, order="C"))

    def _refuse_features(self, wanted: str) -> None:
        if self.kind == "features":
            raise SourceError(
                f"{self.name}: {wanted} were asked for, found {self.describe()}; feature arrays can only be used with "
                "--extractor identity, which takes them as they stand"
            )


def concatenate(parts: Sequence[Samples], name: str) -> Samples:
    """Return all rows of ``parts`` in their order; kinds and shapes must be equal.

    Labels stay when every part has them and the classes agree.
    """
    first = parts[0]
    dtype = np.result_type(*(part.array.dtype for part in parts))
    array = allocate((sum(map(len, parts)), *first.array.shape[1:]), dtype)
    start = 0
    for part in parts:
        array[start : start + len(part)] = part.array
        start += len(part)
    known = [part.labels for part in parts if part.labels is not None and part.classes == first.classes]
    return Samples.of(
        array,
        first.kind,
        name,
        "+".join(dict.fromkeys(part.form for part in parts)),
        labels=np.concatenate(known) if len(known) == len(parts) else None,
        classes=first.classes if len(known) == len(parts) else (),
        value_range=first.value_range,
        rate=first.rate,
    )


def content_digest(
    array: npt.NDArray[Any],
    labels: npt.NDArray[np.int64] | None = None,
    value_range: tuple[float, float] | None = None,
) -> str:
    """Return ``sha256:...`` over dtype, shape, every value in order, labels and range; equal on every machine."""
    head = {
        "dtype": array.dtype.name,
        "shape": array.shape,
        "labels": labels is not None,
        "range": value_range and [float(end) for end in value_range],
    }
    digest = hashlib.sha256(json.dumps(head, sort_keys=True).encode())
    for chunk in _chunks(array):
        digest.update(chunk.tobytes())
    if labels is not None:
        digest.update(labels.astype("<i8").tobytes())
    return f"sha256:{digest.hexdigest()}"


def digests_of_rows(samples: Samples) -> list[bytes]:
    """Return 16 bytes per row that are equal where rows are equal value for value."""
    # float32 and float64 rows of equal values must meet; uint8 stays as small as it is.
    wide = samples.kind == "features"
    return [
        hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        for chunk in _chunks(samples.array)
        for row in (chunk.astype(np.float64) if wide else chunk)
    ]


def _chunks(array: npt.NDArray[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield runs of rows as little-endian values, each small enough to copy."""
    row = max(1, array.nbytes // max(1, len(array)))
    step = max(1, _CHUNK_BYTES // row)
    for start in range(0, len(array), step):
        chunk = array[start : start + step]
        yield chunk.astype(chunk.dtype.newbyteorder("<"), copy=False)


def _rows(indices: Indices) -> slice | npt.NDArray[np.int64]:
    return indices if isinstance(indices, slice) else np.asarray(indices, dtype=np.int64).reshape(-1)


def _gather(array: npt.NDArray[Any], rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    gathered = allocate((len(rows), *array.shape[1:]), array.dtype)
    step = max(1, _CHUNK_BYTES // max(1, array.nbytes // max(1, len(array))))
    for start in range(0, len(rows), step):
        gathered[start : start + step] = array[rows[start : start + step]]
    return gathered
