"""What goes wrong around an audit changes nothing of its answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run


def test_a_reader_that_goes_away_does_not_change_the_verdict(small_audit: Path, tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[[gate]]\nid = "a"\nmeasure = "frechet-distance/fd"\nlimit = 1e9\n')
    for more in ([], ["--json"]):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-m", "ganaudit", "gate", str(small_audit), "--policy", str(tmp_path / "p.toml")]
        done = subprocess.run([*command, *more], stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
        os.close(writer)
        assert done.returncode == 0, done.stderr
        assert done.stderr.strip().splitlines()[-1].startswith("exit 0: passed")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_behind_stdout_is_told(small_audit: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "ganaudit", "list", "--json"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert "stdout cannot be written" in done.stderr


def test_a_broken_plugin_costs_only_itself(tmp_path: Path) -> None:
    info = tmp_path / "site" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganaudit.evaluators]\nbad = nowhere_at_all:X\n")
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((60, 3)))

    def audited(*more: str) -> tuple[int, dict[str, dict[str, str]]]:
        command = [
            sys.executable, "-m", "ganaudit", "audit", "x.npy", "--reference", "test=x.npy", "--extractor", "identity",
            "--out", "out", "--json", *more,
        ]  # fmt: skip
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        rows = json.loads(done.stdout)["results"] if done.stdout else []
        return done.returncode, {row["evaluator"]: row for row in rows}

    code, rows = audited("--evaluators", "frechet-distance")
    assert (code, rows["frechet-distance"]["status"], rows["bad"]["status"]) == (0, "measured", "skipped")
    code, rows = audited()
    assert (code, rows["frechet-distance"]["status"], rows["bad"]["status"]) == (3, "measured", "failed")
    assert "nowhere_at_all" in rows["bad"]["reason"]
    assert audited("--evaluators", "bad")[0] == 2


def test_a_broken_loader_of_subjects_is_told_and_passed_over(tmp_path: Path) -> None:
    info = tmp_path / "site" / "broken-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ganaudit.subjects]\nbad = nowhere_at_all:X\n")
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((60, 3)))
    command = [
        sys.executable, "-m", "ganaudit", "audit", "x.npy", "-v", "--reference", "test=x.npy", "--extractor",
        "identity", "--evaluators", "frechet-distance", "--out", "out",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "nowhere_at_all" in done.stderr


def test_what_weakens_a_number_is_told_at_the_terminal(ganaudit: Run) -> None:
    called = ganaudit("audit", "digits", "--samples", "40", "--evaluators", "discriminator-detection", "--out", "out")
    assert called.code == 0, called.err
    told = " ".join(called.out.split())
    document = json.loads(Path("out/document.json").read_text())
    (row,) = [r for r in document["results"] if r["evaluator"] == "discriminator-detection"]
    missing = [m for m in row["measurements"] if m["value"] is None]
    assert missing
    for m in missing:
        assert " ".join(m["reason"].split()) in told
    assert all(" ".join(warning.split()) in told for warning in row["warnings"])


def test_files_of_an_earlier_longer_run_go(ganaudit: Run) -> None:
    for n in (5, 3):
        assert ganaudit("sample", "digits", "--samples", str(n), "--out", "s").code == 0
    assert len(list(Path("s").glob("*.png"))) == 3
    for n in (80, 10):
        assert ganaudit("audit", "digits", "--samples", str(n), "--out", "out").code == 0
    assert len(list(Path("out/samples").glob("fake-*.png"))) == 10


def test_untrained_features_weaken_a_pass(ganaudit: Run) -> None:
    rng = np.random.default_rng(0)
    np.save("fake.npy", rng.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8))
    np.save("real.npy", rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8))
    called = ganaudit("audit", "fake.npy", "--reference", "real.npy", "--out", "out", "--json")
    assert called.code == 0, called.err
    assert any("untrained network" in warning for warning in json.loads(called.out)["warnings"])


def test_a_cache_that_cannot_be_written_is_told(ganaudit: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("GANAUDIT_CACHE", str(Path("file/below").absolute()))
    called = ganaudit("audit", "digits", "--samples", "20", "--out", "out")
    assert called.code == 0
    assert "evidence was not kept" in called.err


def test_an_audit_names_the_gates_that_failed(ganaudit: Run) -> None:
    Path("policy.toml").write_text('[[gate]]\nid = "impossible"\nmeasure = "precision-recall/recall"\nlimit = 2.0\n')
    called = ganaudit("audit", "digits", "--policy", "policy.toml", "--out", "out")
    assert called.code == 1
    assert "impossible" in called.out
