"""Counter-based chance: what is drawn at an index depends on the seed, the stream and the index, never on batching."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
from scipy import special

from ganaudit.numerics.arguments import whole

__all__ = ["child_seed", "generator", "integers", "normals", "uniforms"]

_WORD = 2**64
_WORDS_PER_STEP = 4
_MOST_INTEGERS = 2**32


def uniforms(seed: int, stream: int, start: int, count: int, size: int) -> npt.NDArray[np.float64]:
    """Return uniform draws strictly between 0 and 1, (count, size) float64, multiples of 2^-53.

    Row i belongs to the index start + i and depends, for a given ``size``, on (seed, stream, index) alone: every split
    of a range into calls gives the same rows. The generator is Philox-4x64-10 with the key (seed, stream); an index
    owns ceil(size/4) steps of its counter.

    Raises ValueError when ``seed`` or ``stream`` is not in 0..2^64 - 1, ``start`` or ``count`` is below 0 or ``size``
    is below 1.
    Source: Salmon et al. 2011.
    """
    whole(seed, "seed", least=0, most=_WORD - 1)
    whole(stream, "stream", least=0, most=_WORD - 1)
    whole(start, "start", least=0)
    whole(count, "count", least=0)
    steps = -(-whole(size, "size", least=1) // _WORDS_PER_STEP)
    bits = np.random.Philox(counter=start * steps, key=seed + stream * _WORD)
    words = bits.random_raw(count * steps * _WORDS_PER_STEP).reshape(count, steps * _WORDS_PER_STEP)[:, :size]
    # 52 bits and a half: with 53 the largest value would round up to 1, where the normal quantile is infinite.
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def normals(seed: int, stream: int, start: int, count: int, size: int) -> npt.NDArray[np.float64]:
    """Return standard normal draws, (count, size) float64: the normal quantile of ``uniforms`` with these arguments.

    The same independence of batching and the same errors as ``uniforms``; values lie within 8.3 of 0.
    """
    draws: npt.NDArray[np.float64] = special.ndtri(uniforms(seed, stream, start, count, size))
    return draws


def integers(seed: int, stream: int, start: int, count: int, high: int) -> npt.NDArray[np.int64]:
    """Return draws from 0..high - 1, (count,) int64, one per index: floor(u high) of ``uniforms`` of size 1.

    No value's probability is off 1/high by more than 2^-52. The same independence of batching as ``uniforms``.
    Raises ValueError as ``uniforms`` does, and when ``high`` is not in 1..2^32.
    """
    whole(high, "high", least=1, most=_MOST_INTEGERS)
    return np.floor(uniforms(seed, stream, start, count, 1)[:, 0] * high).astype(np.int64)


def child_seed(seed: int, name: str) -> int:
    """Return a seed for the purpose ``name`` under ``seed``, in 0..2^64 - 1.

    The first 8 bytes, little-endian, of SHA-256 over the decimal ``seed``, a zero byte and ``name`` in UTF-8.
    """
    return int.from_bytes(_digest(seed, name)[:8], "little")


def generator(seed: int, name: str) -> np.random.Generator:
    """Return a numpy generator for the purpose ``name`` under ``seed``, for draws that need not be split.

    Philox with a key of 128 bits from the digest that ``child_seed`` is taken from.
    """
    return np.random.Generator(np.random.Philox(key=int.from_bytes(_digest(seed, name)[:16], "little")))


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
