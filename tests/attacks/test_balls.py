import numpy as np
import pytest
import torch
from scipy import optimize

from ganaudit.attacks.balls import NORMS, Norm, norms, projected, steepest, walked
from ganaudit.attacks.chance import Draws
from ganaudit.attacks.threat import Budget, Threat

ORDER = {"linf": np.inf, "l2": 2, "l1": 1}


def some(seed: int, n: int = 12, p: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    delta = torch.from_numpy(rng.standard_normal((n, p)) * 2)
    low, high = torch.from_numpy(-rng.random((n, p))), torch.from_numpy(rng.random((n, p)))
    high[0, :3] = 0.0  # at a wall
    return delta, low, high


@pytest.mark.parametrize("norm", NORMS)
def test_norms_are_numpys(norm: Norm) -> None:
    delta = some(0)[0].view(12, 7, 1)
    expected = np.linalg.norm(delta.flatten(1).numpy(), ord=ORDER[norm], axis=1)
    np.testing.assert_allclose(norms(delta, norm).numpy(), expected, rtol=1e-14)


@pytest.mark.parametrize("boxed", [False, True])
@pytest.mark.parametrize("norm", NORMS)
def test_a_projection_is_the_nearest_point_of_ball_and_box(norm: Norm, boxed: bool) -> None:
    """The nearest point p of a convex set is the one with (u - p)·(y - p) <= 0 for every y of the set."""
    delta, low, high = some(1)
    box = (low, high) if boxed else (None, None)
    for radius in (0.05, 0.7, 2.0, 50.0):
        found = projected(delta, norm, radius, *box)
        assert (norms(found, norm) <= radius * (1 + 1e-12)).all()
        if boxed:
            assert ((found >= low) & (found <= high)).all()
        rng = np.random.default_rng(2)
        for _ in range(300):
            y = torch.from_numpy(rng.standard_normal(delta.shape) * rng.random())
            y = y * (radius / norms(y, norm)[:, None]).clamp(max=1) * (1 if rng.random() < 0.5 else float(rng.random()))
            if boxed:
                y = torch.maximum(torch.minimum(y, high), low)
            assert (((delta - found) * (y - found)).sum(1) <= 1e-9).all()


@pytest.mark.parametrize("norm", ["l2", "l1"])
def test_a_projection_solves_its_multiplier_equation(norm: Norm) -> None:
    delta, low, high = some(3)
    found = projected(delta, norm, 1.3, low, high).numpy()
    for u, lo, hi, p in zip(delta.numpy(), low.numpy(), high.numpy(), found, strict=True):
        room = np.where(u >= 0, hi, -lo)

        def reach(m: float, u: np.ndarray = u, room: np.ndarray = room) -> np.ndarray:
            return np.minimum(np.abs(u) / (1 + m) if norm == "l2" else np.maximum(np.abs(u) - m, 0), room)

        m = 0.0
        if np.linalg.norm(reach(0.0), ORDER[norm]) > 1.3:
            m = optimize.brentq(lambda m: np.linalg.norm(reach(m), ORDER[norm]) - 1.3, 0, 1e3, xtol=1e-14)
        np.testing.assert_allclose(p, np.sign(u) * reach(m), atol=1e-10)


@pytest.mark.parametrize("norm", NORMS)
def test_radii_may_differ_by_sample(norm: Norm) -> None:
    delta, low, high = some(4)
    radii = torch.linspace(0, 2, 12)
    together = projected(delta, norm, radii, low, high)
    apart = torch.cat(
        [projected(delta[i : i + 1], norm, float(radii[i]), low[i : i + 1], high[i : i + 1]) for i in range(12)]
    )
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-12)


@pytest.mark.parametrize("norm", NORMS)
def test_the_steepest_step_gains_the_dual_norm(norm: Norm) -> None:
    gradient = some(5)[0]
    step = steepest(gradient, norm, 0.5, None, None)
    dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
    gain = (step * gradient).sum(1).numpy()
    np.testing.assert_allclose(gain, 0.5 * np.linalg.norm(gradient.numpy(), ord=dual, axis=1), rtol=1e-12)
    for scale in (1e-30, 1e30):
        torch.testing.assert_close(
            steepest((gradient * scale).float(), norm, 0.5, None, None), step.float(), rtol=1e-5, atol=1e-6
        )
    assert (steepest(torch.zeros(3, 4), norm, 0.5, None, None) == 0).all()


def test_an_l1_step_in_a_box_solves_the_linear_program() -> None:
    gradient, low, high = some(6)
    step = steepest(gradient, "l1", 1.1, low, high).numpy()
    for g, lo, hi, d in zip(gradient.numpy(), low.numpy(), high.numpy(), step, strict=True):
        bounds = [(0, v) for v in hi] + [(0, -v) for v in lo]
        best = optimize.linprog(np.r_[-g, g], A_ub=np.ones((1, 14)), b_ub=[1.1], bounds=bounds)
        assert d @ g == pytest.approx(-best.fun, abs=1e-9)
        assert np.abs(d).sum() <= 1.1 + 1e-12
        assert ((d >= lo - 1e-15) & (d <= hi + 1e-15)).all()


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
@pytest.mark.parametrize("norm", NORMS)
def test_what_is_allowed_obeys_ball_and_box_in_float32(norm: Norm, low: float, high: float) -> None:
    rng = np.random.default_rng(7)
    x = torch.from_numpy(low + (high - low) * rng.random((50, 3, 8, 8))).float()
    radius = (high - low) * {"linf": 0.03, "l2": 0.4, "l1": 3.0}[norm]
    threat = Threat(Budget(norm, radius), low, high, "fake")
    wild = x + torch.from_numpy(rng.standard_normal(x.shape)).float() * (high - low)
    wild[0, 0, 0, :3] = torch.tensor([float("nan"), float("inf"), -float("inf")])
    found = threat.allowed(x, wild)
    assert found.dtype == torch.float32
    assert ((found >= low) & (found <= high)).all()
    # Rounded inwards: nothing is lost to the format, only to the projection's own float64.
    assert (norms(found.double() - x.double(), norm) <= radius * (1 + 1e-12)).all()
    assert torch.equal(threat.allowed(x, found), found)


@pytest.mark.parametrize("norm", NORMS)
def test_random_points_fill_the_ball_and_belong_to_their_sample(norm: Norm) -> None:
    x = torch.from_numpy(np.random.default_rng(8).random((400, 5))).float()
    threat = Threat(Budget(norm, 0.5), -10, 10, "fake")
    found = threat.anywhere(x, Draws(np.random.default_rng(1), x))
    share = norms(found - x, norm) / 0.5
    assert (share <= 1 + 1e-6).all()
    # The norm's share u of a uniform point has the law u^p: its mean is p/(p + 1), its spread below 1/(p + 1).
    assert float(share.mean()) == pytest.approx(5 / 6, abs=4 / 6 / 400**0.5)
    backwards = threat.anywhere(x[::2].flip(0), Draws(np.random.default_rng(1), x[::2].flip(0)))
    assert torch.equal(backwards, found[::2].flip(0))


def test_a_budget_says_what_it_found() -> None:
    with pytest.raises(ValueError, match=r"norm: found 'l0'; allowed: linf, l2, l1"):
        Budget("l0", 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="radius: found -1"):
        Budget("l2", -1.0)
    with pytest.raises(ValueError, match=r"range: found 1.0 to 1.0"):
        Threat(Budget("l2", 1.0), 1.0, 1.0, "fake")
    with pytest.raises(ValueError, match="side: found 'both'"):
        Threat(Budget("l2", 1.0), 0.0, 1.0, "both")  # type: ignore[arg-type]


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0)])
def test_an_l2_step_in_a_range_is_the_steepest_step_projected(low: float, high: float) -> None:
    rng = np.random.default_rng(5)
    n, p, span = 300, 60, high - low
    x = low + span * torch.from_numpy(rng.random((n, p))).float()
    x[torch.from_numpy(rng.random((n, p)) < 0.3)], x[torch.from_numpy(rng.random((n, p)) < 0.1)] = low, high
    gradient = torch.from_numpy(rng.standard_normal((n, p)) * np.exp(3 * rng.standard_normal((n, 1)))).float()
    gradient[::7] = 0
    gradient[torch.from_numpy(rng.random((n, p)) < 0.2)] = 0
    radius = torch.from_numpy(0.6 * span * p**0.5 * rng.random(n))
    length = radius * torch.from_numpy(3 * rng.random(n))
    made = walked(x, x, gradient, length, radius, low, high)
    # The general way, through tensors of walls, in float64.
    start = x.double()
    step = steepest(gradient.double(), "l2", length, low - start, high - start)
    wanted = start + projected(step, "l2", radius, low - start, high - start)
    torch.testing.assert_close(made.double(), wanted, rtol=0, atol=1e-5 * span)
    assert float(made.min()) >= low
    assert float(made.max()) <= high
    assert (norms(made - x, "l2") <= radius * (1 + 1e-6) + 1e-6 * span).all()
    assert torch.equal(made[::7], x[::7])
