"""Means and covariances of features in .npz files, as pytorch-fid and clean-fid keep them; never unpickled.

Both tools know two arrays: ``mu`` (D) and ``sigma`` (D, D), the latter with divisor n - 1. What they do not write, and
we do, is how many samples they rest on (``n``), of which ``extractor`` and under which ``protocol``, and a ``digest``
over all of it; a reader that asks for ``mu`` and ``sigma`` never meets the rest.
"""

from __future__ import annotations

import hashlib
import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from ganaudit.data.archive import open_archive
from ganaudit.data.arrays import Member, load_member, members_of
from ganaudit.data.options import ReadOptions
from ganaudit.document.errors import OutputError, SourceError
from ganaudit.document.files import write_atomically

__all__ = ["FeatureStatistics", "is_statistics", "read_statistics", "write_statistics"]

_MEAN, _COVARIANCE = "mu", "sigma"
_TEXTS = ("extractor", "protocol", "digest")
_MAX_FEATURES = 8192  # a covariance of 512 MiB in float64
_MAX_TEXT_BYTES = 2**16
_LIMITS = ReadOptions()  # of members that are only listed; those that are read are limited by _MAX_FEATURES

# Storing in float32 rounds every entry by up to 2^-24 of itself, so it moves a covariance, its transpose and each
# eigenvalue by at most 2^-24 of its Frobenius norm. Products summed in float32 round a few times more.
_ROUNDINGS = 16 * 2.0**-24

_ALLOWED = (
    "allowed: .npz files with the mean mu (D,) and the covariance sigma (D, D) of features in float32 or float64, as "
    "pytorch-fid (--save-stats) and clean-fid (make_custom_stats) write them"
)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureStatistics:
    """Mean and covariance of the features of one set of samples, as far as a file says what they are of."""

    mean: npt.NDArray[np.float64]
    """(D,), read-only."""
    covariance: npt.NDArray[np.float64]
    """(D, D), symmetric, read-only; divisor n - 1 by the convention of both tools, which no file records."""
    n: int | None
    """Number of samples; None where the file does not say."""
    extractor: str | None
    """The extractor they are of; None where the file does not say."""
    protocol: str | None
    """The protocol they were made by; None where the file does not say."""
    name: str
    """The file's name without its suffix."""
    digest: str
    """sha256 over all of the above but the name, in hexadecimal; the same for a file written again from it."""
    source: str
    """The path it was read from or written to."""


def is_statistics(path: Path) -> bool:
    """Return whether a file is an .npz with members ``mu`` and ``sigma``; nothing of them is read, and none raises."""
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with open_archive(path) as archive:
            names = set(archive.namelist())
    except SourceError:
        return False
    return {f"{_MEAN}.npy", f"{_COVARIANCE}.npy"} <= names


def read_statistics(path: Path) -> FeatureStatistics:
    """Return the mean and the covariance in an .npz of pytorch-fid, clean-fid or ``write_statistics``.

    The covariance is made symmetric by the mean with its transpose. Raises SourceError when the file is no such .npz,
    is a pickle, has more than 8192 features, or holds other shapes, other types than float32 and float64, numbers that
    are not finite, a covariance that is not symmetric or has a clearly negative eigenvalue (both beyond what storing
    in float32 rounds), or a digest that its content does not have.
    """
    if path.suffix.lower() in (".pkl", ".pickle"):
        raise SourceError(f"{path}: pickles can run code and are never read; write mu and sigma with numpy.savez")
    if path.suffix.lower() != ".npz" or not path.is_file():
        kind = (path.suffix or "no suffix") if path.exists() else "no such file"
        raise SourceError(f"{path}: feature statistics were asked for, found {kind}; {_ALLOWED}")
    with open_archive(path) as archive:
        members = members_of(archive, path, _LIMITS)
        _check_members(path, members)
        mean, covariance = (load_member(archive, members[name], path) for name in (_MEAN, _COVARIANCE))
        n = _whole(archive, members["n"], path) if "n" in members else None
        texts = {name: _text(archive, members[name], path) for name in _TEXTS if name in members}
    found = _statistics(path, mean, covariance, n, texts.get("extractor"), texts.get("protocol"))
    recorded = texts.get("digest", found.digest)
    if recorded != found.digest:
        raise SourceError(
            f"{path}: its digest says sha256 {recorded}, its content has {found.digest}: it was altered after it was "
            "written; write it again from the samples"
        )
    return found


def write_statistics(
    path: Path, mean: npt.ArrayLike, covariance: npt.ArrayLike, n: int, extractor: str, protocol: str
) -> FeatureStatistics:
    """Write a mean (D,) and a covariance (D, D) as an .npz that pytorch-fid and clean-fid read, and return them.

    The file holds ``mu``, ``sigma`` (float64, divisor n - 1 by convention), ``n``, ``extractor``, ``protocol`` and
    ``digest``; equal arguments give equal bytes. A reader sees the whole file or the one before it.
    Raises SourceError as ``read_statistics`` does on what is to be written, OutputError when the place cannot be
    written or has another suffix than .npz.
    """
    if path.suffix.lower() != ".npz":
        raise OutputError(f"{path}: feature statistics are written as .npz, by which other tools know them; rename it")
    made = _statistics(path, np.asarray(mean), np.asarray(covariance), n, extractor, protocol)
    content = io.BytesIO()
    arrays: dict[str, Any] = {
        _MEAN: made.mean,
        _COVARIANCE: made.covariance,
        "n": np.int64(n),
        "extractor": np.str_(extractor),
        "protocol": np.str_(protocol),
        "digest": np.str_(made.digest),
    }
    np.savez(content, **arrays)
    write_atomically(path, content.getvalue())
    return made


def _check_members(path: Path, members: dict[str, Member]) -> None:
    """Judge shapes and types by the headers, before anything large is read."""
    listing = "; ".join(str(member.header) for member in members.values()) or "no arrays"
    missing = [name for name in (_MEAN, _COVARIANCE) if name not in members]
    if missing:
        hint = "; feats are clean-fid's features for its kernel distance" if "feats" in members else ""
        raise SourceError(f"{path}: holds no {' and no '.join(missing)}; found {listing}{hint}; {_ALLOWED}")
    for name in (_MEAN, _COVARIANCE):
        header = members[name].header
        if header.dtype.hasobject:
            raise SourceError(f"{path}: {header}: Python objects can only be stored by pickle, never read; {_ALLOWED}")
        if header.dtype not in (np.float32, np.float64):
            raise SourceError(f"{path}: {header}: found another type; {_ALLOWED}")
    _check_shapes(path, members[_MEAN].header.shape, members[_COVARIANCE].header.shape)


def _check_shapes(path: Path, mean: tuple[int, ...], covariance: tuple[int, ...]) -> None:
    if len(mean) != 1 or mean[0] < 1 or covariance != (mean[0], mean[0]):
        raise SourceError(f"{path}: found mu of shape {mean} with sigma of shape {covariance}; {_ALLOWED}")
    if mean[0] > _MAX_FEATURES:
        raise SourceError(
            f"{path}: found {mean[0]} features; at most {_MAX_FEATURES} are read: use a smaller extractor"
        )


def _statistics(
    path: Path,
    mean: npt.NDArray[Any],
    covariance: npt.NDArray[Any],
    n: int | None,
    extractor: str | None,
    protocol: str | None,
) -> FeatureStatistics:
    """Return checked statistics."""
    _check_shapes(path, mean.shape, covariance.shape)
    if n is not None and n < 2:
        raise SourceError(f"{path}: found n = {n}; a covariance rests on 2 samples or more")
    mean, covariance = np.array(mean, dtype=np.float64), np.array(covariance, dtype=np.float64)
    for name, values in ((_MEAN, mean), (_COVARIANCE, covariance)):
        bad = values.size - int(np.count_nonzero(np.isfinite(values)))
        if bad:
            raise SourceError(
                f"{path}: {name} holds {bad} numbers of {values.size} that are not finite (NaN or infinity); allowed: "
                "finite numbers; make it again from samples whose features are finite"
            )
    covariance = _covariance(path, covariance)
    for values in (mean, covariance):
        values.flags.writeable = False
    digest = hashlib.sha256()
    for part in (repr((n, extractor, protocol, len(mean))).encode(), _bytes(mean), _bytes(covariance)):
        digest.update(part)
    return FeatureStatistics(mean, covariance, n, extractor, protocol, path.stem, digest.hexdigest(), str(path))


def _covariance(path: Path, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return a covariance, exactly symmetric; raises SourceError when it can be none."""
    largest = float(np.abs(values).max())
    if largest == 0:
        return values
    scaled = values / largest  # so that no square overflows or vanishes
    slack = _ROUNDINGS * float(np.linalg.norm(scaled))
    apart = float(np.linalg.norm(scaled - scaled.T))
    if apart > slack:
        i, j = np.unravel_index(int(np.abs(scaled - scaled.T).argmax()), values.shape)
        raise SourceError(
            f"{path}: sigma is not symmetric: entry ({i}, {j}) is {values[i, j]:.6g}, entry ({j}, {i}) is "
            f"{values[j, i]:.6g}; allowed: the covariance of features, symmetric to the rounding of float32; make it "
            "again from the samples"
        )
    symmetric = (scaled + scaled.T) / 2
    try:
        np.linalg.cholesky(symmetric + slack * np.eye(len(values)))  # a tenth of the time of eigenvalues
    except np.linalg.LinAlgError:
        _refuse_indefinite(path, symmetric, largest)
    # Powers of two aside, scaling back would round: the entries themselves are averaged.
    return values / 2 + values.T / 2


def _refuse_indefinite(path: Path, symmetric: npt.NDArray[np.float64], largest: float) -> NoReturn:
    found = np.linalg.eigvalsh(symmetric) * largest
    raise SourceError(
        f"{path}: sigma has the eigenvalue {found[0]:.6g} beside a largest of {found[-1]:.6g}; allowed: 0 or more, to "
        "the rounding of float32; no features have such a covariance: make it again from the samples"
    )


def _bytes(values: npt.NDArray[np.float64]) -> bytes:
    # Adding 0 turns -0 into 0; the order of bytes is fixed, so the digest is one on every machine.
    return (values + 0.0).astype("<f8").tobytes()


def _whole(archive: zipfile.ZipFile, member: Member, path: Path) -> int:
    header = member.header
    if header.dtype.kind not in "iu" or math.prod(header.shape) != 1:
        raise SourceError(f"{path}: {header}: n must be one whole number, the samples it rests on; mend or remove it")
    return int(load_member(archive, member, path).reshape(()))


def _text(archive: zipfile.ZipFile, member: Member, path: Path) -> str:
    header = member.header
    if header.dtype.kind != "U" or header.shape != () or header.size > _MAX_TEXT_BYTES:
        raise SourceError(
            f"{path}: {header}: must be one text of at most {_MAX_TEXT_BYTES // 4} characters; mend or remove it"
        )
    return str(load_member(archive, member, path)[()])
