"""The documentation says what the program does: pages are fresh, links lead somewhere, commands and examples work."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import typer.main

from ganaudit import registry
from ganaudit.cli.main import app
from ganaudit.config import make_plan
from ganaudit.document.policy import parse_policy
from ganaudit.features.declaration import Declaration
from ganaudit.linting.catalogue import RULES
from ganaudit.protocol import protocols
from ganaudit.subjects.control import ControlFile
from ganaudit.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
WRITTEN = [page for page in PAGES if REFERENCE not in page.parents]
GROUP = typer.main.get_command(app)
VERBS = sorted(GROUP.commands)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(page: Path, *languages: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return [text for language, text in found if language in languages]


def without_blocks(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


# --- pages written from the code


def test_a_cell_with_a_line_break_stays_in_its_row() -> None:
    rows = maker()._table(["option", "meaning"], [["a", "first line\nsecond | line"]]).splitlines()
    assert rows == ["| option | meaning |", "| --- | --- |", "| a | first line second \\| line |"]


def test_every_line_of_a_table_is_a_whole_row() -> None:
    for page in REFERENCE.rglob("*.md"):
        text = without_blocks(page)
        for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
            columns = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
            assert len(columns) == 1, f"{page.name}: {table.splitlines()[0]}"
        broken = re.findall(r"^\|.*[^|\n]$", text, re.MULTILINE)
        assert not broken, f"{page.name}: a row without its end: {broken[:2]}"


def test_reference_is_fresh() -> None:
    assert maker().stale() == [], "run `make docs`"


def test_exit_codes_are_those_the_program_tells() -> None:
    told = {int(code) for code in re.findall(r"\b(\d+) [a-z]", app.info.epilog or "")}
    assert set(maker().EXIT_CODES) == told


def test_words_of_the_generator_fill_gaps_only() -> None:
    module = maker()
    from ganaudit import config
    from ganaudit.document import gates
    from ganaudit.training import config as training

    for name, fields in module._SPOKEN.items():
        kind = next(found for home in (config, gates, training) if (found := vars(home).get(name)))
        assert set(fields) <= set(kind.model_fields), name


@pytest.mark.parametrize("verb", VERBS)
def test_verb_is_documented(verb: str) -> None:
    reference = (REFERENCE / "cli.md").read_text("utf-8")
    assert f"\n## {verb}\n" in reference
    section = reference.partition(f"\n## {verb}\n")[2].partition("\n## ")[0]
    common = reference.partition("\n## ")[0]
    for parameter in GROUP.commands[verb].params:
        shown = parameter.name.upper() if parameter.param_type_name == "argument" else parameter.opts[0]
        assert f"`{shown}" in section + common, shown
    assert f"ganaudit {verb}" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("evaluator", registry.names("evaluators"))
def test_evaluator_is_documented(evaluator: str) -> None:
    spec = registry.find("evaluators", evaluator).spec
    page = (REFERENCE / "evaluators" / f"{evaluator}.md").read_text("utf-8")
    explained = (ROOT / "docs" / "explanation" / "numbers.md").read_text("utf-8")
    assert f"\n## {evaluator}\n" in explained
    section = explained.partition(f"\n## {evaluator}\n")[2].partition("\n## ")[0]
    for measurement in spec.measurements:
        assert f"\n### {measurement.key}\n" in page
        assert f"`{measurement.key}`" in section, f"docs/explanation/numbers.md does not explain {measurement.key}"


# --- links


def slug(heading: str) -> str:
    """Return the anchor that a heading gets where the pages are shown."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", without_blocks(page), re.MULTILINE):
        name, count = slug(heading), 1
        while name in found:
            name, count = f"{slug(heading)}-{count}", count + 1
        found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_resolve(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`", "", without_blocks(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        aim = (page.parent / path).resolve() if path else page
        assert aim.exists(), f"{name_of(page)}: {target}: no such file"
        assert aim.is_relative_to(ROOT), f"{name_of(page)}: {target}: leads out of the repository"
        if anchor:
            assert anchor in anchors(aim), f"{name_of(page)}: {target}: no such heading"


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, pending = set(), [ROOT / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = re.findall(r"\]\(([^)\s#]+)", without_blocks(page))
        pending += [(page.parent / t).resolve() for t in targets if not t.startswith("http")]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_path_of_one_machine(page: Path) -> None:
    found = re.findall(r"(?<![\w.\-/])/(?:tmp|home|root|work|opt|usr|var|Users)/\S*", page.read_text("utf-8"))
    assert found == []


# --- commands


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        if page.parent == REFERENCE and page.name == "cli.md":
            continue  # usage lines, with placeholders
        for block in blocks(page, "console", "sh", "text", "yaml", ""):
            for line in block.splitlines():
                found = re.match(r"\s*(?:- run: |\$ )?(ganaudit [^#]*)", line)
                if found:
                    yield name_of(page), found[1].strip()
        for code in re.findall(r"`(ganaudit [^`\n]+)`", without_blocks(page)):
            yield name_of(page), code


COMMANDS = sorted(set(commands()))


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[f"{page}: {line}" for page, line in COMMANDS])
def test_command_parses(page: str, line: str) -> None:
    _, verb, *arguments = shlex.split(line)
    assert verb in VERBS, f"{page}: no such verb"
    command = GROUP.commands[verb]
    required = any(p.required for p in command.params)
    if not arguments and required:
        return  # the name of a verb in running text
    given = command.make_context(verb, list(arguments)).params
    if given.get("evaluators") and "write-an-evaluator" not in page:
        assert set(given["evaluators"].split(",")) <= set(registry.names("evaluators"))
    if given.get("extractor"):
        assert given["extractor"] in registry.names("extractors")
    if verb == "explain" and "write-an-evaluator" not in page:
        known = [*protocols(), *(name for kind in registry.KINDS for name in registry.names(kind))]
        known += [rule.id for rule in RULES]
        assert given["id"].partition("/")[0] in known


def test_there_are_commands_to_parse() -> None:
    assert {line.split()[1] for _, line in COMMANDS} >= set(VERBS)


# --- configuration


def tables() -> Iterator[tuple[str, dict]]:
    for page in WRITTEN:
        for block in blocks(page, "toml"):
            yield name_of(page), tomllib.loads(block)


@pytest.mark.parametrize(("page", "table"), list(tables()), ids=[page for page, _ in tables()])
def test_configuration_is_valid(page: str, table: dict) -> None:
    if "project" in table:
        assert table["project"]["entry-points"].keys() <= set(registry.KINDS.values())
    elif "gate" in table:
        measures = {
            f"{name}/{m.key}"
            for name in registry.names("evaluators")
            for m in registry.find("evaluators", name).spec.measurements
        }
        assert {gate.measure for gate in parse_policy(table, page).gate} <= measures
    elif "defect" in table:
        ControlFile.model_validate(table)
    elif "images" in table:
        TrainConfig.model_validate(table)
    elif "size" in table:
        Declaration.model_validate(table)
    else:
        make_plan(table, page, registry.names("evaluators"))


# --- examples

WITH_PYTHON = [page for page in WRITTEN if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=name_of)
def test_python_of_a_page_runs(page: Path, tmp_path: Path) -> None:
    script = tmp_path / "example.py"
    script.write_text("\n\n".join(blocks(page, "python")), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=tmp_path,
        env={**os.environ, "GANAUDIT_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_has_an_example() -> None:
    assert ROOT / "README.md" in WITH_PYTHON


def test_summary_of_exit_codes_in_the_readme_is_whole() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("\n## Exit codes\n")[2].partition("\n## ")[0]
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)} == set(maker().EXIT_CODES)


def test_exported_generator_of_the_how_to_is_audited(tmp_path: Path) -> None:
    """The page's own command line reads what the page's own code wrote."""
    page = ROOT / "docs" / "how-to" / "audit-your-own-generator.md"
    environment = {**os.environ, "GANAUDIT_CACHE": str(tmp_path / "cache")}
    code = "\n".join(blocks(page, "python"))
    dry = next(line for where, line in COMMANDS if where == name_of(page) and "--dry-run" in line and "--disc" in line)
    for command in ([sys.executable, "-c", code], [sys.executable, "-m", *shlex.split(dry)]):
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
