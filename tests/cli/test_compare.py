"""``ganaudit compare`` from outside: what it prints, writes and answers, and every bad input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from .conftest import Run


@pytest.fixture(scope="session")
def another_audit(tmp_path_factory: pytest.TempPathFactory, small_audit: Path) -> Path:
    """An audit of other samples against the reference of ``small_audit``."""
    from ganaudit.cli.main import run

    folder = tmp_path_factory.mktemp("another-audit")
    np.save(folder / "fake.npy", np.random.default_rng(6).standard_normal((70, 4)) + 1.5)
    reference = f"test={small_audit.parent / 'real.npy'}"
    out = folder / "audit"
    asked = ["audit", str(folder / "fake.npy"), "--reference", reference, "--extractor", "identity", "--out", str(out)]
    assert run(asked) == 0
    return out


def test_two_audits_are_compared(ganaudit: Run, small_audit: Path, another_audit: Path) -> None:
    called = ganaudit("compare", small_audit, another_audit, "--out", "page.html")
    assert called.code == 0, called.err
    assert called.err.rstrip().splitlines()[-1].startswith("exit 0: ")
    assert "frechet-distance/fd-corrected" in called.out
    assert "worse" in called.out
    assert "comparison: page.html" in called.out
    assert "Difference of two audits" in Path("page.html").read_text(encoding="utf-8")


def test_json_is_one_value_on_stdout(ganaudit: Run, small_audit: Path, another_audit: Path) -> None:
    called = ganaudit("compare", small_audit / "document.json", another_audit, "--json")
    found = json.loads(called.out)
    assert found["schema"] == "ganaudit.comparison/1"
    assert not found["empty"]
    moved = {m["measure"]: m for m in found["numbers"]}
    fd = moved["frechet-distance/fd-corrected"]
    assert fd["difference"] == pytest.approx(fd["b"]["value"] - fd["a"]["value"])
    assert fd["low"] < fd["difference"] < fd["high"]
    # Samples only: both audits share their reals, and no latents.
    assert "the same 80 real samples" in fd["method"]
    assert "latents" not in fd["method"]
    assert fd["correlation"] is not None
    assert moved["precision-recall/precision"]["correlation"] is None
    assert Path("comparison.html").exists()


def test_a_file_and_itself_differ_in_nothing(ganaudit: Run, small_audit: Path) -> None:
    called = ganaudit("compare", small_audit, small_audit / "document.json", "--json")
    assert called.code == 0
    found = json.loads(called.out)
    assert found["empty"]
    assert found["summary"] == "no difference"
    assert [found[k] for k in ("differences", "flips", "numbers", "statuses", "warnings", "details")] == [[]] * 6
    assert "No difference" in Path("comparison.html").read_text(encoding="utf-8")


def test_two_references_are_refused_number_by_number(ganaudit: Run, small_audit: Path) -> None:
    rng = np.random.default_rng(9)
    np.save("real.npy", rng.standard_normal((80, 4)))
    asked = ("--reference", "test=real.npy", "--extractor", "identity", "--out", "out")
    assert ganaudit("audit", small_audit.parent / "fake.npy", *asked).code == 0
    called = ganaudit("compare", small_audit, "out", "--json")
    assert called.code == 0  # both could be read; a difference judges nothing
    assert "not comparable: the audits differ in reference" in called.err.rstrip().splitlines()[-1]
    found = json.loads(called.out)
    assert found["not_comparable"] == ["reference"]
    valued = [m for m in found["numbers"] if m["a"]["value"] is not None and m["b"]["value"] is not None]
    assert {(m["movement"], m["difference"], tuple(m["differing"])) for m in valued} == {
        ("not comparable", None, ("reference",))
    }
    printed = ganaudit("compare", small_audit, "out")
    assert "not comparable: the audits differ in reference" in printed.out


def spoilt(small_audit: Path, change: str) -> Path:
    copy = Path("spoilt")
    shutil.copytree(small_audit, copy)
    file = copy / "document.json"
    text = file.read_text(encoding="utf-8")
    if change == "truncated":
        file.write_text(text[: len(text) // 2], encoding="utf-8")
    elif change == "newer":
        file.write_text(text.replace("ganaudit.document/1", "ganaudit.document/9"), encoding="utf-8")
    elif change == "turned":
        data = json.loads(text)
        (interval,) = [m["interval"] for r in data["results"] for m in r["measurements"] if m["interval"]][:1]
        interval["low"], interval["high"] = interval["high"] + 1, interval["low"]
        file.write_text(json.dumps(data), encoding="utf-8")
    elif change == "NaN":
        file.write_text(text.replace('"seconds":', '"seconds": NaN, "n":', 1), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("truncated", "cannot be read as strict JSON"),
        ("newer", "its schema is 'ganaudit.document/9'"),
        ("turned", "an interval's low must not be above its high"),
        ("NaN", "the token NaN is not JSON"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_an_unreadable_document_is_refused(
    ganaudit: Run, small_audit: Path, change: str, told: str, first: bool
) -> None:
    bad = spoilt(small_audit, change)
    called = ganaudit("compare", *((bad, small_audit) if first else (small_audit, bad)))
    assert called.code == 2
    assert told in called.err
    assert "spoilt/document.json" in called.err
    assert called.err.rstrip().splitlines()[-1].startswith("exit 2:")
    assert not Path("comparison.html").exists()


def test_a_document_that_was_edited_by_hand_is_told_of(ganaudit: Run, small_audit: Path) -> None:
    shutil.copytree(small_audit, "edited")
    file = Path("edited/document.json")
    data = json.loads(file.read_text(encoding="utf-8"))
    measured = next(r for r in data["results"] if r["measurements"])
    measured["measurements"][0]["value"] = 1e-3
    file.write_text(json.dumps(data), encoding="utf-8")
    called = ganaudit("compare", small_audit, "edited", "--json")
    assert called.code == 0
    assert "edited/document.json was changed after ganaudit wrote it" in called.err
    assert len(json.loads(called.out)["altered"]) == 1
    assert "Changed since it was written" in Path("comparison.html").read_text(encoding="utf-8")


def test_missing_places_are_named(ganaudit: Run, small_audit: Path) -> None:
    called = ganaudit("compare", small_audit, "nowhere")
    assert called.code == 2
    assert "nowhere" in called.err
    Path("file").write_text("", encoding="utf-8")
    called = ganaudit("compare", small_audit, small_audit, "--out", "file/page.html")
    assert called.code == 2
    assert "cannot write file/page.html" in called.err


def test_comparing_loads_no_torch(small_audit: Path, another_audit: Path, tmp_path: Path) -> None:
    probe = (
        "import sys\nfrom ganaudit.cli.main import run\n"
        f"code = run(['compare', {str(small_audit)!r}, {str(another_audit)!r}, '-q'])\n"
        "print('PROBE', code, [m for m in ('torch', 'scipy', 'altair') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.rstrip().splitlines()[-1] == "PROBE 0 []"
