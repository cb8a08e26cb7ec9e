"""CLIP's image encoders against torch-fidelity's own extractor, on small networks with random weights."""

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch_fidelity.feature_extractor_clip import CLIPVisual, FeatureExtractorCLIP

from ganaudit.document.errors import ExtractorError
from ganaudit.features.clip import Clip, ClipVitB16, ClipVitB32, ClipVitL14, ClipVitL14At336
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.framing import CLIP_MEAN, CLIP_STD, Framing

from .test_framing import levels

SIDE = 48


class SmallClip(Clip):
    """The same loading code at 1/100 of the size."""

    id = "clip-vit-b-32"
    dimensions = 24
    framing = Framing((SIDE, SIDE), "bicubic", mean=CLIP_MEAN, std=CLIP_STD)
    patch, width, layers = 16, 128, 2


class Published(nn.Module):
    """What OpenAI's archives hold: the image encoder, and a text encoder that is left out."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.visual = CLIPVisual(24, SIDE, 2, 128, 16).visual
        self.text_projection = nn.Parameter(torch.randn(32, 24))
        self.logit_scale = nn.Parameter(torch.tensor(1.0))
        self.token_embedding = nn.Embedding(5, 32)
        self.register_buffer("input_resolution", torch.tensor(SIDE))
        # Numbers that float16 holds, where the published files have float16: torch-fidelity rounds them to it.
        for name, parameter in self.visual.named_parameters():
            if "ln_" not in name:
                parameter.data = parameter.data.half().float()

    def forward(self, x):
        return self.visual(x)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The same weights as OpenAI's TorchScript, as a state dict and as safetensors of the image encoder alone."""
    folder = tmp_path_factory.mktemp("clip")
    published = Published().eval()
    weights = {n: t.contiguous() for n, t in published.state_dict().items()}
    torch.save(weights, folder / "w.pth")
    save_file({n: t for n, t in weights.items() if n.startswith("visual.")}, folder / "w.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(published, torch.zeros(1, 3, SIDE, SIDE)).save(str(folder / "w.pt"))
    return folder


@pytest.mark.parametrize("name", ["w.pt", "w.pth", "w.safetensors"])
@pytest.mark.filterwarnings("ignore")  # torch-fidelity and TorchScript, which is deprecated
def test_features_are_those_of_torch_fidelity(files, name):
    images = levels(SIDE, SIDE, n=5)  # of the network's size: the two resize in different ways
    peer = FeatureExtractorCLIP("clip-vit-b-32", ["clip"], feature_extractor_weights_path=str(files / "w.pt"))
    (theirs,) = peer(images)
    ours = SmallClip(ExtractorOptions((3, SIDE, SIDE), weights=files / name))
    found = ours.extract(images)
    assert found.features.shape == (5, ours.dimensions) == (5, 24)
    assert (found.logits, ours.classes) == (None, 0)
    assert float(theirs.std(0).max()) > 1e-2  # not dead
    # The same network on inputs that differ by the order of a subtraction: float32 rounding through two blocks.
    torch.testing.assert_close(found.features, theirs, rtol=0, atol=2e-5 * float(theirs.abs().max()))


def test_an_image_is_brought_to_the_size_whole(files):
    ours = SmallClip(ExtractorOptions((3, 40, 90), weights=files / "w.pth"))
    images = levels(40, 90)
    sized = torch.nn.functional.interpolate(images.float(), (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 255)
    assert torch.allclose(ours.extract(images).features, ours.extract(sized).features, atol=1e-5)
    assert "of the whole image" in ours.preprocessing


def test_the_encoders_have_the_published_sizes():
    """Shapes as OpenAI's paper has them (Radford et al., 2021, table 20)."""
    table = {
        ClipVitB32: (512, 224, 32, 768, 12), ClipVitB16: (512, 224, 16, 768, 12),
        ClipVitL14: (768, 224, 14, 1024, 24), ClipVitL14At336: (768, 336, 14, 1024, 24),
    }  # fmt: skip
    for kind, (dimensions, side, patch, width, layers) in table.items():
        assert (kind.dimensions, kind.patch, kind.width, kind.layers) == (dimensions, patch, width, layers)
        assert kind.framing == Framing((side, side), "bicubic", mean=CLIP_MEAN, std=CLIP_STD)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda w: {"a": torch.zeros(1)}, "no tensor's name begins with 'visual.'"),
        (lambda w: {n: t for n, t in w.items() if n != "visual.proj"}, 'Missing key.*"proj"'),
        (lambda w: {**w, "visual.more": torch.zeros(1)}, "Unexpected key"),
        (lambda w: {**w, "visual.proj": torch.zeros(128, 25)}, "size mismatch for proj"),
    ],
)
def test_weights_of_another_network_are_told(files, tmp_path, change, told):
    torch.save(change(torch.load(files / "w.pth")), tmp_path / "w.pth")
    with pytest.raises(ExtractorError, match=f"clip-vit-b-32: weights file .* does not fit the network: .*{told}"):
        SmallClip(ExtractorOptions((3, 8, 8), weights=tmp_path / "w.pth"))


def test_an_encoder_of_another_size_is_told(files):
    with pytest.raises(ExtractorError, match=r"clip-vit-b-16: .*does not fit the network"):
        ClipVitB16(ExtractorOptions((3, 8, 8), weights=files / "w.pth"))


def test_rows_do_not_depend_on_each_other(files):
    ours = SmallClip(ExtractorOptions((3, SIDE, SIDE), weights=files / "w.pth"))
    images = levels(SIDE, SIDE, n=4)
    found, alone = ours.extract(images).features, ours.extract(images[2:3]).features
    np.testing.assert_allclose(found[2:3], alone, rtol=0, atol=1e-5 * float(found.abs().max()))
