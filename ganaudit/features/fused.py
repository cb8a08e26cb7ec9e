"""Convolution, batch normalisation and rectifier as one operation, for inference only."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["FusedConvolution", "fold"]


def fold(convolution: nn.Conv2d, normalisation: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return the weight and bias of the one convolution that equals both, float64.

    w' = w g / sqrt(v + eps) and b' = b - m g / sqrt(v + eps), with the running mean m and variance v.
    """
    assert normalisation.running_mean is not None
    assert normalisation.running_var is not None
    assert convolution.bias is None
    gain = normalisation.weight.double() / (normalisation.running_var.double() + normalisation.eps).sqrt()
    bias = normalisation.bias.double() - normalisation.running_mean.double() * gain
    return convolution.weight.double() * gain[:, None, None, None], bias


class FusedConvolution(nn.Module):
    """max(0, convolution) with the normalisation folded in; images in channels-last memory.

    On a CPU with oneDNN the rectifier runs inside the convolution and the weights are packed once for the kernel that
    will read them. Anywhere else it is a plain convolution followed by a rectifier in place.
    """

    def __init__(self, convolution: nn.Conv2d, normalisation: nn.BatchNorm2d, dtype: torch.dtype) -> None:
        super().__init__()
        weight, bias = fold(convolution, normalisation)
        layout = torch.channels_last
        self.weight = nn.Parameter(weight.to(dtype).contiguous(memory_format=layout), requires_grad=False)
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        # What the kernel below is told besides: no dilation, one group, zeros around.
        assert (convolution.dilation, convolution.groups, convolution.padding_mode) == ((1, 1), 1, "zeros")
        self._stride = list(convolution.stride)
        assert not isinstance(convolution.padding, str)
        self._padding = list(convolution.padding)
        self._packed: Tensor | None = None
        self._packed_for: tuple[int, ...] = ()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, C', H', W') of ``x`` (B, C, H, W)."""
        if not _fuses(x):
            return functional.conv2d(x, self.weight, self.bias, self._stride, self._padding).relu_()
        if self._packed is None or self._packed_for != tuple(x.shape):
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.data, self._padding, self._stride, [1, 1], 1, list(x.shape)
            )
            self._packed_for = tuple(x.shape)
        made: Tensor = torch.ops.mkldnn._convolution_pointwise(
            x, self._packed, self.bias, self._padding, self._stride, [1, 1], 1, "relu", [], ""
        )
        return made


def _fuses(x: Tensor) -> bool:
    # The operators that torch's own compiler calls; a build without oneDNN does not have them.
    has_onednn = bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call]
    return x.device.type == "cpu" and has_onednn and _has_operators()


def _has_operators() -> bool:
    return hasattr(torch.ops.mkldnn, "_convolution_pointwise") and hasattr(
        torch.ops.mkldnn, "_reorder_convolution_weight"
    )
