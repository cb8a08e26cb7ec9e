"""Known answers on cost: K23, K24."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.known_answer import Answer, several
from ganaudit.numerics.costs import grams_of_carbon, kilowatt_hours
from ganaudit.numerics.flops import tallied

__all__ = ["spent"]

_WIDTHS = (3, 64, 128, 256, 512)


def spent() -> Iterator[Answer]:
    """Yield the answers on operations and energy."""
    yield from _dcgan()
    yield from _single()
    kwh = kilowatt_hours(700, 600)
    yield from several("K24", "tests/numerics/test_costs.py::test_energy_of_a_gpu_for_ten_minutes", [
        ("kWh of 700 W for 600 s", 0.116667, kwh, 5e-7), ("grams at 400 g/kWh", 46.67, grams_of_carbon(kwh, 400), 5e-3),
    ], "rounding of the anchor")  # fmt: skip


def _generator() -> nn.Sequential:
    """The DCGAN of PyTorch's tutorial: 100 latents, widths 512 to 64, 64 x 64 RGB."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(100, 512, 4, bias=False), nn.BatchNorm2d(512), nn.ReLU(True)]
    for wide, narrow in pairwise(reversed(_WIDTHS[1:])):
        layers += [nn.ConvTranspose2d(wide, narrow, 4, 2, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()).eval()


def _discriminator() -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for narrow, wide in pairwise(_WIDTHS[1:]):
        layers += [nn.Conv2d(narrow, wide, 4, 2, 1, bias=False), nn.BatchNorm2d(wide), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False)).eval()


def _dcgan() -> Iterator[Answer]:
    g, d = _generator(), _discriminator()
    z, x = torch.zeros(1, 100, 1, 1), torch.zeros(1, 3, 64, 64)

    def leaf() -> Tensor:
        return x.clone().requires_grad_()

    def both() -> None:
        at = leaf()
        torch.autograd.grad(d(at).sum(), [*d.parameters(), at])

    def penalty() -> None:
        at = leaf()
        (gradient,) = torch.autograd.grad(d(at).sum(), at, create_graph=True)
        torch.autograd.grad(gradient.square().sum(), [*d.parameters(), at], allow_unused=True)

    with torch.no_grad():
        forward = tallied(lambda: g(z)).flops, tallied(lambda: d(x)).flops
    weights = tallied(lambda: torch.autograd.grad(d(x).sum(), list(d.parameters()))).flops
    test = "tests/numerics/test_flops.py::test_backward_and_double_backward_have_the_published_counts"
    yield from several("K23", test, [
        ("DCGAN, parameters of G", 3_576_704, sum(p.numel() for p in g.parameters()), 0.0),
        ("DCGAN, parameters of D", 2_765_568, sum(p.numel() for p in d.parameters()), 0.0),
        ("DCGAN, FLOPs of G", 209_256_448, forward[0], 0.0),
        ("DCGAN, FLOPs of D", 207_634_432, forward[1], 0.0),
        ("DCGAN, D forward and backward to weights", 616_611_840, weights, 0.0),
        ("DCGAN, the same with the input, 3 times forward", 3 * forward[1], tallied(both).flops, 0.0),
        ("DCGAN, R1 with its double backward", 1_245_773_824, tallied(penalty).flops, 0.0),
    ])  # fmt: skip


def _single() -> Iterator[Answer]:
    lstm = nn.LSTM(4, 5)
    with torch.no_grad():
        grouped = tallied(lambda: nn.Conv2d(4, 8, 3, groups=2, bias=False)(torch.zeros(1, 4, 12, 12))).flops
        found = tallied(lambda: lstm(torch.zeros(2, 3, 4)))
    is_named = int(any("lstm" in name or "rnn" in name for name in found.uncounted))
    yield Answer("K23", "grouped convolution", 2 * 100 * 8 * 2 * 9, grouped, 0.0,
                 "tests/numerics/test_flops.py::test_single_operations_by_hand")  # fmt: skip
    yield Answer("K23", "an LSTM is named as uncounted (1: yes)", 1, is_named, 0.0,
                 "tests/numerics/test_flops.py::test_what_has_no_formula_is_named")  # fmt: skip
