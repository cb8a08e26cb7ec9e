"""Proves that an ONNX file is data: standard operators and tensors, none of which reaches a file outside its folder.

A model is a protobuf message. It may keep tensors in other files, name operators that a library outside would have to
bring, hold functions that unfold without end and tensors that claim more than there is; and the runtime knows operators
of its own that open files. What passes is written anew, with every tensor inside: the runtime reads the bytes that were
looked at, and no file.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganaudit.document.errors import SubjectError

__all__ = ["Vetted", "vetted_onnx"]

_MOST = 2**31 - 2**20
"""Bytes of a model with all its tensors: protobuf ends at 2 GiB."""
_MAX_NODES = 200_000
_MAX_VALUES = 2**28
"""Values of one tensor between operators, a sample each: 1 GiB in float32."""
_FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data", "string_data")
"""Where a tensor keeps its values, if not as bytes."""
_DOMAINS = ("", "ai.onnx.ml")


@dataclass(frozen=True, slots=True)
class Vetted:
    """A model that is data alone."""

    content: bytes
    """The model written anew, with every tensor inside."""
    digest: str
    """``sha256:...`` over the file, and over the files beside it that hold its tensors."""


@dataclass(slots=True)
class _Model:
    """A model on its way through the checks."""

    path: Path
    digests: dict[str, str] = field(default_factory=dict)
    """By the name of a file beside it."""
    files: dict[str, bytes] = field(default_factory=dict)
    left: int = _MOST
    """Bytes that may still come from files."""

    def refused(self, why: str, remedy: str) -> SubjectError:
        return SubjectError(f"{self.path}: refused before it was run: {why}; {remedy}")


def vetted_onnx(path: Path) -> Vetted:
    """Return the ONNX model at ``path``, written anew with the tensors of the files beside it.

    Raises SubjectError unless it consists of standard operators and of tensors that lie in it or in its folder, of a
    size that can be run. Wants the package onnx.
    """
    import onnx

    model = _Model(path)
    content = _read(model, path, path.stat().st_size)
    try:
        found = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own class of error differs between its builds
        raise SubjectError(f"{path}: not an ONNX model: {error}") from None
    try:
        _vet(model, found)
    except SubjectError:
        raise
    except Exception as error:  # a name that is no text, and whatever the libraries raise on what does not fit together
        told = (str(error).splitlines() or [""])[0][:200]
        raise SubjectError(f"{path}: not a whole ONNX model: {told}") from None
    own = hashlib.sha256(content).hexdigest()
    told = json.dumps({"model": own, "tensors": model.digests}, sort_keys=True)
    digest = own if not model.digests else hashlib.sha256(told.encode()).hexdigest()
    return Vetted(found.SerializeToString(), f"sha256:{digest}")


def _vet(model: _Model, found: Any) -> None:
    """Refuse what is more than data, take tensors in and leave settings out, in place."""
    if not found.graph.node or not found.graph.output:
        raise SubjectError(f"{model.path}: not an ONNX model: it has no operators, or no output")
    if found.functions:
        names = ", ".join(sorted({function.name for function in found.functions})[:3])
        remedy = "write them out with onnx.inliner.inline_local_functions"
        raise model.refused(f"it defines {len(found.functions)} functions of its own ({names})", remedy)
    _vet_nodes(model, found)
    for tensor in _tensors(found):
        _vet_tensor(model, tensor)
    # Nothing of these is needed, and the runtime may read settings from the first.
    found.ClearField("metadata_props")
    found.ClearField("training_info")
    _vet_sizes(model, found)


def _vet_nodes(model: _Model, found: Any) -> None:
    import onnx

    for count, node in enumerate(_nodes(found.graph), 1):
        if count > _MAX_NODES:
            raise model.refused(f"more than {_MAX_NODES} operators", "export a smaller model")
        domain = "" if node.domain == "ai.onnx" else node.domain
        if domain not in _DOMAINS or not onnx.defs.has(node.op_type, domain):
            name = f"{node.domain or 'ai.onnx'}::{node.op_type}"
            raise model.refused(
                f"operator {name[:80]!r} is none of the standard",
                "allowed: operators of ai.onnx and ai.onnx.ml; export the network without custom operators",
            )


def _nodes(graph: Any) -> Iterator[Any]:
    """Yield the nodes of a graph and of the graphs inside its nodes, as of a loop."""
    for inner in _graphs(graph):
        yield from inner.node


def _graphs(graph: Any) -> Iterator[Any]:
    pending = [graph]
    while pending:
        current = pending.pop()
        yield current
        for node in current.node:
            for attribute in node.attribute:
                pending += [attribute.g] if attribute.HasField("g") else []
                pending += list(attribute.graphs)


def _tensors(found: Any) -> Iterator[Any]:
    """Yield every tensor a model holds: weights, constants, parts of sparse ones."""
    for graph in _graphs(found.graph):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
        for node in graph.node:
            for attribute in node.attribute:
                yield from [attribute.t] if attribute.HasField("t") else []
                yield from attribute.tensors
                one = [attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else []
                for sparse in (*attribute.sparse_tensors, *one):
                    yield from (sparse.values, sparse.indices)


def _vet_tensor(model: _Model, tensor: Any) -> None:
    """Check one tensor's size, and put what lies in another file into it."""
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        tensor.raw_data = _external(model, tensor)
        tensor.ClearField("external_data")
        tensor.ClearField("data_location")
    values = math.prod(tensor.dims)
    held = len(tensor.raw_data) + sum(len(getattr(tensor, name)) for name in _FIELDS)
    # At most four values share a byte; the runtime tells smaller contradictions itself.
    if min(tensor.dims, default=0) < 0 or values > 4 * held:
        raise model.refused(
            f"tensor {tensor.name[:80]!r} claims the shape {list(tensor.dims)[:8]}, {values} values; it holds {held} "
            "numbers or bytes",
            "export it again",
        )


def _external(model: _Model, tensor: Any) -> bytes:
    """Return the bytes of a tensor that lies in a file beside the model."""
    given = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = given.get("location", ""), model.path.parent
    try:
        file = folder / location
        inside = bool(location) and file.resolve().is_relative_to(folder.resolve())
        offset, length = int(given.get("offset", "0")), int(given["length"]) if "length" in given else None
    except (ValueError, OSError, RuntimeError) as error:  # a NUL, a loop of links, a number that is none
        raise model.refused(
            f"tensor {tensor.name[:80]!r} names data that cannot be: {error}", "export it again"
        ) from None
    if not inside:
        raise model.refused(
            f"tensor {tensor.name[:80]!r} lies in {location[:120]!r}", "allowed: files in the folder of the model"
        )
    if not file.is_file():
        raise SubjectError(f"{file}: no such file, but {model.path} keeps the tensor {tensor.name[:80]!r} there")
    if location not in model.files:
        model.files[location] = _read(model, file, file.stat().st_size)
        model.digests[location] = hashlib.sha256(model.files[location]).hexdigest()
    content = model.files[location]
    end = len(content) if length is None else offset + length
    if not 0 <= offset <= end <= len(content):
        raise model.refused(
            f"tensor {tensor.name[:80]!r} lies at {offset} to {end} of {location!r}, which has {len(content)} bytes",
            "restore the file, or export it again",
        )
    return content[offset:end]


def _read(model: _Model, file: Path, size: int) -> bytes:
    model.left -= size
    if model.left < 0:
        raise model.refused(
            f"{file} makes it larger than {_MOST} bytes", "export it in half precision, or as a .pt2 program"
        )
    return file.read_bytes()


def _vet_sizes(model: _Model, found: Any) -> None:
    """Refuse a model between whose operators a tensor of absurd size is told, as far as shapes can be told unrun."""
    import onnx

    inferred = onnx.shape_inference.infer_shapes(found, data_prop=True)
    for graph in _graphs(inferred.graph):
        for value in (*graph.input, *graph.output, *graph.value_info):
            # What is not known until it is run, as the batch, counts as 1.
            shape = [max(axis.dim_value, 1) for axis in value.type.tensor_type.shape.dim]
            if math.prod(shape) > _MAX_VALUES:
                raise model.refused(
                    f"{value.name[:80]!r} would have the shape {shape[:8]}, {math.prod(shape):.3g} values",
                    f"allowed: {_MAX_VALUES} in one tensor",
                )
