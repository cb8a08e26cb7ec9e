"""``ganaudit weights`` from outside: streams, exit codes, and a server on this machine."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ganaudit.weights import manifest
from ganaudit.weights.manifest import Entry

from ..weights import site as serve
from .conftest import Run

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "b": torch.tensor([1, 2])}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "toy-published.pth"
    torch.save(TENSORS, path)
    return path


@pytest.fixture(autouse=True)
def _own_manifest(tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One entry whose file the tests can make, and an empty cache."""
    content = published.read_bytes()
    toy = Entry("toy", published.name, len(content), sha(content), "https://weights.invalid/t", "MIT", "a toy")
    monkeypatch.setattr("ganaudit.weights.cache.known", lambda: {"toy": toy})
    monkeypatch.setenv("GANAUDIT_CACHE", str(tmp_path / "cache"))


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def last(called: object) -> str:
    return called.err.strip().splitlines()[-1]


def test_list_says_what_is_known_and_there(ganaudit: Run, tmp_path: Path, published: Path) -> None:
    called = ganaudit("weights", "list")
    assert called.code == 0
    assert "toy" in called.out
    assert "absent" in called.out
    assert last(called).startswith("exit 0: 1 names: 1 absent; they lie in ")
    ganaudit("weights", "add", published)
    (tmp_path / "mine.bin").write_bytes(b"mine")
    ganaudit("weights", "add", "mine.bin", "--name", "mine")
    called = ganaudit("weights", "list", "--json")
    toy, mine = json.loads(called.out)
    assert (toy["name"], toy["state"], toy["published"], toy["licence"]) == ("toy", "verified", True, "MIT")
    assert (mine["name"], mine["state"], mine["published"]) == ("mine", "verified", False)
    assert mine["purpose"] == "not a published file"
    assert mine["sha256"] == mine["expected"] == sha(b"mine")
    assert Path(toy["path"]).is_relative_to(tmp_path / "cache" / "weights")
    assert "not a published file" in ganaudit("weights", "list").out


def test_add_refuses_the_wrong_file_with_both_hashes(ganaudit: Run, published: Path) -> None:
    right = sha(published.read_bytes())
    published.write_bytes(b"wrong")
    called = ganaudit("weights", "add", published)
    assert called.code == 2
    assert f"sha256 found     {sha(b'wrong')}" in called.err
    assert f"sha256 expected  {right}" in called.err
    assert called.out == ""
    assert last(called) == "exit 2: unusable input"


def test_add_converts_to_safetensors(ganaudit: Run, published: Path) -> None:
    called = ganaudit("weights", "add", published, "--convert", "--json")
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert told["converted_from"] == sha(published.read_bytes())
    assert told["path"].endswith("toy-published.safetensors")
    found = load_file(told["path"])
    assert found.keys() == TENSORS.keys()
    assert all(torch.equal(found[name], TENSORS[name]) for name in found)
    assert ganaudit("weights", "verify", "toy").code == 0


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return (os.system, (f"touch '{self.mark}'",))


def test_converting_never_runs_what_a_file_says(ganaudit: Run, tmp_path: Path) -> None:
    torch.save({"a": Trap(tmp_path / "mark")}, tmp_path / "trap.pth")
    called = ganaudit("weights", "add", "trap.pth", "--name", "mine", "--convert")
    assert called.code == 2
    assert "cannot be read as plain tensors" in called.err
    assert not (tmp_path / "mark").exists()
    assert json.loads(ganaudit("weights", "list", "--json").out)[-1]["name"] == "toy"


def test_fetch_and_verify(ganaudit: Run, published: Path) -> None:
    content = published.read_bytes()
    with serve.running(content) as site:
        called = ganaudit("weights", "fetch", "toy", "--from", site.root, "--json")
        assert called.code == 0, called.err
        told = json.loads(called.out)
        assert (told["state"], told["origin"]) == ("verified", f"{site.root}/{published.name}")
        assert last(called) == "exit 0: fetched and verified: toy"
        assert ganaudit("weights", "verify").code == 0
        Path(told["path"]).write_bytes(b"rotten")
        called = ganaudit("weights", "verify", "--json")
        assert called.code == 1
        (row,) = json.loads(called.out)
        assert (row["state"], row["sha256"], row["expected"]) == ("wrong", sha(b"rotten"), sha(content))
        assert f"expected  {sha(content)}" in called.err
        assert last(called) == "exit 1: 1 wrong"
        assert ganaudit("weights", "fetch", "toy", "--url", site.url).code == 0
        assert last(ganaudit("weights", "verify", "toy")) == "exit 0: 1 verified"


def test_fetch_tells_why_it_failed(ganaudit: Run, published: Path) -> None:
    with serve.running(b"something else") as site:
        called = ganaudit("weights", "fetch", "toy", "--url", site.url)
        assert called.code == 2
        assert "it is not the right file" in called.err
        site.script = [serve.status(404)]
        assert "answered 404" in ganaudit("weights", "fetch", "toy", "--url", site.url).err
    called = ganaudit("weights", "fetch", "toi")
    assert called.code == 2
    assert "nearest: toy" in called.err
    called = ganaudit("weights", "fetch", "toy", "--url", "http://weights.invalid/w")
    assert called.code == 2
    assert "only https" in called.err


def test_verify_of_what_is_not_there(ganaudit: Run) -> None:
    called = ganaudit("weights", "verify")
    assert (called.code, last(called)) == (0, "exit 0: no weights file is there")
    called = ganaudit("weights", "verify", "toy")
    assert (called.code, last(called)) == (2, "exit 2: 1 absent")
    called = ganaudit("weights", "verify", "toi")
    assert called.code == 2
    assert "nearest: toy" in called.err


def test_weights_without_a_verb_shows_the_verbs(ganaudit: Run) -> None:
    called = ganaudit("weights")
    assert called.code == 2
    for name in ("list", "add", "fetch", "verify"):
        assert f"\n  {name} " in called.err


def test_weights_never_imports_torch(tmp_path: Path) -> None:
    """Listing, adding, fetching and verifying answer at once; only a conversion needs torch."""
    (tmp_path / "mine.bin").write_bytes(b"mine")
    code = (
        "import sys\nfrom ganaudit.cli.main import run\n"
        "codes = [run(['weights', 'list']), run(['weights', 'add', 'mine.bin', '--name', 'mine']),"
        " run(['weights', 'fetch', 'vgg16', '--url', 'http://127.0.0.1:9/w', '--tries', '1']),"
        " run(['weights', 'verify'])]\n"
        "print('PROBE', codes, [m for m in ('torch', 'scipy', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.stdout.rpartition("PROBE ")[2].strip() == "[0, 0, 2, 0] []", done.stdout + done.stderr


def test_the_manifest_travels_with_the_package() -> None:
    assert "inception-v3" in manifest.known()
