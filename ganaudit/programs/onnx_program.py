"""Reads ONNX files and runs them with ONNX Runtime on the CPU. Their outputs have no gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ganaudit.document.errors import SubjectError
from ganaudit.programs.onnx_vetting import vetted_onnx
from ganaudit.programs.program import Program

__all__ = ["read_program"]

_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
}


class _Session(nn.Module):
    """A session of ONNX Runtime as a module: tensors in and out, each on the device of the first input."""

    def __init__(self, session: Any, inputs: list[tuple[str, type[np.generic]]]) -> None:
        super().__init__()
        self.session, self.inputs = session, inputs
        self.training = False

    def forward(self, *arguments: Tensor) -> Tensor | tuple[Tensor, ...]:
        if len(arguments) != len(self.inputs):
            raise ValueError(f"the model takes {len(self.inputs)} inputs; {len(arguments)} were given")
        feed = {
            name: given.detach().cpu().numpy().astype(kind, copy=False)
            for (name, kind), given in zip(self.inputs, arguments, strict=True)
        }
        try:
            made = self.session.run(None, feed)
        except Exception as error:  # its own classes derive from Exception alone
            raise RuntimeError(str(error)) from error
        outputs = tuple(torch.from_numpy(np.array(one)).to(arguments[0].device) for one in made)
        return outputs[0] if len(outputs) == 1 else outputs


def read_program(path: Path, device: str) -> Program:
    """Return the ONNX model at ``path`` with the latent size and batch size it tells; it runs on the CPU always.

    Raises SubjectError when it is not data alone (see :mod:`ganaudit.programs.onnx_vetting`), when ONNX Runtime refuses
    it, and when its packages are not installed.
    """
    runtime = _runtime(path)
    model = vetted_onnx(path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what it has to say arrives as an error
    try:
        # A second try with the one provider there is would print to stdout, which is the document's.
        session = runtime.InferenceSession(
            model.content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
        inputs = [(one.name, one.type, tuple(one.shape or ())) for one in session.get_inputs()]
    except Exception as error:  # its own classes derive from Exception alone, and a name may be no text
        told = str(error).strip().splitlines()[0][:300]
        raise SubjectError(f"{path}: ONNX Runtime {runtime.__version__} cannot read it: {told}") from None
    wrong = next((f"input {name!r} is {kind}" for name, kind, _ in inputs if kind not in _TYPES), None)
    if wrong is not None or not inputs:
        raise SubjectError(f"{path}: {wrong or 'it has no input'}; allowed: one or more of {', '.join(_TYPES)}")
    shape = inputs[0][2]
    return Program(
        _Session(session, [(name, _TYPES[kind]) for name, kind, _ in inputs]),
        latent=shape[1]
        if (len(shape) == 2 or (len(shape) == 4 and shape[2:] == (1, 1))) and isinstance(shape[1], int)
        else None,
        block=shape[0] if shape and isinstance(shape[0], int) else None,
        digest=model.digest,
        trust="data",
        runtime=f"onnxruntime {runtime.__version__}",
    )


def _runtime(path: Path) -> Any:
    try:
        import onnx  # noqa: F401 - looked through before it is run
        import onnxruntime
    except ImportError as error:
        raise SubjectError(
            f"{path}: ONNX is read by the packages onnx and onnxruntime, and {error.name or 'one of them'} is not "
            "installed: pip install 'ganaudit[onnx]', or export the network as a .pt2 program"
        ) from None
    return onnxruntime
