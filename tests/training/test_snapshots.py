"""Subjects kept on the way: what the run was then, changing nothing, and fit to be audited."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from ganaudit.cli.main import run as ganaudit
from ganaudit.subjects.directory import read_subject_file
from ganaudit.training.checkpoint import checkpoints

from .recipes import tiny
from .test_runs import assert_equal, run

KEPT = ["000000224", "000000416", "000000608"]
"""The first multiples of the batch of 32 at or after 200, 400 and 600."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("snapshots") / "whole"
    run(tiny(snapshot=200), folder)
    return folder


def snapshots(folder):
    return {path.name: path for path in (folder / "snapshots").iterdir()}


def test_a_snapshot_is_what_a_checkpoint_of_that_moment_holds(whole, tmp_path):
    assert sorted(snapshots(whole)) == KEPT
    run(tiny(), tmp_path / "part", stop_after=416)
    with safe_open(checkpoints(tmp_path / "part")[0], framework="pt") as file:
        held = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    for role, within in (("generator", "average"), ("discriminator", "discriminator")):
        kept = load_file(snapshots(whole)["000000416"] / f"{role}.safetensors")
        assert kept
        assert all(torch.equal(tensor, held[f"{within}/{name}"]) for name, tensor in kept.items())


def test_keeping_some_changes_nothing_also_over_a_resume(whole, tmp_path):
    run(tiny(), tmp_path / "without")
    assert_equal(whole, tmp_path / "without")
    run(tiny(snapshot=200), tmp_path / "parts", stop_after=320)
    assert sorted(snapshots(tmp_path / "parts")) == KEPT[:1]
    run(tiny(snapshot=200), tmp_path / "parts", resume=True)
    assert sorted(snapshots(tmp_path / "parts")) == KEPT
    for name in KEPT:
        assert_equal(snapshots(whole)[name], snapshots(tmp_path / "parts")[name])


def test_they_can_be_asked_for_in_a_run_that_has_begun(tmp_path):
    run(tiny(), tmp_path, stop_after=320)
    run(tiny(snapshot=200), tmp_path, resume=True, allow_change=True)
    assert sorted(snapshots(tmp_path)) == KEPT[1:]


def test_its_record_says_that_it_is_no_end(whole):
    described = read_subject_file(snapshots(whole)["000000224"] / "subject.toml")
    assert described.name == "tiny-224"
    assert described.training["images"] == 224
    assert "as they stood at 224 images, before the end" in described.training["weights"]
    assert "split_digest" in described.training


def test_checkpoints_of_one_run_stand_beside_each_other(whole, tmp_path, capsys):
    early, late = (snapshots(whole)[name] for name in ("000000224", "000000608"))
    (tmp_path / "audit.toml").write_text(
        f'subject = "{whole}"\nsamples = 64\ncache = false\n[others]\nearly = "{early}"\n'
        "[evaluators.discriminator-detection]\n[evaluators.attack-transfer]\nsamples = 4\nsteps = 2\n"
    )
    out = tmp_path / "out"
    assert ganaudit(["audit", "--config", str(tmp_path / "audit.toml"), "--other", str(late), "--out", str(out)]) == 0
    capsys.readouterr()
    document = json.loads((out / "document.json").read_text())
    assert [o["name"] for o in document["others"]] == ["early", "000000608"]
    assert document["others"][0]["training"]["images"] == 224
    assert len({document["subject"]["digest"], *(o["digest"] for o in document["others"])}) == 3
    rows = {row["evaluator"]: row for row in document["results"]}
    assert rows["attack-transfer"]["status"] == "measured"
    tables = {d["title"]: d for d in rows["discriminator-detection"]["details"] if d["kind"] == "table"}
    compared = tables["Against other discriminators, same samples"]["rows"]
    assert [row[0] for row in compared] == ["early", "000000608"]
    assert len({row[2] for row in compared}) == 2, "two checkpoints, two areas"


def test_a_snapshot_is_a_subject(whole, tmp_path, capsys):
    early = snapshots(whole)["000000224"]
    assert ganaudit(["audit", str(early), "--samples", "64", "--evaluators", "discriminator-detection", "--out",
                     str(tmp_path / "out"), "--no-cache"]) == 0  # fmt: skip
    capsys.readouterr()
    assert json.loads((tmp_path / "out" / "document.json").read_text())["subject"]["name"] == "tiny-224"
