"""Known answers on samples: K13 to K20, K22, K25."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.known_answer import Answer, several
from ganaudit.numerics.augmentations import shifted
from ganaudit.numerics.augmented_distance import augmented_distance
from ganaudit.numerics.bins import jensen_shannon, js_null, two_shares
from ganaudit.numerics.class_shares import Confusion, fairness_discrepancy, shares
from ganaudit.numerics.copying import copying_test, toward
from ganaudit.numerics.interpolation import lerp, slerp
from ganaudit.numerics.mixing import auc_curve, frechet_curve
from ganaudit.numerics.nearest import nearest
from ganaudit.numerics.neighbours import expected_coverage, neighbourhood, radii
from ganaudit.numerics.path_length import on_levels, path_length, squared_distances

__all__ = ["sampled"]

_SHARES, _BALLS = "tests/numerics/test_class_shares.py", "tests/numerics/test_neighbours.py"
_N = 100_000
_T = (0.0, 0.25, 0.5, 0.75, 1.0)


def sampled() -> Iterator[Answer]:
    """Yield the answers on leaks, bins, paths, mixtures, copies and shares."""
    for of in (_corrected, _mirrored, _filled, _bins, _path_lengths, _mixtures, _copies, _authentic, _covered):
        yield from of()


def _normals(*shape: int, seed: int, mean: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape) + mean)


def _confusion(matrix: np.ndarray, reals: int) -> Confusion:
    return Confusion(np.round(matrix * reals).astype(np.int64))


def _corrected() -> Iterator[Answer]:
    rng, test = np.random.default_rng(0), f"{_SHARES}::test_rogan_and_gladen_of_two_classes"
    for a, q, r, error in ((0.9, 0.1, 0.0, 0.0119), (0.9, 0.5, 0.5, 0.0198), (0.8, 0.35, 0.25, 0.0251)):
        two = _confusion(np.array([[a, 1 - a], [1 - a, a]]), 10**8)
        found = shares([round(1000 * q), round(1000 * (1 - q))], two, rng, draws=20_000)
        yield Answer("K13", f"share, accuracy {a:g}, seen {q:g}", r, float(found.plain[0]), 1e-9, test, "rounding")
        # Of 20,000 draws the deviation is known to 0.5 %, and the anchor to 5e-5.
        yield Answer("K13", "its standard error, n = 1000", error, float(found.errors[:, 0].std()), 6e-4, test)
    four = np.full((4, 4), 0.1 / 3) + np.eye(4) * (0.9 - 0.1 / 3)
    seen = np.round(np.array([0.77, 0.23 / 3, 0.23 / 3, 0.23 / 3]) * 3_000_000)
    found = shares(seen, _confusion(four, 3000), rng)
    yield Answer("K13", "first of four rotations", 0.85, float(found.values[0]), 1e-6,
                 f"{_SHARES}::test_four_rotations_are_recovered_exactly", "rounding")  # fmt: skip
    yield Answer("K13", "coverage of the interval, 400 audits", 0.95, _coverage(), 0.02,
                 f"{_SHARES}::test_intervals_of_shares_cover")  # fmt: skip
    yield Answer("K22", "fairness discrepancy of (.9, .1)", 0.565685, fairness_discrepancy(np.array([0.9, 0.1])), 1e-6,
                 f"{_SHARES}::test_known_answers_of_discrepancies")  # fmt: skip
    seen, truth = four @ np.array([0.4, 0.3, 0.2, 0.1]), 0.4
    found = shares(np.round(seen * 3_000_000), _confusion(four, 3000), rng)
    yield Answer("K22", "a share, the classifier's errors taken out (CLEAM)", truth, float(found.values[0]), 1e-6,
                 "tests/evaluators/test_coverage_bias.py::test_the_errors_of_the_classifier_are_taken_out",
                 "rounding")  # fmt: skip


def _coverage() -> float:
    rng, p, hits = np.random.default_rng(1), np.array([0.6, 0.3, 0.1]), 0
    matrix = np.array([[0.85, 0.1, 0.1], [0.1, 0.8, 0.1], [0.05, 0.1, 0.8]])
    for _ in range(400):
        confusion = Confusion(np.stack([rng.multinomial(150, matrix[:, j]) for j in range(3)], axis=1))
        found = shares(rng.multinomial(1000, matrix @ p), confusion, rng, draws=300)
        hits += sum(one.low <= truth <= one.high for one, truth in zip(found.bounds(0.95), p, strict=True))
    return hits / 1200


def _mirrored() -> Iterator[Answer]:
    """A feature N(1, 1) that a mirror turns into its negative; a share r of the samples is mirrored."""
    n, test = 200_000, "tests/numerics/test_augmented_distance.py::test_mirrored_gaussians_give_the_closed_form"

    def leaking(share: float) -> Tensor:
        rng = np.random.default_rng(1)
        x = rng.normal(1, 1, (n, 1))
        return torch.from_numpy(np.where(rng.random((n, 1)) < share, -x, x))

    real, found = _normals(n, 1, seed=0, mean=1.0), {}
    for r in (0.0, 0.1, 0.2194, 0.2394, 0.25, 0.5):
        found[r] = augmented_distance(real, -real, leaking(r), np.random.default_rng(2), resamples=2)
    known = {0.0: (0.0, 1.171573), 0.1: (0.067619, 0.701515), 0.25: (0.354249, 0.258343), 0.5: (1.171573, 0.0)}
    for r, (plain, half) in known.items():
        yield from several("K14", test, [
            (f"FID to reals, {r:g} mirrored", plain, found[r].plain, 0.02),
            (f"FID to half mirrored reals, {r:g} mirrored", half, found[r].augmented, 0.02),
        ], "moments of 200,000 samples")  # fmt: skip
    low, high = found[0.2194].difference, found[0.2394].difference
    yield Answer("K14", "share where the two are equal", 0.229402, 0.2194 - low * 0.02 / (high - low), 0.01,
                 "tests/numerics/test_augmented_distance.py::test_the_crossing_lies_where_it_should",
                 "linear between 0.2194 and 0.2394")  # fmt: skip


def _filled() -> Iterator[Answer]:
    def filled(side: int, reach: int) -> tuple[float, float]:
        moves = torch.tensor(list(itertools.product(range(-reach, reach + 1), repeat=2)))
        empty = (shifted(torch.ones(len(moves), 1, side, side), moves[:, 0], moves[:, 1], 0.0) == 0).flatten(1).double()
        return float(empty.any(1).double().mean()), float(empty.mean())

    (some, share), (_, more) = filled(32, 4), filled(64, 8)
    yield from several("K15", "tests/numerics/test_augmentations.py::test_moves_fill_what_arithmetic_says", [
        ("share with a border, crop of 32 with pad 4", 0.987654, some, 1e-6),
        ("share of empty pixels", 0.134066, share, 1e-6),
        ("the same at 64 with a reach of 1/8", 0.127974, more, 1e-6),
    ])  # fmt: skip


def _bins() -> Iterator[Answer]:
    rng, n = np.random.default_rng(0), 10_000
    law = rng.dirichlet(np.full(100, 5.0))
    pairs = [(rng.multinomial(n, law), rng.multinomial(n, law)) for _ in range(40)]
    tests = [two_shares(*pair) for pair in pairs]
    test = "tests/numerics/test_bins.py::test_null_share_of_bins_and_none_after_correction"
    yield Answer("K16", "share of bins beyond 1.96 without a difference", 0.05,
                 float(np.mean([(np.abs(one.z) > 1.96).mean() for one in tests])), 0.03, test)  # fmt: skip
    false = sum(bool((one.adjusted <= 0.05).any()) for one in tests) / len(tests)
    yield Answer("K16", "share of audits with a bin after Benjamini and Hochberg", 0.0, false, 0.15, test,
                 "at most 5 % are expected; 4 standard errors of 40 audits above it")  # fmt: skip
    js = [float(jensen_shannon(real / n, fake / n)) for real, fake in pairs]
    mean, _ = js_null(100, n, n, 0.95)
    yield Answer("K25", "mean Jensen-Shannon divergence, 100 bins, n = 10,000", 0.00248, mean, 1e-5, test)
    yield Answer("K25", "the same of 40 simulated audits", mean, float(np.mean(js)), 0.05 * mean, test, "5 %")
    real = rng.multinomial(n, np.full(10, 0.1))
    z = two_shares(real, rng.multinomial(n, np.append(np.full(9, 1 / 9), 0.0))).z
    yield from several("K16", "tests/numerics/test_bins.py::test_a_dropped_mode_has_its_z_and_lifts_the_others", [
        ("z of a dropped mode of ten, reals over fakes", 32.4, -float(z[9]), 1.0),
        ("mean z of the nine others", -2.56, -float(z[:9].mean()), 1.0),
    ])  # fmt: skip


def _path_lengths() -> Iterator[Answer]:
    """G(z) = Az: 2 |A|^2 on chords whatever the step, E angle^2 |A|^2/d on arcs of unit latents."""
    d, n = 16, 60_000
    a, start, end = _normals(d, 48, seed=0), _normals(n, d, seed=1), _normals(n, d, seed=2)
    exact, test = 2 * float(a.square().sum()), "tests/numerics/test_path_length.py"

    def chord(eps: float) -> float:
        return path_length(squared_distances(start @ a, lerp(start, end, eps) @ a), eps).value

    yield Answer(
        "K17", "path length of a linear generator, lerp, step 1e-4", exact, chord(1e-4), 0.02 * exact, test, "2 %"
    )
    yield Answer("K17", "the same at a step of 1e-2, over that at 1e-4", 1.0, chord(1e-2) / chord(1e-4), 0.01, test)
    unit = [z / z.norm(dim=1, keepdim=True) for z in (start, end)]
    angles = (unit[0] * unit[1]).sum(1).clamp(-1, 1).acos()
    arc = path_length(squared_distances(unit[0] @ a, slerp(*unit, 1e-3) @ a), 1e-3).value
    expected = float(angles.square().mean()) * exact / 2 / d
    yield Answer("K17", "path length on arcs of unit latents", expected, arc, 0.02 * expected, test, "2 %")
    levels = ((start[:200] @ a + 40) * (255 / 80)).round() * (80 / 255) - 40
    yield Answer("K17", "samples of 200 on 256 levels that are known as such", 200,
                 int(on_levels(levels, -40, 40).sum()), 0.0, test)  # fmt: skip


def _mixtures() -> Iterator[Answer]:
    areas = {1.0: (0.760250, 0.721851, 0.658454, 0.577740, 0.5), 2.0: (0.921350, 0.880342, 0.792892, 0.652557, 0.5)}
    distances = {1.0: (1.0, 0.606361, 0.335786, 0.106361, 0.0), 0.0: (0.0, 0.043861, 0.085786, 0.043861, 0.0)}
    rows = torch.arange(_N)

    def mixed(d: float) -> tuple[Tensor, Tensor]:
        fake, real = _normals(_N, 1, seed=1), _normals(_N, 1, seed=2, mean=d)
        return torch.stack([lerp(fake, real, t) for t in _T]), _normals(_N, 1, seed=3, mean=d)

    for d, known in areas.items():
        mixtures, fresh = mixed(d)
        found = auc_curve(mixtures[..., 0], fresh[:, 0])(rows, rows).tolist()
        yield from several("K18", "tests/numerics/test_mixing.py::test_auc_along_the_mix_of_two_gaussians", [
            (f"AUC at t = {t:g}, d = {d:g}", e, m, 0.005) for t, e, m in zip(_T, known, found, strict=True)
        ], "4 standard errors of 100,000")  # fmt: skip
    for d, known in distances.items():
        mixtures, fresh = mixed(d)
        found = frechet_curve(mixtures, fresh)(rows, rows).tolist()
        name = "tests/numerics/test_mixing.py::test_frechet_distance_along_the_mix_of_two_gaussians"
        yield from several("K18", name, [
            (f"FD at t = {t:g}, d = {d:g}", e, m, 0.02) for t, e, m in zip(_T, known, found, strict=True)
        ], "moments of 100,000 samples")  # fmt: skip


def _copies() -> Iterator[Answer]:
    train, held, other = (_normals(1000, 8, seed=seed).float() for seed in range(3))
    cells = torch.zeros(1000, dtype=torch.int64)

    def ct(fake: Tensor) -> float:
        sides = [nearest(side, train).distances[:, 0] for side in (fake, held)]
        return copying_test(*sides, cells, cells).value

    test = "tests/numerics/test_copying.py::test_k19_one_law_is_near_0_and_half_copies_are_far_below"
    yield Answer("K19", "C_T of a copycat, n = m = 1000", -38.7201, ct(train), 5e-5,
                 "tests/numerics/test_copying.py::test_k19_a_copycat_has_the_least_value")  # fmt: skip
    yield Answer("K19", "C_T of one law", 0.0, ct(other), 4.0, test)
    yield Answer("K19", "C_T of half copies", -19.0, ct(torch.cat([train[:500], other[500:]])), 2.0, test)


def _authentic() -> Iterator[Answer]:
    for d, share in ((2, 0.380), (32, 0.779)):
        found = []
        for seed in range(100, 104):
            both = _normals(4000, d, seed=seed).float()
            train = both[:2000]
            found.append(float(toward(both[2000:], train, radii(train, 1), 2).is_authentic.double().mean()))
        yield Answer("K20", f"authenticity of one law, d = {d}", share, float(np.mean(found)), 0.02,
                     "tests/numerics/test_copying.py::test_k20_authenticity_of_one_law_moves_with_the_dimension",
                     "mean of 4 sets of 2000")  # fmt: skip
    train, fake = (_normals(2000, 16, seed=seed).float() for seed in (7, 8))
    nearer = nearest(train, fake).distances[:, 0] < radii(train, 1)
    yield Answer("K20", "identifiability of one law, d = 16", 0.5, float(nearer.double().mean()), 0.03,
                 "tests/evaluators/test_memorisation.py"
                 "::test_k20_identifiability_of_one_law_at_equal_n_is_a_half_in_every_dimension")  # fmt: skip


def _covered() -> Iterator[Answer]:
    for k in (3, 5):
        real, fake = (_normals(2000, 2, seed=seed) for seed in (11, 12))
        found = neighbourhood(real, fake, k).coverage
        yield Answer("K20", f"PRDC coverage of one law, k = {k}", 1 - 2.0**-k, found, 0.01,
                     f"{_BALLS}::test_equal_laws_have_the_expected_coverage_and_density_one")  # fmt: skip
        exact = expected_coverage(2000, 2000, k)
        yield Answer("K20", f"its expectation by formula, k = {k}", 1 - 2.0**-k, exact, 1e-3,
                     f"{_BALLS}::test_expected_coverage_is_its_table", "1/n")  # fmt: skip
