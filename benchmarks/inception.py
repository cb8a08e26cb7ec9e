"""Images per second through Inception-v3, against torch-fidelity with the same random weights."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.measuring import Pair, paired, record
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import ExtractorOptions, block_of
from ganaudit.features.inception_v3 import InceptionV3
from ganaudit.features.precision import has_bf16
from ganaudit.numerics.frechet import frechet_distance

_PEER_BATCH = 64  # torch-fidelity's default


def random_weights(folder: Path) -> Path:
    """Write weights under which the network still tells images apart; speed and parity do not depend on them."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Unweighted(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict: Any, strict: bool = True, assign: bool = False) -> Any:
            return None

    torch.save({}, folder / "empty.pth")
    torch.manual_seed(0)
    network = Unweighted("inception-v3", ["2048"], feature_extractor_weights_path=str(folder / "empty.pth"))
    weights = dict(network.state_dict())
    for name, value in weights.items():
        if name.endswith("bn.weight"):
            value.uniform_(2.2, 3.2)
    path = folder / "random-inception.pth"
    torch.save(weights, path)
    return path


def pictures(n: int, size: int, seed: int, contrast: float = 1.0) -> torch.Tensor:
    """Return n smooth random pictures, uint8 (n, 3, size, size)."""
    rng = torch.Generator().manual_seed(seed)
    coarse = torch.rand((n, 3, 8, 8), generator=rng)
    fine = torch.rand((n, 3, size, size), generator=rng)
    large = torch.nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    return ((0.5 + contrast * (0.8 * large + 0.2 * fine - 0.5)).clamp(0, 1) * 255).to(torch.uint8)


def inception(repeats: int = 3, images: int = 64) -> list[dict[str, Any]]:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    device = "cuda" if torch.cuda.is_available() else "cpu"
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder))
        theirs = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
        ).to(device)
        x = pictures(images, 64, seed=1)
        found = []
        exact = None
        for precision, target in (("fp32", 2.0), ("bf16", 4.0)):
            if precision == "bf16" and not has_bf16(device):
                continue
            options = ExtractorOptions((3, 64, 64), weights=weights, device=device, precision=precision)  # type: ignore[arg-type]
            ours = InceptionV3(options)

            def run_ours(ours: InceptionV3 = ours) -> torch.Tensor:
                return extracted(ours.extract, x, block_of(ours, device), device)["features"]

            def run_theirs(batch: int = _PEER_BATCH) -> torch.Tensor:
                with torch.no_grad():
                    parts = [theirs(x[i : i + batch].to(device))[0].cpu() for i in range(0, images, batch)]
                return torch.cat(parts)

            exact = run_theirs() if exact is None else exact
            error = float((run_ours() - exact).norm() / exact.norm())
            work = f"Inception-v3 2048-d features of {images} images, {precision}, {device}"
            for batch, wanted in ((_PEER_BATCH, target), (16, None)):
                pair = paired(run_ours, lambda batch=batch: run_theirs(batch), repeats, warm=False)
                named = f"torch-fidelity {_version()}, batch {batch}" + (" (its default)" if wanted else " (faster)")
                rate = {"ours_images_per_second": round(images / pair.ours, 2)}
                rate["peer_images_per_second"] = round(images / pair.peer, 2)
                found.append(record(work, named, pair, wanted, error, **rate))
        return found


def precision_shift(n: int = 256) -> list[dict[str, Any]]:
    """Return how far bf16 moves a Fréchet distance of n + n pictures that differ in contrast."""
    if not has_bf16("cpu"):
        return []
    sides = [pictures(n, 64, seed=2), pictures(n, 64, seed=3, contrast=0.7)]
    with tempfile.TemporaryDirectory() as folder:
        weights = random_weights(Path(folder))
        values = []
        for precision in ("fp32", "bf16"):
            ours = InceptionV3(ExtractorOptions((3, 64, 64), weights=weights, precision=precision))  # type: ignore[arg-type]
            values.append(frechet_distance(*(extracted(ours.extract, x, 16, "cpu")["features"] for x in sides)))
    shift = values[1] / values[0] - 1
    named = f"fd of {n} + {n} images, bf16 against fp32 (fp32: {values[0]:.6g}, bf16: {values[1]:.6g})"
    row = record(named, "ganaudit in fp32", Pair(0.0, 0.0, 0.0), None, abs(shift))
    return [{**row, "ours_seconds": None, "peer_seconds": None, "ratio": None, "limit_of_error": 0.005}]


def _version() -> str:
    from importlib.metadata import version

    return version("torch-fidelity")


if __name__ == "__main__":
    for row in [*inception(), *precision_shift()]:
        print(row)
