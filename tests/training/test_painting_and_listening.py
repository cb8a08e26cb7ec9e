"""The generator that paints by place and the discriminator that listens by spectra, against their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ganaudit.training.networks.coordinates import CoordinateGenerator
from ganaudit.training.networks.spectrogram import SpectrogramDiscriminator


def leaky(x: np.ndarray) -> np.ndarray:
    return np.where(x > 0, x, 0.2 * x)


def plain(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


def generator(size: int, **options: float) -> CoordinateGenerator:
    torch.manual_seed(4)
    more = {"width": 5, "depth": 2, "waves": 3, "bandwidth": 1.5, "mapping": 7, "blocks": 1, **options}
    return CoordinateGenerator(size, 2, 6, **more).double().eval()  # type: ignore[arg-type]


def test_every_pixel_is_its_own_function_of_the_place() -> None:
    network = generator(8)
    z = torch.randn(2, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    images = network(z).detach().numpy()
    block = network.trunk[0]
    for i, latent in enumerate(z.numpy()):
        w = plain(network.first, latent)
        w = leaky(w + plain(block.outer, leaky(plain(block.inner, leaky(w)))))
        a, b, x0, y0 = plain(network.move, w)
        for row in range(8):
            for column in range(8):
                # A complex number turns and scales the place, whose first coordinate is the row.
                place = complex((row + 0.5) / 4 - 1 - x0, (column + 0.5) / 4 - 1 - y0) * complex(1 + a, -b)
                at = np.array([place.real, place.imag])
                angles = at @ network.frequencies.numpy()
                h = np.concatenate([1.5 * at, np.sin(angles), np.cos(angles)])
                layers = [*network.layers, network.image]
                for layer, scale, shift in zip(layers, network.scales, network.shifts, strict=True):
                    h = plain(layer, h * (1 + plain(scale, w))) + plain(shift, w)
                    h = h if layer is network.image else leaky(h)
                np.testing.assert_allclose(images[i, :, row, column], np.clip(h, -1, 1), rtol=1e-6, atol=1e-6)


def test_a_larger_image_shows_the_same_at_more_places() -> None:
    small, large = generator(8), generator(24)
    large.load_state_dict(small.state_dict())
    z = torch.randn(3, 6, dtype=torch.float64)
    # The middle one of every three pixels lies where the small image's pixel does.
    torch.testing.assert_close(large(z)[:, :, 1::3, 1::3], small(z), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"width": 0}, "width"),
        ({"depth": 0}, "depth"),
        ({"waves": 0}, "waves"),
        ({"blocks": -1}, "blocks"),
        ({"bandwidth": 0.0}, "bandwidth: found 0.0; allowed: above 0"),
        ({"bandwidth": math.nan}, "bandwidth"),
    ],
)
def test_options_out_of_range(options: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        generator(8, **options)


def listener(size: int = 256, **options: int | bool) -> SpectrogramDiscriminator:
    torch.manual_seed(5)
    return SpectrogramDiscriminator(size, 1, width=6, depth=1, **{"window": 64, **options}).eval()  # type: ignore[arg-type]


def test_magnitudes_are_those_of_numpy() -> None:
    x = torch.rand(2, 1, 256, generator=torch.Generator().manual_seed(2)) * 2 - 1
    found = listener().magnitudes(x).numpy()
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(64) / 64)
    assert found.shape == (2, 1, 7, 33)
    for i in range(2):
        for frame in range(7):
            part = x[i, 0, 32 * frame : 32 * frame + 64].double().numpy() * taper
            m = 2 * np.abs(np.fft.rfft(part)) / 8
            np.testing.assert_allclose(found[i, 0, frame], (m**2 + 1e-4) ** 0.25 - 0.1, rtol=1e-4, atol=1e-5)


def test_a_tone_scores_alike_at_every_phase_unless_values_are_read() -> None:
    time = torch.arange(256) / 256
    phases = torch.linspace(0, 2 * math.pi, 9)[:8]
    tones = torch.sin(2 * math.pi * 32 * time + phases[:, None])[:, None]  # eight periods in a window
    with torch.no_grad():
        alike, apart = listener()(tones), listener(values=True)(tones)
    assert float(alike.std()) < 1e-3 * float(apart.std())


def test_silence_has_a_finite_gradient_of_the_gradient() -> None:
    network = listener()
    x = torch.zeros(2, 1, 256, requires_grad=True)
    (slope,) = torch.autograd.grad(network(x).sum(), x, create_graph=True)
    second = torch.autograd.grad(slope.square().sum(), list(network.parameters()), allow_unused=True)
    assert all(bool(torch.isfinite(g).all()) for g in (slope, *(s for s in second if s is not None)))


@pytest.mark.parametrize("window", [3, 65, 512, 96])
def test_windows_that_do_not_fit(window: int) -> None:
    with pytest.raises(ValueError, match=f"window: found {window} with size 256"):
        listener(window=window)
