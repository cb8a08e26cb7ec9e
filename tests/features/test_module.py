"""Networks of the user's own: what is declared is done, what a program breaks is told."""

import os
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.document.errors import ConfigError, ExtractorError
from ganaudit.features.declaration import Declaration, read_declaration
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.module import Module

from .test_framing import levels

SIDE = 16
PLAIN = 'size = 16\nrange = [-1, 1]\nresize = "bilinear"\n'


class Network(nn.Module):
    """RGB images to features, logits and maps, in the form a test asks for."""

    def __init__(self, form="features", channels=3):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.last = nn.Linear(8, 5)
        self.form = form

    def forward(self, x):
        maps = torch.relu(self.first(x))
        features = maps.mean((2, 3))
        made = {
            "features": lambda: features,
            "pair": lambda: (self.last(features), features),
            "dict": lambda: {"pooled": features, "scores": self.last(features)},
            "maps": lambda: maps,
            "points": lambda: features[:, :, None, None],
            "tokens": lambda: maps.flatten(2).transpose(1, 2),
            "whole": lambda: (features * 100).to(torch.int64),
            "nan": lambda: features / 0 - features / 0,
            "noisy": lambda: features + torch.rand_like(features),
            "batch": lambda: features - features.mean(0),
            "fewer": lambda: features[1:],
            "scalar": lambda: features.mean(),
        }
        return made[self.form]()


def export(network, path, batch=4, dynamic=True, side=SIDE, channels=3):
    x = torch.zeros(batch, channels, side, side)
    shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(network.eval(), (x,), dynamic_shapes=shapes), path)
    return path


def trace(network, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network.eval(), torch.zeros(4, 3, SIDE, SIDE), check_trace=False).save(str(path))
    return path


@pytest.fixture
def build(tmp_path):
    """Save a network as a program with a declaration and open it as an extractor."""

    def call(form="features", declared=PLAIN, shape=(3, SIDE, SIDE), how=export, **options):
        suffix = ".pt2" if how is export else ".pt"
        path = how(
            Network(form, **{k: options[k] for k in ("channels",) if k in options}),
            tmp_path / f"net{suffix}",
            **options,
        )
        path.with_suffix(".toml").write_text(declared)
        return Module(ExtractorOptions(shape, weights=path))

    return call


def theirs(images, form="features"):
    with torch.no_grad():
        return Network(form).eval()(images.float() / 127.5 - 1)


@pytest.mark.parametrize("how", [export, trace])
def test_features_are_those_of_the_network(build, how):
    extractor = build(how=how)
    images = levels(SIDE, SIDE, n=16)
    found = extractor.extract(images)
    assert (extractor.dimensions, extractor.classes, found.logits) == (8, 0, None)
    torch.testing.assert_close(found.features, theirs(images), rtol=0, atol=1e-6)
    assert extractor.preprocessing == (
        "antialiased bilinear resize to 16x16, of the whole image, "
        "(u / 255 - mean) / std of the levels u with mean 0.5 and std 0.5"
    )
    assert not hasattr(extractor, "block")
    assert extractor.precision == "fp32"


def test_images_are_resized_and_grey_ones_repeated(build):
    extractor = build(shape=(1, 40, 30))
    images = levels(40, 30, channels=1)
    sized = nn.functional.interpolate(images.float(), (SIDE, SIDE), mode="bilinear", antialias=True)
    expected = theirs(sized.expand(-1, 3, -1, -1))
    torch.testing.assert_close(extractor.extract(images).features, expected, rtol=0, atol=1e-6)


def test_mean_and_std_are_the_same_as_a_range(build):
    a = build()
    b = build(declared='size = 16\nmean = [0.5, 0.5, 0.5]\nstd = [0.5, 0.5, 0.5]\nresize = "bilinear"')
    images = levels(SIDE, SIDE)
    torch.testing.assert_close(a.extract(images).features, b.extract(images).features)
    assert a.digest != b.digest  # what was declared is what is recorded


@pytest.mark.parametrize(
    ("form", "more", "reference"),
    [
        ("pair", "features = 1\nlogits = 0", lambda x: theirs(x, "pair")[::-1]),
        ("pair", "logits = 1", lambda x: theirs(x, "pair")),
        ("dict", 'features = "pooled"\nlogits = "scores"', lambda x: tuple(theirs(x, "dict").values())),
        ("dict", "", lambda x: (theirs(x, "dict")["pooled"], None)),
        ("maps", 'pool = "mean"', lambda x: (theirs(x), None)),
        ("points", "", lambda x: (theirs(x), None)),
        ("tokens", 'pool = "mean"', lambda x: (theirs(x), None)),
        ("tokens", 'pool = "first"', lambda x: (theirs(x, "tokens")[:, 0], None)),
    ],
)
def test_outputs_are_picked_and_pooled_as_declared(build, form, more, reference):
    extractor = build(form, PLAIN + more)
    images = levels(SIDE, SIDE, n=3)
    features, logits = reference(images)
    found = extractor.extract(images)
    torch.testing.assert_close(found.features, features, rtol=0, atol=1e-6)
    assert extractor.dimensions == features.shape[1]
    assert extractor.classes == (0 if logits is None else logits.shape[1])
    if logits is not None:
        torch.testing.assert_close(found.logits, logits, rtol=0, atol=1e-6)


def test_a_program_of_one_batch_size_says_so(build):
    extractor = build(dynamic=False, batch=6)
    assert extractor.block == 6
    assert extractor.extract(levels(SIDE, SIDE, n=6)).features.shape == (6, 8)
    with pytest.raises(ExtractorError, match=r"cannot be run on input \(5, 3, 16, 16\)"):
        extractor.extract(levels(SIDE, SIDE, n=5))


def test_grey_and_other_images_as_they_come(build):
    grey = build(shape=(1, SIDE, SIDE), declared='size = "any"\nrange = [0, 255]\nchannels = "grey"', channels=1)
    images = levels(SIDE, SIDE, channels=1)
    with torch.no_grad():
        expected = Network(channels=1).eval()(images.float())
    torch.testing.assert_close(grey.extract(images).features, expected, rtol=1e-6, atol=1e-5)
    four = build(shape=(4, SIDE, SIDE), declared='size = "any"\nrange = [0, 1]\nchannels = "any"', channels=4)
    assert four.extract(levels(SIDE, SIDE, channels=4)).features.shape == (2, 8)


@pytest.mark.parametrize(
    ("shape", "declared", "told"),
    [
        ((4, 8, 8), PLAIN, r"its declaration takes rgb images; found samples of shape \(4, 8, 8\)"),
        ((3, 8, 8), PLAIN + 'channels = "grey"', "takes grey images"),
        ((9,), PLAIN, r"takes images; found samples of shape \(9,\)"),
        ((3, 8, 8), "size = 16\nmean = [0.5, 0.5]\nstd = [1, 1]", "2 values of mean and std for 3 channels"),
        ((3, 8, 8), 'size = "any"\nrange = [0, 1]', None),
        ((3, 40, 8), "size = [16, 8]\nrange = [0, 1]", r"cannot be run on input \(4, 3, 16, 8\)"),
    ],
)
def test_images_that_do_not_suit_are_told(build, shape, declared, told):
    if told is None:
        told = r"cannot be run on input \(4, 3, 8, 8\)"
    with pytest.raises(ExtractorError, match=told):
        build(shape=shape, declared=declared)


@pytest.mark.parametrize(
    ("form", "more", "told"),
    [
        ("maps", "", r"features must be numbers \(B, D\); found torch.float32 \(4, 8, 8, 8\); .*pool = \"mean\""),
        ("tokens", "", "features must be numbers"),
        ("whole", "", "found torch.int64"),
        ("scalar", "", "features must be numbers"),
        ("nan", "", "features of noise images are not finite"),
        ("noisy", "", "equal images gave unequal features; save it in eval mode"),
        ("batch", "", "features of an image depend on the others in its batch"),
        ("fewer", "", "3 rows of features for 4 images"),
        (
            "pair",
            "features = 2",
            r"no output 2 to take features from; found 0: torch.float32 \(4, 5\), 1: torch.float32",
        ),
        ("dict", 'features = "last"', "no output 'last' to take features from; found 'pooled': "),
        ("features", 'logits = "scores"', "no output 'scores' to take logits from"),
    ],
)
def test_networks_that_are_no_extractors_are_told(build, form, more, told):
    with pytest.raises(ExtractorError, match=told):
        build(form, PLAIN + more, dynamic=False)


# --- files


def test_a_network_in_memory_is_wrapped():
    declared = Declaration(size=SIDE, range=(-1, 1), resize="bilinear")
    extractor = Module.of(Network(), declared, "0" * 64, ExtractorOptions((3, SIDE, SIDE)))
    images = levels(SIDE, SIDE)
    torch.testing.assert_close(extractor.extract(images).features, theirs(images), rtol=0, atol=1e-6)
    assert "0" * 64 in extractor.digest


def test_the_digest_follows_file_and_declaration(build, tmp_path):
    first = build()
    options = ExtractorOptions((3, 8, 8), weights=tmp_path / "net.pt2")
    (tmp_path / "net.toml").write_text(PLAIN + "antialias = true")  # what it would be anyway
    assert Module(options).digest == first.digest
    (tmp_path / "net.toml").write_text(PLAIN + "antialias = false")
    assert Module(options).digest != first.digest


def test_what_is_missing_is_told(tmp_path):
    with pytest.raises(ExtractorError, match=r"needs --extractor-weights FILE, an exported program"):
        Module(ExtractorOptions((3, 8, 8)))
    path = tmp_path / "net.pt2"
    with pytest.raises(
        ExtractorError, match=r"net\.toml: no such file; it says what the network takes, such as\nsize ="
    ):
        Module(ExtractorOptions((3, 8, 8), weights=path))
    path.with_suffix(".toml").write_text(PLAIN)
    with pytest.raises(ExtractorError, match=r"net\.pt2: no such file"):
        Module(ExtractorOptions((3, 8, 8), weights=path))
    path.write_bytes(b"no program")
    with pytest.raises(ExtractorError, match="not a whole zip archive"):
        Module(ExtractorOptions((3, 8, 8), weights=path))
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(ExtractorError, match=r"allowed: .pt2 .exported program., .pt, .ts, .pth .TorchScript."):
        Module(ExtractorOptions((3, 8, 8), weights=tmp_path / "net.onnx"))


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch '{self.mark}'",))


def test_a_pickled_network_is_refused_unread(tmp_path):
    path, mark = tmp_path / "net.pt", tmp_path / "mark"
    torch.save(Trap(mark), path)
    path.with_suffix(".toml").write_text(PLAIN)
    with pytest.raises(ExtractorError, match=r"not TorchScript .it is a pickled checkpoint.*never opened"):
        Module(ExtractorOptions((3, 8, 8), weights=path))
    assert not mark.exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("range = [0, 1]", "size: required, but not given"),
        ("size = 16", "say either mean and std, or range"),
        ("size = 16\nmean = [0.5]", "say either mean and std, or range"),
        ("size = 16\nmean = [0.5]\nstd = [1]\nrange = [0, 1]", "say either mean and std, or range"),
        ("size = 16\nrange = [1, 0]", "range: low must be below high; found 1, 0"),
        ("size = 0\nrange = [0, 1]", "both sides must be at least 1"),
        ("size = 16\nmean = [0.5]\nstd = [0]", "std above 0"),
        ("size = 16\nmean = [0, 0, 0, 0, 0]\nstd = [1, 1, 1, 1, 1]", "at most 4"),
        ("size = 16\nmean = [nan]\nstd = [1]", "finite"),
        ('size = 16\nrange = [0, 1]\nresize = "lanczos"', "resize: .*'lanczos'"),
        ("size = 16\nrange = [0, 1]\nrezise = 1", "rezise: unknown key; nearest: resize"),
        ("size = [", "cannot be read"),
    ],
)
def test_declarations_that_cannot_be_are_told(tmp_path, text, told):
    (tmp_path / "net.toml").write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        read_declaration(tmp_path / "net.toml")
    assert "net.toml" in str(caught.value)


def test_every_problem_of_a_declaration_is_told_at_once(tmp_path):
    (tmp_path / "net.toml").write_text('fit = "pad"\npool = "max"\nmore = 1')
    with pytest.raises(ConfigError) as caught:
        read_declaration(tmp_path / "net.toml")
    assert len(caught.value.problems) == 4


def test_a_range_maps_black_and_white():
    framing = Declaration(size="any", range=(-1, 3)).framing()
    found = framing.apply(torch.tensor([0.0, 255.0]).reshape(1, 1, 1, 2))
    np.testing.assert_allclose(found.flatten(), [-1, 3], atol=1e-6)
