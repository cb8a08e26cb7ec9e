"""What each verb does, on which stream, with which exit code."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ganaudit.document.repeats import steady

from .conftest import Run


def document(folder: Path) -> dict[str, object]:
    return json.loads((folder / "document.json").read_text())


def policy(limit: float, measure: str = "precision-recall/coverage", more: str = "") -> None:
    Path("policy.toml").write_text(f'{more}\n[[gate]]\nid = "quality"\nmeasure = "{measure}"\nlimit = {limit}\n')


def not_measured(found: dict[str, Any]) -> dict[str, str]:
    return {r["evaluator"]: r["status"] for r in found["results"] if r["status"] != "measured"}


@pytest.mark.parametrize("unseen", ["calibration", "test", ""])
def test_a_dry_run_says_of_memorisation_what_the_audit_does(ganaudit: Run, unseen: str) -> None:
    """Unseen reals of either split do; without any both say so, and why for each."""
    rng = np.random.default_rng(0)
    given = {name: rng.integers(0, 256, (40, 8, 8, 1), dtype=np.uint8) for name in ("fake", "train", unseen) if name}
    for name, images in given.items():
        np.save(f"{name}.npy", images)
    splits = ",".join(f"{name}={name}.npy" for name in given if name != "fake")
    asked = ["audit", "fake.npy", "--reference", splits, "--evaluators", "memorisation", "--extractor", "pixels"]
    planned = json.loads(ganaudit(*asked, "--dry-run", "--json").out)["evaluators"]["memorisation"]
    done = ganaudit(*asked, "--json", "--out", "o")
    (found,) = [r for r in document(Path("o"))["results"] if r["evaluator"] == "memorisation"]
    if unseen:
        assert (planned, found["status"], done.code) == ("will be measured", "measured", 0)
        return
    assert done.code == 3
    assert planned == f"not assessable: {found['reason']}"
    assert "needs features/calibration or features/test: the reference has no calibration split" in planned
    assert "the reference has no test split of reals; train reals are never substituted" in planned


def test_the_reference_audit_measures_everything_and_is_good(digits_audit: Path) -> None:
    found = document(digits_audit)
    assert not_measured(found) == {"attack-transfer": "not_assessable"}, (
        "it alone needs another subject beside this one"
    )
    values = {f"{r['evaluator']}/{m['key']}": m for r in found["results"] for m in r["measurements"]}
    values.pop("compute-cost/energy")  # not every machine has a meter
    lacking = {key for key, m in values.items() if m["value"] is None}
    strict = {key for key in lacking if "-at-fpr-" in key}
    assert strict == {
        f"{name}-at-fpr-{rate}"
        for name in ("discriminator-detection/tpr", "memorisation/membership-tpr")
        for rate in ("1pct", "0.1pct")
    }
    # Digits are asked for no class, their generator has no w space, and an operation that leaves digits as they are
    # cannot be seen to leak.
    assert {key for key in lacking - strict if not key.startswith("augmentation-bias/leak-")} == {
        "coverage-bias/label-agreement",
        "interpolation-similarity/path-length-w",
    }
    assert all("1000" in values[key]["reason"].replace(" ", "") or "10" in values[key]["reason"] for key in strict)
    assert all(values[key]["reason"] for key in lacking)
    assert all(m["null"] or m["null_reason"] for key, m in values.items() if key not in lacking)
    assert all(m["interval"] or m["interval_reason"] for key, m in values.items() if key not in lacking)
    fd, coverage = values["frechet-distance/fd"], values["precision-recall/coverage"]
    assert fd["value"] <= 3 * fd["null"]["value"]
    assert coverage["value"] >= 0.7 * coverage["null"]["value"]
    (histogram,) = [d for r in found["results"] for d in r["details"] if d["kind"] == "histogram" and d["labels"]]
    (shares,) = [s["shares"] for s in histogram["series"] if s["name"] == "generated"]
    assert len(shares) == 10
    assert min(shares) >= 0.04
    assert max(shares) <= 0.20
    assert found["extractor"]["id"] == "digits-cnn"
    assert found["reference"]["splits"]["train"]["seen"] == "seen"
    assert found["reference"]["splits"]["test"]["seen"] == "unseen"


@pytest.mark.usefixtures("by_all", "found_again")
def test_the_second_run_comes_from_the_store_and_says_the_same(digits_audit: Path, ganaudit: Run) -> None:
    called = ganaudit("audit", "digits", "--out", "again", "-v")
    assert called.code == 0
    assert "generating" not in called.err
    assert steady(document(Path("again"))) == steady(document(digits_audit))


@pytest.mark.usefixtures("by_all")
@pytest.mark.parametrize("batch", [37])
def test_batch_size_changes_no_number(digits_audit: Path, ganaudit: Run, batch: int) -> None:
    assert ganaudit("audit", "digits", "--out", "out", "--batch-size", str(batch), "--no-cache").code == 0
    assert steady(document(Path("out"))) == steady(document(digits_audit))


def test_another_seed_gives_other_numbers_near_by(digits_audit: Path, ganaudit: Run) -> None:
    arguments = ["audit", "digits", "--seed", "1", "--evaluators", "frechet-distance", "--out", "out", "--json"]
    called = ganaudit(*arguments)
    (result,) = [r for r in json.loads(called.out)["results"] if r["status"] == "measured"]
    ours = result["measurements"][0]["value"]
    theirs = next(r for r in document(digits_audit)["results"] if r["evaluator"] == "frechet-distance")
    value = theirs["measurements"][0]["value"]
    assert ours != value
    assert 0.5 * value < ours < 2 * value


def test_json_is_one_value_on_stdout_and_everything_else_on_stderr(ganaudit: Run, small_audit: Path) -> None:
    policy(0.0, "precision-recall/precision")
    for arguments in (
        ["gate", small_audit, "--policy", "policy.toml", "--json"],
        ["list", "--json"],
        ["explain", "frechet-distance", "--json"],
        ["schema", "policy", "--json"],
        ["doctor", "--json"],
        ["report", small_audit, "--out", "r.html", "--json"],
    ):
        called = ganaudit(*arguments)
        assert called.code == 0, called.err
        json.loads(called.out)


def test_plain_output_has_no_escape_codes_and_ends_with_the_reason(ganaudit: Run, small_audit: Path) -> None:
    policy(0.0)
    called = ganaudit("gate", small_audit, "--policy", "policy.toml")
    assert "\x1b" not in called.out + called.err
    assert re.fullmatch(r"exit 0: passed: 1 passed; .*measured", called.err.strip().splitlines()[-1])


@pytest.mark.parametrize(("limit", "code", "word"), [(0.01, 0, "passed"), (2.0, 1, "failed")])
def test_gate_codes(ganaudit: Run, digits_audit: Path, limit: float, code: int, word: str) -> None:
    policy(limit)
    called = ganaudit("gate", digits_audit, "--policy", "policy.toml", "--junit", "j.xml", "--markdown", "s.md")
    assert called.code == code
    assert called.err.strip().splitlines()[-1].startswith(f"exit {code}: {word}")
    # One definition of the verdict: other outputs and other flags never change it.
    called = ganaudit("gate", digits_audit, "--policy", "policy.toml", "--json", "-q")
    assert called.code == code == json.loads(called.out)["exit_code"]
    assert ("<failure" in Path("j.xml").read_text()) is (code == 1)
    assert word in Path("s.md").read_text().lower()


def test_inconclusive_and_missing_are_incomplete(ganaudit: Run, digits_audit: Path, small_audit: Path) -> None:
    coverage = next(
        m for r in document(digits_audit)["results"] for m in r["measurements"] if m["key"] == "coverage"
    )  # fmt: skip
    policy(coverage["value"])
    called = ganaudit("gate", digits_audit, "--policy", "policy.toml", "--json")
    assert called.code == 3
    assert "straddles" in json.loads(called.out)["verdicts"][0]["message"]
    policy(0.5, "discriminator-detection/auc")
    called = ganaudit("gate", small_audit, "--policy", "policy.toml", "--json")
    assert called.code == 3
    (verdict,) = json.loads(called.out)["verdicts"]
    assert verdict["outcome"] == "missing"
    assert "not assessable: the subject has no discriminator" in verdict["message"]
    Path("policy.toml").write_text("")
    assert ganaudit("gate", small_audit, "--policy", "policy.toml").code == 3


def test_audit_judges_where_a_policy_is_given_and_keeps_the_verdicts(ganaudit: Run) -> None:
    policy(2.0)
    called = ganaudit("audit", "digits", "--policy", "policy.toml", "--out", "out")
    assert called.code == 1
    assert document(Path("out"))["verdicts"][0]["outcome"] == "failed"
    assert "quality" in Path("out/report.html").read_text()
    # A policy that cannot be judged must not lose the finished audit.
    policy(2.0, "precision-recall/covrage")
    called = ganaudit("audit", "digits", "--policy", "policy.toml", "--out", "other")
    assert called.code == 2
    assert Path("other/document.json").is_file()


def test_baseline_gates_compare_only_what_is_comparable(ganaudit: Run, digits_audit: Path) -> None:
    Path("policy.toml").write_text(
        '[[gate]]\nid = "no-worse"\nmeasure = "frechet-distance/fd"\nbaseline = true\nmargin = 0.5\n'
    )
    called = ganaudit("gate", digits_audit, "--policy", "policy.toml", "--baseline", digits_audit)
    assert called.code == 0, called.out
    assert ganaudit("audit", "digits", "--samples", "300", "--out", "other").code == 0
    called = ganaudit("gate", digits_audit, "--policy", "policy.toml", "--baseline", "other")
    assert called.code == 3
    assert "samples_fake" in called.out.replace("\n", "")


def test_report_is_rendered_again_byte_for_byte(ganaudit: Run, digits_audit: Path) -> None:
    assert ganaudit("report", digits_audit, "--out", "again.html").code == 0
    assert Path("again.html").read_bytes() == (digits_audit / "report.html").read_bytes()


def test_sample_gives_the_samples_of_the_audit(ganaudit: Run, digits_audit: Path) -> None:
    assert ganaudit("sample", "digits", "--samples", "40", "--out", "s.npz").code == 0
    assert ganaudit("sample", "digits", "--samples", "40", "--out", "folder").code == 0
    assert ganaudit("sample", "digits", "--samples", "7", "--out", "few.npz").code == 0
    assert ganaudit("sample", "digits", "--samples", "9", "--out", "grid.png").code == 0
    with np.load("s.npz") as arrays, np.load("few.npz") as few:
        assert arrays["samples"].shape == (40, 1, 16, 16)
        assert arrays["latents"].shape == (40, 64)
        assert arrays["scores"].shape == (40,)
        np.testing.assert_array_equal(arrays["samples"][:7], few["samples"])
        np.testing.assert_array_equal(arrays["scores"][:7], few["scores"])
    manifest = json.loads(Path("folder/manifest.json").read_text())
    gallery = next(g for g in document(digits_audit)["galleries"] if g["side"] == "fake")
    ours = [f["sha256"] for f in manifest["files"]]
    assert ours == [item["sha256"] for item in gallery["items"][:40]]
    from PIL import Image

    with Image.open("grid.png") as grid:
        assert min(grid.size) > 3 * 60


def test_scores_that_are_written_follow_the_sign_that_is_stated(ganaudit: Run) -> None:
    for sign in ("larger-real", "smaller-real"):
        assert ganaudit("sample", "digits", "--samples", "9", "--score-sign", sign, "--out", f"{sign}.npz").code == 0
    with np.load("larger-real.npz") as plain, np.load("smaller-real.npz") as turned:
        np.testing.assert_array_equal(turned["samples"], plain["samples"])
        np.testing.assert_array_equal(turned["scores"], -plain["scores"])
        assert len(set(plain["scores"])) == 9
    called = ganaudit("sample", "digits", "--samples", "9", "--score-sign", "smaller", "--out", "no.npz")
    assert called.code == 2
    assert "larger-real" in called.err


def test_samples_written_are_a_subject_again(ganaudit: Run) -> None:
    assert ganaudit("sample", "digits", "--samples", "60", "--out", "folder").code == 0
    assert ganaudit("sample", "digits", "--samples", "60", "--out", "s.npz").code == 0
    for subject in ("folder", "s.npz"):
        called = ganaudit("audit", subject, "--reference", "digits", "--out", "out", "--json")
        assert called.code == 0, called.err
        found = json.loads(called.out)
        statuses = {r["evaluator"]: r["status"] for r in found["results"]}
        assert statuses["discriminator-detection"] == "not_assessable"
        assert statuses["frechet-distance"] == "measured"
        assert found["plan"]["samples"] == 60


@pytest.mark.parametrize("suffix", [".pt", ".pt2"])
def test_programs_are_audited_with_their_discriminator(
    ganaudit: Run, programs: Path, audits_in_short: Any, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr(audits_in_short, "whole", suffix == ".pt2")  # every evaluator once
    called = ganaudit(
        "audit", programs / f"g{suffix}", "--latent", "8", "--discriminator", programs / f"d{suffix}",
        "--reference", "digits", "--samples", "100", "--out", "out", "--json",
    )  # fmt: skip
    assert called.code == 0, called.err
    found = json.loads(called.out)
    statuses = {name: status for name, status in not_measured(found).items() if status != "skipped"}
    assert statuses == ({"attack-transfer": "not_assessable"} if suffix == ".pt2" else {})
    assert found["subject"]["trust"] == "operators"
    assert found["reference"]["splits"]["test"]["seen"] == "unknown"


def test_evaluators_that_were_not_asked_for_are_shown(ganaudit: Run) -> None:
    called = ganaudit("audit", "digits", "--evaluators", "kernel-distance", "--out", "out", "--json")
    statuses = {r["evaluator"]: r["status"] for r in json.loads(called.out)["results"]}
    assert statuses.pop("kernel-distance") == "measured"
    assert set(statuses.values()) == {"skipped"}


def test_an_evaluator_asked_for_that_cannot_answer_is_incomplete(ganaudit: Run, programs: Path) -> None:
    called = ganaudit(
        "audit", programs / "g.pt2", "--reference", "digits", "--evaluators", "discriminator-detection", "--out", "out"
    )
    assert called.code == 3
    assert Path("out/document.json").is_file()


def test_dry_run_does_nothing(ganaudit: Run) -> None:
    called = ganaudit("audit", "digits", "--dry-run", "--json", "--out", "out")
    assert called.code == 0
    assert json.loads(called.out)["samples"] == 599
    assert list(Path().iterdir()) == []
    config = Path(__file__).parents[2] / "reference_models/digits/train.toml"
    assert ganaudit("train", config, "--dry-run").code == 0
    assert list(Path().iterdir()) == []


def test_train_stop_resume_audit(ganaudit: Run) -> None:
    config = Path(__file__).parents[2] / "reference_models/digits/train.toml"
    small = ["--set", "images=640", "--set", "generator.options.width=16", "--set", "discriminator.options.width=16"]
    called = ganaudit("train", config, "--out", "subject", "--stop-after", "320", *small)
    assert called.code == 130
    assert not Path("subject/subject.toml").exists()
    called = ganaudit("train", config, "--out", "subject", "--resume", "--json", *small)
    assert called.code == 0, called.err
    assert json.loads(called.out)["images"] == 640
    assert ganaudit("audit", "subject", "--samples", "64", "--out", "out").code == 0
    called = ganaudit("train", config, "--out", "subject", *small)
    assert called.code == 2
    assert "--resume goes on" in called.err
    assert "another folder" in called.err


def test_no_verb_shows_the_help(ganaudit: Run) -> None:
    called = ganaudit()
    assert called.code == 2
    assert "audit" in called.out + called.err
    assert "[tool.ganaudit]" in ganaudit("audit", "--help").out


def test_environment_variables_stand_in_for_options(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANAUDIT_AUDIT_SAMPLES", "77")
    called = ganaudit("audit", "digits", "--dry-run", "--json")
    assert json.loads(called.out)["samples"] == 77


def test_an_interruption_is_130_and_what_was_finished_is_kept(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganaudit.subjects.subject import Subject

    def interrupted(*arguments: object, **named: object) -> torch.Tensor:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Subject, "drawn", interrupted)
        called = ganaudit("audit", "digits", "--seed", "99", "--out", "out")
    assert called.code == 130
    assert called.err.strip().splitlines()[-1].startswith("exit 130: interrupted")
    assert not Path("out/document.json").exists()
    assert ganaudit("audit", "digits", "--seed", "99", "--out", "out").code == 0


def test_an_internal_error_is_4_without_a_traceback(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import ganaudit.auditing.session as use_case

    def broken(*arguments: object) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(use_case, "galleries", broken)
    called = ganaudit("audit", "digits", "--out", "out")
    assert called.code == 4
    assert "the sky fell" in called.err
    assert "Traceback" not in called.err
    assert "Traceback" in ganaudit("audit", "digits", "--out", "out", "--debug").err


def test_a_failing_evaluator_costs_only_itself(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ganaudit.evaluators.kernel_distance import KernelDistance

    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(KernelDistance, "evaluate", broken)
    called = ganaudit("audit", "digits", "--out", "out", "--json")
    assert called.code == 3
    rows = {r["evaluator"]: r for r in json.loads(called.out)["results"]}
    assert rows["kernel-distance"]["status"] == "failed"
    assert "by zero" in rows["kernel-distance"]["reason"]
    assert rows["frechet-distance"]["status"] == "measured"
    assert "by zero" in Path("out/report.html").read_text()


def test_explain_tells_meaning_and_estimator(ganaudit: Run) -> None:
    called = ganaudit("explain", "precision-recall/coverage")
    assert called.code == 0
    assert "ball holds at least one" in called.out
    for name in ("pixels", "digits", "directory", "residual-generator"):
        assert ganaudit("explain", name).code == 0


def test_list_names_everything_registered(ganaudit: Run) -> None:
    found = json.loads(ganaudit("list", "--json").out)
    assert {"frechet-distance", "precision-recall"} <= {row["name"] for row in found["evaluators"]}
    assert all(row["summary"] and "cannot be read" not in row["summary"] for rows in found.values() for row in rows)
    assert [n for n in (row["name"] for row in found["models"]) if "/" not in n] == [
        "digits",
        "glyphs",
        "shapes",
        "tones",
    ]


def test_help_of_every_verb(ganaudit: Run) -> None:
    for verb in ("audit", "gate", "report", "lint", "train", "sample", "list", "explain", "schema", "doctor"):
        called = ganaudit(verb, "--help")
        assert called.code == 0
        assert "--json" in called.out
