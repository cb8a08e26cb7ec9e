"""Fixtures that several folders share. Every test has a cache of its own; no test reaches the network."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("GANAUDIT_CACHE")
    os.environ["GANAUDIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["GANAUDIT_CACHE"]
    else:
        os.environ["GANAUDIT_CACHE"] = before


@pytest.fixture(scope="session")
def small_audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished audit of feature arrays: quick, and enough for everything that reads documents."""
    from ganaudit.cli.main import run

    folder = tmp_path_factory.mktemp("small-audit")
    rng = np.random.default_rng(5)
    np.save(folder / "real.npy", rng.standard_normal((80, 4)))
    np.save(folder / "fake.npy", rng.standard_normal((70, 4)) + 0.3)
    out = folder / "audit"
    reference = f"test={folder / 'real.npy'}"
    subject = str(folder / "fake.npy")
    assert run(["audit", subject, "--reference", reference, "--extractor", "identity", "--out", str(out)]) == 0
    return out
