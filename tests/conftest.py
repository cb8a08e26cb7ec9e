"""Fixtures that several folders share. Every test has a cache of its own; no test reaches the network."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def pytest_configure() -> None:
    """Hear Ctrl-C, as tests of interruptions send: a shell that runs the suite in the background has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


ONE_WORKER = {
    "digits_audit": "a whole audit",
    "alone": "one audit by a process of its own",
    "pages": "three reports and a browser",
    "installed": "an environment",
    "repository": "a training",
}
"""Fixtures that take ten seconds or more, and what they make: tests that share one share a worker too."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests together that would make the same costly thing once for each worker (``--dist loadgroup``)."""
    for item in items:
        for fixture in ONE_WORKER.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.xdist_group(fixture))


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    before = os.environ.get("GANAUDIT_CACHE")
    os.environ["GANAUDIT_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["GANAUDIT_CACHE"]
    else:
        os.environ["GANAUDIT_CACHE"] = before


LIGHT = (
    "discriminator-detection",
    "diversity",
    "frechet-distance",
    "inception-score",
    "kernel-distance",
    "precision-recall",
)


class _LightRegistry:
    """The registry as audits see it when a test names no evaluators: those that take no time."""

    whole = False

    def names(self, kind: str) -> list[str]:
        from ganaudit import registry

        return [n for n in registry.names(kind) if kind != "evaluators" or self.whole or n in LIGHT]

    def __getattr__(self, name: str) -> Any:
        from ganaudit import registry

        return getattr(registry, name)


@pytest.fixture(scope="session", autouse=True)
def audits_in_short() -> Iterator[_LightRegistry]:
    """Ask a few evaluators by default: hundreds of audits of made-up subjects need no attack on each of them.

    Every evaluator has tests of its own, the contract runs over all, and one audit of the reference model asks all.
    """
    from ganaudit.auditing import options, setting

    before, light = options.registry, _LightRegistry()
    options.registry = setting.registry = light
    yield light
    options.registry = setting.registry = before


@pytest.fixture(scope="session", autouse=True)
def _asked_anew() -> Iterator[Callable[..., Any]]:
    """Have evaluators asked by every audit: tests put others in their place, which no key of the cache can tell."""
    from ganaudit.auditing import finished

    before = finished.key_of
    finished.key_of = lambda name, setting: None
    yield before
    finished.key_of = before


@pytest.fixture
def found_again(monkeypatch: pytest.MonkeyPatch, _asked_anew: Callable[..., Any]) -> None:
    """Let this test have what users have: what was found before is not asked again."""
    from ganaudit.auditing import finished

    monkeypatch.setattr(finished, "key_of", _asked_anew)


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
