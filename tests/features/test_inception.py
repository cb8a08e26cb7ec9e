"""Inception-v3 against the extractors of torch-fidelity and torchmetrics, on weights that are random but equal."""

import os
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn
from torch_fidelity.datasets import ImagesPathDataset
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance

from ganaudit.data.options import ReadOptions
from ganaudit.data.reading import read_samples
from ganaudit.document.errors import ExtractorError
from ganaudit.features import inception_v3
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.inception_v3 import InceptionV3, InceptionV3At64, InceptionV3At192, InceptionV3At768
from ganaudit.features.precision import has_bf16
from ganaudit.features.preprocessing import RESIZES, Preprocessing

RGB = ExtractorOptions((3, 40, 56))
LAYERS = {64: InceptionV3At64, 192: InceptionV3At192, 768: InceptionV3At768, 2048: InceptionV3}
BAR = 1e-5
"""The relative error of features in float32 that is allowed against peers; ours is near 6e-7."""


def options(weights, shape=(3, 40, 56), **more):
    return ExtractorOptions(shape, weights=weights, **more)


def images(n=2, height=40, width=56, channels=3, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (n, channels, height, width), dtype=np.uint8))


def errors(found, expected):
    """Return the relative error of each image's features, in the 2-norm."""
    assert found.shape == expected.shape
    assert float(expected.std(0).max()) > 1e-3  # not dead, or any two extractors would agree
    return (found.double() - expected.double()).norm(dim=1) / expected.double().norm(dim=1)


class _Unweighted(FeatureExtractorInceptionV3):
    def load_state_dict(self, state_dict, strict=True, assign=False):
        return None


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same random weights as .pth and .safetensors, and halved in precision."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    network = _Unweighted("inception-v3", ["2048"], feature_extractor_weights_path=str(folder / "empty.pth"))
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    for name, value in weights.items():
        if name.endswith("bn.weight"):
            value.uniform_(2.2, 3.2)  # random weights shrink what they are given layer by layer
        if name.endswith("bn.running_mean"):
            value.normal_(0, 0.1)
        if name.endswith("bn.running_var"):
            value.uniform_(0.8, 1.2)
    torch.save(weights, folder / "w.pth")
    save_file(weights, folder / "w.safetensors")
    torch.save({name: v.half() if v.is_floating_point() else v for name, v in weights.items()}, folder / "half.pth")
    return folder


@pytest.fixture(scope="module")
def theirs(files):
    names = [*map(str, LAYERS), "logits_unbiased"]
    return FeatureExtractorInceptionV3("inception-v3-compat", names, feature_extractor_weights_path=files / "w.pth")


@pytest.fixture(scope="module")
def ours(files):
    return InceptionV3(options(files / "w.pth"))


@pytest.fixture(scope="module")
def ours_at(files, ours):
    return {n: ours if n == 2048 else kind(options(files / "w.pth")) for n, kind in LAYERS.items()}


# --- the network


def test_features_and_logits_of_every_layer_are_those_of_torch_fidelity(theirs, ours_at):
    x = images()
    *layers, logits = theirs(x)
    for (layer, extractor), expected in zip(ours_at.items(), layers, strict=True):
        found = extractor.extract(x)
        assert found.features.shape == (2, extractor.dimensions) == (2, layer)
        assert found.features.dtype == torch.float32
        assert float(errors(found.features, expected).max()) < BAR
        if layer == 2048:
            assert found.logits.shape == (2, extractor.classes) == (2, 1008)
            assert float(errors(found.logits, logits).max()) < BAR
        else:
            assert (found.logits, extractor.classes) == (None, 0)


def test_features_are_as_near_to_float64_as_those_of_torch_fidelity(files, theirs, ours_at):
    x = images()
    *layers, _ = theirs(x)
    try:
        exact = theirs.double()
        exact.feature_extractor_internal_dtype = torch.float64
        *truth, _ = exact(x)
    finally:
        theirs.float().feature_extractor_internal_dtype = torch.float32
    for (_, extractor), found, expected in zip(ours_at.items(), layers, truth, strict=True):
        # Two ways to round the same sums: neither may be much the worse.
        assert float(errors(extractor.extract(x).features, expected).max()) < 3 * float(errors(found, expected).max())


def test_weights_are_read_from_either_file_and_in_half_precision(files, ours):
    x = images()
    features = ours.extract(x).features
    again = InceptionV3(options(files / "w.safetensors"))
    assert torch.equal(again.extract(x).features, features)
    assert ours.digest != again.digest  # the file is what is recorded
    half = InceptionV3(options(files / "half.pth")).extract(x)
    assert half.features.dtype == half.logits.dtype == torch.float32
    # Weights of each of 48 layers in a row are rounded to 2^-11 of themselves.
    assert BAR < float(errors(half.features, features).max()) < 48 * 2**-11
    for extractor in (ours, again):
        assert "not the weights that published numbers rest on" in extractor.caution


def test_grey_is_repeated_and_told(files, theirs, ours):
    x = images(channels=1)
    grey = InceptionV3(options(files / "w.pth", (1, 40, 56)))
    found = grey.extract(x).features
    assert torch.equal(found, ours.extract(x.repeat(1, 3, 1, 1)).features)
    assert float(errors(found, theirs(x.repeat(1, 3, 1, 1))[3]).max()) < BAR
    assert "Grey images are repeated" in grey.caution
    assert "Grey images" not in ours.caution


def test_a_sample_does_not_depend_on_its_neighbours_or_on_padding(ours):
    x = images(5)
    whole = extracted(ours.extract, x, 2, "cpu")
    order = [4, 2, 0, 1, 3]
    turned = extracted(ours.extract, x[order], 2, "cpu")
    for name in ("features", "logits"):
        assert torch.equal(turned[name], whole[name][order])
        assert len(whole[name]) == 5


def test_levels_in_float_are_the_same_levels(ours):
    x = images(1)
    before = x.clone()
    assert torch.equal(ours.extract(x.float()).features, ours.extract(x).features)
    assert torch.equal(x, before)
    between = ours.extract(x.float().clamp(0, 254) + 0.5).features  # not quantised: as clean-fid has generators
    assert not torch.equal(between, ours.extract(x).features)


@pytest.mark.skipif(not has_bf16("cpu"), reason="this processor has no bf16")
def test_bf16_rounds_and_nothing_else(files, ours_at):
    x = images()
    for layer, depth in ((64, 3), (2048, 48)):
        extractor = LAYERS[layer](options(files / "w.pth", precision="bf16"))
        found = extractor.extract(x)
        expected = ours_at[layer].extract(x).features
        assert found.features.dtype == torch.float32
        # Every one of the layers in a row rounds its weights and what it gives, to 2^-9 of each.
        assert 1e-5 < float(errors(found.features, expected).max()) < 2 * depth * 2**-9
        assert not torch.equal(found.features, found.features.bfloat16().float())  # pooled in float32
        assert extractor.precision == "bf16"
        if found.logits is not None:
            assert torch.equal(found.logits, found.features @ ours_at[2048]._parts[1].T)  # classified in float32


def test_digests_tell_everything_apart_that_changes_a_number(tmp_path, monkeypatch):
    # What the digest tells is known before any network is built.
    network = SimpleNamespace(fc=nn.Linear(2048, 1008))
    monkeypatch.setattr(inception_v3, "_network", lambda weights, path: network)
    monkeypatch.setattr(inception_v3, "_fused", lambda network, layer, dtype: nn.Identity())
    monkeypatch.setattr(inception_v3, "check_precision", lambda precision, device: None)
    for name in ("one", "other"):
        save_file({name: torch.zeros(1)}, tmp_path / f"{name}.safetensors")

    def digest(kind=InceptionV3, name="one", **more):
        return kind(options(tmp_path / f"{name}.safetensors", **more)).digest

    normal = Preprocessing(normalisation="2 u / 255 - 1")
    for kind in LAYERS.values():
        digests = [digest(kind), digest(kind, "other"), digest(kind, precision="bf16")]
        digests += [digest(kind, preprocessing=Preprocessing(resize)) for resize in RESIZES[1:]]
        digests += [digest(kind, preprocessing=normal)]
        assert len(set(digests)) == len(digests) == 7
        assert digest(kind, preprocessing=Preprocessing()) == digests[0]  # what it does unasked
        assert digest(kind, shape=(1, 8, 8)) == digests[0]
    assert len({digest(kind) for kind in LAYERS.values()}) == 4


# --- the whole way, from files


FOLDERS = {"small": (32, 32, "RGB"), "right": (299, 299, "RGB"), "odd": (200, 330, "RGB"), "grey": (64, 48, "L")}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    for seed, (name, (height, width, mode)) in enumerate(FOLDERS.items()):
        (root / name).mkdir()
        rng = np.random.default_rng(seed)
        for i in range(2):
            # Smooth shapes and noise: pictures and the worst case in one.
            y, x = np.mgrid[:height, :width]
            waves = 100 + 90 * np.sin((x * (i + 1) + y * (seed + 1)) / 17)[..., None]
            picture = (waves + rng.uniform(-60, 60, (height, width, 3))).clip(0, 255).astype(np.uint8)
            picture = picture[..., 0] if mode == "L" else picture
            Image.fromarray(picture).save(root / name / f"{i}.png")
    return root


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_of_png_give_the_features_of_torch_fidelity(folders, files, theirs, ours, name):
    dataset = ImagesPathDataset(sorted(map(str, (folders / name).iterdir())))
    expected = [torch.cat(rows) for rows in zip(*(theirs(dataset[i][None]) for i in range(len(dataset))), strict=True)]
    samples = read_samples(folders / name, ReadOptions())
    assert len(samples) == len(dataset) == 2
    found = extracted(ours.extract, samples.images(slice(None)), 3, "cpu")
    assert float(errors(found["features"], expected[3]).max()) < BAR
    assert float(errors(found["logits"], expected[4]).max()) < BAR


def test_features_under_the_antialiased_resize_are_those_of_torchmetrics(folders, files):
    peer = FrechetInceptionDistance(2048, feature_extractor_weights_path=files / "w.pth").inception
    extractor = InceptionV3(options(files / "w.pth", preprocessing=Preprocessing("bilinear-antialias")))
    plain = InceptionV3(options(files / "w.pth"))
    for name in ("small", "odd"):
        x = read_samples(folders / name, ReadOptions()).images(slice(None))
        expected = peer(x)
        assert float(errors(extractor.extract(x).features, expected).max()) < BAR
        assert float(errors(plain.extract(x).features, expected).max()) > 100 * BAR  # another resize is seen


# --- what cannot be read


def test_weights_that_were_not_given_are_told_with_where_to_get_them(monkeypatch, tmp_path):
    monkeypatch.delenv("GANAUDIT_INCEPTION_WEIGHTS", raising=False)
    with pytest.raises(ExtractorError) as caught:
        InceptionV3(RGB)
    for told in (
        "no weights file was given",
        "weights-inception-2015-12-05-6726825d.pth",
        "torch-fidelity",
        "--extractor-weights FILE",
        "GANAUDIT_INCEPTION_WEIGHTS",
    ):
        assert told in str(caught.value)
    monkeypatch.setenv("GANAUDIT_INCEPTION_WEIGHTS", str(tmp_path / "none.pth"))
    with pytest.raises(ExtractorError, match=r"none\.pth: no such file; .*get weights-inception"):
        InceptionV3(RGB)


@pytest.mark.parametrize("shape", [(4, 8, 8), (2048,)])
def test_shapes_that_it_does_not_take_are_told(shape):
    with pytest.raises(ExtractorError, match="takes grey or RGB images; found shape"):
        InceptionV3(ExtractorOptions(shape))


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch '{self.mark}'",))


def _write(path, how, mark):
    if how == "trap":
        torch.save({"fc.weight": Trap(mark)}, path)
    elif how == "bare":
        path.write_bytes(pickle.dumps(Trap(mark)))
    elif how == "text":
        path.write_bytes(b"no weights")
    elif how == "empty":
        path.write_bytes(b"")
    else:
        values = {
            "list": [torch.zeros(1)],
            "numbers": {1: torch.zeros(1)},
            "counts": {"a": 1},
            "keys": {"a": torch.zeros(1)},
        }
        torch.save(values[how], path)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("trap", "cannot be read as plain tensors"),
        ("bare", "cannot be read as plain tensors"),
        ("text", "cannot be read as plain tensors"),
        ("empty", "cannot be read as plain tensors"),
        ("list", "does not hold named tensors"),
        ("numbers", "does not hold named tensors"),
        ("counts", "does not hold named tensors"),
        ("keys", "does not fit the network: .*Missing key"),
    ],
)
def test_a_file_that_holds_no_weights_is_told_unread(tmp_path, how, told):
    path, mark = tmp_path / "w.pth", tmp_path / "mark"
    _write(path, how, mark)
    with pytest.raises(ExtractorError, match=told) as caught:
        InceptionV3(options(path))
    assert str(path) in str(caught.value)
    assert "get weights-inception-2015-12-05-6726825d.pth" in str(caught.value)
    assert not mark.exists()
    if how == "trap":
        torch.load(path, weights_only=False)
        assert mark.exists()  # the trap does work


def test_broken_safetensors_are_told(tmp_path):
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(ExtractorError, match="cannot be read as plain tensors"):
        InceptionV3(options(path))
