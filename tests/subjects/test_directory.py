"""The directory that training leaves, whole and damaged."""

import hashlib

import pytest
import tomlkit
import torch

from ganaudit.document.errors import OutputError, SubjectError
from ganaudit.subjects.directory import Directory, write_directory
from ganaudit.subjects.loading import LoadOptions, load_subject
from ganaudit.subjects.samples import SampleFiles
from ganaudit.subjects.subject import LatentSpec, SampleSpec

from .networks import LATENT, Discriminator, Generator, find

OPTIONS = LoadOptions(network=find)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "made"
    write_directory(
        path,
        "made",
        LatentSpec(LATENT),
        SampleSpec((3, 4, 4)),
        {
            "generator": ("fake-generator", {"channels": 3}, Generator().state_dict()),
            "discriminator": ("fake-discriminator", {"form": "b"}, Discriminator().state_dict()),
        },
        {"data": "digits", "images": 1000},
    )
    return path


def load(folder):
    return Directory().load(folder, OPTIONS)


def edit(folder, change):
    file = folder / "subject.toml"
    data = tomlkit.parse(file.read_text()).unwrap()
    change(data)
    file.write_text(tomlkit.dumps(data))


def test_what_is_written_is_read_back(folder):
    made = load(folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "discriminator.safetensors",
        "generator.safetensors",
        "subject.toml",
    ]
    assert (made.name, made.kind, made.trust) == ("made", "directory", "data")
    assert made.training == {"data": "digits", "images": 1000}
    z = made.latents(0, 0, 5)
    assert torch.equal(made.generate(z), Generator().eval()(z).detach())
    assert made.discriminate(made.generate(z)).shape == (5,)
    assert load(folder).digest == made.digest


def test_the_digest_is_of_the_weights_not_of_what_training_says(folder):
    before = load(folder).digest
    edit(folder, lambda data: data["training"].update(images=5) or data.update(name="other"))
    assert load(folder).digest == before
    edit(folder, lambda data: data["sample"].update(range=[-2.0, 2.0]))
    assert load(folder).digest != before


def test_a_generator_alone_is_a_subject(folder):
    edit(folder, lambda data: data.pop("discriminator"))
    assert load(folder).discriminator is None


def test_weights_that_are_not_the_ones_described_are_refused(folder):
    file = folder / "generator.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(SubjectError, match="the weights are not the ones described: restore them") as caught:
        load(folder)
    assert str(file) in str(caught.value)
    assert hashlib.sha256(content).hexdigest() in str(caught.value)


def test_weights_that_are_not_there_are_told(folder):
    (folder / "generator.safetensors").unlink()
    with pytest.raises(SubjectError, match=r"generator\.safetensors: no such file, but subject\.toml names it"):
        load(folder)


def test_an_unknown_network_is_told(folder):
    edit(folder, lambda data: data["generator"].update(network="styleganne"))
    with pytest.raises(SubjectError, match="network 'styleganne': unknown; allowed: fake-generator"):
        load(folder)


@pytest.mark.parametrize(
    "options", [{"channels": 1}, {"colour": 1}, {"channels": "three"}, {"channels": -1}, {"channels": 0.5}]
)
def test_weights_that_do_not_fit_the_network_are_told(folder, options):
    edit(folder, lambda data: data["generator"].update(options=options))
    with pytest.raises(SubjectError, match="does not fit network 'fake-generator'") as caught:
        load(folder)
    assert "generator.safetensors" in str(caught.value)


def test_a_file_that_is_no_safetensors_is_told(folder):
    file = folder / "generator.safetensors"
    file.write_bytes(b"\x80\x04not tensors at all")
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    edit(folder, lambda data: data["generator"].update(sha256=sha256))
    with pytest.raises(SubjectError, match="does not fit network"):
        load(folder)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "sub/generator.safetensors", ".", "..", "", "a\0b"])
def test_weights_lie_beside_their_description(folder, name):
    (folder.parent / "secret").write_bytes(b"x")
    edit(folder, lambda data: data["generator"].update(file=name))
    with pytest.raises(SubjectError, match="must lie beside it"):
        load(folder)


def test_a_link_out_of_the_folder_is_refused(folder):
    outside = folder.parent / "outside.safetensors"
    (folder / "generator.safetensors").rename(outside)
    (folder / "generator.safetensors").symlink_to(outside)
    with pytest.raises(SubjectError, match="must lie beside it"):
        load(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"name = ", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"", "generator: required, but not given"),
        (b'schema = "ganaudit.subject/2"\n', "schema: Input should be 'ganaudit.subject/1'"),
    ],
)
def test_a_malformed_description_is_told(folder, content, told):
    (folder / "subject.toml").write_bytes(content)
    with pytest.raises(SubjectError) as caught:
        load(folder)
    assert told in str(caught.value)
    assert str(folder / "subject.toml") in str(caught.value)


def test_every_problem_of_a_description_is_told_with_what_is_near(folder):
    def change(data):
        data["latent"] = {"size": 0, "lawn": "normal"}
        data["generator"]["sha256"] = "short"
        data["sampel"] = {}

    edit(folder, change)
    with pytest.raises(SubjectError) as caught:
        load(folder)
    message = str(caught.value)
    for told in (
        "latent.size: ",
        "latent.lawn: unknown key; nearest: law",
        "generator.sha256: ",
        "sampel: unknown key; nearest: sample",
    ):
        assert told in message


@pytest.mark.parametrize("value_range", [[1.0, -1.0], [0.0, 0.0], [float("nan"), 1.0], [0.0, float("inf")]])
def test_a_range_without_room_is_refused(folder, value_range):
    edit(folder, lambda data: data["sample"].update(range=value_range))
    with pytest.raises(SubjectError, match=r"range|finite"):
        load(folder)


def test_the_shape_must_be_the_one_described(folder):
    edit(folder, lambda data: data["sample"].update(shape=[3, 8, 8]))
    with pytest.raises(SubjectError, match=r"makes samples of shape \(3, 4, 4\); subject.toml says \(3, 8, 8\)"):
        load(folder)


def test_a_second_discriminator_is_refused_not_ignored(folder, tmp_path):
    options = LoadOptions(network=find, discriminator=tmp_path / "d.pt2")
    with pytest.raises(SubjectError, match=r"--discriminator .*d\.pt2: subject .* brings its own"):
        Directory().load(folder, options)


def test_an_interrupted_write_is_no_subject(tmp_path, monkeypatch):
    from ganaudit.subjects import directory

    real = directory.write_atomically

    def breaks(path, content):
        if path.name == "subject.toml":
            raise OutputError(f"cannot write {path}")
        real(path, content)

    monkeypatch.setattr(directory, "write_atomically", breaks)
    networks = {"generator": ("fake-generator", {}, Generator().state_dict())}
    with pytest.raises(OutputError):
        write_directory(tmp_path / "a", "a", LatentSpec(LATENT), SampleSpec((3, 4, 4)), networks, {})
    assert not Directory().accepts(tmp_path / "a")


def test_the_first_loader_that_accepts_reads(folder, tmp_path):
    loaders = [Directory(), SampleFiles()]
    assert load_subject(str(folder), loaders, [], OPTIONS).kind == "directory"
    with pytest.raises(SubjectError, match=r"no such file or folder.*nearest: digits") as caught:
        load_subject("digit", loaders, ["digits"], OPTIONS)
    assert caught.value.exit_code == 2
    (tmp_path / "a.xyz").write_bytes(b"")
    with pytest.raises(SubjectError, match=r"not a format that is known; allowed: a folder with subject\.toml"):
        load_subject(str(tmp_path / "a.xyz"), loaders, [], OPTIONS)
