"""The features in which a run looks at its health: those of the extractor that its audit would choose."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit import registry
from ganaudit.data.reference import Reference
from ganaudit.document.errors import ConfigError, ExtractorError, PluginError, WeightsError
from ganaudit.features.choice import choose_extractor
from ganaudit.features.engine import extracted
from ganaudit.features.extractor import Extractor, ExtractorOptions, block_of, check_takes
from ganaudit.numerics.quantise import to_uint8

__all__ = ["Features", "features_for"]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """An extractor, and how samples of a run are given to it."""

    extractor: Extractor
    device: str

    @property
    def name(self) -> str:
        """Return the id of the extractor."""
        return self.extractor.id

    def of(self, x: Tensor) -> Tensor:
        """Return features (N, D), on the CPU, of images (N, C, H, W) or waveforms (N, C, T) in [-1, 1].

        Images are rounded to 256 levels, as an audit does.
        """
        values = x.detach().float().cpu()
        levels = to_uint8(values, -1.0, 1.0) if x.dim() == 4 else values.clamp(-1.0, 1.0)
        return extracted(self.extractor.extract, levels, block_of(self.extractor, self.device), self.device)["features"]


def features_for(reference: Reference, shape: tuple[int, ...], device: torch.device) -> Features | None:
    """Return the features of an audit of samples of ``shape`` that has no weights but what ganaudit brings.

    The data set's own extractor, such as ``digits-cnn``; else ``log-mel`` for audio, ``pixels`` for tiny images and
    ``random-conv`` for others. None where the samples suit none of them.
    """
    for own in dict.fromkeys((reference.extractor, None)):
        choice = choose_extractor(
            None,
            available=registry.names("extractors"),
            reference_extractor=own,
            reference_name=reference.name,
            are_features=False,
            shape=shape,
            has_weights=False,
        )
        try:
            build = registry.find("extractors", choice.id)
            check_takes(build, choice.id, shape)
            return Features(build(ExtractorOptions(shape=shape, device=str(device))), str(device))
        except (ConfigError, ExtractorError, PluginError, WeightsError):
            continue  # such as weights that are not at hand: a look at health is no reason to end a run
    return None
