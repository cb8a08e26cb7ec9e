"""The self-test: it passes here, it notices what is broken, and documents of later audits record it."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import ganaudit
from ganaudit import registry
from ganaudit.auditing import known_answers
from ganaudit.auditing.stamp import last_selftest
from ganaudit.cli.main import run
from ganaudit.subjects.subject import Subject

QUICK = [entry for entry in known_answers._CONTROLS if entry.defect == "memorising"]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path))
    return tmp_path


def test_it_passes_and_leaves_its_stamp(cache, monkeypatch, capsys):
    monkeypatch.setattr(known_answers, "_CONTROLS", QUICK)
    monkeypatch.setattr(known_answers, "_SPLITS", {"train": 300, "calibration": 100, "test": 100})
    monkeypatch.setattr(known_answers, "_SAMPLES", 150)
    assert run(["selftest", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["passed"] is True
    assert [r["passed"] for r in told["results"]] == [True] * 4
    assert told["evaluators"]["by_control"] == ["memorisation"]
    kept = json.loads((cache / "selftest.json").read_text())
    assert kept == {key: told[key] for key in kept}
    assert (kept["ganaudit"], kept["torch"], kept["checks"]) == (ganaudit.__version__, torch.__version__, 4)


def test_every_watched_evaluator_has_a_control_and_what_has_none_is_named():
    by_control, by_formula, others = known_answers.coverage()
    assert sorted([*by_control, *by_formula, *others]) == sorted(registry.names("evaluators"))
    assert {measure.partition("/")[0] for measure in known_answers.WATCHED} == {*by_control, "adversarial-robustness"}
    perfect, *caught = known_answers._CONTROLS
    assert perfect.wanted == frozenset()
    assert set(perfect.evaluators) == set(by_control)
    assert all(one.wanted <= known_answers.WATCHED.keys() for one in caught)
    leaks = {measure for one in caught for measure in one.wanted if "leak-" in measure}
    assert {f"augmentation-bias/leak-{name}" for name in ("hflip", "crop", "colour")} <= leaks


def test_a_control_without_its_defect_is_missed(cache, monkeypatch):
    """The check is one: a generator without fault in place of each planted one raises no alarm, and is missed."""
    monkeypatch.setattr(known_answers, "_SPLITS", {"train": 300, "calibration": 100, "test": 100})
    monkeypatch.setattr(known_answers, "_SAMPLES", 150)
    (planted,) = QUICK
    sound = dataclasses.replace(planted, defect="perfect", severity=0.0)
    reference = known_answers.short_reference()
    assert known_answers._control(planted, reference).passed
    found = known_answers._control(sound, reference)
    assert (found.passed, found.found) == (False, "no alarm")


def test_what_is_broken_is_missed_and_recorded(cache, monkeypatch, capsys):
    monkeypatch.setattr(known_answers, "_CONTROLS", [])
    # A library that halves an area, and one whose roots are off in the sixth digit.
    true_auc, true_distance = known_answers.auc, known_answers.frechet_distance
    monkeypatch.setattr(known_answers, "auc", lambda real, fake: true_auc(real[: len(real) // 2] - 0.1, fake))
    monkeypatch.setattr(known_answers, "frechet_distance", lambda *sides: true_distance(*sides) * (1 + 1e-6))
    assert run(["selftest"]) == 1
    shown = capsys.readouterr()
    assert shown.out.count("MISSED") == 2
    assert "exit 1: missed: Fréchet distance of two Gaussians, AUC" in shown.err
    stamp = last_selftest()
    assert stamp is not None
    assert not stamp.passed


def test_later_documents_record_it_and_a_broken_record_is_none(cache):
    generator = torch.nn.Sequential(torch.nn.Linear(4, 64), torch.nn.Tanh(), torch.nn.Unflatten(1, (1, 8, 8)))
    subject = Subject.from_modules(generator.requires_grad_(False), latent=4)
    reals = cache / "reals.npy"
    np.save(reals, np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)).astype(np.uint8))

    def recorded():
        return ganaudit.audit(subject, reals, samples=20, evaluators={"diversity": {}}).environment.selftest

    assert recorded() is None
    stamp = {"passed": True, "checks": 6, "ganaudit": "0.1.0", "torch": "2", "when": "2026-01-01T00:00:00+00:00"}
    (cache / "selftest.json").write_text(json.dumps(stamp))
    assert recorded() == last_selftest()
    assert recorded().when == stamp["when"]
    (cache / "selftest.json").write_text("{")
    assert recorded() is None
