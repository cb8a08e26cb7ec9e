"""Known answers through the command line: feature arrays in, the closed form out."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run


def exact(rng: np.random.Generator, n: int, mean: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """n points whose sample mean and covariance (divisor n - 1) are exactly those asked for."""
    x = rng.standard_normal((n, len(mean)))
    x -= x.mean(0)
    whiten = np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
    return x @ whiten @ np.linalg.cholesky(covariance).T + mean


def measured(ganaudit: Run, real: np.ndarray, fake: np.ndarray, evaluator: str, *more: str) -> dict[str, float]:
    np.save("real.npy", real)
    np.save("fake.npy", fake)
    called = ganaudit(
        "audit", "fake.npy", "--reference", "test=real.npy", "--extractor", "identity", "--evaluators", evaluator,
        "--out", "out", "--json", *more,
    )  # fmt: skip
    assert called.code == 0, called.err
    document = json.loads(called.out)
    assert document == json.loads(Path("out/document.json").read_text())
    (result,) = [r for r in document["results"] if r["evaluator"] == evaluator]
    return {m["key"]: m["value"] for m in result["measurements"]}


A = np.array([[2.0, 1.0], [1.0, 2.0]])
CASES = {
    "two by two": (np.zeros(2), A, np.zeros(2), np.diag([3.0, 1.0]), 8 - 2 * math.sqrt(14)),
    "isotropic": (np.zeros(5), 4 * np.eye(5), np.zeros(5), 9 * np.eye(5), 5 * (2 - 3) ** 2),
    "means only": (np.zeros(16), np.eye(16), np.ones(16), np.eye(16), 16.0),
    "diagonal": (
        np.array([1.0, 2.0, 3.0]),
        np.diag([1.0, 4.0, 9.0]),
        np.zeros(3),
        np.diag([4.0, 1.0, 16.0]),
        14 + 1 + 1 + 1,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_frechet_distance_of_matched_gaussians(ganaudit: Run, case: str) -> None:
    mean_r, cov_r, mean_f, cov_f, expected = CASES[case]
    rng = np.random.default_rng(1)
    real, fake = exact(rng, 300, mean_r, cov_r), exact(rng, 400, mean_f, cov_f)
    found = measured(ganaudit, real, fake, "frechet-distance")
    assert found["fd"] == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_of_constants_is_seven(ganaudit: Run) -> None:
    assert measured(ganaudit, np.zeros((40, 6)), np.ones((50, 6)), "kernel-distance")["kd"] == 7.0


@pytest.mark.parametrize(("boundary", "density"), [("<", 1.0), ("<=", 2.8)])
def test_ties_follow_the_stated_boundary(ganaudit: Run, boundary: str, density: float) -> None:
    points = np.arange(10.0)[:, None]
    Path("audit.toml").write_text(f'[evaluators.precision-recall]\nneighbours = 1\nboundary = "{boundary}"\n')
    found = measured(ganaudit, points, points, "precision-recall", "--config", "audit.toml")
    expected = {"precision": 1.0, "recall": 1.0, "density": pytest.approx(density, abs=1e-12), "coverage": 1.0}
    assert {key: found[key] for key in expected} == expected
    # Every sample has an exact copy on the other side, nearer than any of its own.
    assert (found["1-nn-accuracy-real"], found["1-nn-accuracy-fake"]) == (0.0, 0.0)


def test_fewer_samples_than_dimensions_is_not_negative(ganaudit: Run) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 64))
    assert 0 <= measured(ganaudit, x, x, "frechet-distance")["fd"] < 1e-9
    # Against SciPy's matrix root, on the covariances themselves.
    from scipy.linalg import sqrtm

    y = rng.standard_normal((30, 64)) + 0.5
    root = np.real(sqrtm(np.cov(x, rowvar=False) @ np.cov(y, rowvar=False)))
    shift = x.mean(0) - y.mean(0)
    expected = shift @ shift + np.trace(np.cov(x, rowvar=False) + np.cov(y, rowvar=False)) - 2 * np.trace(root)
    found = measured(ganaudit, x, y, "frechet-distance")["fd"]
    assert found == pytest.approx(expected, rel=1e-4)  # sqrtm of a singular product is good to four digits only


def test_float32_features_are_used_as_they_stand(ganaudit: Run) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((100, 3)).astype(np.float32), rng.standard_normal((90, 3)).astype(np.float32)
    narrow = measured(ganaudit, x, y, "frechet-distance")["fd"]
    wide = measured(ganaudit, x.astype(np.float64), y.astype(np.float64), "frechet-distance")["fd"]
    assert narrow == wide


def test_npz_of_samples_written_by_peers_is_read(ganaudit: Run) -> None:
    rng = np.random.default_rng(3)
    np.savez("fake.npz", arr_0=rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8))
    np.savez("real.npz", arr_0=rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8))
    called = ganaudit("audit", "fake.npz", "--reference", "real.npz", "--out", "out", "--json")
    assert called.code == 0, called.err
    assert json.loads(called.out)["extractor"]["id"] == "pixels"
