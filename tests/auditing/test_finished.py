"""What evaluators found before: answered from the cache where nothing that could change it has, and only then."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ganaudit
from ganaudit import locations
from ganaudit.auditing import finished, settle
from ganaudit.auditing.session import audit
from ganaudit.config import make_plan
from ganaudit.document.details import Note
from ganaudit.document.repeats import steady
from ganaudit.document.spec import Comparison, Exhibit, Findings
from ganaudit.evaluators.diversity import Diversity
from ganaudit.evaluators.kernel_distance import KernelDistance
from ganaudit.features.declaration import Declaration
from ganaudit.features.extractor import ExtractorOptions
from ganaudit.features.module import Module
from ganaudit.progress import Silent
from ganaudit.registry import names
from ganaudit.subjects.digests import is_known
from ganaudit.subjects.failures import Failures

ASKED = {"kernel-distance": {}, "diversity": {}}
EVALUATORS = names("evaluators")
EASY = {"samples": 60, "evaluators": ASKED}


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found_again: None) -> None:
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Evaluators that were really asked, in order."""
    told: list[str] = []
    for kind in (KernelDistance, Diversity):
        evaluate = kind.evaluate

        def counted(self, view, rng, evaluate=evaluate):
            told.append(self.spec.id)
            return evaluate(self, view, rng)

        monkeypatch.setattr(kind, "evaluate", counted)
    return told


def said(document: ganaudit.AuditDocument) -> dict:
    return steady(json.loads(document.model_dump_json()))


def key(name: str, **options) -> dict | None:
    plan = make_plan({"subject": "digits", "samples": 60, "evaluators": {name: {}}, **options}, "test", EVALUATORS)
    return finished.key_of(name, settle(plan, None, None, Silent()))


def test_an_equal_audit_asks_nobody_again(asked: list[str]) -> None:
    first = audit("digits", **EASY)
    assert asked == ["diversity", "kernel-distance"]
    again = audit("digits", **EASY)
    assert asked == ["diversity", "kernel-distance"]
    assert said(again) == said(first)


@pytest.mark.parametrize(
    "other",
    [
        {"cache": False},
        {"seed": 1},
        {"samples": 61},
        {"evaluators": {"kernel-distance": {"estimator": "subsets"}, "diversity": {"near": 0.02}}},
        {"real_samples": False},
        {"score_sign": "smaller-real"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_any_other_audit_asks_again(asked: list[str], other: dict) -> None:
    audit("digits", **EASY)
    asked.clear()
    audit("digits", **EASY | other)
    assert asked == ["diversity", "kernel-distance"]


def test_one_option_more_asks_that_evaluator_alone(asked: list[str]) -> None:
    audit("digits", **EASY)
    asked.clear()
    audit("digits", samples=60, evaluators={**ASKED, "kernel-distance": {"estimator": "subsets"}})
    assert asked == ["kernel-distance"]


def test_an_evaluator_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch, asked: list[str]) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(KernelDistance, "evaluate", lambda self, view, rng: 1 / 0)
        first = audit("digits", **EASY)
    assert first.result("kernel-distance").status == "failed"
    again = audit("digits", **EASY)
    assert again.result("kernel-distance").status == "measured"
    assert asked == ["diversity", "kernel-distance"]


def test_a_changed_file_of_the_cache_is_not_believed(asked: list[str]) -> None:
    first = audit("digits", **EASY)
    files = sorted((locations.cache_dir() / "findings").rglob("*.findings"))
    assert len(files) == 2
    for i, file in enumerate(files):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(content[: len(content) // 3] if i else bytes(content))
    asked.clear()
    assert said(audit("digits", **EASY)) == said(first)
    assert asked == ["diversity", "kernel-distance"]


def test_changed_code_asks_again(asked: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    audit("digits", **EASY)
    asked.clear()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "__init__.py").write_text("x = 1\n")
    monkeypatch.setattr(finished.ganaudit, "__file__", str(tmp_path / "copy" / "__init__.py"))
    told = set()
    for text in ("x = 1\n", "x = 2\n", "x = 1\n"):
        (tmp_path / "copy" / "more.py").write_text(text)
        finished._code.cache_clear()
        audit("digits", **EASY)
        told.add(finished._code())
    finished._code.cache_clear()
    assert len(told) == 2
    assert asked == ["diversity", "kernel-distance"] * 2


def test_a_changed_record_of_the_training_asks_again() -> None:
    plan = make_plan({"subject": "digits", "samples": 60}, "test", EVALUATORS)
    setting = settle(plan, None, None, Silent())
    told = replace(setting.subject, training={**setting.subject.training, "augment": ["hflip"]})
    other = settle(plan, told, None, Silent())
    assert finished.key_of("diversity", setting) != finished.key_of("diversity", other)


def test_times_are_measured_anew() -> None:
    assert key("compute-cost") is None
    assert all(key(name) is not None for name in ("diversity", "adversarial-robustness", "memorisation"))


@pytest.mark.parametrize("attack", ["pgd", "foolbox-pgd"])
def test_attacks_of_ours_are_known(attack: str) -> None:
    evaluators = {"adversarial-robustness": {"attacks": [attack]}}
    assert key("adversarial-robustness", evaluators=evaluators) is not None


def test_an_attack_of_somebody_elses_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = {"adversarial-robustness": {"attacks": ["pgd"]}}
    setting = settle(
        make_plan({"subject": "digits", "samples": 60, "evaluators": plan}, "test", EVALUATORS),
        None, None, Silent(),
    )  # fmt: skip
    foreign = type("Attack", (), {"__module__": "somebody.elses"})
    monkeypatch.setattr(finished.registry, "find", lambda kind, name: foreign)
    assert finished.key_of("adversarial-robustness", setting) is None


def test_an_evaluator_or_extractor_of_somebody_elses_is_not_known() -> None:
    setting = settle(make_plan({"subject": "digits", "samples": 60}, "test", EVALUATORS), None, None, Silent())
    mine = type("Mine", (Diversity,), {"__module__": "somebody.elses"})()
    assert finished.key_of("diversity", replace(setting, evaluators={**setting.evaluators, "diversity": mine})) is None


def test_python_code_and_its_subjects_are_not_known() -> None:
    class Generator(nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.tanh(z).view(-1, 1, 16, 16)

    subject = ganaudit.Subject.from_modules(Generator(), latent=256)
    plan = make_plan({"reference": "digits", "samples": 60}, "test", EVALUATORS)
    assert finished.key_of("diversity", settle(plan, subject, None, Silent())) is None


def test_an_option_that_names_a_file_is_not_known(tmp_path: Path) -> None:
    plan = make_plan({"subject": "digits", "samples": 60, "evaluators": {"coverage-bias": {}}}, "test", EVALUATORS)
    setting = settle(plan, None, None, Silent())
    options = {**setting.options, "coverage-bias": {"classifier": str(tmp_path / "c.pt2")}}
    assert finished.key_of("coverage-bias", setting) is not None
    assert finished.key_of("coverage-bias", replace(setting, options=options)) is None


def test_everything_an_evaluator_hands_back_comes_back() -> None:
    pictures = torch.rand(2, 3, 4, 4, dtype=torch.float64)
    found = Findings(
        measurements=audit("digits", **EASY).result("diversity").measurements,
        details=[Note(text="a note with \u202e and \N{GREEK SMALL LETTER TAU}")],
        warnings=["w"],
        conventions={"order": "first", "levels": [1, 2.5]},
        exhibits=[
            Exhibit("t", "r", "fake", np.array([3, 5]), ("a", "b"), beside=torch.tensor([7, 9])),
            Exhibit("u", "r", "real", [0, 1], samples=pictures.float()[:, :, ::2]),
        ],
        comparisons=[
            Comparison(
                "t", "r", "fake", [1, 2], pictures, pictures / 2, (0.0, 1.0), np.ones(2), [0.5, -1.0], [1, 2], "u"
            )
        ],
    )
    failures = Failures()
    failures.note(7, 3, 2)
    finished.keep({"a": 1}, found, failures, 7)
    told = Failures()
    back = finished.find({"a": 1}, told, 7)
    assert told.of(7) == {3: 2}
    assert back is not None
    assert (back.measurements, back.details, back.warnings) == (found.measurements, found.details, found.warnings)
    assert back.conventions == found.conventions
    first, second = back.exhibits
    assert (list(first.indices), list(first.captions), list(first.beside)) == ([3, 5], ["a", "b"], [7, 9])
    assert first.samples is None
    assert second.samples is not None
    torch.testing.assert_close(second.samples, pictures.float()[:, :, ::2], rtol=0, atol=0)
    (row,) = back.comparisons
    torch.testing.assert_close(row.after, pictures / 2, rtol=0, atol=0)
    assert (row.value_range, list(row.scores_before), list(row.norms), row.threshold) == (
        (0.0, 1.0),
        [1, 1],
        [1, 2],
        None,
    )
    assert finished.find({"a": 2}, told, 7) is None


def test_a_cache_that_cannot_be_written_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "file" / "below"))
    assert audit("digits", **EASY).result("diversity").status == "measured"


class Sometimes(nn.Module):
    """Makes NaN where its first latent is large."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(z).view(-1, 1, 16, 16)
        return torch.where((z[:, 0] > 1.2)[:, None, None, None], torch.nan, x)


def test_an_equal_audit_tells_as_many_failures_of_the_generator(tmp_path: Path, asked: list[str]) -> None:
    batch = torch.export.Dim("batch")
    program = torch.export.export(Sometimes(), (torch.randn(4, 256),), dynamic_shapes=({0: batch},))
    torch.export.save(program, tmp_path / "g.pt2")
    options = {"latent": 256, "samples": 120, "evaluators": ASKED}
    first, again = (audit(tmp_path / "g.pt2", "digits", **options) for _ in range(2))
    assert asked == ["diversity", "kernel-distance"]
    told = [[w for w in one.warnings if "NaN or infinity" in w] for one in (first, again)]
    assert len(told[0]) == 1
    assert told[0] == told[1]
    assert said(first) == said(again)


class Flip(nn.Module):
    """Somebody's own layer, with code that no digest holds."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flip(-1)


def test_somebodys_layer_in_a_container_of_torch_is_not_known() -> None:
    plan = make_plan({"subject": "digits", "samples": 60}, "test", EVALUATORS)
    setting = settle(plan, None, None, Silent())
    assert setting.subject.generator is not None
    assert is_known(setting.subject.generator)
    wrapped = nn.Sequential(setting.subject.generator, Flip())
    assert not is_known(wrapped)
    other = settle(plan, replace(setting.subject, generator=wrapped), None, Silent())
    assert finished.key_of("diversity", setting) is not None
    assert finished.key_of("diversity", other) is None


def test_an_extractor_around_somebodys_network_is_not_known() -> None:
    setting = settle(make_plan({"subject": "digits", "samples": 60}, "test", EVALUATORS), None, None, Silent())
    network = nn.Sequential(nn.Flatten(), nn.Linear(256, 4), Flip())
    declared = Declaration(size=16, channels="grey", range=(0.0, 1.0))
    mine = Module.of(network, declared, "0" * 64, ExtractorOptions((1, 16, 16)))
    setting.evidence.extractor = mine
    assert finished.key_of("diversity", setting) is None
