"""Operations against counts by hand (K23), against torch's own counter, and bytes against arithmetic."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ganaudit.numerics.flops import saved_bytes, tallied

WIDTHS = (3, 64, 128, 256, 512)


def dcgan_generator() -> nn.Sequential:
    """The generator of PyTorch's tutorial: 100 latents, 64 x 64 RGB."""
    layers: list[nn.Module] = [nn.ConvTranspose2d(100, 512, 4, bias=False), nn.BatchNorm2d(512), nn.ReLU(True)]
    for b, a in zip(WIDTHS[-2:0:-1], WIDTHS[:1:-1], strict=True):
        layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()).eval()


def dcgan_discriminator() -> nn.Sequential:
    """Its discriminator up to the logit."""
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for a, b in pairwise(WIDTHS[1:]):
        layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2, True)]
    return nn.Sequential(*layers, nn.Conv2d(512, 1, 4, bias=False)).eval()


G, D = dcgan_generator(), dcgan_discriminator()
Z, X = torch.randn(1, 100, 1, 1), torch.randn(1, 3, 64, 64)


def leaf() -> Tensor:
    return X.clone().requires_grad_()


def penalty() -> None:
    x = leaf()
    (gradient,) = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    torch.autograd.grad(gradient.square().sum(), [*D.parameters(), x], allow_unused=True)


def to_samples_too() -> None:
    x = leaf()
    torch.autograd.grad(D(x).sum(), [*D.parameters(), x])


def test_dcgan_has_the_published_parameters() -> None:
    assert sum(p.numel() for p in G.parameters()) == 3_576_704
    assert sum(p.numel() for p in D.parameters()) == 2_765_568


def by_hand(sides: tuple[int, ...], widths: tuple[int, ...]) -> int:
    """2 · inputs · outputs · 16 · places, the places being those of the smaller map: kernels of 4 with stride 2."""
    return sum(2 * a * b * 16 * side**2 for side, a, b in zip(sides, widths, widths[1:], strict=False))


def test_forward_is_twice_the_multiplications_by_hand_and_torchs_own_count() -> None:
    with torch.no_grad():
        ours = tallied(lambda: G(Z)).flops, tallied(lambda: D(X)).flops
        with FlopCounterMode(display=False) as counter:
            D(X)
    # Transposed convolutions count places of the input (the first has 1), convolutions places of the output.
    assert ours[0] == by_hand((1, 4, 8, 16, 32), (100, 512, 256, 128, 64, 3)) == 209_256_448
    assert ours[1] == by_hand((32, 16, 8, 4, 1), (3, 64, 128, 256, 512, 1)) == 207_634_432 == counter.get_total_flops()


def test_backward_and_double_backward_have_the_published_counts() -> None:
    assert tallied(lambda: torch.autograd.grad(D(X).sum(), list(D.parameters()))).flops == 616_611_840
    assert tallied(to_samples_too).flops == 622_903_296 == 3 * 207_634_432
    assert tallied(penalty).flops == 1_245_773_824


@pytest.mark.parametrize(
    ("work", "flops"),
    [
        # places · outputs · inputs of a group · kernel, twice
        (lambda: nn.Conv2d(4, 8, 3, groups=2, bias=False)(torch.zeros(1, 4, 12, 12)), 2 * 100 * 8 * 2 * 9),
        (lambda: nn.ConvTranspose2d(4, 8, 2, groups=2, bias=False)(torch.zeros(1, 4, 5, 5)), 2 * 25 * 4 * 4 * 4),
        (lambda: nn.Conv1d(2, 3, 5, bias=False)(torch.zeros(2, 2, 20)), 2 * 2 * 16 * 3 * 2 * 5),
        (lambda: nn.Linear(7, 11)(torch.zeros(3, 7)), 2 * 3 * 7 * 11),
        (lambda: torch.mv(torch.zeros(3, 4), torch.zeros(4)), 2 * 12),
        (lambda: torch.addmv(torch.zeros(3), torch.zeros(3, 4), torch.zeros(4)), 2 * 12),
        (lambda: torch.dot(torch.zeros(9), torch.zeros(9)), 18),
        (lambda: torch.einsum("bi,ij->bj", torch.zeros(2, 3), torch.zeros(3, 4)), 2 * 24),
        (lambda: torch.zeros(5).add(1), 0),
    ],
)
def test_single_operations_by_hand(work: object, flops: int) -> None:
    with torch.inference_mode():  # composite operations arrive whole here, and are taken apart
        assert tallied(work).flops == flops  # type: ignore[arg-type]


def test_attention_by_hand_on_this_device() -> None:
    network, x = nn.MultiheadAttention(64, 4, batch_first=True), torch.zeros(1, 16, 64)
    found = tallied(lambda: network(x, x, x, need_weights=False))
    assert found.flops == 2 * 4 * 16 * 64 * 64 + 2 * 2 * 16 * 16 * 64 == 589_824
    assert not found.uncounted


def test_what_has_no_formula_is_named() -> None:
    lstm, x = nn.LSTM(4, 5), torch.zeros(2, 3, 4)
    found = tallied(lambda: lstm(x))
    assert found.flops == 0
    assert any("rnn" in name or "lstm" in name for name in found.uncounted)
    assert "_fft_r2c" in tallied(lambda: torch.fft.rfft(torch.zeros(8))).uncounted
    plain = tallied(lambda: torch.tanh(x) + 1)
    assert plain.uncounted == {}
    assert plain.written == 2 * x.numel()
    assert plain.calls == 2


def test_work_outside_torch_is_no_operation() -> None:
    assert tallied(lambda: sum(range(10))).calls == 0


def test_peak_is_what_was_held_at_once() -> None:
    x = torch.zeros(1000)  # 4000 bytes, there before

    def chain() -> Tensor:
        y = x + 1  # 4000
        y = y + 1  # 8000 while both are held
        y += 1  # in place: nothing new
        return y[:10]  # a view: nothing new

    assert tallied(chain).peak_bytes == 8000
    assert tallied(lambda: (x + 1, x + 2, x + 3)).peak_bytes == 12000
    assert tallied(lambda: x.view(10, 100)).peak_bytes == 0
    assert tallied(lambda: [x + 1 for _ in range(1)] and None).peak_bytes == 4000


def test_peak_holds_what_the_backward_pass_needs() -> None:
    w = torch.zeros(1000, requires_grad=True)
    # exp keeps its result: with three of them held, three tensors are there when the last is made.
    assert tallied(lambda: w.exp().exp().exp()).peak_bytes == 12000
    with torch.no_grad():
        assert tallied(lambda: w.exp().exp().exp()).peak_bytes == 8000


def test_saved_bytes_by_hand_without_weights_and_each_once() -> None:
    first, second = nn.Linear(10, 20), nn.Linear(20, 5)
    x = torch.zeros(4, 10)
    weights = [*first.parameters(), *second.parameters()]
    # The input for the first weight; the result of tanh, once for its own derivative and the second weight's.
    assert saved_bytes(lambda: second(torch.tanh(first(x))), weights) == 4 * (4 * 10 + 4 * 20)
    with torch.no_grad():
        assert saved_bytes(lambda: second(torch.tanh(first(x))), weights) == 0


def test_errors_of_the_work_come_through() -> None:
    with pytest.raises(RuntimeError, match="mat1"):
        tallied(lambda: torch.zeros(2, 3) @ torch.zeros(2, 3))
