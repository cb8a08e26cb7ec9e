"""The built wheel works in an environment of its own, outside the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(c) for c in command], cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, timeout=280,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment that holds the wheel and borrows every dependency from the running one."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=home).stdout.strip()
    # A folder added by a .pth file is searched, but its own .pth files (an editable ganaudit, say) are not obeyed.
    Path(site, "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    run(python, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel, cwd=home)
    return home / "bin"


def test_the_wheel_carries_package_data_and_reference_models_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for needed in (
        "ganaudit/py.typed",
        "ganaudit/report/templates/report.html.j2",
        "ganaudit/report/templates/report.css",
        "ganaudit/reference_models/digits/subject.toml",
        "ganaudit/reference_models/digits/generator.safetensors",
        "ganaudit/reference_models/digits/discriminator.safetensors",
        "ganaudit/reference_models/digits/digits-cnn.safetensors",
    ):
        assert needed in names
    foreign = ("tests/", "docs/", "reports/")
    assert not [n for n in names if n.startswith(foreign) or n.endswith("checkpoint.safetensors")]


def test_it_lists_and_audits_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    code = "import ganaudit, pathlib; print(pathlib.Path(ganaudit.__file__).resolve())"
    where = run(installed / "python", "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(installed.parent.resolve())
    listed = json.loads(run(installed / "ganaudit", "list", "--json", cwd=tmp_path).stdout)
    assert "frechet-distance" in {row["name"] for row in listed["evaluators"]}
    assert {row["name"] for row in listed["models"]} >= {"digits", "glyphs", "shapes", "tones", "controls/perfect"}
    cache = str(tmp_path / "cache")
    arguments = ["audit", "digits", "--samples", "64", "--out", "out", "--json"]
    called = run(installed / "ganaudit", *arguments, cwd=tmp_path, GANAUDIT_CACHE=cache)
    document = json.loads(called.stdout)
    unmeasured = {r["evaluator"]: r["reason"] for r in document["results"] if r["status"] != "measured"}
    assert unmeasured.keys() == {"attack-transfer"}, unmeasured  # there is no other subject to carry attacks to
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
