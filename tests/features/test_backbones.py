"""torchvision's classifiers from local files, on random weights, against torchvision's own forward pass."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.precision import has_bf16
from ganaudit.features.torchvision_backbone import ConvNextTiny, Resnet50, SwinT, Vgg16
from ganaudit.weights import cache as cache_module
from ganaudit.weights.cache import WeightsCache
from ganaudit.weights.manifest import Entry

from .test_framing import levels

KINDS = [Resnet50, Vgg16, ConvNextTiny, SwinT]
# A float32 network of this depth: what torchvision itself loses when the batch is turned round.
CLOSE = {"rtol": 0, "atol": 2e-5}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.id)
def made(request, tmp_path_factory):
    """A network with random weights and the file that holds them."""
    kind = request.param
    torch.manual_seed(0)
    network = models.get_model(kind.model, weights=None).eval()
    path = tmp_path_factory.mktemp(kind.id) / "w.safetensors"
    save_file({n: t.contiguous() for n, t in network.state_dict().items()}, path)
    yield kind, network, path
    path.unlink()  # half a gigabyte for one of them


def theirs(network, x):
    """Penultimate activations, as they enter the last linear layer, and logits."""
    seen = []
    last = [m for m in network.modules() if isinstance(m, torch.nn.Linear)][-1]
    handle = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        logits = network(x)
    handle.remove()
    return seen[0], logits


def test_features_and_logits_are_those_of_torchvision(made):
    kind, network, path = made
    ours = kind(ExtractorOptions((3, 224, 224), weights=path))
    images = levels(224, 224)
    weights = models.get_model_weights(kind.model).IMAGENET1K_V1.transforms()
    assert (ours.framing.mean, ours.framing.std) == (tuple(weights.mean), tuple(weights.std))
    assert ours.framing.kernel == weights.interpolation.value
    mean, std = (torch.tensor(v)[:, None, None] for v in (weights.mean, weights.std))
    features, logits = theirs(network, (images / 255 - mean) / std)
    found = ours.extract(images)
    assert found.features.shape == (2, ours.dimensions)
    assert found.logits.shape == (2, ours.classes) == (2, 1000)
    assert float(features.std(0).max()) > 0  # not dead
    scale = float(features.abs().max())
    torch.testing.assert_close(found.features / scale, features / scale, **CLOSE)
    scale = float(logits.abs().max())
    torch.testing.assert_close(found.logits / scale, logits / scale, **CLOSE)
    assert "not the published weights" in ours.caution
    assert "224x224" in ours.preprocessing


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    torch.manual_seed(0)
    network = models.resnet50(weights=None).eval()
    path = tmp_path_factory.mktemp("resnet") / "w.pth"
    torch.save(network.state_dict(), path)
    return path


def test_grey_images_are_repeated(resnet):
    grey = Resnet50(ExtractorOptions((1, 40, 56), weights=resnet))
    rgb = Resnet50(ExtractorOptions((3, 40, 56), weights=resnet))
    images = levels(40, 56, channels=1)
    assert torch.equal(grey.extract(images).features, rgb.extract(images.expand(-1, 3, -1, -1)).features)
    assert "grey images are repeated" in grey.caution
    assert "grey" not in rgb.caution
    assert grey.digest == rgb.digest


def test_bf16_stays_near_fp32_and_says_so(resnet):
    if not has_bf16("cpu"):
        with pytest.raises(ExtractorError, match="no bf16 instructions"):
            Resnet50(ExtractorOptions((3, 64, 64), weights=resnet, precision="bf16"))
        return
    exact = Resnet50(ExtractorOptions((3, 64, 64), weights=resnet))
    fast = Resnet50(ExtractorOptions((3, 64, 64), weights=resnet, precision="bf16"))
    a, b = (e.extract(levels(64, 64)).features for e in (exact, fast))
    assert b.dtype == torch.float32
    assert 0 < float((a - b).norm() / a.norm()) < 0.05
    assert (fast.precision, fast.digest) == ("bf16", exact.digest.replace("resnet50/1 ", "resnet50/1 bf16 "))


@pytest.mark.parametrize("shape", [(4, 8, 8), (2048,), (2, 8, 8)])
def test_shapes_that_it_does_not_take_are_told(shape):
    with pytest.raises(ExtractorError, match="resnet50: takes grey or RGB images; found samples of shape"):
        Resnet50(ExtractorOptions(shape))


def test_weights_of_another_network_are_told(tmp_path, resnet):
    with pytest.raises(ExtractorError, match=r"swin-t: weights file .* does not fit the network: .*Missing key"):
        SwinT(ExtractorOptions((3, 8, 8), weights=resnet))
    weights = torch.load(resnet)
    weights["fc.weight"] = weights["fc.weight"][:10]
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(ExtractorError, match=r"size mismatch for fc\.weight"):
        Resnet50(ExtractorOptions((3, 8, 8), weights=tmp_path / "w.pth"))
    (tmp_path / "w.pth").write_bytes(b"none")
    with pytest.raises(ExtractorError, match=r"resnet50: .*cannot be read as plain tensors: .*weights fetch resnet50"):
        Resnet50(ExtractorOptions((3, 8, 8), weights=tmp_path / "w.pth"))


def test_weights_come_from_the_cache_only_when_verified(monkeypatch, tmp_path, resnet):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path))
    options = ExtractorOptions((3, 8, 8))
    with pytest.raises(ExtractorError, match="resnet50: no weights file is there; `ganaudit weights fetch resnet50`"):
        Resnet50(options)
    # The published file cannot be had here; another manifest says that this one is it.
    from ganaudit.weights.files import hashed

    entry = Entry("resnet50", "r.pth", resnet.stat().st_size, hashed(resnet)[0], "https://w.invalid/r.pth", "BSD", "p")
    monkeypatch.setattr(cache_module, "known", lambda: {"resnet50": entry})
    held = WeightsCache().add(resnet)
    extractor = Resnet50(options)
    assert "not the published" not in extractor.caution
    assert entry.sha256 in extractor.digest
    assert "not the published" not in Resnet50(ExtractorOptions((3, 8, 8), weights=resnet)).caution
    from ganaudit.features.tensors import convert

    WeightsCache().add(resnet, convert=convert)
    converted = Resnet50(options)
    assert "not the published" not in converted.caution
    assert torch.equal(converted.extract(levels(8, 8)).features, extractor.extract(levels(8, 8)).features)
    path = WeightsCache().resolve("resnet50")
    assert path != held.path
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(ExtractorError, match=r"is not resnet50; it is not used:\n  sha256 found"):
        Resnet50(options)
