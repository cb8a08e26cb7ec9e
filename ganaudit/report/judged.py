"""What the adapters for CI systems are made of: a judged audit, the exit code, and where its gates are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ganaudit.document.baselines import Baseline
from ganaudit.document.errors import ConfigError
from ganaudit.document.gates import Policy
from ganaudit.document.model import AuditDocument
from ganaudit.report.policy_lines import gate_lines

__all__ = ["Judged", "PolicySource", "policy_source"]


@dataclass(frozen=True, slots=True)
class PolicySource:
    """Where a policy stands: a file of the project, or a preset, which has none."""

    file: str | None = None
    """Path below the project's root with forward strokes; None for a preset or where nothing was judged."""
    preset: str | None = None
    lines: Mapping[str, int] = field(default_factory=dict)
    """The line of each gate's table, from 1; a gate whose line is not known is left out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judged audit and what is told beside it."""

    document: AuditDocument
    """With policy, verdicts and remarks; without a policy nothing was judged."""
    exit_code: int
    words: str
    """The closing line: verdict and counts."""
    policy: PolicySource = field(default_factory=PolicySource)
    baseline: AuditDocument | Baseline | None = None
    """What the gates with ``baseline = true`` were held against."""


def policy_source(path: Path, policy: Policy, root: Path) -> PolicySource:
    """Return where a policy that was read from ``path`` stands, seen from ``root``.

    A file outside ``root`` is named by its last part: its folders are nobody's business. Raises ConfigError where the
    file has gone since.
    """
    if not path.exists():  # as in load_policy: a preset's bare name, unless a file is called so
        return PolicySource(preset=str(path))
    try:
        lines = gate_lines(path.read_text(encoding="utf-8"), len(policy.gate))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"policy {path}: cannot be read again: {error}") from None
    resolved, above = path.resolve(), root.resolve()
    file = resolved.relative_to(above).as_posix() if resolved.is_relative_to(above) else path.name
    return PolicySource(file=file, lines=dict(zip((g.id for g in policy.gate), lines, strict=False)))
