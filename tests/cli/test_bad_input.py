"""Every row of the bad input list: exit 2, a message with what was found and what to do, nothing written half."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from .conftest import Called, Run, traced


def images(folder: Path, n: int = 6, size: tuple[int, int] = (16, 16), mode: str = "L") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(len(str(folder)))
    for i in range(n):
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{i:03d}.png")
    return folder


def refused(called: Called, *told: str) -> None:
    assert called.code == 2, called.err
    for text in told:
        assert text in called.err, called.err
    assert called.err.rstrip().splitlines()[-1].startswith("exit 2:")
    assert "Traceback" not in called.err
    assert not Path("out").exists(), "nothing may be written"


def test_missing_path(ganaudit: Run) -> None:
    refused(ganaudit("audit", "nowhere", "--reference", "digits", "--out", "out"), "nowhere", "no such file")
    images(Path("good"))
    refused(ganaudit("audit", "good", "--reference", "nowhere", "--out", "out"), "nowhere")


@pytest.mark.parametrize("option", ["--reference", "--discriminator", "--policy", "--baseline", "--config", "--other"])
def test_a_name_no_file_can_have(ganaudit: Run, programs: Path, option: str) -> None:
    long = "a=" * (option == "--other") + "z" * 300
    called = ganaudit(
        "audit", programs / "g.pt", "--latent", "8", "--reference", "digits", option, long, "--out", "out"
    )
    refused(called, "z" * 300)
    assert "internal" not in called.err


@pytest.mark.parametrize("subject", ["z" * 300, "z" * 300 + ":b"])
def test_a_subject_no_file_can_be(ganaudit: Run, subject: str) -> None:
    refused(ganaudit("audit", subject, "--reference", "digits", "--out", "out"), "z" * 300)


def test_reference_model_misspelt(ganaudit: Run) -> None:
    refused(ganaudit("audit", "digit", "--out", "out"), "nearest: digits")


def test_empty_folder(ganaudit: Run) -> None:
    Path("empty").mkdir()
    refused(ganaudit("audit", "empty", "--reference", "digits", "--out", "out"), "empty")


def test_broken_image_is_named_and_can_be_skipped(ganaudit: Run) -> None:
    folder = images(Path("fake"), 30)
    content = (folder / "007.png").read_bytes()
    (folder / "007.png").write_bytes(content[: len(content) // 2])
    refused(ganaudit("audit", "fake", "--reference", "digits", "--out", "out"), "007.png", "--skip-unreadable")
    called = ganaudit("audit", "fake", "--reference", "digits", "--out", "out", "--skip-unreadable", "--json")
    assert called.code == 0, called.err
    document = json.loads(called.out)
    assert any("1 unreadable" in w and "007.png" in w for w in document["warnings"])
    assert document["plan"]["samples"] == 29


def test_mixed_sizes_and_channels_are_named_with_what_resize_does(ganaudit: Run) -> None:
    folder = images(Path("fake"))
    Image.new("L", (9, 12)).save(folder / "odd.png")
    refused(ganaudit("audit", "fake", "--reference", "digits", "--out", "out"), "odd.png", "--resize")
    called = ganaudit("audit", "fake", "--reference", "digits", "--out", "out", "--resize", "16x16", "--json")
    assert called.code == 0, called.err


def test_mixed_channels_are_named_with_what_resize_does(ganaudit: Run) -> None:
    colour = images(Path("colour"), mode="L")
    Image.new("RGB", (16, 16)).save(colour / "rgb.png")
    refused(ganaudit("audit", "colour", "--reference", "digits", "--out", "out"), "rgb.png", "--resize", "RGB")


def test_subject_and_reference_of_different_size(ganaudit: Run) -> None:
    images(Path("fake"), size=(20, 24))
    images(Path("real"), size=(16, 16))
    refused(ganaudit("audit", "fake", "--reference", "real", "--out", "out"), "24", "16", "--resize")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_and_features_that_are_not_finite(ganaudit: Run, value: float) -> None:
    samples = np.zeros((10, 1, 16, 16), np.float32)
    samples[3, 0, 2, 2] = value
    np.save("fake.npy", samples)
    refused(ganaudit("audit", "fake.npy", "--reference", "digits", "--out", "out"), "fake.npy")
    features = np.zeros((10, 4))
    features[3, 1] = value
    np.save("features.npy", features)
    np.save("real.npy", np.random.default_rng(0).standard_normal((10, 4)))
    refused(
        ganaudit("audit", "features.npy", "--reference", "real.npy", "--extractor", "identity", "--out", "out"),
        "features.npy",
    )


def test_npz_without_a_usable_array_and_object_arrays(ganaudit: Run) -> None:
    np.savez("scalars.npz", a=np.array(1), b=np.array(["x"]))
    refused(ganaudit("audit", "scalars.npz", "--reference", "digits", "--out", "out"), "scalars.npz")

    class Evil:
        def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
            return (open, ("unpickled", "w"))  # type: ignore[return-value]

    np.savez("objects.npz", arr_0=np.array([Evil()], dtype=object))
    refused(ganaudit("audit", "objects.npz", "--reference", "digits", "--out", "out"), "objects.npz")
    assert not Path("unpickled").exists()


@pytest.mark.parametrize("name", ["g.pt", "g.pt2"])
def test_wrong_latent_size(ganaudit: Run, programs: Path, name: str) -> None:
    called = ganaudit("audit", programs / name, "--latent", "9", "--reference", "digits", "--out", "out")
    refused(called, "9", "--latent")


def test_latent_size_not_told(ganaudit: Run, programs: Path) -> None:
    refused(ganaudit("audit", programs / "g.pt", "--reference", "digits", "--out", "out"), "--latent N")


class _Odd(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.linear = nn.Linear(8, 256)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.linear(z)).view(-1, 1, 16, 16)
        if self.kind == "flat":
            return x.flatten(1)
        if self.kind == "nan":
            return x / (x * 0)
        if self.kind == "constant":
            return x * 0 + 0.25
        return x * 7


@pytest.mark.parametrize(
    ("kind", "told"), [("flat", "(4, 256)"), ("nan", "NaN or infinity"), ("wide", "--range LOW,HIGH")]
)
def test_generators_that_return_the_wrong_thing(ganaudit: Run, tmp_path: Path, kind: str, told: str) -> None:
    path = traced(_Odd(kind), torch.randn(2, 8), tmp_path / "g.pt")
    refused(ganaudit("audit", path, "--latent", "8", "--reference", "digits", "--out", "out"), told)


def test_a_constant_generator_is_a_finding(ganaudit: Run, tmp_path: Path) -> None:
    path = traced(_Odd("constant"), torch.randn(2, 8), tmp_path / "g.pt")
    called = ganaudit("audit", path, "--latent", "8", "--reference", "digits", "--out", "out", "--json")
    assert called.code == 0, called.err
    document = json.loads(called.out)
    assert any("constant" in w for w in document["warnings"])
    assert "may be constant" in Path("out/report.html").read_text()
    values = [m["value"] for r in document["results"] for m in r["measurements"]]
    assert values
    assert all(v is not None for v in values)


def test_weights_that_are_not_the_ones_described(ganaudit: Run, tmp_path: Path) -> None:
    from ganaudit.training.run import train

    from ..training.recipes import data_of, tiny

    folder, config = tmp_path / "subject", tiny(images=32)
    train(config, folder, data_of(config))
    weights = folder / "generator.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))
    refused(ganaudit("audit", folder, "--out", "out"), "generator.safetensors", "sha256")


def test_decompression_bomb(ganaudit: Run) -> None:
    folder = images(Path("fake"))
    # A valid header that promises 60 000 x 60 000 pixels: it must be refused before anything is decoded.
    buffer = io.BytesIO()
    Image.new("1", (8, 8)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    import struct
    import zlib

    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    (folder / "bomb.png").write_bytes(bytes(content))
    refused(ganaudit("audit", "fake", "--reference", "digits", "--out", "out"), "bomb.png")


def test_zip_bomb(ganaudit: Run) -> None:
    with zipfile.ZipFile("bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * (200 * 2**20))
    refused(ganaudit("audit", "bomb.zip", "--reference", "digits", "--out", "out"), "bomb.zip")


def test_fewer_samples_than_a_metric_can_use_leaves_the_others(ganaudit: Run) -> None:
    rng = np.random.default_rng(0)
    np.save("fake.npy", rng.standard_normal((4, 3)))
    np.save("real.npy", rng.standard_normal((50, 3)))
    called = ganaudit(
        "audit", "fake.npy", "--reference", "test=real.npy", "--extractor", "identity", "--out", "out", "--json"
    )
    assert called.code == 0, called.err
    rows = {r["evaluator"]: r for r in json.loads(called.out)["results"]}
    assert rows["precision-recall"]["status"] == "not_assessable"
    assert "at least 6" in rows["precision-recall"]["reason"]
    assert rows["frechet-distance"]["status"] == "measured"
    assert rows["kernel-distance"]["status"] == "measured"


def test_policy_with_an_unknown_measure(ganaudit: Run, small_audit: Path) -> None:
    Path("policy.toml").write_text('[[gate]]\nid = "a"\nmeasure = "frechet-distence/fd"\nlimit = 1.0\n')
    called = ganaudit("gate", small_audit, "--policy", "policy.toml")
    assert called.code == 2
    assert "frechet-distance/fd" in called.err


def test_output_that_cannot_be_written_is_found_before_any_work(ganaudit: Run) -> None:
    Path("file").write_text("")
    called = ganaudit("audit", "digits", "--out", "file/below", "-v")
    assert called.code == 2
    assert "file/below" in called.err
    assert "generating" not in called.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["audit", "digits", "--sampels", "3"], "--sampels"),
        (["audit", "digits", "--samples", "one"], "valid integer"),
        (["audit", "digits", "--samples", "1"], "samples"),
        (["audit", "digits", "--extractor", "digit-cnn"], "nearest: digits-cnn"),
        (["audit", "digits", "--evaluators", "frechet"], "frechet-distance"),
        (["audit", "digits", "--against", "tests"], "against"),
        (["audit", "digits", "--precision", "fp16"], "fp32"),
        (["audit", "digits", "--range", "1,-1"], "low must be below high"),
        (["audit", "digits", "--range", "one"], "--range"),
        (["audit", "digits", "--resize", "16"], "--resize"),
        (["audit", "digits", "--device", "tpu"], "device"),
        (["audit", "digits", "--seed", "-1"], "seed"),
        (["audit", "digits", "--profile", "slow"], "profile"),
        (["audit", "digits", "--config", "none.toml"], "none.toml"),
        (["audit", "digits", "--policy", "none.toml"], "none.toml"),
        (["audit", "digits", "--extractor", "inception-v3"], "--extractor-weights"),
        (["audit"], "subject"),
        (["gate", "nowhere.json", "--policy", "p.toml"], "p.toml"),
        (["report", "nowhere.json"], "nowhere.json"),
        (["explain", "frechet-distanc"], "nearest: frechet-distance"),
        (["explain", "frechet-distance/fid"], "fd"),
        (["schema", "documents"], "nearest: document"),
        (["list", "evaluator"], "nearest: evaluators"),
        (["sample", "digits", "--samples", "0", "--out", "x"], "samples"),
        (["sample", "digits", "--samples", "2", "--out", "x.gif"], ".npz"),
        (["train", "none.toml"], "none.toml"),
        (["nonsense"], "nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors(ganaudit: Run, arguments: list[str], told: str) -> None:
    called = ganaudit(*arguments)
    assert called.code == 2, called.err
    assert told in called.err
    assert called.err.rstrip().splitlines()[-1].startswith("exit 2:")
    assert list(Path().iterdir()) == []


def test_every_problem_of_a_configuration_is_told_at_once(ganaudit: Run) -> None:
    Path("bad.toml").write_text(
        'subject = "digits"\nsamples = 0\nsede = 3\n[evaluators.frechet]\n[extractor]\nidd = 1\n'
    )
    called = ganaudit("audit", "--config", "bad.toml")
    assert called.code == 2
    for text in ("samples", "nearest: seed", "evaluators.frechet", "nearest: id"):
        assert text in called.err, called.err


def test_options_of_an_evaluator_are_checked_before_any_work(ganaudit: Run) -> None:
    Path("audit.toml").write_text(
        'subject = "digits"\n[evaluators.precision-recall]\nneighbors = 3\nboundary = "=="\n'
        "[evaluators.discriminator-detection]\nfpr = 2.0\n"
    )
    called = ganaudit("audit", "--out", "out", "-v")
    refused(called, "nearest: neighbours", "boundary", "fpr")
    assert "generating" not in called.err
