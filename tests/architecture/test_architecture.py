"""The rules of the house, run as tests: layers, light verbs, and what a new evaluator may touch."""

import ast
import json
import os
import subprocess
import sys
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "ganaudit"


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False
    )


def test_layers_are_kept() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"],
        capture_output=True, text=True, timeout=120, cwd=ROOT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


LIGHT = [
    ["--help"],
    ["--version"],
    ["audit", "--help"],
    ["list"],
    ["list", "--json"],
    ["schema", "document"],
    ["schema", "policy"],
    ["schema", "config"],
    ["explain", "GA401"],
]
_PROBE = """
import sys
from ganaudit.cli.main import run
code = run(sys.argv[1:])
heavy = [m for m in ("torch", "torchvision", "scipy", "sklearn", "torchmetrics") if m in sys.modules]
sys.stderr.write("\\nPROBE " + repr((code, heavy)))
"""


def probe(*arguments: str) -> tuple[int, list[str]]:
    done = run_python(_PROBE, *arguments)
    code, heavy = ast.literal_eval(done.stderr.rpartition("PROBE ")[2])
    return code, heavy


@pytest.mark.parametrize("arguments", LIGHT, ids=" ".join)
def test_light_verbs_never_import_torch(arguments: list[str]) -> None:
    assert probe(*arguments) == (0, [])


def test_gate_and_report_never_import_torch(small_audit: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('[[gate]]\nid = "q"\nmeasure = "frechet-distance/fd"\nlimit = 1e9\n')
    markdown, junit = tmp_path / "m.md", tmp_path / "j.xml"
    assert probe(
        "gate", str(small_audit), "--policy", str(policy), "--markdown", str(markdown), "--junit", str(junit)
    ) == (0, [])
    assert probe("report", str(small_audit), "--out", str(tmp_path / "r.html")) == (0, [])
    assert probe("lint", str(small_audit), str(policy)) == (0, [])
    assert markdown.stat().st_size > 0
    assert junit.stat().st_size > 0
    assert (tmp_path / "r.html").stat().st_size > 0


def test_importing_the_package_is_light() -> None:
    done = run_python("import sys, ganaudit; print([m for m in ('torch', 'pydantic', 'rich') if m in sys.modules])")
    assert ast.literal_eval(done.stdout) == []


def test_the_public_names_are_callable_however_they_are_reached() -> None:
    code = "import ganaudit.auditing.session, ganaudit; print(callable(ganaudit.audit), callable(ganaudit.judge))"
    assert run_python(code).stdout.split() == ["True", "True"]


def test_every_entry_point_of_ours_is_in_pyproject_and_loads() -> None:
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    for group, named in declared.items():
        installed = {p.name: p for p in entry_points(group=group)}
        assert set(named) <= set(installed), f"{group}: reinstall, the entry points have changed"
        for name in named:
            assert installed[name].load() is not None


def test_nothing_names_a_concrete_evaluator_outside_its_file() -> None:
    names = {p.stem for p in (PACKAGE / "evaluators").glob("*.py")} - {"__init__"}
    ids = {name.replace("_", "-") for name in names}
    for path in PACKAGE.rglob("*.py"):
        # The self-test asks evaluators for answers that are known, so it must say which.
        if path.parent.name == "evaluators" or path.name == "known_answers.py":
            continue
        strings = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
        assert not ids & {s for s in strings if isinstance(s, str)}, path


def test_files_and_functions_stay_small() -> None:
    lengths = []
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        assert len(source.splitlines()) <= 400, path
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                start = node.body[1].lineno if ast.get_docstring(node) and len(node.body) > 1 else node.body[0].lineno
                lengths.append((node.end_lineno - start + 1, f"{path.name}:{node.name}"))
    lengths.sort()
    assert lengths[int(0.95 * len(lengths))][0] <= 30, lengths[-20:]


def test_help_and_gate_answer_within_a_second() -> None:
    # Not a benchmark: a guard against an import of torch (several seconds) slipping back in. The best of three counts.
    for arguments in (["--help"], ["gate", "--help"]):
        best = min(_seconds(arguments) for _ in range(3))
        assert best < 1.0, (arguments, best)


def _seconds(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "ganaudit", *arguments], capture_output=True, check=True, cwd=ROOT, env={**os.environ}
    )
    return time.perf_counter() - started


def test_schema_is_json_schema() -> None:
    import jsonschema

    done = run_python("from ganaudit.cli.main import run; run(['schema', 'document'])")
    jsonschema.Draft202012Validator.check_schema(json.loads(done.stdout))
