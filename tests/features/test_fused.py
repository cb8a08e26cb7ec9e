"""Fused convolutions against the three modules they stand for."""

import pytest
import torch
from torch import nn

from ganaudit.features import fused
from ganaudit.features.fused import FusedConvolution, fold

CASES = [
    {"kernel_size": 1},
    {"kernel_size": 3},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "padding": 1},
    {"kernel_size": 5, "padding": 2, "stride": 2},
    {"kernel_size": (1, 7), "padding": (0, 3)},
    {"kernel_size": (7, 1), "padding": (3, 0)},
    {"kernel_size": (3, 1), "stride": (1, 2), "padding": (1, 0)},
]
# Batches after one another, and pictures of another size between them: the kernel is packed anew for each shape.
SHAPES = [(2, 9, 11), (5, 9, 11), (1, 9, 11), (2, 9, 11), (2, 12, 7), (16, 9, 11)]


def pair(case, ins=13, outs=24, seed=0):
    """Return a convolution and a normalisation that has seen something."""
    torch.manual_seed(seed)
    convolution = nn.Conv2d(ins, outs, bias=False, **case).eval().requires_grad_(False)
    normalisation = nn.BatchNorm2d(outs, eps=1e-3).eval().requires_grad_(False)
    normalisation.weight.uniform_(-2, 2)
    normalisation.bias.normal_()
    normalisation.running_mean.normal_()
    normalisation.running_var.uniform_(0.01, 3)
    return convolution, normalisation


def reference(convolution, normalisation, x):
    """Return what the three modules give one after another in float64, and the sum of the terms' magnitudes."""
    arguments = (None, convolution.stride, convolution.padding)
    weight = convolution.weight.double()
    y = nn.functional.conv2d(x.double(), weight, *arguments)
    mean, variance = normalisation.running_mean.double(), normalisation.running_var.double()
    shape = (1, -1, 1, 1)
    gain = (normalisation.weight.double() / (variance + normalisation.eps).sqrt()).view(shape)
    bias = normalisation.bias.double().view(shape)
    terms = nn.functional.conv2d(x.double().abs(), weight.abs(), *arguments) * gain.abs()
    size = terms + (mean.view(shape) * gain).abs() + bias.abs()
    return ((y - mean.view(shape)) * gain + bias).clamp_min(0), size


@pytest.mark.parametrize("case", CASES)
def test_folding_changes_nothing_in_float64(case):
    convolution, normalisation = pair(case)
    x = torch.randn(3, 13, 9, 11, dtype=torch.float64)
    weight, bias = fold(convolution, normalisation)
    assert weight.dtype == bias.dtype == torch.float64
    made = nn.functional.conv2d(x, weight, bias, convolution.stride, convolution.padding)
    expected = normalisation.double()(convolution.double()(x))
    torch.testing.assert_close(made, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_one_operation_does_what_three_modules_do(monkeypatch, case, is_fused):
    if is_fused and not fused._has_operators():
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(fused, "_fuses", lambda x: is_fused)
    convolution, normalisation = pair(case)
    made = FusedConvolution(convolution, normalisation, torch.float32)
    terms = convolution.weight[0].numel() + 1
    generator = torch.Generator().manual_seed(1)
    for batch, height, width in SHAPES:
        x = torch.randn(batch, 13, height, width, generator=generator)
        expected, size = reference(convolution, normalisation, x)
        for given in (x, x.contiguous(memory_format=torch.channels_last)):
            before = given.clone()
            found = made(given)
            # A sum of m terms rounds by at most m u of their magnitudes, and the folded weights by u each.
            assert bool(((found.double() - expected).abs() <= (terms + 2) * 2**-24 * size).all())
            assert torch.equal(given, before)
            assert found.dtype == torch.float32


@pytest.mark.parametrize("case", CASES)
def test_another_shape_in_between_changes_no_bit(case):
    made = FusedConvolution(*pair(case), torch.float32)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 13, 9, 11, generator=generator)
    first = made(x)
    made(x[:3])
    made(torch.randn(4, 13, 20, 8, generator=generator))
    assert torch.equal(made(x), first)


def test_weights_in_bf16_are_the_folded_ones_rounded_once():
    convolution, normalisation = pair({"kernel_size": 3})
    made = FusedConvolution(convolution, normalisation, torch.bfloat16)
    weight, bias = fold(convolution, normalisation)
    assert torch.equal(made.weight, weight.to(torch.bfloat16))
    assert torch.equal(made.bias, bias.to(torch.bfloat16))


@pytest.mark.parametrize("more", [{"dilation": 2}, {"groups": 13}, {"padding": 1, "padding_mode": "reflect"}])
def test_a_convolution_of_another_kind_is_never_fused_wrongly(more):
    with pytest.raises(AssertionError):
        FusedConvolution(*pair({"kernel_size": 3, **more}, outs=26), torch.float32)


def test_where_it_fuses():
    assert fused._fuses(torch.zeros(1)) == (torch.backends.mkldnn.is_available() and fused._has_operators())
    assert not fused._fuses(torch.zeros(1, device="meta"))
