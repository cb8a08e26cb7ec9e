"""Mean and covariance of the features of samples, written for later audits and for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganaudit.auditing.setting import open_reference, settle
from ganaudit.config import AuditPlan
from ganaudit.data.statistics import write_statistics
from ganaudit.document.errors import SourceError
from ganaudit.evidence.ranks import SINGLE, Ranks
from ganaudit.progress import Progress
from ganaudit.subjects.samples import subject_of_samples

__all__ = ["write_feature_statistics"]


def write_feature_statistics(plan: AuditPlan, out: Path, progress: Progress, ranks: Ranks = SINGLE) -> dict[str, Any]:
    """Write the statistics of the reals that ``plan`` compares with to an .npz; return what was written.

    Raises SourceError when there are fewer than 2 samples, and as ``settle`` does.
    """
    reference = open_reference(plan, None, progress)
    # The samples stand on both sides; nothing of the other side is ever computed.
    subject = subject_of_samples(reference.split(plan.against or reference.default_against()))
    setting = settle(plan, subject, reference, progress, ranks)
    evidence = setting.evidence
    if evidence.count("moments/real") < 2:
        raise SourceError(f"{setting.reference.name}: a covariance needs 2 samples or more; found 1")
    total = evidence.moments("real").total
    assert total.n is not None
    said = {
        "n": total.n,
        "features": total.features,
        "extractor": evidence.extractor.digest,
        "protocol": setting.protocol.fingerprint,
    }
    if ranks.rank == 0:
        mean, covariance = total.mean.cpu().numpy(), total.covariance.cpu().numpy()
        write_statistics(out, mean, covariance, total.n, evidence.extractor.digest, setting.protocol.fingerprint)
    return {**said, "out": str(out)}
