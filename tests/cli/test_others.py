"""Other subjects on the command line and in audit.toml: names, paths, refusals in words."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ganaudit.cli.audit import _others
from ganaudit.config import load_plan
from ganaudit.document.errors import ConfigError
from ganaudit.subjects.digests import file_digest

from .conftest import Run


@pytest.fixture
def turned(tmp_path: Path) -> Path:
    """A copy of the reference model with another discriminator: every weight moved a little."""
    from ganaudit.locations import reference_model

    folder = reference_model("digits")
    assert folder is not None
    copy = tmp_path / "turned"
    shutil.copytree(folder, copy)
    from safetensors.torch import load_file

    file = copy / "discriminator.safetensors"
    rng = torch.Generator().manual_seed(0)
    weights = {k: t + 0.02 * torch.randn(t.shape, generator=rng) * (t.ndim > 1) for k, t in load_file(file).items()}
    before = file_digest(file).removeprefix("sha256:")
    save_file(weights, file)
    described = copy / "subject.toml"
    described.write_text(described.read_text().replace(before, file_digest(file).removeprefix("sha256:")))
    return copy


def test_the_plan_names_others_and_the_command_line_adds(turned: Path, ganaudit: Run, tmp_path: Path) -> None:
    (tmp_path / "audit.toml").write_text('subject = "digits"\n[others]\nlate = "turned"\n')
    called = ganaudit("audit", "--other", "again=digits", "--dry-run", "--json")
    assert called.code == 0
    resolved = json.loads(called.out)
    assert list(resolved["others"]) == ["late", "again"]
    assert "sha256:" in resolved["others"]["late"]
    assert any("other 'again' is the audited subject once more" in w for w in resolved["warnings"])
    assert not any("'late'" in w for w in resolved["warnings"])


def test_the_document_and_its_key_hold_the_others(turned: Path, ganaudit: Run, tmp_path: Path) -> None:
    options = "[evaluators.attack-transfer]\nsamples = 8\nsteps = 3\n[evaluators.discriminator-detection]\n"
    (tmp_path / "few.toml").write_text(f'subject = "digits"\nsamples = 120\n{options}')
    more = ("--config", "few.toml", "--no-cache")
    assert ganaudit("audit", *more, "--other", turned, "--out", "with").code == 0
    assert ganaudit("audit", *more, "--out", "without").code == 3  # asked for, and not assessable
    beside, alone = (json.loads(Path(name, "document.json").read_text()) for name in ("with", "without"))
    assert [o["name"] for o in beside["others"]] == ["turned"]
    assert beside["plan"]["others"]["turned"]["subject"] == str(turned)
    assert "others" not in alone["plan"]
    fields = [one["comparability"]["fields"]["evaluators"] for one in (beside, alone)]
    assert fields[0]["attack-transfer"]["others"] == {"turned": beside["others"][0]["digest"]}
    assert fields[0]["discriminator-detection"] == fields[1]["discriminator-detection"]
    rows = [{r["evaluator"]: r for r in one["results"]} for one in (beside, alone)]
    assert rows[1]["attack-transfer"]["status"] == "not_assessable"
    assert "--other NAME=SUBJECT" in rows[1]["attack-transfer"]["reason"]
    numbers = [row["discriminator-detection"]["measurements"] for row in rows]
    assert numbers[0] == numbers[1]


def test_an_other_without_a_discriminator_is_refused(ganaudit: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", np.zeros((4, 16, 16, 1), np.uint8))
    called = ganaudit("audit", "digits", "--other", "files=images.npy", "--dry-run")
    assert called.code == 2
    assert "other 'files'" in called.err
    assert "has no discriminator" in called.err


def test_an_other_that_is_not_there_is_told_by_its_name(ganaudit: Run) -> None:
    called = ganaudit("audit", "digits", "--other", "old=nowhere", "--dry-run")
    assert called.code == 2
    assert "other 'old': subject 'nowhere': no such file" in called.err


def test_a_pair_of_programs_stands_in_a_table(programs: Path, ganaudit: Run, tmp_path: Path) -> None:
    shutil.copytree(programs, tmp_path / "mine", dirs_exist_ok=True)
    (tmp_path / "audit.toml").write_text(
        'subject = "mine/g.pt2"\ndiscriminator = "mine/d.pt2"\nreference = "digits"\nresize = [16, 16]\n'
        '[others.traced]\nsubject = "mine/g.pt"\ndiscriminator = "mine/d.pt"\nlatent = 8\nrange = [-1.0, 1.5]\n'
    )
    called = ganaudit("audit", "--dry-run", "--json")
    assert called.code == 0, called.err
    assert "mapped linearly onto its range [-1, 1.5]" in json.loads(called.out)["others"]["traced"]


def test_keys_are_checked_and_paths_are_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "old").mkdir()
    file = tmp_path / "sub" / "audit.toml"
    file.write_text('subject = "digits"\n[others]\na = "old"\nb = "digits"\n[others.c]\nsubject = "old"\n')
    plan = load_plan(file, {"others": {"d": {"subject": "x"}}}, [])
    assert {name: one.subject for name, one in plan.others.items()} == {
        "a": str(tmp_path / "sub" / "old"), "b": "digits", "c": str(tmp_path / "sub" / "old"), "d": "x",
    }  # fmt: skip
    file.write_text('subject = "digits"\n[others.c]\nsubjct = "old"\n')
    with pytest.raises(ConfigError, match=r"others\.c\.subjct: unknown key; nearest: subject"):
        load_plan(file, {}, [])


def test_names_come_from_the_text_or_from_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rate=0.1").mkdir()
    (tmp_path / "v1.5").mkdir()
    found = _others(["old=runs/a", "runs/b/g.pt2", "digits", "rate=0.1", "v1.5", "runs/rate=3/c"])
    assert {name: one["subject"] for name, one in found.items()} == {
        "old": "runs/a", "g": "runs/b/g.pt2", "digits": "digits", "rate=0.1": "rate=0.1", "v1.5": "v1.5",
        "c": "runs/rate=3/c",
    }  # fmt: skip
    with pytest.raises(ConfigError, match="was named before"):
        _others(["a=x", "a=y"])
    with pytest.raises(ConfigError, match="NAME=SUBJECT is asked for"):
        _others(["a="])
