"""Known answers through the command line with TorchScript discriminators: linear, scaled, saturated."""

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from .conftest import Run

SIDE, P = 6, 36
W = np.random.default_rng(1).standard_normal(P)


class Linear(nn.Module):
    """c (w·x) + t0, in float64, then a sigmoid of slope k where k is above 0."""

    def __init__(self, w: np.ndarray, c: float = 1.0, t0: float = 0.0, k: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("w", torch.from_numpy(w))
        self.c, self.t0, self.k = c, t0, k

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        score = self.c * (x.flatten(1).double() @ self.w) + self.t0
        return torch.sigmoid(self.k * score).float() if self.k > 0 else score


def saved(network: nn.Module, name: str = "d.pt") -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # deprecated upstream; its files are still about
        torch.jit.script(network.eval()).save(name)
    return name


def results(ganaudit: Run, low: float, high: float, evaluators: str, *more: str) -> dict[str, dict[str, dict]]:
    called = ganaudit(
        "audit", "fake.npz", "--discriminator", "d.pt", "--reference", "calibration=cal.npz,test=test.npz",
        f"--range={low},{high}", "--evaluators", evaluators, "--out", "out", "--json", *more,
    )  # fmt: skip
    assert called.code == 0, called.err
    rows = json.loads(called.out)["results"]
    return {r["evaluator"]: {m["key"]: m for m in r["measurements"]} for r in rows if r["status"] == "measured"}


def gaussians(d: float, n: int) -> None:
    """Scores of reals N(d, 1), of generated samples N(0, 1), as samples of one value."""
    rng = np.random.default_rng(4)
    for name, mean in (("fake", 0.0), ("test", d), ("cal", d)):
        np.savez(f"{name}.npz", samples=(rng.standard_normal((n, 1, 1, 1)) + mean).astype(np.float32))


@pytest.mark.parametrize(
    ("d", "area", "equal", "tpr", "units"),
    [(1, 0.760250, 0.308538, 0.092362, ((1e-3, -50.0), (1e3, 50.0))), (2, 0.921350, 0.158655, 0.372081, ())],
)
def test_detection_of_two_gaussians(
    ganaudit: Run, d: int, area: float, equal: float, tpr: float, units: tuple[tuple[float, float], ...]
) -> None:
    n = 20_000
    gaussians(d, n)
    found = {}
    for c, t0 in ((1.0, 0.0), *units):
        saved(Linear(np.ones(1), c, t0))
        found[c] = results(ganaudit, -10, 12, "discriminator-detection")["discriminator-detection"]
    values = {key: m["value"] for key, m in found[1.0].items()}
    # Four standard errors of this n: DeLong's for the area, and of a quantile and a share for the others.
    assert values["auc"] == pytest.approx(area, abs=4 * 0.33 / math.sqrt(n))
    assert values["eer"] == pytest.approx(equal, abs=4 * 0.8 / math.sqrt(n))
    slope = stats.norm.pdf(d - stats.norm.isf(0.01)) / stats.norm.pdf(stats.norm.isf(0.01))
    error = math.sqrt((slope**2 * 0.01 + tpr * (1 - tpr)) / n)
    assert values["tpr-at-fpr-1pct"] == pytest.approx(tpr, abs=4 * error)
    for other, _ in units:
        for key in ("auc", "eer", "tpr-at-fpr-1pct", "fpr-at-threshold", "tpr-at-threshold"):
            assert found[other][key]["value"] == values[key], "a unit of the score changes no rank"


def pictures(low: float, high: float, shift: float, n: int = 60) -> dict[str, np.ndarray]:
    """Reals around the middle of the range, generated ones moved against w."""
    rng = np.random.default_rng(2)
    made = {}
    for name, count, by in (("fake", n, shift), ("test", n, 0.0), ("cal", 100, 0.0)):
        unit = 0.5 + 0.3 * np.tanh(rng.standard_normal((count, 1, SIDE, SIDE))) - by * np.sign(W).reshape(SIDE, SIDE)
        made[name] = (low + (high - low) * unit.clip(0, 1)).astype(np.float32)
        np.savez(f"{name}.npz", samples=made[name])
    return made


def exact(made: dict[str, np.ndarray], low: float, high: float, norm: str, radius: float) -> tuple[float, float]:
    """Robust accuracy on both sides in closed form; l2 only where no wall is met."""
    fake, test, cal = (made[name].reshape(len(made[name]), -1).astype(np.float64) for name in ("fake", "test", "cal"))
    tau = np.sort(cal @ W)[math.floor((len(cal) + 1) * 0.05) - 1]
    if norm == "linf":
        up = np.where(W > 0, np.minimum(fake + radius, high), np.maximum(fake - radius, low)) @ W
        down = np.where(W < 0, np.minimum(test + radius, high), np.maximum(test - radius, low)) @ W
    elif norm == "l2":
        lost = radius * np.linalg.norm(W)
        up, down = fake @ W + lost, test @ W - lost
    else:
        up, down = filled(fake, W, radius, low, high), -filled(test, -W, radius, low, high)
    return float(np.mean(up < tau)), float(np.mean(down >= tau))


def filled(x: np.ndarray, w: np.ndarray, radius: float, low: float, high: float) -> np.ndarray:
    """The highest w·y with a change of sum ``radius``: the heaviest coordinates go to their walls first."""
    room = np.where(w > 0, high - x, x - low)[:, (order := np.argsort(-np.abs(w)))]
    spent = np.diff(np.minimum(np.cumsum(room, 1), radius), axis=1, prepend=0)
    return x @ w + spent @ np.abs(w)[order]


@pytest.mark.parametrize(("norm", "budgets"), [("linf", (0.01, 0.02)), ("l2", (0.04, 0.1)), ("l1", (0.1, 0.25))])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_robust_accuracy_of_a_linear_critic_is_exact(
    ganaudit: Run, norm: str, budgets: tuple[float, float], low: float, high: float
) -> None:
    made = pictures(low, high, 0.06)
    scale, offset = {0.0: (1e3, 50.0), -1.0: (1e-3, -50.0)}.get(low, (1.0, 0.0)) if high < 2 else (1.0, 0.0)
    saved(Linear(W, scale, offset))
    Path("audit.toml").write_text(
        f'[evaluators.adversarial-robustness]\nnorm = "{norm}"\nbudgets = {list(budgets)}\n', encoding="utf-8"
    )
    found = results(ganaudit, low, high, "adversarial-robustness", "--config", "audit.toml")["adversarial-robustness"]
    told = []
    for budget in budgets:
        expected = exact(made, low, high, norm, budget * (high - low))
        told.append(expected[0])
        values = [found[f"{family}-at-{budget}"]["value"] for family in ("robust-accuracy", "false-alarm-robustness")]
        # Of 60 + 60 samples 60 + 60 are attacked: all of them.
        assert values == pytest.approx(expected, abs=1e-12)
    assert 0.05 < told[1] < told[0] < 0.95, "the case must tell"
    assert found["masking"]["value"] == 0.0


@pytest.mark.parametrize("k", [50.0, 1000.0])
def test_a_saturated_critic_is_masked_and_never_robust(ganaudit: Run, k: float) -> None:
    made = pictures(-1.0, 1.0, 0.1)
    # The boundary half way between the sides: both lie deep in the flat parts.
    offset = -float((made["fake"].reshape(60, -1) @ W).mean() + (made["test"].reshape(60, -1) @ W).mean()) / 2
    saved(Linear(W, 1.0, offset, k))
    found = results(ganaudit, -1.0, 1.0, "adversarial-robustness")["adversarial-robustness"]
    assert found["masking"]["value"] == 1.0
    for key, m in found.items():
        if key.startswith(("robust-accuracy", "false-alarm")):
            assert m["value"] is None or m["value"] == 0.0, key


def test_the_whole_range_fools_a_linear_critic(ganaudit: Run) -> None:
    pictures(-1.0, 1.0, 0.06)
    saved(Linear(W))
    Path("audit.toml").write_text("[evaluators.adversarial-robustness]\nbudgets = [1]\n", encoding="utf-8")
    found = results(ganaudit, -1.0, 1.0, "adversarial-robustness", "--config", "audit.toml")["adversarial-robustness"]
    assert found["robust-accuracy-at-1"]["value"] == found["false-alarm-robustness-at-1"]["value"] == 0.0


def test_certified_radius_of_a_linear_critic(ganaudit: Run) -> None:
    """K12: w = (3, 4), and every generated sample 1.4 from the plane of the threshold."""
    low, high, draws, alpha = -10.0, 10.0, 100_000, 0.001
    line = np.linspace(0, 1, 100)[:, None] * [0.6, 0.8]
    tau = 5 * np.sort(line @ [0.6, 0.8])[math.floor(101 * 0.05) - 1]
    fake = np.tile((tau / 5 - 1.4) * np.array([0.6, 0.8]), (5, 1))
    for name, made in (("cal", line), ("test", line[50:]), ("fake", fake)):
        np.savez(f"{name}.npz", samples=made.reshape(-1, 1, 1, 2).astype(np.float32))
    saved(Linear(np.array([3.0, 4.0])))
    for sigma in (0.25, 0.5, 1.0, 2.0):
        Path("audit.toml").write_text(
            f"[evaluators.certified-robustness]\nsigma = {sigma / (high - low)}\nsamples = 5\ndraws = {draws}\n",
            encoding="utf-8",
        )
        found = results(ganaudit, low, high, "certified-robustness", "--config", "audit.toml")["certified-robustness"]
        proved, guess = (found[key]["value"] for key in ("median-certified-radius", "median-radius-estimate"))
        # The lower bound of the share that is expected, and where all draws agree that of all of them.
        share = stats.norm.cdf(1.4 / sigma)
        k = round(share * draws)
        bound = stats.beta.ppf(alpha, k, draws - k + 1) if k < draws else alpha ** (1 / draws)
        spread = 4 * math.sqrt(share * (1 - share) / draws) / stats.norm.pdf(1.4 / sigma) if k < draws else 1e-9
        assert proved * (high - low) == pytest.approx(sigma * stats.norm.ppf(bound), abs=sigma * spread)
        assert proved * (high - low) < 1.4
        if sigma == 0.25:
            assert guess is None  # 1 in 10^8 noisy copies crosses: 10^5 see none
        else:
            assert guess * (high - low) == pytest.approx(1.4, rel=0.01)
