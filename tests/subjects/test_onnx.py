"""ONNX files: what they compute is held against NumPy, and what is more than data is refused before it is run."""

import builtins
import os

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from ganaudit.document.errors import SubjectError
from ganaudit.programs import onnx_vetting
from ganaudit.programs.onnx_program import read_program
from ganaudit.subjects.loading import LoadOptions
from ganaudit.subjects.onnx import Onnx
from ganaudit.subjects.samples import SampleFiles
from tests.onnx_models import LATENT, discriminator, generator, mix, model, outside, save, weights

from .networks import find

SHAPE = (1, 16, 16)


def load(path, **more):
    assert Onnx().accepts(path)
    return Onnx().load(path, LoadOptions(network=find, **more))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return {
        "g": save(generator(), folder / "g.onnx"),
        "d": save(discriminator(), folder / "d.onnx"),
        "g-of-3": save(generator(batch=3), folder / "g-of-3.onnx"),
        "d-of-3": save(discriminator(batch=3), folder / "d-of-3.onnx"),
    }


@pytest.mark.parametrize(("g", "d", "block"), [("g", "d", None), ("g-of-3", "d", 3), ("g", "d-of-3", 3)])
def test_samples_and_scores_are_those_of_the_formula(files, g, d, block):
    made = load(files[g], discriminator=files[d])
    assert (made.trust, made.kind, made.latent.size, made.block) == ("data", "onnx", LATENT, block)
    assert made.sample.shape == SHAPE
    z = made.latents(0, 0, 3)
    x = np.tanh(z.numpy() @ mix(SHAPE)).reshape(-1, *SHAPE)
    np.testing.assert_allclose(made.generate(z).numpy(), x, atol=1e-5)
    np.testing.assert_allclose(made.discriminate(made.generate(z)).numpy(), (x.reshape(3, -1) @ weights(SHAPE))[:, 0],
                               rtol=1e-4, atol=1e-4)  # fmt: skip
    assert any(c.startswith("run by onnxruntime") and "without gradients" in c for c in made.checks)
    assert made.runtime.startswith("onnxruntime ")
    assert not any(c.startswith("caution") for c in made.checks)


def test_there_are_no_gradients(files):
    made = load(files["g"], discriminator=files["d"])
    x = made.generate(made.latents(0, 0, 2)).requires_grad_(True)
    assert not made.score(x).requires_grad


def test_a_discriminator_stands_beside_other_formats(files, tmp_path):
    np.save(tmp_path / "fake.npy", np.zeros((30, *SHAPE), np.float32))
    made = SampleFiles().load(tmp_path / "fake.npy", LoadOptions(network=find, discriminator=files["d"]))
    assert (made.trust, made.block) == ("data", None)
    assert made.runtime.startswith("onnxruntime ")


def test_fixed_batches_must_agree(files, tmp_path):
    four = save(discriminator(batch=4), tmp_path / "d.onnx")
    with pytest.raises(SubjectError, match=r"takes batches of 3, --discriminator .* of 4"):
        load(files["g-of-3"], discriminator=four)


def test_a_latent_size_that_contradicts_the_model_is_told(files):
    with pytest.raises(SubjectError, match="--latent 9 was asked; the program takes latents of size 8"):
        load(files["g"], latent=9)


def test_labels_and_half_precision_are_passed_on(tmp_path):
    nodes = [
        helper.make_node("Gather", ["table", "labels"], ["rows"]),
        helper.make_node("Add", ["z", "rows"], ["moved"]),
        helper.make_node("Reshape", ["moved", "shape"], ["x"]),
    ]
    table = np.arange(12).reshape(3, 4).astype(np.float16) / 16
    held = [
        numpy_helper.from_array(table, "table"),
        numpy_helper.from_array(np.array([-1, 1, 2, 2], np.int64), "shape"),
    ]
    kinds = {"z": TensorProto.FLOAT16, "x": TensorProto.FLOAT16, "labels": TensorProto.INT64}
    made = model(nodes, [("z", ["b", 4]), ("labels", ["b"])], [("x", ["b", 1, 2, 2])], held, kinds=kinds)
    subject = load(save(made, tmp_path / "g.onnx"), classes=3, value_range=(-6.0, 6.0))
    z, labels = subject.latents(0, 0, 5), subject.labels(0, 0, 5)
    wanted = z.numpy().astype(np.float16) + table[labels.numpy()]
    np.testing.assert_allclose(subject.generate(z, labels).flatten(1).numpy(), wanted, atol=1e-2)
    with pytest.raises(SubjectError, match="takes 2 inputs; 1 were given"):
        load(tmp_path / "g.onnx", value_range=(-6.0, 6.0))


# --- tensors in other files


def test_tensors_beside_the_model_are_read_and_digested(tmp_path, files):
    path = outside(generator(), tmp_path / "g.onnx")
    made, z = load(path), torch.zeros(1, LATENT).normal_(generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(made.generate(z), load(files["g"]).generate(z))
    content = bytearray((tmp_path / "weights.bin").read_bytes())
    content[2] ^= 1
    (tmp_path / "weights.bin").write_bytes(bytes(content))
    assert load(path).digest != made.digest


@pytest.mark.parametrize(
    ("location", "entries", "told"),
    [
        ("../secret.bin", {}, r"lies in '\.\./secret\.bin'; allowed: files in the folder of the model"),
        ("/etc/hostname", {}, "lies in '/etc/hostname'; allowed"),
        ("link.bin", {}, r"lies in 'link\.bin'; allowed"),
        ("", {}, "lies in ''; allowed"),
        ("a\0b", {}, "names data that cannot be"),
        ("none.bin", {}, r"none\.bin: no such file"),
        ("weights.bin", {"offset": "8"}, "lies at 8 to 8200 of 'weights.bin', which has 8192 bytes"),
        ("weights.bin", {"offset": "-8", "length": "8"}, "lies at -8 to 0"),
        ("weights.bin", {"length": "x"}, "names data that cannot be"),
        ("weights.bin", {"length": "16"}, "claims the shape .* holds 16"),
    ],
)
def test_tensors_elsewhere_are_refused(tmp_path, location, entries, told):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(8192))
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(SubjectError, match=told) as caught:
        load(outside(generator(), folder / "g.onnx", location, **entries))
    assert "g.onnx" in str(caught.value)


def test_tensors_elsewhere_inside_a_branch_are_refused_too(tmp_path):
    leaf = numpy_helper.from_array(np.zeros((8, 256), np.float32), "B")
    leaf.ClearField("raw_data")
    leaf.data_location = TensorProto.EXTERNAL
    leaf.external_data.add(key="location", value="/etc/hostname")
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["y"], value=leaf)], "inner", [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8, 256])],
    )  # fmt: skip
    made = generator()
    made.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    made.graph.node.insert(0, helper.make_node("If", ["yes"], ["unused"], then_branch=inner, else_branch=inner))
    with pytest.raises(SubjectError, match="lies in '/etc/hostname'; allowed"):
        load(save(made, tmp_path / "g.onnx"))


# --- operators and sizes


@pytest.mark.parametrize(
    ("domain", "operator"),
    [("com.evil", "Run"), ("com.microsoft", "EPContext"), ("", "Nonsense"), ("ai.onnx.ml", "Add")],
)
def test_operators_that_are_none_of_the_standard_are_refused(tmp_path, domain, operator):
    made = generator()
    made.graph.node[1].op_type, made.graph.node[1].domain = operator, domain
    made.opset_import.append(helper.make_opsetid(domain or "other", 1))
    with pytest.raises(SubjectError, match=f"{operator}' is none of the standard; allowed: operators of ai.onnx"):
        load(save(made, tmp_path / "g.onnx"))


def test_functions_of_its_own_are_refused(tmp_path):
    inner = helper.make_function("mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
                                 [helper.make_opsetid("", 17)])  # fmt: skip
    with pytest.raises(SubjectError, match=r"1 functions of its own \(Twice\); write them out"):
        load(save(generator(functions=[inner]), tmp_path / "g.onnx"))


def test_absurd_sizes_are_refused_before_anything_is_run(tmp_path):
    made = generator()
    made.graph.initializer[0].dims[:] = [8, 2**40]
    with pytest.raises(SubjectError, match=r"claims the shape .* 8796093022208 values"):
        load(save(made, tmp_path / "claims.onnx"))
    made.graph.initializer[0].dims[:] = [-8, -256]
    with pytest.raises(SubjectError, match="claims the shape"):
        load(save(made, tmp_path / "negative.onnx"))
    grown = generator()
    grown.graph.initializer.append(numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "large"))
    grown.graph.node.insert(0, helper.make_node("ConstantOfShape", ["large"], ["grown"]))
    with pytest.raises(SubjectError, match=r"would have the shape \[1048576, 1048576\], 1.1e\+12 values"):
        load(save(grown, tmp_path / "grown.onnx"))


def test_a_model_larger_than_protobuf_allows_is_refused_unread(tmp_path):
    path = tmp_path / "g.onnx"
    path.touch()
    os.truncate(path, 2**31)  # a hole: it takes no room on the disk
    with pytest.raises(SubjectError, match=r"g\.onnx makes it larger than \d+ bytes; export it in half precision"):
        load(path)


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x08", b"\xff" * 64])
def test_what_is_no_model_is_told(tmp_path, content):
    (tmp_path / "g.onnx").write_bytes(content)
    with pytest.raises(SubjectError, match="not an ONNX model") as caught:
        load(tmp_path / "g.onnx")
    assert str(tmp_path / "g.onnx") in str(caught.value)


def test_what_the_runtime_refuses_is_told(tmp_path):
    made = generator()
    made.graph.node[0].input[1] = "missing"
    with pytest.raises(SubjectError, match=r"ONNX Runtime .* cannot read it: |not a whole ONNX model"):
        load(save(made, tmp_path / "g.onnx"))


@pytest.mark.parametrize("seed", range(6))
def test_damaged_models_are_told_and_never_anything_else(tmp_path, seed, capfd):
    content, rng, path = generator((1, 4, 4)).SerializeToString(), np.random.default_rng(seed), tmp_path / "g.onnx"
    for _ in range(40):
        damaged = bytearray(content)
        for place in rng.integers(len(content) - 8, size=int(rng.integers(1, 6))):
            damaged[place : place + int(rng.integers(1, 3))] = rng.bytes(int(rng.integers(0, 3)))
        path.write_bytes(bytes(damaged))
        told = str(path)  # some damage does no harm
        try:
            read_program(path, "cpu")
        except SubjectError as error:
            told = str(error)
        assert str(path) in told
    assert capfd.readouterr().out == ""


def test_a_model_without_inputs_or_with_other_types_is_told(tmp_path):
    made = generator()
    made.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    made.graph.node[0].op_type, made.graph.node[0].input[:] = "Identity", ["A"]
    with pytest.raises(SubjectError, match=r"input 'z' is tensor\(string\); allowed: one or more of tensor\(float\)"):
        load(save(made, tmp_path / "g.onnx"))
    del made.graph.input[:]
    with pytest.raises(SubjectError, match="it has no input; allowed"):
        load(save(made, tmp_path / "g.onnx"))


def test_settings_inside_a_model_do_not_reach_the_runtime(tmp_path, files):
    made = generator()
    made.metadata_props.add(key="ort_config", value='{"session_options": {"enable_profiling": 1}}')
    content = onnx_vetting.vetted_onnx(save(made, tmp_path / "g.onnx")).content
    assert b"ort_config" not in content


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_told_with_the_name_of_the_extra(files, monkeypatch, package):
    real = builtins.__import__

    def without(name, *more, **kw):
        if name == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *more, **kw)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SubjectError, match=rf"and {package} is not installed: pip install 'ganaudit\[onnx\]'"):
        load(files["g"])
