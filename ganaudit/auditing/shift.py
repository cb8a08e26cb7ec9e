"""What a reduced precision changes: the same samples once more in fp32."""

from __future__ import annotations

import torch
from torch import Tensor

from ganaudit import registry
from ganaudit.auditing.extraction import extractor_options
from ganaudit.auditing.setting import Setting
from ganaudit.document.model import PrecisionShift
from ganaudit.evidence.null import rows
from ganaudit.numerics.frechet import frechet_distance

__all__ = ["measured_shift"]

_EACH = 500
_SHARE = 8
_LEAST = 50


def measured_shift(setting: Setting) -> PrecisionShift | None:
    """Return the shift of features and of the Fréchet distance, or None for an audit in fp32.

    On 500 samples of each side, 1,000 in all; on an eighth of them where a side has fewer than 4,000, though not on
    fewer than 50, so that measuring the shift does not cost what the precision saves. The first generated ones, and
    reals drawn by the seed.
    """
    plan = setting.plan
    if plan.precision == "fp32" or setting.evidence.extractor.id == "identity":
        return None
    evidence = setting.evidence
    real = setting.reference.split(evidence.plan.against)
    smaller = min(len(real), evidence.plan.samples)
    count = min(smaller, max(_LEAST, min(_EACH, smaller // _SHARE)))
    picked = rows(len(real), count, plan.seed, "shift")
    build = registry.find("extractors", evidence.extractor.id)
    exact = build(extractor_options(plan, setting.protocol, real.shape, "fp32"))
    indices = {"real": picked.tolist(), "fake": list(range(count))}
    fp32 = {side: evidence.features_by(exact, side, indices[side]) for side in indices}
    # The nodes themselves: what the numbers of this audit rest on.
    reduced = {
        "real": evidence.node("features/real")[torch.from_numpy(picked)],
        "fake": evidence.node("features/fake")[:count],
    }
    before = frechet_distance(fp32["real"], fp32["fake"])
    after = frechet_distance(reduced["real"], reduced["fake"])
    return PrecisionShift(
        samples=count,
        feature_error=_distance(reduced, fp32),
        fd_fp32=before,
        fd=after,
        relative=(after - before) / before if before > 0 else 0.0,
    )


def _distance(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    squares = sum(float((a[side].double() - b[side].double()).square().sum()) for side in b)
    whole = sum(float(b[side].double().square().sum()) for side in b)
    return (squares / whole) ** 0.5 if whole > 0 else 0.0
