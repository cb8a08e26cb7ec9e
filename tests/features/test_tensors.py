"""Weights files are read as tensors, or not at all."""

import os
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ganaudit.document.errors import WeightsError
from ganaudit.features.tensors import convert, read_tensors

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3).half(), "b": torch.tensor([1, 2]), "empty": torch.zeros(0)}


class Holder(nn.Module):
    """A module whose state has some structure, to be saved as TorchScript."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(3, 2).half()
        self.register_buffer("resolution", torch.tensor(224))

    def forward(self, x):
        return self.a(x)


def script(module, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(module.eval()).save(str(path))
    return path


class Trap:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return (os.system, (f"touch '{self.mark}'",))


def test_all_three_formats_give_the_same_tensors(tmp_path):
    torch.save(TENSORS, tmp_path / "w.pth")
    save_file(TENSORS, tmp_path / "w.safetensors")
    for name in ("w.pth", "w.safetensors"):
        found = read_tensors(tmp_path / name)
        assert found.keys() == TENSORS.keys()
        assert all(torch.equal(found[n], TENSORS[n]) and found[n].dtype == TENSORS[n].dtype for n in found)
    holder = Holder()
    found = read_tensors(script(holder, tmp_path / "w.pt"))
    assert found.keys() == {"a.weight", "a.bias", "resolution"}
    assert torch.equal(found["a.weight"], holder.a.weight)
    assert found["a.weight"].dtype == torch.float16


@pytest.mark.parametrize(
    "value", [[torch.zeros(1)], {1: torch.zeros(1)}, {"a": 1}, {"state_dict": {"a": torch.zeros(1)}}]
)
def test_a_file_that_holds_something_else_is_told(tmp_path, value):
    torch.save(value, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth does not hold named tensors and nothing else"):
        read_tensors(tmp_path / "w.pth")


def test_nothing_in_a_file_is_run(tmp_path):
    mark = tmp_path / "mark"
    torch.save({"a": Trap(mark)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match="cannot be read as plain tensors"):
        read_tensors(tmp_path / "w.pth")
    assert not mark.exists()
    torch.load(tmp_path / "w.pth", weights_only=False)
    assert mark.exists()  # the trap does work


def test_torchscript_that_reaches_files_is_refused(tmp_path):
    class Writer(nn.Module):
        def forward(self, x: torch.Tensor):
            torch.save(x, "stolen")
            return x

    path = script(Writer(), tmp_path / "w.pt")
    with pytest.raises(WeightsError, match="refused unread"):
        read_tensors(path)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.pt"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 64])
def test_broken_files_are_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match="cannot be read as plain tensors"):
        read_tensors(tmp_path / name)
    with pytest.raises(WeightsError, match="no such file"):
        read_tensors(tmp_path / f"none-{name}")


def test_a_conversion_keeps_every_tensor(tmp_path):
    shared = torch.arange(12.0).reshape(3, 4)
    tensors = {**TENSORS, "whole": shared, "same": shared, "turned": shared.T}
    torch.save(tensors, tmp_path / "w.pth")
    convert(tmp_path / "w.pth", tmp_path / "w.safetensors")
    found = load_file(tmp_path / "w.safetensors")
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[n], tensors[n]) and found[n].dtype == tensors[n].dtype for n in found)
    with pytest.raises(WeightsError, match="cannot write"):
        convert(tmp_path / "w.pth", tmp_path / "no" / "w.safetensors")
