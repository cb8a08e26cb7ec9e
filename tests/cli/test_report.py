"""``report`` and ``index`` from the command line: layouts, limits, kept charts, exit codes, nothing heavy loaded."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ganaudit.document.files import load_document, sealed, write_document
from ganaudit.document.model import AuditDocument, Gallery
from ganaudit.report.replay import replay_of
from tests.document.documents import document, number, result
from tests.report.conftest import build

from .conftest import Run

REPORTS = Path(__file__).parents[2] / "reports"


def audited(folder: Path) -> tuple[AuditDocument, Path]:
    """Write the document of a whole audit with its samples."""
    files: dict[str, bytes] = {}
    made = build(files)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_document(sealed(made), folder / "document.json")
    return made, folder


def simple(folder: Path, **more: Any) -> Path:
    write_document(sealed(document(result(number(1.0, (0.9, 1.1))), **more)), folder / "document.json")
    return folder


def test_a_report_is_one_file_or_a_folder(ganaudit: Run, tmp_path: Path) -> None:
    _, folder = audited(tmp_path / "a")
    assert ganaudit("report", folder).code == 0
    page = (folder / "report.html").read_text()
    assert "<style>" in page
    called = ganaudit("report", folder, "--layout", "dir", "--json")
    assert (called.code, json.loads(called.out)) == (0, {"report": str(folder / "report" / "index.html")})
    names = sorted(p.relative_to(folder / "report").as_posix() for p in (folder / "report").rglob("*") if p.is_file())
    assert [n for n in names if not n.startswith("images/")] == ["index.html", "script.js", "style.css"]
    assert len(names) > 5
    assert ganaudit("report", folder, "--layout", "dir", "--out", "elsewhere").code == 0
    assert Path("elsewhere/index.html").read_bytes() == (folder / "report" / "index.html").read_bytes()


def test_pictures_of_an_earlier_report_go_and_other_files_stay(ganaudit: Run, tmp_path: Path) -> None:
    _, folder = audited(tmp_path / "a")
    ganaudit("report", folder, "--layout", "dir")
    stale, own = folder / "report/images" / ("0" * 32 + ".png"), folder / "report/images/mine.png"
    stale.write_bytes(b"x")
    own.write_bytes(b"x")
    assert ganaudit("report", folder, "--layout", "dir").code == 0
    assert not stale.exists()
    assert own.exists()


def test_a_limit_on_bytes_thins_aloud_or_refuses(ganaudit: Run, tmp_path: Path) -> None:
    _, folder = audited(tmp_path / "a")
    ganaudit("report", folder)
    whole = (folder / "report.html").stat().st_size
    assert ganaudit("report", folder, "--max-bytes", str(whole - 1)).code == 0
    page = (folder / "report.html").read_text()
    assert len(page.encode()) < whole
    assert "This page is thinned" in page
    refused = ganaudit("report", folder, "--max-bytes", "20000")
    assert refused.code == 2
    assert "--max-bytes" in refused.err
    assert (folder / "report.html").read_text() == page, "what was there is left alone"
    assert ganaudit("report", folder, "--max-bytes", "10").code == 2


def test_kept_charts_give_the_same_page(ganaudit: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))
    _, folder = audited(tmp_path / "a")
    pages = []
    for more in ([], [], ["--no-cache"]):
        assert ganaudit("report", folder, *more).code == 0
        pages.append((folder / "report.html").read_bytes())
    assert pages[0] == pages[1] == pages[2]
    kept = list((tmp_path / "cache/charts").glob("*.svg"))
    assert len(kept) == 6
    for file in kept:
        file.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    ganaudit("report", folder)
    assert (folder / "report.html").read_bytes() == pages[0]


def test_a_document_that_was_changed_is_rendered_and_said(ganaudit: Run, tmp_path: Path) -> None:
    folder = simple(tmp_path / "a")
    file = folder / "document.json"
    file.write_text(file.read_text().replace('"value": 1.0', '"value": 0.5', 1))
    called = ganaudit("report", folder)
    assert called.code == 0
    assert "was changed after ganaudit wrote it" in called.err
    page = " ".join((folder / "report.html").read_text().split())
    assert "the document was changed after it was written" in page
    assert "a/document.json was changed after ganaudit wrote it" in page


def test_a_verdict_changed_by_hand_is_no_pass(ganaudit: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    shutil.copytree(REPORTS / "mode-dropped-50", folder)
    file = folder / "document.json"
    file.write_text(file.read_text().replace('"outcome": "failed"', '"outcome": "passed"'))
    ganaudit("report", folder, "--out", "r.html")
    head = Path("r.html").read_text().partition("<h2")[0].partition("<body")[2]
    assert "was changed after" in head
    assert "Incomplete" in head
    assert "Passed" not in head
    ganaudit("index", tmp_path, "--out", "i.html")
    assert "1 passed" not in Path("i.html").read_text()


# --- index -----------------------------------------------------------------------------------------------------------


def test_an_index_of_a_hundred_audits_and_one_broken(ganaudit: Run, tmp_path: Path) -> None:
    for i in range(100):
        simple(tmp_path / "runs" / f"run-{i:03d}", started=f"2026-01-{1 + i % 28:02d}T00:00:00Z")
    broken = tmp_path / "runs" / "broken" / "document.json"
    broken.parent.mkdir()
    broken.write_text((tmp_path / "runs/run-000/document.json").read_text()[:200])
    called = ganaudit("index", "runs", "--json")
    assert called.code == 0
    assert "caution: broken cannot be read" in called.err
    assert "exit 0: 100 audits indexed, 1 not readable" in called.err
    told = json.loads(called.out)
    assert len(told["audits"]) == 100
    assert [b["folder"] for b in told["broken"]] == ["broken"]
    page = (tmp_path / "runs/index.html").read_text()
    assert page.count("run-0") >= 100
    assert "cannot be read as strict JSON" in page


def test_links_are_seen_from_where_the_index_is_written(ganaudit: Run, tmp_path: Path) -> None:
    simple(tmp_path / "runs/a b")
    ganaudit("report", "runs/a b")
    assert ganaudit("index", "runs", "--out", "site/index.html").code == 0
    assert 'href="./../runs/a%20b/report.html"' in Path("site/index.html").read_text()


@pytest.mark.parametrize("made", ["nothing", "empty", "broken"])
def test_nothing_to_index_is_an_error(ganaudit: Run, tmp_path: Path, made: str) -> None:
    if made != "nothing":
        (tmp_path / "runs").mkdir()
    if made == "broken":
        (tmp_path / "runs/document.json").write_text("{")
    called = ganaudit("index", "runs")
    assert called.code == 2
    assert {"nothing": "no such folder", "empty": "none was found", "broken": "strict JSON"}[made] in called.err
    assert not (tmp_path / "runs/index.html").exists()


def test_a_folder_that_cannot_be_written_is_told(ganaudit: Run, tmp_path: Path) -> None:
    simple(tmp_path / "runs/a")
    (tmp_path / "taken").write_text("a file where the folder should be")  # refused to root as well
    called = ganaudit("index", "runs", "--out", "taken/index.html")
    assert called.code == 2
    assert "cannot write" in called.err


@pytest.mark.parametrize(("words", "unloaded"), [
    (["report", "a", "--no-cache"], ["torch", "scipy", "numpy", "sklearn"]),
    (["report", "a", "--layout", "dir"], ["torch", "scipy", "numpy", "sklearn", "altair", "vl_convert"]),
    (["index", "."], ["torch", "scipy", "numpy", "sklearn"]),
    (["gate", "a", "--policy", "p.toml"], ["torch", "scipy", "numpy", "altair", "vl_convert"]),
])  # fmt: skip
def test_nothing_heavy_is_loaded(tmp_path: Path, words: list[str], unloaded: list[str]) -> None:
    audited(tmp_path / "a")
    (tmp_path / "p.toml").write_text('[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\nlimit = 1e9\n')
    code = (
        "import sys\nfrom ganaudit.cli.main import run\n"
        f"code = run({words!r})\n"
        f"print('PROBE', code, [m for m in {unloaded!r} if m in sys.modules])"
    )
    environment = {**os.environ, "GANAUDIT_CACHE": str(tmp_path / "cache"), "CI": "1"}
    if "dir" in words:  # with every chart kept, what draws is not loaded either
        subprocess.run([sys.executable, "-m", "ganaudit", "report", "a"], cwd=tmp_path, env=environment, check=True)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert "PROBE 0 []" in done.stdout or "PROBE 3 []" in done.stdout, done.stdout + done.stderr


# --- samples drawn again ---------------------------------------------------------------------------------------------


def test_the_command_beside_a_sample_draws_it_again(ganaudit: Run, tmp_path: Path) -> None:
    words = ["--samples", "300", "--evaluators", "precision-recall", "--seed", "5", "--out", "a", "--layout", "dir"]
    assert ganaudit("audit", "digits", *words).code == 0
    assert (tmp_path / "a/report.html").is_file()
    assert (tmp_path / "a/report/index.html").is_file()
    made = load_document(tmp_path / "a")
    replay = replay_of(made)
    assert replay is not None
    galleries = [*made.galleries, *(d for r in made.results for d in r.details if isinstance(d, Gallery))]
    items = [item for gallery in galleries if gallery.side == "fake" for item in gallery.items]
    assert {item.index for item in items} > set(range(64))
    asked = [items[0], items[40], items[64], max(items, key=lambda item: item.index)]
    page = (tmp_path / "a/report.html").read_text()
    for item in asked:
        command = replay.command(item)
        assert command is not None
        assert command in page
        assert ganaudit(*shlex.split(command)[1:]).code == 0
        (drawn,) = (tmp_path / "replay").glob("*.png")
        assert drawn.name == f"{item.index:06d}.png"
        assert hashlib.sha256(drawn.read_bytes()).hexdigest() == item.sha256


def test_samples_from_the_middle_are_those_of_a_whole_draw(ganaudit: Run, tmp_path: Path) -> None:
    assert ganaudit("sample", "digits", "--samples", "70", "--out", "whole.npz").code == 0
    assert ganaudit("sample", "digits", "--first", "61", "--samples", "9", "--out", "part.npz").code == 0
    whole, part = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "part.npz")
    assert set(whole) == set(part)
    for name in whole:
        assert np.array_equal(whole[name][61:], part[name]), name
    assert ganaudit("sample", "digits", "--first", "-1", "--samples", "9", "--out", "part.npz").code == 2
