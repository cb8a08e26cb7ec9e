"""Pickled networks: read only where their code is trusted; weights alone are told apart without being unpickled."""

import argparse
import hashlib
import io
import json
import os
import pickle
import shlex
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ganaudit.document.errors import SubjectError
from ganaudit.programs.forms import is_pickled, pickled
from ganaudit.subjects.exported_program import ExportedProgram
from ganaudit.subjects.loading import LoadOptions, load_subject
from ganaudit.subjects.pickled import PickledNetwork
from ganaudit.subjects.programs import read_discriminator
from ganaudit.subjects.subject import Subject
from ganaudit.subjects.torchscript import TorchScript

from .networks import LATENT, Discriminator, Generator, find, members, zipped


def load(path: Path, **more) -> Subject:
    options = LoadOptions(network=find, **({"trust_code": True, "latent": LATENT} | more))
    return load_subject(str(path), [PickledNetwork(), TorchScript()], [], options)


def saved(value: object, path: Path, form: str = "archive") -> Path:
    if form == "bare":
        path.write_bytes(pickle.dumps(value))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=form == "archive")
    return path


FORMS = ("archive", "legacy", "bare")


class Plain(torch.nn.Module):
    """A generator without functions of its own, which a pickle can hold."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.linear = torch.nn.Linear(LATENT, 48)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.linear(z)).view(-1, 3, 4, 4)


class Judge(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.linear = torch.nn.Linear(48, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
@pytest.mark.parametrize("form", FORMS)
def test_a_pickled_network_is_a_subject_of_the_level_code(tmp_path: Path, form: str, suffix: str) -> None:
    path = saved(Plain().train(), tmp_path / f"g{suffix}", form)
    made = load(path)
    assert (made.trust, made.kind, made.name, made.path) == ("code", "pickle", "g", str(path))
    assert not made.generator.training
    z = made.latents(0, 0, 5)
    torch.testing.assert_close(made.generate(z), Plain()(z).detach())


def test_the_digest_is_of_the_bytes_of_the_files(tmp_path: Path) -> None:
    g, d = saved(Plain(), tmp_path / "g.pth"), saved(Judge(), tmp_path / "d.pkl", "bare")
    made = load(g, discriminator=d, value_range=(-2.0, 2.0))
    assert made.trust == "code"
    sums = {
        role: "sha256:" + subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout[:64]
        for role, path in (("generator", g), ("discriminator", d))
    }
    told = {"classes": 0, "files": sums, "latent": LATENT, "range": [-2.0, 2.0]}
    canonical = json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert made.digest == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("role", ["generator", "discriminator"])
def test_without_trust_nothing_is_unpickled(tmp_path: Path, trap, programs, form: str, suffix: str, role: str) -> None:
    path = saved({"network": trap}, tmp_path / f"checkpoint{suffix}", form)
    subject, more = (path, {}) if role == "generator" else (programs["script"], {"discriminator": path})
    with pytest.raises(SubjectError) as caught:
        load(subject, trust_code=False, **more)
    told = str(caught.value)
    for words in (str(path), "runs whatever code it names", "It was not opened", "--trust-code", "torch.export.save"):
        assert words in told
    if form != "bare":  # there the name is made by the pickle itself
        assert "here posix.system" in told
    assert not trap.mark.exists()
    with pytest.raises(SubjectError, match=r"holds a dict \(network: int\), and no network"):
        load(subject, **more)
    assert trap.mark.exists()  # the trap does work


@pytest.mark.parametrize("suffix", [".ts", ".PT", ".bin", ".ckpt", ".pickle"])
def test_a_pickle_is_told_as_one_under_any_of_the_usual_names(tmp_path: Path, trap, suffix: str) -> None:
    path = saved({"network": trap}, tmp_path / f"checkpoint{suffix}")
    with pytest.raises(SubjectError, match=r"a pickled object, written by torch\.save"):
        load(path, trust_code=False)
    assert not trap.mark.exists()


@pytest.mark.parametrize("protocol", [0, 1])
def test_a_pickle_without_a_mark_is_told_as_one_and_read_when_trusted(tmp_path: Path, trap, protocol: int) -> None:
    path = tmp_path / "g.pkl"
    path.write_bytes(pickle.dumps(trap, protocol))
    with pytest.raises(SubjectError, match=r"a pickled object, written by Python's pickle; .* here posix\.system"):
        load(path, trust_code=False)
    assert not trap.mark.exists()
    path.write_bytes(pickle.dumps(Plain(), protocol))
    z = torch.randn(2, LATENT)
    torch.testing.assert_close(load(path).generate(z), Plain()(z).detach())


@pytest.mark.parametrize("text", ["", "c", "(hello)", "class Generator:\n    pass\n", "{}", "cat dog\nfish\n", "]\n"])
def test_plain_text_is_no_pickle(tmp_path: Path, text: str) -> None:
    path = tmp_path / "g.pkl"
    path.write_text(text)
    assert not is_pickled(path)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("form", ["archive", "legacy", "safetensors"])
def test_weights_alone_are_told_apart_and_explained(tmp_path: Path, form: str, trust: bool) -> None:
    weights = Generator().state_dict()
    if form == "safetensors":
        path = tmp_path / "g.safetensors"
        save_file(weights, path)
    else:
        path = saved({"epoch": 3, "G": weights, "rate": 2e-4, "name": "dcgan"}, tmp_path / "g.pth", form)
    with pytest.raises(SubjectError) as caught:
        load(path, trust_code=trust)
    told = str(caught.value)
    names = "linear.bias, linear.weight" if form == "safetensors" else "linear.weight, linear.bias"
    for words in (
        f"holds weights alone ({names})",
        "no network",
        "load_state_dict",
        "my_module:gene",
    ):
        assert words in told
    with pytest.raises(SubjectError, match=r"(?s)holds weights alone.*--discriminator my_module:disc"):
        read_discriminator(LoadOptions(network=find, discriminator=path, trust_code=trust))


def test_a_checkpoint_of_weights_and_objects_is_no_weights_file(tmp_path: Path) -> None:
    path = saved({"G": Generator().state_dict(), "args": argparse.Namespace(nz=8)}, tmp_path / "c.pth")
    assert pickled(path).names == ("argparse.Namespace",)
    with pytest.raises(SubjectError, match=r"here argparse\.Namespace"):
        load(path, trust_code=False)
    with pytest.raises(SubjectError, match=r"holds a dict \(G: OrderedDict, args: Namespace\), and no network"):
        load(path)


@pytest.mark.parametrize("trust", [False, True])
def test_what_is_said_to_hold_weights_alone_does_so_to_torch(tmp_path: Path, trust: bool) -> None:
    for number, (value, is_weights) in enumerate(
        [
            (Generator().state_dict(), True),
            ([torch.zeros(2, dtype=torch.bfloat16), torch.nn.Parameter(torch.zeros(3)), torch.Size([1])], True),
            (torch.optim.Adam(Generator().parameters()).state_dict() | {"x": torch.zeros(1)}, True),
            (Plain(), False),
            ({"g": Judge()}, False),
        ]
    ):
        path = saved(value, tmp_path / f"{number}.pth")
        assert pickled(path).is_weights == is_weights
        try:
            torch.load(path, weights_only=True)
            loads = True
        except pickle.UnpicklingError:
            loads = False
        assert loads == is_weights


# --- files that are not what they seem


def cut(path: Path, share: float = 0.5) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    return path


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
def test_an_archive_that_was_cut_off_is_told(tmp_path: Path, suffix: str, trust: bool) -> None:
    path = cut(saved(Plain(), tmp_path / f"g{suffix}"))
    with pytest.raises(
        SubjectError, match="begins as a zip archive and has no end, so it was cut off: copy or"
    ) as caught:
        load(path, trust_code=trust)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("form", ["legacy", "bare"])
def test_a_pickle_that_was_cut_off_is_told(tmp_path: Path, form: str) -> None:
    path = cut(saved(Plain(), tmp_path / "g.pkl", form), 0.6)
    with pytest.raises(SubjectError, match=f"subject {path}: cannot be unpickled: "):
        load(path)
    with pytest.raises(SubjectError, match="a pickled object, written by"):
        load(path, trust_code=False)


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("suffix", [".pt", ".pkl"])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"a.png": b"x", "b.png": b"y"}, "a zip archive, but none that torch writes; it holds a.png, b.png"),
        ({}, "a zip archive, but none|begins with|cut off"),
        ({"m/models/model.json": b"{}"}, r"holds an exported program: let its name end in \.pt2"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "begins with b'version https://"),
        (b"", "it is empty"),
    ],
)
def test_a_file_that_lies_about_its_type_is_told(tmp_path: Path, content, told: str, suffix: str, trust: bool) -> None:
    path = tmp_path / f"g{suffix}"
    if isinstance(content, dict):
        zipped(path, content)
    else:
        path.write_bytes(content)
    with pytest.raises(SubjectError, match=told) as caught:
        load(path, trust_code=trust)
    assert str(path) in str(caught.value)


def test_an_archive_with_a_broken_pickle_is_told(tmp_path: Path) -> None:
    path = saved(Plain(), tmp_path / "g.pth")
    content = members(path)
    pickle_name = next(name for name in content if name.endswith("data.pkl"))
    zipped(path, content | {pickle_name: content[pickle_name][:50]})
    with pytest.raises(SubjectError, match="cannot be unpickled"):
        load(path)
    with pytest.raises(SubjectError, match=r"a pickled object, written by torch\.save"):
        load(path, trust_code=False)


def test_a_class_that_is_not_there_is_told(tmp_path: Path) -> None:
    script = (
        "import torch\n"
        "class G(torch.nn.Linear):\n    pass\n"
        "torch.save(G(2, 3), 'script.pth')\n"
        "import types, sys\n"
        "module = sys.modules['gone'] = types.ModuleType('gone')\n"
        "module.G = G\nG.__module__ = 'gone'\n"
        "torch.save(G(2, 3), 'gone.pth')\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    with pytest.raises(SubjectError, match=r"its class __main__\.G was defined in a script, where no other program"):
        load(tmp_path / "script.pth")
    with pytest.raises(SubjectError, match=r"needs the module 'gone', which is not there; run ganaudit in the folder"):
        load(tmp_path / "gone.pth")


def test_torchscript_is_read_as_before_with_trust_and_without(programs) -> None:
    assert not is_pickled(programs["script"])
    assert not PickledNetwork().accepts(programs["script"])
    digests = {load(programs["script"], trust_code=trust).digest for trust in (False, True)}
    assert len(digests) == 1
    made = load(programs["script"], discriminator=programs["script-judge"])
    assert made.trust == "operators"


def test_a_network_of_trusted_code_beside_operators_is_code(tmp_path: Path, programs) -> None:
    judge = saved(Judge(), tmp_path / "d.pth")
    assert load(programs["script"], discriminator=judge).trust == "code"


def test_the_rest_of_a_legacy_file_is_not_looked_through(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    torch.save(Discriminator().state_dict(), buffer, _use_new_zipfile_serialization=False)
    path = tmp_path / "d.pth"
    path.write_bytes(buffer.getvalue() + b"\xff" * 100)
    assert pickled(path).is_weights


# --- the way out that the refusal shows


@pytest.mark.parametrize("form", ["archive", "bare"])
def test_the_command_of_the_refusal_writes_a_file_without_python(tmp_path: Path, form: str) -> None:
    path = saved(Plain(), tmp_path / "g.pth", form)
    with pytest.raises(SubjectError) as caught:
        load(path, trust_code=False)
    (command,) = [line.strip() for line in str(caught.value).splitlines() if line.startswith("  python -c ")]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    arguments = [sys.executable, *shlex.split(command)[1:]]
    subprocess.run(arguments, cwd=tmp_path, env=environment, check=True, capture_output=True)
    made = ExportedProgram().load(tmp_path / "generator.pt2", LoadOptions(network=find))
    assert (made.trust, made.block) == ("operators", None)
    z = made.latents(0, 0, 5)
    torch.testing.assert_close(made.generate(z), Plain()(z).detach())


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_pickle_is_refused_within_seconds(tmp_path: Path, form: str) -> None:
    """Looking through a pickle must not cost what unpickling would: 100 million marks, one byte each."""
    flood = b"\x80\x02" + b"(" * 10**8
    path = tmp_path / "g.pth"
    if form == "archive":
        zipped(path, {"g/data.pkl": flood}, zipfile.ZIP_DEFLATED)
        assert path.stat().st_size < 10**6
    elif form == "legacy":
        torch.save([], path, _use_new_zipfile_serialization=False)
        path.write_bytes(path.read_bytes()[:15] + b"\x80\x02K\x01." * 2 + flood)
    else:
        path.write_bytes(flood)
    started = time.process_time()
    with pytest.raises(SubjectError, match="a pickled object, written by"):
        load(path, trust_code=False)
    assert time.process_time() - started < 20
