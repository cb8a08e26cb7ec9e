"""The key of a subject's evidence: for Python code it must hold what the networks do, which no digest tells."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ganaudit.data.reading import ReadOptions, read_samples
from ganaudit.evidence.making import key_of
from ganaudit.subjects.samples import subject_of_samples
from ganaudit.subjects.subject import Subject


class Judge(nn.Module):
    factor = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x.flatten(1).sum(1)


def judged(tmp_path: Path, trust: str) -> Subject:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (7, 4, 4, 1), dtype=np.uint8))
    samples = read_samples(tmp_path / "x.npy", ReadOptions())
    return replace(subject_of_samples(samples), discriminator=Judge().eval(), trust=trust)


def test_samples_judged_by_code_have_the_scores_in_their_key(tmp_path: Path, monkeypatch) -> None:
    subject = judged(tmp_path, "code")
    before = key_of(subject)
    assert key_of(subject) == before
    monkeypatch.setattr(Judge, "factor", 2.0)  # as a changed file beside the factory's does: equal weights, equal name
    assert key_of(subject) != before
    assert key_of(subject)[:-1] == before[:-1]


def test_files_that_hold_no_code_are_told_by_their_digest_alone(tmp_path: Path) -> None:
    subject = judged(tmp_path, "operators")
    known = replace(subject, discriminator=nn.Sequential(nn.Flatten(), nn.Linear(16, 1)).eval())
    assert key_of(known) == [subject.digest]
    assert key_of(replace(subject, discriminator=None, trust="code")) == [subject.digest]


@pytest.mark.parametrize("trust", ["data", "operators"])
def test_a_network_that_a_plugin_brought_is_told_by_what_it_does(tmp_path: Path, monkeypatch, trust: str) -> None:
    subject = judged(tmp_path, trust)
    wrapped = replace(subject, discriminator=nn.Sequential(nn.Identity(), Judge()).eval())
    before = [key_of(subject), key_of(wrapped)]
    monkeypatch.setattr(Judge, "factor", 2.0)
    assert [len(one) for one in before] == [2, 2]
    assert key_of(subject) != before[0]
    assert key_of(wrapped) != before[1]
