"""Kernels: how alike two samples are, as a number whose means compare two distributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from ganaudit.numerics.arguments import bounded, matrix, whole

__all__ = ["Gaussian", "Kernel", "Polynomial", "kernel_matrix", "median_distance"]

_PAIRS = 1000
_TINY = 1e-300


class Kernel(Protocol):
    """A positive definite kernel."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return k(x_i, y_j), (N, M) float64, of float64 ``x`` (N, D) and ``y`` (M, D)."""


@dataclass(frozen=True, slots=True)
class Polynomial:
    """(gamma <x, y> + coef0)^degree; degree 3 with the other defaults is that of the Kernel Inception Distance.

    ``gamma`` None stands for 1/D. Raises ValueError when ``degree`` is below 1. Source: Bińkowski et al. 2018.
    """

    degree: int = 3
    gamma: float | None = None
    coef0: float = 1.0

    def __post_init__(self) -> None:
        whole(self.degree, "degree", least=1)

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the matrix of the kernel, float64."""
        products = x @ y.T
        # Dividing by D is exact where multiplying by a rounded 1/D is not, so constant features give exact values.
        scaled = products.div_(x.shape[1]) if self.gamma is None else products.mul_(self.gamma)
        scaled.add_(self.coef0)
        # A general power takes ten times as long as two products.
        return scaled.square().mul_(scaled) if self.degree == 3 else scaled.pow_(self.degree)


@dataclass(frozen=True, slots=True)
class Gaussian:
    """exp(-|x - y|^2 / (2 bandwidth^2)), between 0 and 1: sees every moment, at the scale of its bandwidth.

    Raises ValueError when ``bandwidth`` is not above 0 and finite. With bandwidth 10 and unit length on CLIP
    features it is that of CMMD (Jayasumana et al. 2024), which reports 1000 times the biased estimate.
    """

    bandwidth: float
    unit_length: bool = False
    """Whether samples are divided by their Euclidean norm first; 0 stays 0."""

    def __post_init__(self) -> None:
        if not 0 < self.bandwidth < math.inf:
            raise ValueError(f"bandwidth: found {self.bandwidth}; allowed: above 0, finite")

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the matrix of the kernel, float64."""
        if self.unit_length:
            x, y = torch.nn.functional.normalize(x, eps=_TINY), torch.nn.functional.normalize(y, eps=_TINY)
        # About a centre the norms are small, and with them the rounding of the expanded square.
        centre = x.mean(dim=0)
        x, y = x - centre, y - centre
        norms = x.square().sum(1)[:, None] + y.square().sum(1)[None, :]
        squares = norms.addmm_(x, y.T, alpha=-2).clamp_min_(0)
        return squares.div_(-2 * self.bandwidth**2).exp_()


def kernel_matrix(kernel: Kernel, x: Tensor, y: Tensor) -> Tensor:
    """Return the matrix of ``kernel`` of ``x`` (N, D) and ``y`` (M, D), (N, M) float64.

    Raises ValueError when a shape is not (samples, features), the features differ in number or an entry is not finite.
    """
    x, y = matrix(x, "x", least=1), matrix(y, "y", least=1)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"y: found {y.shape[1]} features; allowed: {x.shape[1]}, as in x")
    return kernel(x.double(), y.double())


def median_distance(x: Tensor, rng: np.random.Generator, unit_length: bool = False) -> float:
    """Return the median Euclidean distance between samples of ``x`` (N, D), of at most 1000 drawn by ``rng``.

    With ``unit_length`` each sample is divided by its norm first. The usual choice of a bandwidth.
    Raises ValueError as ``bounded`` does, for fewer than 2 samples, and when it is 0: half the samples are copies of
    each other.
    Source: Gretton et al. 2012, section 8.
    """
    x = bounded(x, "x", least=2)
    rows = torch.from_numpy(np.sort(rng.permutation(len(x))[:_PAIRS])).to(x.device)
    drawn = torch.nn.functional.normalize(x[rows].double(), eps=_TINY) if unit_length else x[rows].double()
    found = float(torch.nn.functional.pdist(drawn).median())
    if found == 0:
        raise ValueError("x: found a median distance of 0, half the samples are copies; allowed: samples that differ")
    return found
