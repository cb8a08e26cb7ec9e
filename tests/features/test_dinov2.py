"""DINOv2 on torchvision's transformer, against the published definition written out by hand in float64."""

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganaudit.document.errors import ExtractorError
from ganaudit.features.dinov2 import DinoV2, DinoV2VitB14, DinoV2VitL14, DinoV2VitS14
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.framing import IMAGENET_MEAN, IMAGENET_STD

from .test_framing import levels

WIDTH, LAYERS, PATCHES = 128, 2, 37


class SmallDinoV2(DinoV2):
    """The same loading code with two heads and two blocks."""

    id = "dinov2-vit-s-14"
    dimensions = WIDTH
    layers = LAYERS


def random_weights(side=PATCHES, width=WIDTH, layers=LAYERS):
    """Weights under the published names and of the published shapes."""
    rng = np.random.default_rng(0)

    def draw(*shape, scale=1.0, offset=0.0):
        return torch.from_numpy((offset + scale * rng.standard_normal(shape)).astype(np.float32))

    weights = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 1 + side**2, width),
        "mask_token": draw(1, width),
        "patch_embed.proj.weight": draw(width, 3, 14, 14, scale=0.05),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": draw(width, scale=0.1, offset=1),
        "norm.bias": draw(width, scale=0.1),
    }
    for i in range(layers):
        for name, shape in {
            "norm1": (width,), "norm2": (width,), "attn.qkv": (3 * width, width), "attn.proj": (width, width),
            "mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width),
        }.items():  # fmt: skip
            offset = 1.0 if name.startswith("norm") else 0.0
            weights[f"blocks.{i}.{name}.weight"] = draw(*shape, scale=shape[-1] ** -0.5, offset=offset)
            weights[f"blocks.{i}.{name}.bias"] = draw(shape[0], scale=0.1)
        for name in ("ls1", "ls2"):
            weights[f"blocks.{i}.{name}.gamma"] = draw(width, scale=0.3, offset=0.5)
    return weights


# --- the definition, in plain NumPy and float64


def cubic(x, a=-0.75):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def resize_matrix(length, size):
    """Cubic interpolation without antialiasing whose step is length / (size + 0.1), as DINOv2's code asks for it."""
    matrix = np.zeros((size, length))
    for i in range(size):
        place = (i + 0.5) * length / (size + 0.1) - 0.5
        for j in range(math.floor(place) - 1, math.floor(place) + 3):
            matrix[i, min(max(j, 0), length - 1)] += cubic(place - j)
    return matrix


def normed(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-6) * weight + bias


def by_hand(weights, images, side=16, heads=WIDTH // 64, layers=LAYERS):
    w = {name: tensor.double().numpy() for name, tensor in weights.items()}
    mean, std = (np.array(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
    x = (images.numpy() / 255 - mean) / std
    count = math.isqrt(w["pos_embed"].shape[1] - 1)
    grid = w["pos_embed"][0, 1:].reshape(count, count, -1)
    if count != side:
        matrix = resize_matrix(count, side)
        grid = np.einsum("ih,jw,hwd->ijd", matrix, matrix, grid)
    made = []
    for image in x:
        patches = image.reshape(3, side, 14, side, 14).transpose(1, 3, 0, 2, 4).reshape(side, side, -1)
        kernel = w["patch_embed.proj.weight"].reshape(len(w["patch_embed.proj.weight"]), -1)
        tokens = patches @ kernel.T + w["patch_embed.proj.bias"] + grid
        first = w["cls_token"][0] + w["pos_embed"][0, :1]
        t = np.concatenate([first, tokens.reshape(side * side, -1)])
        for i in range(layers):
            t = by_hand_block({n.removeprefix(f"blocks.{i}."): v for n, v in w.items()}, t, heads)
        made.append(normed(t, w["norm.weight"], w["norm.bias"])[0])
    return np.array(made)


def by_hand_block(w, t, heads):
    q, k, v = np.split(
        normed(t, w["norm1.weight"], w["norm1.bias"]) @ w["attn.qkv.weight"].T + w["attn.qkv.bias"], 3, 1
    )
    mixed = []
    for head in np.split(np.arange(t.shape[1]), heads):
        score = q[:, head] @ k[:, head].T / np.sqrt(len(head))
        score = np.exp(score - score.max(1, keepdims=True))
        mixed.append(score / score.sum(1, keepdims=True) @ v[:, head])
    out = np.concatenate(mixed, 1) @ w["attn.proj.weight"].T + w["attn.proj.bias"]
    t = t + w["ls1.gamma"] * out
    inner = normed(t, w["norm2.weight"], w["norm2.bias"]) @ w["mlp.fc1.weight"].T + w["mlp.fc1.bias"]
    inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    return t + w["ls2.gamma"] * (inner @ w["mlp.fc2.weight"].T + w["mlp.fc2.bias"])


@pytest.mark.parametrize("side", [PATCHES, 16], ids=["positions resized", "positions as they are"])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_features_are_those_of_the_definition(tmp_path, side, suffix):
    weights = random_weights(side)
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    images = levels(224, 224)
    ours = SmallDinoV2(ExtractorOptions((3, 224, 224), weights=path))
    found = ours.extract(images)
    assert found.features.shape == (2, ours.dimensions) == (2, WIDTH)
    assert found.logits is None
    expected = by_hand(weights, images)
    assert expected.std(0).max() > 1e-2  # not dead
    # float32 against float64 through two blocks.
    np.testing.assert_allclose(found.features, expected, rtol=0, atol=3e-5 * np.abs(expected).max())


def test_the_encoders_have_the_published_sizes():
    """Widths and depths as in the model card; heads have 64 channels in all of them."""
    table = {DinoV2VitS14: (384, 12), DinoV2VitB14: (768, 12), DinoV2VitL14: (1024, 24)}
    for kind, (width, layers) in table.items():
        assert (kind.dimensions, kind.layers) == (width, layers)
        assert (kind.framing.size, kind.framing.mean) == ((224, 224), IMAGENET_MEAN)


def test_a_whole_encoder_of_published_size_loads(tmp_path):
    torch.save(random_weights(PATCHES, 384, 12), tmp_path / "w.pth")
    ours = DinoV2VitS14(ExtractorOptions((1, 32, 32), weights=tmp_path / "w.pth"))
    found = ours.extract(levels(32, 32, channels=1, n=1)).features
    assert found.shape == (1, 384)
    assert bool(torch.isfinite(found).all())
    assert "not the published weights" in ours.caution


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: {**w, "register_tokens": torch.zeros(1, 4, WIDTH)}, "weights with registers"),
        (lambda w: {**w, "blocks.0.mlp.w12.weight": torch.zeros(1)}, "weights with the giant network's layers"),
        (lambda w: {**w, "more": torch.zeros(1)}, "1 tensors have no place in the network, such as 'more'"),
        (lambda w: {**w, "blocks.2.norm1.weight": torch.zeros(1)}, "no place in the network"),
        (lambda w: {n: t for n, t in w.items() if n != "blocks.1.ls2.gamma"}, "'blocks.1.ls2.gamma' is missing"),
        (lambda w: {**w, "pos_embed": torch.zeros(1, 8, WIDTH)}, r"pos_embed of shape \(1, 8, 128\): expected 1 and a"),
        (lambda w: {**w, "norm.bias": torch.zeros(3)}, "size mismatch for encoder.ln.bias"),
    ],
)
def test_weights_of_another_network_are_told(tmp_path, change, told):
    torch.save(change(random_weights()), tmp_path / "w.pth")
    with pytest.raises(ExtractorError, match=f"dinov2-vit-s-14: weights file .* does not fit the network: .*{told}"):
        SmallDinoV2(ExtractorOptions((3, 8, 8), weights=tmp_path / "w.pth"))
