"""Which end of a discriminator's scores means real: turned once, so that larger is more real ever after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.digests import json_digest
from ganaudit.subjects.subject import Subject

__all__ = ["ScoreSign", "with_score_sign"]

ScoreSign = Literal["larger-real", "smaller-real"]


class _Turned(nn.Module):
    """A discriminator with its score negated; what it returns beside the score stays."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, *inputs: Tensor) -> Any:
        found = self.network(*inputs)
        if isinstance(found, tuple | list) and found:
            return (_negated(found[0]), *found[1:])
        return _negated(found)

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return self.network.parameters(recurse)


def with_score_sign(subject: Subject, sign: ScoreSign) -> Subject:
    """Return the subject with a discriminator whose larger scores mean real, told which do so now.

    ``larger-real``: the subject as it is. ``smaller-real``: its scores negated, a finding that says so, and another
    digest, since every number made of scores is another. Raises SubjectError where there is nothing to turn.
    """
    if sign == "larger-real":
        return subject
    if subject.discriminator is None:
        raise SubjectError(
            f"--score-sign {sign}: {subject.name} has no discriminator whose scores it could turn; give one with "
            "--discriminator FILE, or leave the option out"
        )
    return replace(
        subject,
        discriminator=_Turned(subject.discriminator),
        digest=json_digest({"subject": subject.digest, "score_sign": sign}),
        checks=(
            *subject.checks,
            "its smaller scores mean real, as --score-sign smaller-real says: they are negated, so that in this audit "
            "larger is more real",
        ),
    )


def _negated(scores: Any) -> Any:
    """Return the scores negated; what is no tensor is left for the subject to refuse."""
    if not isinstance(scores, Tensor):
        return scores
    # Integers are taken out of their type first: the least of them has no counterpart, an unsigned one none at all.
    return -scores if scores.is_floating_point() else -scores.to(torch.float64)
