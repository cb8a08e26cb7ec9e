"""Inception-v3 against torch-fidelity's own extractor, on weights that are random but equal."""

import os
import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from ganaudit.document.errors import ExtractorError
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.inception_v3 import InceptionV3

RGB, GREY = ExtractorOptions((3, 40, 56)), ExtractorOptions((1, 40, 56))


def options(weights, shape=(3, 40, 56)):
    return ExtractorOptions(shape, weights=weights)


class _Unweighted(FeatureExtractorInceptionV3):
    def load_state_dict(self, state_dict, strict=True, assign=False):
        return None


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same random weights as .pth and .safetensors."""
    folder = tmp_path_factory.mktemp("weights")
    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    network = _Unweighted("inception-v3", ["2048"], feature_extractor_weights_path=str(folder / "empty.pth"))
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    for name, value in weights.items():
        if name.endswith("bn.weight"):
            value.uniform_(2.2, 3.2)  # random weights shrink what they are given layer by layer
    torch.save(weights, folder / "w.pth")
    save_file(weights, folder / "w.safetensors")
    return folder


def test_features_and_logits_are_those_of_torch_fidelity(files):
    x = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 40, 56), dtype=np.uint8))
    path = str(files / "w.pth")
    theirs = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=path
    )
    features, logits = theirs(x)
    assert float(features.std(0).max()) > 1e-3  # not dead, or any two extractors would agree
    ours = InceptionV3(options(files / "w.pth"))
    found = ours.extract(x)
    assert found.features.shape == (2, ours.dimensions) == (2, 2048)
    assert found.logits.shape == (2, ours.classes) == (2, 1008)
    assert torch.equal(found.features, features)
    assert torch.equal(found.logits, logits)
    again = InceptionV3(options(files / "w.safetensors"))
    assert torch.equal(again.extract(x).features, features)
    grey = InceptionV3(options(files / "w.pth", (1, 40, 56)))
    assert torch.equal(grey.extract(x[:1, :1]).features, theirs(x[:1, :1].expand(-1, 3, -1, -1))[0])
    assert "Grey images are repeated" in grey.caution
    for extractor in (ours, again, grey):
        assert "not the weights that published numbers rest on" in extractor.caution
    assert ours.digest != again.digest  # the file is what is recorded


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
    with pytest.raises(ExtractorError, match=r"none\.pth: no such file; get weights-inception"):
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
