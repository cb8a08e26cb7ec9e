"""Counter-based draws against Philox written out, slicing laws and golden values."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ganaudit.numerics.randomness import child_seed, generator, integers, normals, uniforms

MASK = 2**64 - 1
GOLDEN_UNIFORMS = [0.011546754286331562, 0.24154919656271823, 0.11142585551493822, 0.5644146216071338]
GOLDEN_NORMALS = [0.25201477998018484, 2.0139628001197987, 1.3497194321287123]
GOLDEN_INTEGERS = [599, 201, 928, 117, 471, 891]
GOLDEN_CHILD = 17327737961806796153
GOLDEN_GENERATOR = [396205076, 166427205, 516748180]


def philox(counter, key):
    """One block of Philox-4x64-10 as published (Salmon et al. 2011), in whole numbers."""
    words = [counter >> 64 * i & MASK for i in range(4)]
    k0, k1 = key
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * words[0], 0xCA5A826395121157 * words[2]
        words = [second >> 64 ^ words[1] ^ k0, second & MASK, first >> 64 ^ words[3] ^ k1, first & MASK]
        k0, k1 = k0 + 0x9E3779B97F4A7C15 & MASK, k1 + 0xBB67AE8584CAA73B & MASK
    return words


def test_the_written_out_generator_gives_the_published_answer():
    published = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox(0, (0, 0)) == published


@pytest.mark.parametrize(("seed", "stream"), [(0, 0), (7, 3), (MASK, MASK)])
@pytest.mark.parametrize("size", [1, 4, 6])
def test_rows_are_the_counter_steps_of_their_index(seed, stream, size):
    steps = -(-size // 4)
    for start in (0, 5, 2**70):
        rows = uniforms(seed, stream, start, 2, size)
        for offset in range(2):
            # numpy's Philox steps its counter before it gives a block.
            first = (start + offset) * steps + 1
            words = [word for step in range(steps) for word in philox(first + step, (seed, stream))]
            assert rows[offset].tolist() == [((word >> 12) + 0.5) / 2**52 for word in words[:size]]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, MASK),
    stream=st.integers(0, MASK),
    start=st.integers(0, 2**40),
    parts=st.lists(st.integers(0, 7), min_size=1, max_size=5),
    size=st.integers(1, 9),
)
def test_every_split_of_a_range_gives_the_same_rows(seed, stream, start, parts, size):
    total = sum(parts)
    starts = [start + sum(parts[:i]) for i in range(len(parts))]
    for draw in (uniforms, normals):
        pieces = [draw(seed, stream, first, count, size) for first, count in zip(starts, parts, strict=True)]
        np.testing.assert_array_equal(np.concatenate(pieces), draw(seed, stream, start, total, size))
    pieces = [integers(seed, stream, first, count, 10) for first, count in zip(starts, parts, strict=True)]
    np.testing.assert_array_equal(np.concatenate(pieces), integers(seed, stream, start, total, 10))


def test_seeds_and_streams_share_no_row():
    rows = np.concatenate([uniforms(seed, stream, 0, 8, 4) for seed in range(5) for stream in range(5)])
    assert len(np.unique(rows)) == rows.size


def test_uniforms_and_normals_follow_their_laws():
    u, z = uniforms(1, 2, 0, 5000, 6), normals(1, 3, 0, 5000, 6)
    assert u.shape == z.shape == (5000, 6)
    assert 0 < u.min() < u.max() < 1
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    # Correlations of neighbouring columns and rows are normal with standard deviation 1/sqrt(n).
    assert abs(np.corrcoef(z[:, 0], z[:, 1])[0, 1]) < 4 / np.sqrt(5000)
    assert abs(np.corrcoef(z[:-1, 0], z[1:, 0])[0, 1]) < 4 / np.sqrt(4999)


def test_normals_are_the_normal_quantiles_of_uniforms():
    np.testing.assert_allclose(stats.norm.cdf(normals(4, 5, 6, 50, 3)), uniforms(4, 5, 6, 50, 3), rtol=1e-12)


def test_integers_are_even_and_below_the_limit():
    draws = integers(3, 0, 0, 20_000, 10)
    assert draws.dtype == np.int64
    assert stats.chisquare(np.bincount(draws, minlength=10)).pvalue > 1e-3
    assert integers(3, 0, 0, 50, 1).tolist() == [0] * 50
    assert integers(3, 0, 0, 2000, 2**32).max() < 2**32


def test_golden_values():
    np.testing.assert_array_equal(uniforms(0, 0, 0, 1, 4)[0], GOLDEN_UNIFORMS)
    np.testing.assert_allclose(normals(2024, 1, 10, 1, 3)[0], GOLDEN_NORMALS, rtol=1e-13)
    assert integers(2024, 1, 10, 6, 1000).tolist() == GOLDEN_INTEGERS
    assert child_seed(0, "latents") == GOLDEN_CHILD
    assert generator(0, "latents").integers(0, 10**9, size=3).tolist() == GOLDEN_GENERATOR


def test_child_seeds_come_from_the_digest_and_differ():
    digest = hashlib.sha256(b"12\0bootstrap").digest()
    assert child_seed(12, "bootstrap") == int.from_bytes(digest[:8], "little")
    assert len({child_seed(seed, name) for seed in range(20) for name in ("a", "b", "", "1")}) == 80
    # The zero byte keeps the seed and the name apart.
    assert child_seed(1, "2x") != child_seed(12, "x")


def test_generators_repeat_by_name_and_are_not_the_counter_streams():
    assert generator(1, "a").random() == generator(1, "a").random()
    assert generator(1, "a").random() != generator(1, "b").random()
    raw = generator(1, "a").bit_generator.random_raw(4)
    assert [((int(word) >> 12) + 0.5) / 2**52 for word in raw] != uniforms(child_seed(1, "a"), 0, 0, 1, 4)[0].tolist()


def test_bad_arguments_are_refused():
    calls = [
        lambda: uniforms(-1, 0, 0, 1, 1),
        lambda: uniforms(2**64, 0, 0, 1, 1),
        lambda: uniforms(0, -1, 0, 1, 1),
        lambda: uniforms(0, 0, -1, 1, 1),
        lambda: uniforms(0, 0, 0, -1, 1),
        lambda: normals(0, 0, 0, 1, 0),
        lambda: integers(0, 0, 0, 1, 0),
        lambda: integers(0, 0, 0, 1, 2**32 + 1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"found .*allowed"):
            call()
