"""Penalties against discriminators whose gradients are known, finite differences and loops written out."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ganaudit.document.errors import ConfigError
from ganaudit.training.regularisers import (
    Anchors,
    consistency_penalty,
    gradient_norms,
    interpolates,
    lazy,
    lecam_penalty,
    one_centred_penalty,
    path_length_penalty,
    path_lengths,
    perturbed,
    zero_centred_penalty,
)
from ganaudit.training.selftest import PenaltyProbe, check_second_order, difference_bound

F64 = torch.float64


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)


def test_zero_centred_penalty_of_a_linear_discriminator() -> None:
    # D(x) = w.x + b: the penalty is c/2 |w|^2 whatever the samples; by w it is c w, by b 0.
    w, b, x = drawn(6).requires_grad_(), drawn(1).requires_grad_(), drawn(5, 6, seed=1).requires_grad_()
    penalty = zero_centred_penalty(gradient_norms(x @ w + b, x), 3.0)
    assert float(penalty.detach()) == pytest.approx(1.5 * float(w.detach().square().sum()), rel=1e-13)
    by_w, by_b = torch.autograd.grad(penalty, [w, b], allow_unused=True)
    torch.testing.assert_close(by_w, 3.0 * w.detach())
    assert by_b is None


def test_zero_centred_penalty_of_a_quadratic_discriminator() -> None:
    # D(x) = x'Ax/2 + b.x: the gradient is g = (A + A')x/2 + b; by b the penalty is c E g, by A c E (gx' + xg')/2.
    a, b, x = drawn(4, 4).requires_grad_(), drawn(4, seed=1).requires_grad_(), drawn(7, 4, seed=2).requires_grad_()
    scores = ((x @ a) * x).sum(1) / 2 + x @ b
    penalty = zero_centred_penalty(gradient_norms(scores, x), 0.7)
    by_a, by_b = torch.autograd.grad(penalty, [a, b])
    with torch.no_grad():
        g = x @ (a + a.T).T / 2 + b
        assert float(penalty) == pytest.approx(0.35 * float(g.square().sum(1).mean()), rel=1e-13)
        torch.testing.assert_close(by_b, 0.7 * g.mean(0))
        torch.testing.assert_close(by_a, 0.7 * (g.T @ x + x.T @ g) / 2 / len(x))


def test_one_centred_penalty_of_a_linear_discriminator() -> None:
    w, x = drawn(6).requires_grad_(), drawn(5, 6, seed=1).requires_grad_()
    penalty = one_centred_penalty(gradient_norms(x @ w, x), 20.0)
    norm = w.detach().norm()
    assert float(penalty.detach()) == pytest.approx(10.0 * (float(norm) - 1) ** 2, rel=1e-13)
    torch.testing.assert_close(torch.autograd.grad(penalty, w)[0], 20.0 * (norm - 1) * w.detach() / norm)


def test_a_gradient_of_zero_gives_no_nan() -> None:
    w, x = torch.zeros(6, requires_grad=True), torch.ones(5, 6, requires_grad=True)
    penalty = one_centred_penalty(gradient_norms(x @ w, x), 20.0)
    assert float(penalty.detach()) == pytest.approx(10.0)
    assert torch.autograd.grad(penalty, w)[0].tolist() == [0.0] * 6


def net(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(12, 1)).double()


PENALTIES: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": lambda norms: zero_centred_penalty(norms, 2.0),
    "one": lambda norms: one_centred_penalty(norms, 2.0),
}


@pytest.mark.parametrize("name", list(PENALTIES))
def test_derivative_by_weights_against_finite_differences_of_finite_differences(name: str) -> None:
    network, x, h = net(0), drawn(3, 1, 4, 4, seed=3), 1e-4

    def norms_by_steps() -> Tensor:
        with torch.no_grad():
            steps = h * torch.eye(16, dtype=F64).view(16, 1, 1, 4, 4)
            slopes = [((network(x + s) - network(x - s)) / (2 * h)).squeeze(1) for s in steps]
        return torch.stack(slopes).square().sum(0)

    leaf = x.clone().requires_grad_()
    penalty = PENALTIES[name](gradient_norms(network(leaf).squeeze(1), leaf))
    weight = network[0].weight
    (gradient,) = torch.autograd.grad(penalty, weight)
    # Each central difference errs by h^2/6 of a third derivative (order 1 here) and by eps/h: 1e-8 in all, twice.
    torch.testing.assert_close(penalty.detach(), PENALTIES[name](norms_by_steps()), rtol=1e-7, atol=1e-7)
    for place in [(0, 0, 0, 0), (1, 0, 2, 1), (2, 0, 1, 1)]:
        values = []
        for step in (1e-3, -1e-3):
            with torch.no_grad():
                weight[place] += step
            values.append(float(PENALTIES[name](norms_by_steps())))
            with torch.no_grad():
                weight[place] -= step
        assert float(gradient[place]) == pytest.approx((values[0] - values[1]) / 2e-3, rel=1e-4, abs=1e-5)


def test_interpolates_lie_between_the_pairs_and_are_leaves() -> None:
    real, fake = drawn(4, 1, 2, 2).requires_grad_(), drawn(4, 1, 2, 2, seed=1).requires_grad_()
    u = torch.tensor([0.0, 1.0, 0.25, 0.5])
    x = interpolates(real, fake, u)
    for i, share in enumerate(u.tolist()):
        torch.testing.assert_close(x[i].detach(), (share * real[i] + (1 - share) * fake[i]).detach())
    assert x.is_leaf
    assert x.requires_grad
    with pytest.raises(ValueError, match=r"u: found shape \(3,\); allowed: \(4,\)"):
        interpolates(real, fake, u[:3])
    with pytest.raises(ValueError, match="fake: found shape"):
        interpolates(real, fake[:2], u)


def test_perturbed_reals_are_the_definition_and_ranks_may_share_the_deviation() -> None:
    real, u, v = drawn(4, 2, 3), torch.tensor([0.0, 1.0, 0.3, 0.9], dtype=F64), torch.rand(4, 2, 3, dtype=F64)
    s = float(np.std(real.numpy()))
    expected = real.numpy() + u.numpy()[:, None, None] * s / 2 * (2 * v.numpy() - 1)
    found = perturbed(real, u, v)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-13)
    assert found.is_leaf
    assert found.requires_grad
    s_of_all = real.std(correction=0)
    halves = [perturbed(real[k : k + 2], u[k : k + 2], v[k : k + 2], s_of_all) for k in (0, 2)]
    torch.testing.assert_close(torch.cat(halves), found)
    with pytest.raises(ValueError, match="v: found shape"):
        perturbed(real, u, v[:, :1])


def test_path_lengths_of_a_linear_generator() -> None:
    # image = W z: J'y = W'n / sqrt(HW), the same for every latent; it grows in proportion to W.
    w, z, n = drawn(2 * 3 * 4, 5).requires_grad_(), drawn(6, 5, seed=1).requires_grad_(), drawn(6, 2, 3, 4, seed=2)
    lengths = path_lengths((z @ w.T).view(6, 2, 3, 4), z, n)
    expected = (n.flatten(1) @ w / math.sqrt(12)).norm(dim=1)
    torch.testing.assert_close(lengths, expected)
    (found,) = torch.autograd.grad(lengths.sum(), w)
    torch.testing.assert_close(found, torch.autograd.grad(expected.sum(), w)[0])


def test_path_lengths_by_whole_jacobians_of_images_of_layers_and_of_sounds() -> None:
    mix = drawn(2, 3, 8)

    def generate(z: Tensor) -> Tensor:  # (L = 2, D = 3) -> 8 values
        return torch.tanh(torch.einsum("ld,ldo->o", z, mix)) + z.square().sum()

    z = drawn(4, 2, 3, seed=1).requires_grad_()
    flat = torch.stack([generate(row) for row in z])
    for shape, pixels in (((1, 2, 4), 8), ((2, 4), 4), ((2, 2, 2), 4)):
        noise = drawn(4, *shape, seed=3)
        found = path_lengths(flat.view(4, *shape), z, noise)
        for i in range(4):
            jacobian = torch.autograd.functional.jacobian(generate, z[i].detach())  # (8, 2, 3)
            product = torch.einsum("old,o->ld", jacobian, noise[i].flatten()) / math.sqrt(pixels)
            assert float(found[i].detach()) == pytest.approx(
                math.sqrt(float(product.square().sum(1).mean())), rel=1e-12
            )


def test_path_length_penalty_and_its_running_mean_against_a_loop() -> None:
    mean, expected = torch.zeros((), dtype=F64), 0.0
    for step in range(5):
        lengths = drawn(4, seed=step).abs().requires_grad_()
        penalty, mean = path_length_penalty(lengths, mean, 4.0)
        values = lengths.tolist()
        assert float(penalty.detach()) == pytest.approx(2 * sum((v - expected) ** 2 for v in values) / 4, rel=1e-13)
        (gradient,) = torch.autograd.grad(penalty, lengths)
        assert gradient.tolist() == pytest.approx([4 * (v - expected) / 4 for v in values], rel=1e-12)
        expected = 0.99 * expected + 0.01 * sum(values) / 4
        assert float(mean) == pytest.approx(expected, rel=1e-13)
        assert not mean.requires_grad


def test_averaging_what_two_ranks_return_gives_what_one_process_returns() -> None:
    lengths, mean = drawn(6).abs(), torch.tensor(0.4, dtype=F64)
    whole = path_length_penalty(lengths, mean, 2.0)
    halves = [path_length_penalty(part, mean, 2.0) for part in lengths.view(2, 3)]
    for k in range(2):
        torch.testing.assert_close((halves[0][k] + halves[1][k]) / 2, whole[k])
    real, fake, anchors = drawn(6), drawn(6, seed=1), Anchors(mean, -mean)
    penalty, moved = lecam_penalty(real, fake, anchors, 2.0)
    parts = [lecam_penalty(real[k : k + 3], fake[k : k + 3], anchors, 2.0) for k in (0, 3)]
    torch.testing.assert_close((parts[0][0] + parts[1][0]) / 2, penalty)
    torch.testing.assert_close((parts[0][1].real + parts[1][1].real) / 2, moved.real)


def test_consistency_against_a_loop() -> None:
    clean, changed = drawn(3, 2).requires_grad_(), drawn(3, 2, seed=1).requires_grad_()
    penalty = consistency_penalty(clean, changed, 20.0)
    pairs = list(zip(clean.flatten().tolist(), changed.flatten().tolist(), strict=True))
    assert float(penalty.detach()) == pytest.approx(10 * sum((a - b) ** 2 for a, b in pairs) / 6, rel=1e-13)
    by_clean, by_changed = torch.autograd.grad(penalty, [clean, changed])
    assert by_clean.flatten().tolist() == pytest.approx([20 * (a - b) / 6 for a, b in pairs])
    torch.testing.assert_close(by_changed, -by_clean)
    with pytest.raises(ValueError, match="augmented: found shape"):
        consistency_penalty(clean, changed[:, :1], 1.0)


def test_lecam_against_a_loop() -> None:
    anchors, high, low = Anchors(torch.zeros((), dtype=F64), torch.zeros((), dtype=F64)), 0.0, 0.0
    for step in range(4):
        real, fake = drawn(5, seed=step).requires_grad_(), drawn(5, seed=step + 50)
        penalty, anchors = lecam_penalty(real, fake, anchors, 0.6, decay=0.1)
        loss = sum((r - low) ** 2 for r in real.tolist()) / 5 + sum((f - high) ** 2 for f in fake.tolist()) / 5
        assert float(penalty.detach()) == pytest.approx(0.3 * loss, rel=1e-13)
        (gradient,) = torch.autograd.grad(penalty, real)
        assert gradient.tolist() == pytest.approx([0.6 * (r - low) / 5 for r in real.tolist()])
        high, low = 0.9 * high + 0.1 * sum(real.tolist()) / 5, 0.9 * low + 0.1 * sum(fake.tolist()) / 5
        assert (float(anchors.real), float(anchors.fake)) == pytest.approx((high, low), rel=1e-12)
        assert not anchors.real.requires_grad


def test_lazy_adam_against_adam_written_out() -> None:
    every, rate, betas = 4, 0.01, (0.5, 0.99)
    c = 4 / 5
    parameter = torch.tensor([1.0], dtype=F64, requires_grad=True)
    new_rate, new_betas = lazy(rate, betas, every)
    optimiser = torch.optim.Adam([parameter], lr=new_rate, betas=new_betas, eps=1e-8)
    x, m, v, t = 1.0, 0.0, 0.0, 0
    for step in range(12):
        # The loss x^2/2 at every step; the penalty x^4/4, times 4, as a step of its own at every fourth.
        for gradient_of in [lambda y: y, *([lambda y: 4 * y**3] if step % every == 0 else [])]:
            parameter.grad = gradient_of(parameter.detach())
            optimiser.step()
            g, t = gradient_of(x), t + 1
            m, v = 0.5**c * m + (1 - 0.5**c) * g, 0.99**c * v + (1 - 0.99**c) * g * g
            x -= rate * c * (m / (1 - 0.5 ** (c * t))) / (math.sqrt(v / (1 - 0.99 ** (c * t))) + 1e-8)
            assert float(parameter.detach()) == pytest.approx(x, rel=1e-12)
    # k + 1 corrected steps forget and move as much as k plain ones.
    assert new_betas[0] ** (every + 1) == pytest.approx(betas[0] ** every, rel=1e-13)
    assert new_betas[1] ** (every + 1) == pytest.approx(betas[1] ** every, rel=1e-13)
    assert new_rate * (every + 1) == pytest.approx(rate * every, rel=1e-13)
    with pytest.raises(ValueError, match="every: found 0; allowed: 1 or more"):
        lazy(rate, betas, 0)


def test_nothing_is_read_back_from_the_device() -> None:
    with FakeTensorMode():  # tensors without values: reading one raises
        w = torch.empty(12, requires_grad=True)
        real, fake, u, mean = torch.empty(4, 3, 2, 2), torch.empty(4, 3, 2, 2), torch.empty(4), torch.empty(())
        for x in (interpolates(real, fake, u), perturbed(real, u, fake), perturbed(real, u, fake, mean)):
            one_centred_penalty(gradient_norms(x.flatten(1) @ w, x), 1.0).backward()
        z = torch.empty(4, 12, requires_grad=True)
        lengths = path_lengths((z * w).view(4, 3, 2, 2), z, real)
        penalty, mean = path_length_penalty(lengths, mean, 2.0)
        (penalty + lecam_penalty(lengths, lengths, Anchors(mean, mean), 1.0)[0]).backward()
        assert w.grad is not None


def test_self_test_accepts_eager_double_precision_and_bfloat16() -> None:
    probe = PenaltyProbe()
    assert check_second_order(probe.penalty_gradient, probe.penalty_gradient, "eager") == 0.0

    def autocast() -> list[Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return probe.penalty_gradient()

    # Its roundings show (so the test measures something) and stay within the bound, which float32's bound is not.
    assert check_second_order(autocast, probe.penalty_gradient, "bf16", torch.bfloat16) > difference_bound(
        torch.float32
    )
    with pytest.raises(ConfigError, match=r"backend 'bf16'.*largest relative difference 0\.0\d+; allowed: 0\.0001"):
        check_second_order(autocast, probe.penalty_gradient, "bf16")


def without_the_second_derivative(probe: PenaltyProbe) -> list[Tensor]:
    """The penalty's gradient when the activation's second derivative is lost: tanh' is taken as a constant."""
    convolution, _, _, linear = probe.network
    slope = 1 - convolution(probe.samples).tanh().square().detach()
    gradient = nn.functional.conv_transpose2d(
        slope * linear.weight.view(1, *slope.shape[1:]), convolution.weight, stride=2, padding=1, output_padding=1
    )
    penalty = gradient.square().flatten(1).sum(1).mean()
    parameters = [convolution.weight, convolution.bias, linear.weight, linear.bias]
    return list(torch.autograd.grad(penalty, parameters, allow_unused=True, materialize_grads=True))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_self_test_refuses_wrong_backends(dtype: torch.dtype) -> None:
    probe = PenaltyProbe()
    right = probe.penalty_gradient()
    wrong: dict[str, Callable[[], list[Tensor]]] = {
        "constant": lambda: [torch.zeros_like(g) for g in right],
        "lost": lambda: without_the_second_derivative(probe),
        "doubled": lambda: [2 * g for g in right],
        "one tensor": lambda: [*right[:1], *[-g for g in right[1:2]], *right[2:]],
        "nan": lambda: [g * math.nan for g in right],
        "bias": lambda: [*right[:-1], right[-1] + 1.0],
    }
    for name, backend in wrong.items():
        with pytest.raises(ConfigError, match=f"backend '{name}'.*allowed: .*use the backend 'eager'"):
            check_second_order(backend, probe.penalty_gradient, name, dtype)
    with pytest.raises(ConfigError, match="3 tensors of other shapes than eager's 4"):
        check_second_order(lambda: right[:3], probe.penalty_gradient, "short", dtype)


def test_probe_gives_the_same_gradient_each_time() -> None:
    first, second = (PenaltyProbe().penalty_gradient() for _ in range(2))
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
