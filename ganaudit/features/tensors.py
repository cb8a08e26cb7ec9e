"""Named tensors out of weights files, without ever running what a file says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ganaudit.document.errors import SubjectError, WeightsError
from ganaudit.programs.script import is_script, read_program

__all__ = ["convert", "read_tensors"]


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the named tensors of a weights file, on the CPU.

    Read are ``.safetensors``, state dicts that ``torch.save`` wrote, and the state of a TorchScript archive, as OpenAI
    published CLIP; the archive is vetted and its program is never called. Raises WeightsError when the file cannot be
    read or holds anything but named tensors; nothing is unpickled that is no tensor.
    """
    try:
        weights: Any = _read(path)
    except FileNotFoundError:
        raise WeightsError(f"weights file {path}: no such file") from None
    except SubjectError as error:
        raise WeightsError(f"weights file {error}") from None
    except Exception as error:  # torch raises anything on a file that is none of its own
        told = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"weights file {path} cannot be read as plain tensors: {told[:200]}") from None
    named = isinstance(weights, dict) and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in weights.items())
    if not named:
        raise WeightsError(f"weights file {path} does not hold named tensors and nothing else")
    return dict(weights)


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        return load_file(path)
    if is_script(path):
        return dict(read_program(path, "cpu").module.state_dict())
    # weights_only: tensors and containers, never code.
    return torch.load(path, map_location="cpu", weights_only=True)


def convert(source: Path, target: Path) -> None:
    """Write the tensors of ``source`` to the safetensors file ``target``.

    Raises WeightsError when the source holds anything but named tensors or the target cannot be written.
    """
    # Two names may share one storage, which safetensors does not know.
    tensors = {
        name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in read_tensors(source).items()
    }
    try:
        save_file(tensors, target)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write {target}: {error}") from None
