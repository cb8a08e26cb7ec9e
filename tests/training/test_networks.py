"""Networks: the interface of each, second derivatives against finite differences, layers against their definitions."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from ganaudit import registry
from ganaudit.training.networks.coordinates import CoordinateGenerator
from ganaudit.training.networks.cost import cost, table
from ganaudit.training.networks.dcgan import DcganDiscriminator, DcganGenerator
from ganaudit.training.networks.layers import Head, doublings, drawn, planes_at, raw_score, scale_factor
from ganaudit.training.networks.r3 import R3Discriminator, R3Generator
from ganaudit.training.networks.resampling import Doubling, Halving
from ganaudit.training.networks.residual import ResidualDiscriminator, ResidualGenerator
from ganaudit.training.networks.seed import SeedDiscriminator, SeedGenerator
from ganaudit.training.networks.sn_resnet import SnResnetDiscriminator, SnResnetGenerator
from ganaudit.training.networks.spectral import SpectralConv2d, SpectralNorm
from ganaudit.training.networks.spectrogram import SpectrogramDiscriminator
from ganaudit.training.networks.unet import UNetGenerator
from ganaudit.training.networks.wavegan import WaveganDiscriminator, WaveganGenerator

REFERENCE = Path(__file__).parents[2] / "reference_models" / "digits"
LATENT, BATCH = 6, 4

GENERATORS: dict[str, tuple[type[nn.Module], int, dict[str, Any]]] = {
    "residual": (ResidualGenerator, 8, {"width": 10, "depth": 1, "planes": 2}),
    "residual-16": (ResidualGenerator, 16, {"width": 10, "depth": 2, "planes": 2}),
    "seed": (SeedGenerator, 8, {"width": 3}),
    "seed-24": (SeedGenerator, 24, {"width": 3}),
    "unet": (UNetGenerator, 8, {"width": 3, "planes": 2, "critic_width": 2}),
    "unet-3": (UNetGenerator, 16, {"width": 2, "planes": 2, "critic_width": 2, "rounds": 3}),
    "dcgan": (DcganGenerator, 16, {"width": 3}),
    "dcgan-none": (DcganGenerator, 8, {"width": 3, "norm": "none"}),
    "dcgan-group": (DcganGenerator, 8, {"width": 4, "norm": "group"}),
    "sn-resnet": (SnResnetGenerator, 16, {"width": 6}),
    "sn-resnet-group": (SnResnetGenerator, 8, {"width": 4, "norm": "group"}),
    "r3": (R3Generator, 16, {"width": 4, "group": 2, "blocks": 1}),
    "r3-64": (R3Generator, 64, {"width": 4, "group": 2, "blocks": 1}),
    "coordinate": (CoordinateGenerator, 16, {"width": 6, "depth": 2, "mapping": 8}),
    "coordinate-few": (CoordinateGenerator, 8, {"width": 4, "depth": 1, "waves": 3, "mapping": 8}),
    "wavegan": (WaveganGenerator, 256, {"width": 2}),
    "wavegan-repeat": (WaveganGenerator, 80, {"width": 2, "stretching": "repeat"}),
}
DISCRIMINATORS: dict[str, tuple[type[nn.Module], int, dict[str, Any]]] = {
    "residual": (ResidualDiscriminator, 16, {"width": 10, "depth": 1, "planes": 2}),
    "seed": (SeedDiscriminator, 8, {"width": 2}),
    "seed-confidence": (SeedDiscriminator, 16, {"width": 2, "head": "confidence"}),
    "dcgan": (DcganDiscriminator, 16, {"width": 3}),
    "dcgan-group": (DcganDiscriminator, 8, {"width": 4, "norm": "group"}),
    "dcgan-spectral": (DcganDiscriminator, 8, {"width": 4, "spectral": True}),
    "sn-resnet": (SnResnetDiscriminator, 16, {"width": 5}),
    "sn-resnet-8": (SnResnetDiscriminator, 8, {"width": 5}),
    "r3": (R3Discriminator, 16, {"width": 4, "group": 2, "blocks": 1}),
    "wavegan": (WaveganDiscriminator, 256, {"width": 2}),
    "spectrogram": (SpectrogramDiscriminator, 256, {"width": 6, "depth": 1, "window": 64}),
}


def rough(network: nn.Module) -> nn.Module:
    """Move the parameters off their start, where some networks are linear or the identity."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return network


def generator(name: str, classes: int = 0) -> nn.Module:
    torch.manual_seed(1)
    build, size, options = GENERATORS[name]
    return rough(build(size, 2, LATENT, classes=classes, **options))


def discriminator(name: str, classes: int = 0, outputs: int = 1) -> nn.Module:
    torch.manual_seed(2)
    build, size, options = DISCRIMINATORS[name]
    return rough(build(size, 2, classes=classes, outputs=outputs, **options))


def shape(network: type[nn.Module], size: int) -> tuple[int, ...]:
    return (size,) if getattr(network, "kind", "image") == "audio" else (size, size)


def samples(name: str, count: int = BATCH) -> Tensor:
    build, size, _ = DISCRIMINATORS[name]
    return torch.rand(count, 2, *shape(build, size), generator=torch.Generator().manual_seed(3)) * 2 - 1


def latents(count: int = BATCH) -> Tensor:
    return torch.randn(count, LATENT, generator=torch.Generator().manual_seed(4))


LABELS = torch.tensor([0, 2, 1, 2])


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", GENERATORS)
def test_generators_give_samples_in_range_and_the_same_ones_again(name: str, classes: int) -> None:
    network = generator(name, classes).eval()
    build, size, _ = GENERATORS[name]
    z, labels = latents(), LABELS if classes else None
    x = network(z, labels)
    assert x.shape == (BATCH, 2, *shape(build, size))
    assert x.dtype == torch.float32
    assert float(x.detach().abs().max()) <= 1.0
    torch.testing.assert_close(generator(name, classes).eval()(z, labels), x, rtol=0, atol=0)
    # Rows depend on their own latent alone; one more row may only change the order of sums.
    torch.testing.assert_close(network(z[:2], None if labels is None else labels[:2]), x[:2], rtol=0, atol=1e-5)
    assert float((x[0] - x[1]).detach().abs().max()) > 1e-4


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_are_told_the_class(name: str) -> None:
    network = generator(name, 3).eval()
    z = latents(1).expand(3, -1)
    x = network(z, torch.arange(3))
    assert all(float((x[i] - x[j]).detach().abs().max()) > 1e-4 for i, j in ((0, 1), (0, 2), (1, 2)))
    with pytest.raises(ValueError, match="labels: found none; this network knows 3 classes"):
        network(z)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_discriminators_give_one_score_for_each_sample(name: str, classes: int) -> None:
    network = discriminator(name, classes).eval()
    x, labels = samples(name), LABELS if classes else None
    responses = network.responses(x, labels)
    assert responses[0].shape == (BATCH, 1)
    assert network(x, labels).shape == (BATCH,)
    assert not any(t.isnan().any() for t in responses)
    size = DISCRIMINATORS[name][1]
    assert [tuple(t.shape) for t in responses[1:]] == ([(BATCH, size, size)] if name.startswith("seed") else [])
    answer = responses[1].mean((1, 2)) if name == "seed-confidence" else responses[0][:, 0]
    torch.testing.assert_close(network(x, labels), answer, rtol=0, atol=0)
    torch.testing.assert_close(discriminator(name, classes).eval()(x, labels), answer, rtol=0, atol=0)


@pytest.mark.parametrize("name", [n for n in DISCRIMINATORS if n != "seed-confidence"])
def test_classes_and_generated_as_outputs_give_the_log_odds(name: str) -> None:
    network = discriminator(name, classes=3, outputs=4).eval()
    x = samples(name)
    logits = network.responses(x)[0].detach().double()  # labels are what is asked here: none are told
    assert logits.shape == (BATCH, 4)
    expected = [math.log(sum(math.exp(v) for v in row[:3])) - row[3] for row in logits.tolist()]
    torch.testing.assert_close(network(x, LABELS).detach().double(), torch.tensor(expected).double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_score_depends_on_its_own_sample_alone(name: str) -> None:
    network = discriminator(name).eval()
    assert network.per_sample
    x = samples(name)
    other = torch.cat([-x[:1], x[1:]])
    torch.testing.assert_close(network(other)[1:], network(x)[1:], rtol=0, atol=0)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(x)[0], x)
    assert float(gradient[0].abs().max()) > 0.0
    assert float(gradient[1:].abs().max()) == 0.0


def test_batch_normalisation_mixes_samples_and_says_so() -> None:
    torch.manual_seed(0)
    network = DcganDiscriminator(16, 1, width=2, norm="batch")
    assert not network.per_sample
    x = torch.randn(4, 1, 16, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(network(x)[0], x)
    assert float(gradient[1:].abs().max()) > 0.0
    assert DcganDiscriminator.per_sample


def slope(value: Any, parameters: list[nn.Parameter]) -> tuple[Tensor, float]:
    """Return the derivative along a random direction by autograd, and by a central difference."""
    found = torch.autograd.grad(value(), parameters, allow_unused=True)
    generator = torch.Generator().manual_seed(5)
    along = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    exact = sum((g * d).sum() for g, d in zip(found, along, strict=True) if g is not None)
    h, ends = 1e-8, []
    for sign in (1.0, -2.0):
        with torch.no_grad():
            torch._foreach_add_(parameters, along, alpha=sign * h)
        ends.append(float(value().detach()))
    with torch.no_grad():
        torch._foreach_add_(parameters, along, alpha=h)
    return exact, (ends[0] - ends[1]) / (2 * h)


# A central difference of step h = 1e-8 is off by h^2 of the third derivative and by 1e-16 / h = 1e-8 of the value, in
# float64; 1e-5 leaves three digits for sums of many terms. A larger step meets kinks of rectifiers, where the penalty
# jumps: with 1e4 rectified values moving about as fast as the weights, 1e-6 meets one in a hundred times.
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_penalty_gradients_of_discriminators_against_finite_differences(name: str, classes: int) -> None:
    network = discriminator(name, classes).double().eval()
    labels = LABELS if classes else None
    x = samples(name).double().requires_grad_(True)

    def penalty() -> Tensor:
        (gradient,) = torch.autograd.grad(network(x, labels).sum(), x, create_graph=True)
        return gradient.square().sum()

    exact, difference = slope(penalty, list(network.parameters()))
    assert abs(difference) > 1e-4
    torch.testing.assert_close(float(exact), difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", GENERATORS)
def test_path_gradients_of_generators_against_finite_differences(name: str, training: bool) -> None:
    network = generator(name).double().train(training)
    z = latents().double().requires_grad_(True)
    if isinstance(network, UNetGenerator):
        # What is fed back is a constant of the gradient: so it must be for the difference.
        size = GENERATORS[name][1]
        fed = torch.randn(BATCH, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
        network.critic.confidences = lambda _: fed
    weights = torch.randn(network(z).shape, dtype=torch.float64, generator=torch.Generator().manual_seed(6)) / 10

    def length() -> Tensor:
        (gradient,) = torch.autograd.grad((network(z) * weights).sum(), z, create_graph=True)
        return gradient.square().sum()

    exact, difference = slope(length, [p for p in network.parameters() if p.requires_grad])
    assert abs(difference) > 1e-4
    torch.testing.assert_close(float(exact), difference, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", [n for n in DISCRIMINATORS if DISCRIMINATORS[n][0].kind == "image"])
def test_channels_last_discriminators_equal_contiguous_ones(name: str) -> None:
    network, x = discriminator(name).eval(), samples(name)
    expected = network.responses(x)
    network.to(memory_format=torch.channels_last)
    for found, right in zip(network.responses(x.to(memory_format=torch.channels_last)), expected, strict=True):
        torch.testing.assert_close(found, right, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in GENERATORS if not n.startswith("wavegan")])
def test_channels_last_generators_equal_contiguous_ones(name: str) -> None:
    network, z = generator(name).eval(), latents()
    expected = network(z)
    torch.testing.assert_close(network.to(memory_format=torch.channels_last)(z), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_bfloat16_gives_logits_in_float32_and_penalties_with_gradients(name: str) -> None:
    network = discriminator(name, 3)
    x = samples(name).requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        responses = network.train().responses(x, LABELS)
    expected = network.eval()(x, LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = network.eval()(x, LABELS)
    assert all(t.dtype == torch.float32 for t in responses)
    # Each layer rounds to 2^-8; some ten of them, of values about as large as the scores.
    torch.testing.assert_close(scores, expected, rtol=0.1, atol=0.1 * float(expected.detach().abs().max()))
    (gradient,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    found = torch.autograd.grad(gradient.square().sum(), list(network.parameters()), allow_unused=True)
    assert all(bool(g.isfinite().all()) for g in found if g is not None)
    assert any(float(g.abs().max()) > 0 for g in found if g is not None)


@pytest.mark.parametrize("name", GENERATORS)
def test_bfloat16_gives_samples_in_float32(name: str) -> None:
    network, z = generator(name).eval(), latents()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        x = network(z)
    assert x.dtype == torch.float32
    assert float((x - network(z)).detach().abs().mean()) < 0.1


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_state_of_discriminators_goes_round(name: str) -> None:
    network, x = discriminator(name, 3), samples(name)
    network(x, LABELS)  # moves the vectors of power iterations
    build, size, options = DISCRIMINATORS[name]
    other = build(size, 2, classes=3, **options)
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(x, LABELS), network.eval()(x, LABELS), rtol=0, atol=0)


@pytest.mark.parametrize("name", GENERATORS)
def test_state_of_generators_goes_round(name: str) -> None:
    network, z = generator(name, 3), latents()
    network(z, LABELS)  # moves the running means of batch normalisation
    build, size, options = GENERATORS[name]
    other = build(size, 2, LATENT, classes=3, **options)
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other.eval()(z, LABELS), network.eval()(z, LABELS), rtol=0, atol=0)


REFUSALS = [
    (lambda: ResidualGenerator(20), r"^size must be a multiple of 8; found 20"),
    (lambda: SeedDiscriminator(4, 1), r"^size must be a multiple of 8; found 4"),
    (lambda: UNetGenerator(12, 1, 4), r"^size must be a multiple of 8; found 12"),
    (lambda: DcganGenerator(24, 1, 4), r"^size must be 4 times a power of 2, from 8 \(8, 16, …\); found 24"),
    (lambda: DcganDiscriminator(4, 1), r"^size must be 4 times a power of 2"),
    (lambda: R3Generator(0, 1, 4), r"^size must be 4 times a power of 2.*found 0"),
    (lambda: SnResnetDiscriminator(33, 1), r"found 33"),
    (
        lambda: WaveganGenerator(1000, 1, 4),
        r"^size must be a whole number from 16 to 63 times a power of 4.*found 1000",
    ),
    (lambda: WaveganDiscriminator(16, 1), r"found 16$"),
    (lambda: SeedDiscriminator(8, 1, head="map"), r"^head: found 'map'; allowed: score, confidence"),
    (lambda: DcganGenerator(8, 1, 4, norm="layer"), r"^norm: found 'layer'; allowed: none, batch, group"),
    (lambda: WaveganGenerator(256, 1, 4, stretching="x"), r"^stretching: found 'x'; allowed: shuffle, repeat"),
    (lambda: R3Generator(8, 1, 4, width=6, group=16), r"^group: found 16; allowed: a divisor .* 6 x 2"),
    (lambda: DcganGenerator(8, 1, 4, classes=1), r"^classes: found 1; allowed: 0 \(none\), or 2 or more"),
    (lambda: SeedDiscriminator(8, 1, classes=3, outputs=3), r"^outputs: found 3; allowed with 3 classes: 1 or 4"),
    (lambda: SeedDiscriminator(8, 1, outputs=0), r"^outputs: found 0"),
    (lambda: SeedGenerator(8, 1, 4, width=0), r"^width: found 0; allowed: 1 or more"),
    (lambda: UNetGenerator(8, 1, 4, rounds=0), r"^rounds: found 0"),
    (lambda: ResidualGenerator(8, 1, 0), r"^latent: found 0"),
    (lambda: SeedGenerator(8, 1, 4)(torch.zeros(2, 5)), r"^latents: found shape \(2, 5\); allowed: \(samples, 4\)"),
    (lambda: SeedDiscriminator(8, 1, classes=3)(torch.zeros(2, 1, 8, 8)), r"^labels: found none"),
]


@pytest.mark.parametrize(("call", "message"), REFUSALS)
def test_what_does_not_fit_is_refused(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_sizes() -> None:
    assert [scale_factor(s) for s in (8, 16, 64)] == [1, 2, 8]
    assert [doublings(s) for s in (8, 16, 64, 1024)] == [1, 2, 4, 8]
    assert [planes_at(48, s) for s in (4, 32, 64, 256)] == [48, 48, 24, 6]
    assert WaveganGenerator(4096, 1, 2, width=1).length == 16
    assert [WaveganGenerator(s, 1, 2, width=1).length for s in (2048, 6144, 16384)] == [32, 24, 16]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(300, 64),
        nn.Conv1d(32, 64, 25, stride=4),
        nn.Conv2d(32, 64, 3, groups=4),
        nn.ConvTranspose2d(32, 64, 4, stride=2, padding=1),
        nn.ConvTranspose2d(32, 64, 8, stride=4, padding=2),
    ],
    ids=str,
)
def test_weights_are_drawn_for_the_inputs_that_meet_an_output(layer: Any) -> None:
    # Ones through a kernel of ones: an output away from the border is the number of weights that meet it.
    sides = (300,) if isinstance(layer, nn.Linear) else (32,) + (32,) * (layer.weight.ndim - 2)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.bias.zero_()
        out = layer(torch.ones(1, *sides))
    fan_in = float(out.flatten(2).median() if out.ndim > 2 else out[0, 0])
    torch.manual_seed(0)
    weight = drawn(layer, 0.5).weight.detach()
    # The standard deviation of n normal draws has relative error 1 / sqrt(2 n); five of it.
    wanted = 0.5 * math.sqrt(2.0 / (1.0 + 0.2**2) / fan_in)
    assert float(weight.std()) == pytest.approx(wanted, rel=5 / math.sqrt(2 * weight.numel()))


# ---------------------------------------------------------------------------------------------- the pairs one by one


def test_residual_networks_are_those_of_the_reference_model() -> None:
    weights = load_file(REFERENCE / "generator.safetensors")
    network = ResidualGenerator(16, 1, 64).eval()
    network.load_state_dict(weights)
    z = torch.randn(5, 64, generator=torch.Generator().manual_seed(0))
    w = {k: v.double() for k, v in weights.items()}

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def kinked(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    x = linear(z.double(), "first")
    for i in range(2):
        x = x + linear(kinked(linear(kinked(x), f"trunk.{i}.inner")), f"trunk.{i}.outer")
    x = linear(kinked(x), "map").view(-1, 8, 8, 8)
    x = functional.interpolate(x, (16, 16), mode="bicubic", antialias=True)
    x = functional.conv2d(x, w["convolution.weight"], w["convolution.bias"], padding=1)
    x = functional.conv2d(kinked(x), w["image.weight"], w["image.bias"], padding=1).clamp(-1, 1)
    torch.testing.assert_close(network(z).detach().double(), x, rtol=0, atol=2e-5)
    judge = ResidualDiscriminator(16, 1)
    judge.load_state_dict(load_file(REFERENCE / "discriminator.safetensors"))


def test_residual_weights_are_drawn_in_the_same_order_as_ever() -> None:
    torch.manual_seed(0)
    network = ResidualDiscriminator(8, 1, width=4, depth=1, planes=2)
    torch.manual_seed(0)
    plain = [nn.Conv2d(1, 2, 3, padding=1), None, None, None, None]
    nn.init.normal_(plain[0].weight, std=math.sqrt(2 / 1.04 / 9))
    for layer, (fan, out, gain) in enumerate([(128, 4, 1.0), (4, 4, 1.0), (4, 4, 0.25), (4, 1, 0.5)], 1):
        plain[layer] = nn.Linear(fan, out)
        nn.init.normal_(plain[layer].weight, std=gain * math.sqrt(2 / 1.04 / fan))
    found = [network.convolution, network.first, network.trunk[0].inner, network.trunk[0].outer, network.last]
    for layer, other in zip(found, plain, strict=True):
        torch.testing.assert_close(layer.weight, other.weight, rtol=0, atol=0)
    assert list(network.state_dict())[-2:] == ["last.weight", "last.bias"]


def test_the_seed_pair_against_a_hand_count() -> None:
    # w = 32, 3 x 16 x 16: convolutions 3·32·25 + 32 and 32·64·25 + 64, transposed 64·8·8 + 1, linear 64·4·4 + 1.
    judge = SeedDiscriminator(16, 3)
    assert sum(p.numel() for p in judge.parameters()) == 2432 + 51264 + 4097 + 1025
    kinds = [type(m) for m in judge.modules()]
    assert kinds.count(nn.Conv2d) == 2
    assert kinds.count(nn.ConvTranspose2d) == 1
    assert kinds.count(Head) == 1
    assert len(kinds) == 1 + 4
    # Latent 64 to 64 x 4 x 4, transposed 4x4 64 -> 32 -> 3.
    maker = SeedGenerator(16, 3, 64)
    assert sum(p.numel() for p in maker.parameters()) == 65 * 1024 + (64 * 32 * 16 + 32) + (32 * 3 * 16 + 3)
    # Operations: two per weight and output place; the transposed ones per weight and input place.
    flops = 2 * (2400 * 256 + 51200 * 64 + 4096 * 16 + 1024)
    assert cost(judge, torch.zeros(2, 3, 16, 16)) == cost(judge, torch.zeros(1, 3, 16, 16))
    assert cost(judge, torch.zeros(1, 3, 16, 16)).flops == flops
    assert cost(maker, torch.zeros(3, 64)).flops == 2 * (65536 + 32768 * 16 + 1536 * 64)


def test_confidence_is_local() -> None:
    # A pixel of the map reads features within a kernel of it: a change far away leaves it.
    judge = discriminator("seed-confidence").eval()
    x = torch.zeros(1, 2, 16, 16)
    other = x.clone()
    other[..., 15, 15] = 1.0
    change = (judge.responses(other)[1] - judge.responses(x)[1]).detach().abs()[0]
    assert float(change[:6, :6].max()) == 0.0
    assert float(change[12:, 12:].max()) > 0.0


def test_unet_rounds_are_fed_the_map_of_the_round_before() -> None:
    # In double precision: two ways to the same float32 sum differ by more rounding on some machines than on others.
    network = generator("unet-3").eval().double()
    z = latents().double()
    planes = network.map(z).view(BATCH, 2, 4, 4)
    condition = torch.zeros(BATCH, 1, 16, 16, dtype=torch.float64)
    for _ in range(3):
        image = torch.tanh(network._pass(planes, condition))
        confidence = network.critic.responses(image)[1]
        condition = (2 * torch.sigmoid(confidence) - 1)[:, None]
    torch.testing.assert_close(network(z), image, rtol=1e-10, atol=1e-10)
    before = network(z).detach()
    judge = SeedDiscriminator(16, 2, width=2)
    network.critic.load_state_dict(judge.state_dict())
    assert float((network(z) - before).detach().abs().max()) > 1e-4


def test_the_critic_of_a_unet_is_never_trained() -> None:
    network = generator("unet")
    assert not any(p.requires_grad for p in network.critic.parameters())
    network(latents()).square().sum().backward()
    trained = [p for p in network.parameters() if p.requires_grad]
    assert all(p.grad is not None for p in trained)
    assert all(p.grad is None for p in network.critic.parameters())
    assert cost(network, latents()).parameters == sum(p.numel() for p in trained)
    wide = UNetGenerator(8, 2, LATENT, critic_width=5, critic_outputs=4, classes=3)
    judge = SeedDiscriminator(8, 2, width=5, outputs=4, classes=3)
    assert {k: v.shape for k, v in wide.critic.state_dict().items()} == {
        k: v.shape for k, v in judge.state_dict().items()
    }


def test_an_exported_unet_needs_no_discriminator() -> None:
    network, z = generator("unet").eval(), latents()
    program = torch.export.export(network, (z,)).module()
    torch.testing.assert_close(program(z), network(z), rtol=1e-6, atol=1e-6)


def test_a_class_is_projected_on_the_features() -> None:
    torch.manual_seed(0)
    head = Head(5, classes=3).requires_grad_(False)
    x = torch.randn(4, 5)
    found = head(x, LABELS)[:, 0].tolist()
    for row, value in enumerate(found):
        table = head.projection.weight[LABELS[row]]
        wanted = sum(float((head.weight[0, i] + table[i]) * x[row, i]) for i in range(5)) + float(head.bias)
        assert value == pytest.approx(wanted, abs=1e-5)
    assert Head(5, classes=3, outputs=4).projection is None


def test_raw_scores() -> None:
    assert raw_score(torch.tensor([[3.0], [-1.0]])).tolist() == [3.0, -1.0]
    two = raw_score(torch.tensor([[1.0, 4.0]]))  # one class of reals: the difference
    assert float(two) == pytest.approx(-3.0, abs=1e-6)


@pytest.mark.parametrize("name", ["dcgan-spectral", "sn-resnet"])
def test_spectral_norms_are_one_after_enough_iterations(name: str) -> None:
    network = discriminator(name, 3).double()
    layers = [m for m in network.modules() if isinstance(m, SpectralConv2d)]
    weights = [(layer.spectral, layer.weight) for layer in layers]
    weights += [(network.last.spectral, network.last.weight)]
    weights += [(network.last.projection_spectral, network.last.projection.weight)]
    assert len(weights) >= 3
    for norm, weight in weights:
        exact = torch.linalg.svdvals(weight.detach().flatten(1))
        steps = 1000
        with torch.no_grad():
            for _ in range(steps):
                normed = norm.train()(weight)
        # Each step multiplies the error by the 4th power of the ratio of the two largest values; from a random start it
        # begins at about their number.
        if len(exact) > 1:
            assert len(exact) * float(exact[1] / exact[0]) ** (4 * steps) < 1e-10
        assert float(torch.linalg.svdvals(normed.flatten(1))[0]) == pytest.approx(1.0, abs=1e-9)


def test_power_iterations_move_in_training_only_and_leave_old_graphs_alone() -> None:
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(6, 9))
    norm = SpectralNorm(weight)
    start = norm.left.clone()
    norm.eval()(weight)
    torch.testing.assert_close(norm.left, start, rtol=0, atol=0)
    norm.train()
    first, second = norm(weight), norm(weight)  # two forward passes before one backward pass
    assert not torch.equal(norm.left, start)
    (gradient,) = torch.autograd.grad(first.square().sum() + second.sum(), weight)
    assert bool(gradient.isfinite().all())
    # |W / sigma(W)| does not depend on the size of W: its gradient is orthogonal to W.
    (gradient,) = torch.autograd.grad(norm(weight).square().sum(), weight)
    assert float((gradient * weight).sum().detach()) == pytest.approx(0.0, abs=1e-4)


def test_doubling_is_bilinear_and_halving_is_its_transpose() -> None:
    x = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    y = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    doubling, halving = Doubling().double(), Halving().double()
    wanted = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(doubling(x)[..., 1:-1, 1:-1], wanted[..., 1:-1, 1:-1])
    torch.testing.assert_close((doubling(x) * y).sum() / 4, (x * halving(y)).sum())
    torch.testing.assert_close(
        halving(torch.ones(1, 1, 8, 8).double())[..., 1:-1, 1:-1], torch.ones(1, 1, 2, 2).double()
    )
    assert not Doubling().state_dict()


def test_r3_bottlenecks_start_as_the_identity() -> None:
    torch.manual_seed(0)
    network = R3Discriminator(8, 1, width=4, group=2)
    x = torch.randn(2, 4, 8, 8)
    bottlenecks = [m for m in network.body if hasattr(m, "narrow")]
    assert len(bottlenecks) == 4
    for bottleneck in bottlenecks:
        torch.testing.assert_close(bottleneck(x), x, rtol=0, atol=0)


def test_stretching_is_a_transposed_convolution() -> None:
    # Interleaved phases of 7 taps = one transposed kernel of 28 taps with stride 4: tap 4 * (6 - j) + phase.
    torch.manual_seed(0)
    stretch = WaveganGenerator(256, 2, 3, width=2).stretches[0].double()
    nn.init.normal_(stretch.convolution.weight)
    x = torch.randn(2, stretch.convolution.in_channels, 16, dtype=torch.float64)
    planes = stretch.planes
    taps = stretch.convolution.weight.detach().view(planes, 4, -1, 7)
    kernel = taps.flip(3).permute(2, 0, 3, 1).reshape(-1, planes, 28)
    wanted = functional.conv_transpose1d(x, kernel, stride=4)[..., 12:-12]
    torch.testing.assert_close(stretch(x).detach(), wanted)


def test_stretching_starts_as_repetition() -> None:
    torch.manual_seed(0)
    stretch = WaveganGenerator(256, 1, 3, width=2).stretches[0]
    y = stretch(torch.randn(1, stretch.convolution.in_channels, 16)).detach()
    torch.testing.assert_close(y.view(1, -1, 16, 4)[..., :1].expand(-1, -1, -1, 4), y.view(1, -1, 16, 4))
    assert not any(isinstance(m, nn.ConvTranspose1d) for m in WaveganGenerator(256, 1, 3).modules())


def test_counting_leaves_a_network_as_it_was() -> None:
    network = DcganGenerator(8, 1, 4, width=2).train()
    network.body[0].eval()
    state = {k: v.clone() for k, v in network.state_dict().items()}
    cost(network, torch.zeros(2, 4))
    assert network.training
    assert not network.body[0].training
    assert all(torch.equal(v, state[k]) for k, v in network.state_dict().items())


def test_the_table_has_every_network() -> None:
    torch.manual_seed(0)
    expected = torch.random.get_rng_state()
    rows = {row.network: row for row in table()}
    torch.testing.assert_close(torch.random.get_rng_state(), expected)
    assert set(rows) == set(registry.names("networks"))
    assert all(row.cost.parameters > 0 and row.cost.flops > 0 for row in rows.values())
    assert rows["wavegan-generator"].kind == "audio"


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_run_where_operations_are_only_counted(name: str) -> None:
    made = generator(name).eval().to("meta")
    assert made(torch.zeros(BATCH, LATENT, device="meta"), None).device.type == "meta"
