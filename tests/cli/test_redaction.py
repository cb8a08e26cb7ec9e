"""No file that a verb leaves tells the home directory, the user, the host or a secret of the call."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from .conftest import Run

CANARIES = ("ada-canary", "mill-canary", "s3cret-canary")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user called ada-canary on the host mill-canary."""
    place = tmp_path / "home" / "ada-canary"
    place.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("LOGNAME", "ada-canary")
    monkeypatch.setenv("USER", "ada-canary")
    monkeypatch.setattr(socket, "gethostname", lambda: "mill-canary.example.org")
    return place


def told(folder: Path) -> list[str]:
    """The files under ``folder`` that hold a canary, with what they say around it."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for canary in CANARIES:
            where = content.find(canary.encode())
            if where >= 0:
                found.append(f"{path.relative_to(folder)}: {content[max(0, where - 60) : where + 60]!r}")
    return found


def test_nothing_private_is_in_what_an_audit_and_its_readers_write(
    ganaudit: Run, home: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    subject = home / "runs of ada-canary"
    shutil.copytree(programs, subject)
    (home / "reals").mkdir()
    out = home.parent.parent / "out"
    call = [
        "audit", subject / "g.pt", "--discriminator", subject / "d.pt", "--latent", "8", "--range", "-1,1",
        "--reference", "digits", "--samples", "100", "--out", out, "--evaluators", "precision-recall,diversity",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["ganaudit", *map(str, call), "--token", "s3cret-canary"])
    assert ganaudit(*call).code == 0
    document = json.loads((out / "document.json").read_text())
    assert document["subject"]["path"].startswith("~/")
    assert "--token (withheld)" in document["environment"]["command"]
    policy = home / "policy.toml"
    policy.write_text('[[gate]]\nid = "q"\nmeasure = "precision-recall/precision"\nlimit = 0.5\nlevel = "warn"\n')
    again = out / "again"
    waived = home / "waived.toml"
    waived.write_text(
        '[[gate]]\nid = "q"\nmeasure = "diversity/vendi"\nlimit = 1e9\n[[waiver]]\ngate = "q"\nceiling = 0\n'
        f'subject = "{document["subject"]["digest"]}"\nowner = "ada-canary"\nexpires = 2999-01-01\n'
        f'reason = "see {home}/notes password=s3cret-canary"\n'
    )
    forms = ["--junit", again / "w.xml", "--markdown", again / "w.md", "--sarif", again / "w.sarif"]
    called = ganaudit("gate", out, "--policy", waived, *forms)
    assert called.code == 0, called.err
    assert "waived by (user)" in (again / "w.md").read_text().replace("\\", "")
    assert ganaudit(*call[:-1], "diversity", "--policy", waived, "--out", out / "judged").code == 0
    assert ganaudit("gate", out, "--policy", policy, "--junit", again / "j.xml", "--markdown", again / "m.md").code == 0
    assert ganaudit("report", out, "--out", again / "report.html").code == 0
    assert ganaudit("init", out, "--out", again / "policy.toml").code == 0
    assert ganaudit("baseline", "accept", out, "--author", "A.", "--reason", "r", "--store", again / "b").code == 0
    assert told(out) == []


def test_samples_and_subjects_tell_nothing_either(ganaudit: Run, home: Path, programs: Path) -> None:
    out = home.parent.parent / "out"
    shutil.copytree(programs, home / "programs")
    called = ganaudit("sample", home / "programs" / "g.pt", "--latent", "8", "--samples", "4", "--out", out / "samples")
    assert called.code == 0, called.err
    import numpy as np

    np.savez(home / "reals.npz", np.random.default_rng(0).integers(0, 255, (64, 16, 16, 1), np.uint8))
    config = home / "train.toml"
    config.write_text(
        f'name = "small"\ndata = "{home / "reals.npz"}"\nimages = 32\nbatch = 8\nlatent = 4\n'
        '[generator]\nnetwork = "dcgan-generator"\noptions = { width = 4 }\n'
        '[discriminator]\nnetwork = "dcgan-discriminator"\noptions = { width = 4 }\n'
    )
    called = ganaudit("train", config, "--out", out / "run")
    assert called.code == 0, called.err
    assert "~/reals.npz" in (out / "run" / "subject.toml").read_text()
    assert told(out) == []
