"""The how-to for a model in a repository of one's own: its files, written as shown, are audited by its own commands."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from .test_reference import COMMANDS, ROOT, blocks, name_of

PAGE = ROOT / "docs" / "how-to" / "audit-a-pytorch-model.md"


def ran(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "GANAUDIT_CACHE": str(folder / "cache")}
    environment.pop("GANAUDIT_TRUST_CODE", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of the page, after its training has run."""
    folder = tmp_path_factory.mktemp("repository")
    for text in blocks(PAGE, "py"):
        named = re.match(r"# (\w+\.py)\n", text)
        assert named is not None, "a block of Python says which file it is"
        (folder / named[1]).write_text(text, encoding="utf-8")
    assert {path.name for path in folder.iterdir()} == {"networks.py", "train.py", "audit_me.py"}
    done = ran(folder, "train.py")
    assert done.returncode == 0, done.stderr
    return folder


def command(*parts: str) -> list[str]:
    (line,) = [line for page, line in COMMANDS if page == name_of(PAGE) and all(part in line for part in parts)]
    return ["-m", *shlex.split(line)]


def test_the_example_is_audited_as_the_page_says(repository: Path) -> None:
    dry = ran(repository, *command("audit_me:subject", "--dry-run"), "--json")
    assert dry.returncode == 0, dry.stderr
    quick = [*command("--samples 200"), "--evaluators", "kernel-distance,discriminator-detection"]
    done = ran(repository, *quick)
    assert done.returncode == 0, done.stdout + done.stderr
    made = json.loads((repository / "reports" / "my-gan" / "document.json").read_text())
    assert made["subject"]["digest"] in json.loads(dry.stdout)["subject"]
    assert (made["subject"]["name"], made["subject"]["trust"], made["plan"]["samples"]) == ("my-gan", "code", 200)
    assert "could have changed any number" in made["warnings"][0]
    assert any("8 of them: none is drawn at random" in check for check in made["subject"]["checks"])
    assert not any("drawn at random when" in check for check in made["subject"]["checks"])
    drawn = ran(repository, *command("ganaudit sample"))
    assert drawn.returncode == 0, drawn.stderr
    assert (repository / "samples.png").stat().st_size > 0


def test_without_the_option_the_example_is_refused(repository: Path) -> None:
    arguments = [word for word in command("audit_me:subject", "--dry-run") if word != "--trust-code"]
    done = ran(repository, *arguments)
    assert done.returncode == 2
    assert "names a Python callable" in done.stderr


def test_from_python_the_example_is_the_same_subject(repository: Path) -> None:
    code = "import audit_me, ganaudit; print(audit_me.subject().trust, callable(ganaudit.audit))"
    assert ran(repository, "-c", code).stdout.split() == ["in-process", "True"]


def test_an_untrained_class_is_warned_of(repository: Path) -> None:
    asked = ["-m", "ganaudit", "audit", "networks:Generator", "--trust-code", "--latent", "64", "--reference", "digits"]
    dry = ran(repository, *asked, "--dry-run", "--json")
    assert dry.returncode == 0, dry.stderr
    assert any("4 of 4 tensors of its networks are drawn" in w for w in json.loads(dry.stdout)["warnings"])
