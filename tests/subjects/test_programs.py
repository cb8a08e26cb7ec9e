"""Programs read from files: TorchScript and exported programs, generators and discriminators."""

import pickle
import zipfile

import pytest
import torch

from ganaudit.document.errors import SubjectError
from ganaudit.subjects.exported_program import ExportedProgram
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.torchscript import TorchScript

from .networks import (
    LATENT,
    Attentive,
    Branching,
    Conditional,
    Discriminator,
    Generator,
    Image,
    Normalised,
    Paired,
    export,
    find,
    members,
    script,
    zipped,
)


def options(**more):
    return LoadOptions(network=find, **more)


def load(path, **more):
    loader = ExportedProgram() if path.suffix == ".pt2" else TorchScript()
    assert loader.accepts(path)
    return loader.load(path, options(**more))


# --- what both formats promise


@pytest.mark.parametrize(("name", "more"), [("dynamic", {}), ("static", {}), ("script", {"latent": LATENT})])
def test_a_program_generates_what_its_network_does(programs, name, more):
    made = load(programs[name], **more)
    assert made.trust == "operators"
    assert made.sample.shape == (3, 4, 4)
    z = made.latents(0, 0, 4)
    torch.testing.assert_close(made.generate(z), Generator().eval()(z).detach())
    assert not any(check.startswith("caution") for check in made.checks)


@pytest.mark.parametrize("judge", ["judge", "script-judge"])
@pytest.mark.parametrize(("name", "more"), [("dynamic", {}), ("script", {"latent": LATENT})])
def test_a_discriminator_of_either_format_stands_beside(programs, name, more, judge):
    made = load(programs[name], discriminator=programs[judge], **more)
    x = made.generate(made.latents(0, 0, 6))
    torch.testing.assert_close(made.discriminate(x), Discriminator()(x)[:, 0].detach().double())
    assert made.digest != load(programs[name], **more).digest


@pytest.mark.parametrize("name", ["dynamic", "script"])
def test_the_digest_is_of_the_file_and_the_spec(programs, name):
    def digest(**more):
        return load(programs[name], **({"latent": LATENT} | more)).digest

    assert digest() == digest()
    assert len({digest(), digest(value_range=(-2.0, 2.0))}) == 2


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("none.pt2", "no such file"),
        ("judge.h5", r"allowed: \.pt2 \(exported program\), \.pt, \.ts, \.pth \(TorchScript\), \.onnx"),
        ("broken.pt2", "not a whole zip archive"),
        ("broken.pt", "not TorchScript"),
    ],
)
def test_a_discriminator_that_cannot_be_read_is_told(programs, tmp_path, name, told):
    path = tmp_path / name
    if not name.startswith("none"):
        path.write_bytes(b"not a program")
    with pytest.raises(SubjectError, match=told) as caught:
        load(programs["dynamic"], discriminator=path)
    assert str(path) in str(caught.value)


def test_a_range_that_does_not_hold_is_told_with_the_option(programs):
    with pytest.raises(SubjectError, match="--range LOW,HIGH"):
        load(programs["dynamic"], value_range=(0.0, 1.0))


# --- TorchScript


def test_torchscript_needs_the_latent_size(programs):
    with pytest.raises(SubjectError, match="does not tell the latent size; say it with --latent N") as caught:
        load(programs["script"])
    assert str(programs["script"]) in str(caught.value)


def test_the_wrong_latent_size_of_torchscript_is_told(programs):
    with pytest.raises(SubjectError, match=r"generator: refused latents \(4, 9\): .*--latent N sets the latent size"):
        load(programs["script"], latent=9)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_pickled_checkpoint_is_refused_unread(tmp_path, trap, form):
    path = tmp_path / "checkpoint.pt"
    if form == "bare":
        path.write_bytes(pickle.dumps(trap))
    else:
        torch.save({"generator": trap}, path, _use_new_zipfile_serialization=form == "zip")
    assert not TorchScript().accepts(path)  # it is for the reader of pickles, which asks for --trust-code
    with pytest.raises(SubjectError, match=r"not TorchScript .*never opened.*torch\.export\.save") as caught:
        TorchScript().load(path, options(latent=LATENT))
    assert str(path) in str(caught.value)
    assert not trap.mark.exists()
    torch.load(path, weights_only=False) if form != "bare" else pickle.loads(path.read_bytes())
    assert trap.mark.exists()  # the trap does work


def test_a_checkpoint_that_poses_as_torchscript_runs_nothing(tmp_path, trap):
    path = tmp_path / "checkpoint.pt"
    torch.save({"generator": trap}, path)
    content = members(path)
    root = next(iter(content)).partition("/")[0]
    zipped(path, content | {f"{root}/code/__torch__.py": b"", f"{root}/constants.pkl": pickle.dumps(trap)})
    with pytest.raises(SubjectError, match="torch cannot read it as TorchScript"):
        load(path, latent=LATENT)
    assert not trap.mark.exists()


class Writing(torch.nn.Module):
    """TorchScript knows operators that write files."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path
        self.linear = torch.nn.Linear(8, 48)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        torch.save(z, self.path)
        return torch.tanh(self.linear(z)).view(-1, 3, 4, 4)


class Mapping(Writing):
    def forward(self, z: torch.Tensor) -> torch.Tensor:
        mapped = torch.from_file(self.path, True, 16)
        return torch.tanh(self.linear(z)).view(-1, 3, 4, 4) + 0 * mapped[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("module", "told"), [(Writing, "save"), (Mapping, "from_file")])
def test_torchscript_that_reaches_files_is_refused(tmp_path, module, told):
    mark, path = tmp_path / "written", tmp_path / "writes.pt"
    torch.jit.script(module(str(mark))).save(str(path))
    with pytest.raises(SubjectError, match=f"refused unread: .*its code says '{told}'"):
        load(path, latent=LATENT)
    assert not mark.exists()
    torch.jit.load(str(path))(torch.zeros(2, 8))
    assert mark.exists()  # it does write


@pytest.mark.parametrize("damage", ["truncated", "emptied", "no-code"])
def test_a_damaged_torchscript_file_is_told(programs, tmp_path, damage):
    path = tmp_path / "damaged.pt"
    content = programs["script"].read_bytes()
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        kept = {name: data for name, data in members(programs["script"]).items() if "linear" not in name.lower()}
        zipped(path, kept)
    with pytest.raises(SubjectError) as caught:
        load(path, latent=LATENT)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- exported programs


def test_a_dynamic_program_tells_its_latent_size_and_takes_any_batch(programs):
    made = load(programs["dynamic"])
    assert made.latent.size == LATENT
    assert made.block is None
    rows = made.generate(made.latents(0, 0, 7))
    torch.testing.assert_close(made.generate(made.latents(0, 3, 1)), rows[3:4])


def test_a_static_program_is_only_called_with_its_batch(programs):
    made = load(programs["static"])
    assert made.block == 4
    with pytest.raises(SubjectError, match=r"refused latents \(5, 8\)"):
        made.generate(made.latents(0, 0, 5))


@pytest.mark.parametrize("name", ["dynamic", "static"])
def test_a_latent_size_that_contradicts_the_program_is_told(programs, name):
    assert load(programs[name], latent=LATENT).latent.size == LATENT
    with pytest.raises(SubjectError, match="--latent 16 was asked; the program takes latents of size 8"):
        load(programs[name], latent=16)


def test_two_static_batches_must_agree(programs):
    with pytest.raises(SubjectError, match=r"takes batches of 4, --discriminator .*judge-of-3\.pt2 of 3"):
        load(programs["static"], discriminator=programs["judge-of-3"])
    made = load(programs["dynamic"], discriminator=programs["judge-of-3"])
    assert made.block == 3


B = torch.export.Dim("b")
KINDS = {
    "transposed convolution, norms, interpolation": (Image, B),
    "static": (Image, None),
    "attention": (Attentive, B),
    "parametrised, embedding, constant": (Normalised, B),
    "guards on pairs": (Paired, 2 * torch.export.Dim("half", min=2, max=512)),
    "bounded batch": (Generator, torch.export.Dim("few", min=2, max=64)),
    "automatic batch": (Generator, torch.export.Dim.AUTO),
    "branches": (Branching, None),
}


@pytest.mark.parametrize("kind", list(KINDS))
def test_good_programs_of_every_kind_are_read(tmp_path, kind):
    build, batch = KINDS[kind]
    module = build().eval()
    path = export(module, tmp_path / "good.pt2", torch.randn(4, LATENT), batch=batch)
    made = load(path)
    z = made.latents(1, 0, made.block or 6)
    torch.testing.assert_close(made.generate(z), module(z).detach(), rtol=1e-5, atol=1e-6)


def test_a_conditional_program_is_given_labels(tmp_path):
    inputs = (torch.zeros(4, LATENT), torch.tensor([0, 1, 2, 3]))
    path = export(Conditional(), tmp_path / "conditional.pt2", *inputs, batch=B)
    made = load(path, classes=5)
    z, labels = made.latents(0, 0, 6), made.labels(0, 0, 6)
    torch.testing.assert_close(made.generate(z, labels), Conditional().eval()(z, labels).detach())
    with pytest.raises(SubjectError, match="--classes N makes labels"):
        load(path)


def test_a_program_for_another_torch_says_so(programs, tmp_path):
    path = zipped(tmp_path / "old.pt2", {"version": b"8.2", "serialized_exported_program.json": b"{}"})
    with pytest.raises(SubjectError, match=r"holds no program; save it with torch\.export\.save"):
        load(path)
    renamed = tmp_path / "renamed.pt2"
    renamed.write_bytes(programs["script"].read_bytes())
    with pytest.raises(SubjectError) as caught:
        load(renamed)
    assert str(renamed) in str(caught.value)


def test_only_files_of_the_format_are_accepted(programs, tmp_path):
    assert not ExportedProgram().accepts(programs["script"])
    assert not TorchScript().accepts(programs["dynamic"])
    (tmp_path / "folder.pt2").mkdir()
    assert not ExportedProgram().accepts(tmp_path / "folder.pt2")
    assert zipfile.is_zipfile(programs["dynamic"])
    assert script(Generator(), tmp_path / "again.ts", torch.zeros(4, LATENT)).suffix == ".ts"
