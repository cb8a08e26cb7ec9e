"""The path length against torch-fidelity, on the same latents, generator, similarity network and weights.

Both take the samples as float: as it comes, the peer asks for uint8, whose path length is that of rounding. Its
trimming is left out, since it calls numpy in a way that numpy 2.4 no longer knows. The similarity is the squared
distance of Inception-v3 features with random weights: the peer's own network in the peer, ours in ganaudit.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.inception import random_weights
from benchmarks.measuring import paired, record
from ganaudit.data.reference import Reference
from ganaudit.data.samples import Samples
from ganaudit.evidence.evidence import Evidence, EvidencePlan
from ganaudit.evidence.latent_paths import LatentPaths
from ganaudit.evidence.store import Store
from ganaudit.evidence.view import View
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.inception_v3 import InceptionV3
from ganaudit.numerics.path_length import path_length as quotient
from ganaudit.progress import Silent
from ganaudit.subjects.subject import Subject

_LATENT, _SIZE, _EPS, _SEED = 64, 64, 1e-2, 2020


class Generator(nn.Module):
    """A DCGAN of 64x64 RGB images with random weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.ConvTranspose2d(_LATENT, 256, 4, 1, 0), nn.ReLU()]
        for given, made in ((256, 128), (128, 64), (64, 32)):
            layers += [nn.ConvTranspose2d(given, made, 4, 2, 1), nn.BatchNorm2d(made), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, 2, 1))

    def forward(self, z: Tensor) -> Tensor:
        made: Tensor = torch.tanh(5 * self.layers(z[:, :, None, None]))
        return made


class Levels(nn.Module):
    """The same in 0..255, float, as the peer's similarity takes it."""

    def __init__(self, generator: nn.Module) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor) -> Tensor:
        return ((self.generator(z) + 1) * 127.5).clamp(0, 255)


def path_length(repeats: int = 3, paths: int = 64) -> list[dict[str, Any]]:
    generator = Generator().eval()
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder))
        ours, theirs = _ours(generator, weights, paths), _theirs(generator, weights, paths)
        error = abs(ours() / theirs() - 1)
        pair = paired(ours, theirs, repeats, warm=False)
    work = f"path length of {paths} paths, DCGAN 64x64, Inception-v3 2048-d, step {_EPS:g}, cpu"
    return [record(work, "torch-fidelity 0.4, float samples, batch 64 (its default)", pair, 2.0, error)]


def _ours(generator: nn.Module, weights: Path, paths: int) -> Any:
    subject = Subject.from_modules(generator, latent=_LATENT)
    real = Samples.of(np.zeros((4, _SIZE, _SIZE, 3), np.uint8), "images", "test", "npy")
    reference = Reference.of("r", "npy", {"test": real}, seen={"test": "unknown"}, rule="none of it is read")
    extractor = InceptionV3(ExtractorOptions((3, _SIZE, _SIZE), weights=weights))
    plan = EvidencePlan(samples=1, seed=0, against="test")
    view = View(Evidence(subject, reference, extractor, plan, Store(None), Silent()), ["values/fake"])
    # As the peer draws them.
    drawn = np.random.RandomState(_SEED)
    a, b = (torch.from_numpy(drawn.randn(paths, _LATENT)).float() for _ in range(2))
    through = LatentPaths(view, _SEED, a, b, None, (), False)

    def measure() -> float:
        distances, _ = through.distances("lerp", torch.zeros(paths), [_EPS], "features")
        return quotient(distances[0], _EPS).value

    return measure


def _theirs(generator: nn.Module, weights: Path, paths: int) -> Any:
    import torch_fidelity.feature_extractor_inceptionv3 as network
    from torch_fidelity import GenerativeModelModuleWrapper, register_sample_similarity
    from torch_fidelity.metric_ppl import KEY_METRIC_PPL_MEAN, calculate_ppl
    from torch_fidelity.sample_similarity_base import SampleSimilarityBase

    class Features(SampleSimilarityBase):
        def __init__(self, name: str, **said: Any) -> None:
            super().__init__(name)
            self.network = network.FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
            )

        def forward(self, first: Tensor, second: Tensor) -> Tensor:
            one, other = (self.network(x)[0] for x in (first, second))
            return (one.double() - other.double()).square().sum(1)

    register_sample_similarity("ganaudit-benchmark", Features)
    model = GenerativeModelModuleWrapper(Levels(generator), _LATENT, "normal", 0)
    built = Features("ganaudit-benchmark")

    def measure() -> float:
        # The network is made beforehand, as ours is; and it is let see float levels.
        with (
            mock.patch("torch_fidelity.metric_ppl.create_sample_similarity", return_value=built),
            mock.patch.object(network, "vassert", return_value=None),
        ):
            found = calculate_ppl(
                1, input1=model, input1_model_num_samples=paths, input1_model_num_classes=0, cuda=False, verbose=False,
                ppl_epsilon=_EPS, ppl_z_interp_mode="lerp", ppl_sample_similarity="ganaudit-benchmark", rng_seed=_SEED,
                ppl_sample_similarity_resize=None, ppl_sample_similarity_dtype="float32", batch_size=64,
                ppl_discard_percentile_lower=None, ppl_discard_percentile_higher=None,
            )  # fmt: skip
        return float(found[KEY_METRIC_PPL_MEAN])

    return measure


if __name__ == "__main__":
    for row in path_length():
        print(row)
