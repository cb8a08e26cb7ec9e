"""Which generated samples an audit without real samples keeps out of its files: the copies of reals among them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ganaudit.auditing.setting import Setting
from ganaudit.evidence.handing import filed, handed
from ganaudit.evidence.handing import shown as as_shown
from ganaudit.evidence.null import rows
from ganaudit.evidence.view import View
from ganaudit.numerics.copying import copy_threshold, toward

__all__ = ["NEAR", "Withholding"]

NEAR = 0.05
"""Share of other reals that lie as near to a real: what lies nearer counts as a copy. Wider than the rule of
``memorisation``, as a sample that is kept out for nothing costs less than a real that is shown."""

_NEIGHBOURS = 5
_MOST = 2000  # reals that say how near is near
_BLOCK = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Reals:
    """The reals of all splits together."""

    stored: frozenset[bytes]
    """What tells their files apart."""
    features: Tensor
    threshold: float
    """The ratio of distances at or below which a sample counts as a copy of one; 0 where they are too few to say."""


class Withholding:
    """Asks of each generated sample whether it may be drawn; all may where the plan shows reals.

    Kept out is a sample whose file would equal that of a real of any split, value for value, or whose distance to the
    nearest real, over the mean of that to the next four, is as small as for a share ``NEAR`` of reals to the others (in
    the audit's features; the rule of ``memorisation/copy-rate``).
    """

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._reals: _Reals | None = None
        self.asked = 0
        """Samples asked about so far."""
        self.kept_out = 0
        """How many of them are not to be drawn."""

    @property
    def applies(self) -> bool:
        """Whether the plan withholds reals, and there are reals to compare with."""
        return not self._setting.plan.real_samples and self._setting.reference.statistics is None

    def may_show(self, indices: Sequence[int]) -> list[bool]:
        """Return of generated samples, by their numbers, whether each may be drawn."""
        if not self.applies or not len(indices):
            return [True] * len(indices)
        evidence = self._setting.evidence
        features = evidence.node("features/fake")
        some = torch.tensor([int(i) for i in indices])
        return self._judged(_stored(evidence.fake_shown(some.tolist())), features[some.to(features.device)])

    def may_show_made(self, x: Tensor, value_range: tuple[float, float] | None = None) -> list[bool]:
        """Return the same of samples ``x`` of an evaluator's own, in ``value_range`` or else the subject's range."""
        if not self.applies or not len(x):
            return [True] * len(x)
        sample = self._setting.subject.sample
        low, high = value_range or (sample.low, sample.high)
        x = x.float() if (low, high) == (sample.low, sample.high) else (
            (x.float() - low) * ((sample.high - sample.low) / (high - low)) + sample.low
        )  # fmt: skip
        view = View(self._setting.evidence, ("values/fake",))
        features = torch.cat([view.features_of(x[at : at + _BLOCK]) for at in range(0, len(x), _BLOCK)])
        return self._judged(_stored(handed(x, sample.low, sample.high, "round").cpu()), features)

    def words(self, kept_out: int, of: int) -> str:
        """Return how many of ``of`` samples are left out and why; empty where none is."""
        if not kept_out:
            return ""
        return (
            f"{kept_out} of {of} are withheld: they equal a real, or lie as near to one as {NEAR:.0%} of other reals do"
        )

    @property
    def warnings(self) -> list[str]:
        """What the document says of it; empty where the plan shows reals."""
        if self._setting.plan.real_samples:
            return []
        told = "real samples are withheld, as the plan says (real_samples = false): no file of this audit holds one"
        if not self.applies:
            return [f"{told}; the reference is statistics without samples, so copies of reals cannot be told by them"]
        if self._setting.evidence.holds_features:
            return [told]
        return [
            f"{told}, nor a generated sample that equals one or lies as near to one as {NEAR:.0%} of other reals do: "
            f"{self.kept_out} of {self.asked} samples asked for are not drawn. What else a generated sample tells of "
            "reals is shown"
        ]

    def _judged(self, files: list[bytes], features: Tensor) -> list[bool]:
        self._reals = reals = self._reals or _known(self._setting)
        near = _ratio(features, reals.features, self._setting) <= reals.threshold
        copies = [file in reals.stored or close for file, close in zip(files, near.tolist(), strict=True)]
        self.asked += len(copies)
        self.kept_out += sum(copies)
        return [not copy for copy in copies]


def _known(setting: Setting) -> _Reals:
    stored: set[bytes] = set()
    splits = setting.reference.splits
    for samples in splits.values():
        for start in range(0, len(samples), _BLOCK):
            stored |= set(_stored(as_shown(samples, slice(start, start + _BLOCK))))
    features = torch.cat([setting.evidence.node(f"features/{name}") for name in splits])
    drawn = rows(len(features), min(_MOST, len(features) // 2), setting.evidence.plan.seed, "near copies")
    is_held = torch.zeros(len(features), dtype=torch.bool)
    is_held[torch.from_numpy(drawn)] = True
    held, rest = features[is_held.to(features.device)], features[~is_held.to(features.device)]
    threshold = copy_threshold(_ratio(held, rest, setting), NEAR) if len(held) else None
    return _Reals(frozenset(stored), features, threshold or 0.0)


def _ratio(x: Tensor, reals: Tensor, setting: Setting) -> Tensor:
    spacing = torch.zeros(len(reals), dtype=torch.float64, device=reals.device)  # only authenticity asks for it
    return toward(x, reals, spacing, _NEIGHBOURS, world=setting.evidence.ranks).ratio


def _stored(shown: Tensor) -> list[bytes]:
    """Return what tells the files of samples apart: images as uint8 levels, waveforms in -1..1 as 16-bit ones."""
    levels = shown if shown.ndim == 4 else filed(shown, -1.0, 1.0)
    return [hashlib.blake2b(one.contiguous().numpy().tobytes(), digest_size=16).digest() for one in levels.cpu()]
