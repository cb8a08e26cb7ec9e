"""Small ONNX models whose outputs are a formula: tanh(z A) as samples, x w as scores."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LATENT = 8


def mix(shape, latent=LATENT):
    return (np.random.default_rng(0).standard_normal((latent, int(np.prod(shape)))) / 4).astype(np.float32)


def weights(shape):
    return np.random.default_rng(1).standard_normal((int(np.prod(shape)), 1)).astype(np.float32)


def generator(shape=(1, 16, 16), batch="batch", latent=LATENT, **more):
    """tanh(z A), of any batch or of a fixed one."""
    nodes = [
        helper.make_node("MatMul", ["z", "A"], ["flat"]),
        helper.make_node("Tanh", ["flat"], ["curved"]),
        helper.make_node("Reshape", ["curved", "shape"], ["x"]),
    ]
    held = [
        numpy_helper.from_array(mix(shape, latent), "A"),
        numpy_helper.from_array(np.array([-1, *shape], np.int64), "shape"),
    ]
    return model(nodes, [("z", [batch, latent])], [("x", [batch, *shape])], held, **more)


def discriminator(shape=(1, 16, 16), batch="batch", last=None, outputs=(("score", ("batch", 1)),), held=(), **more):
    """x w, or what the nodes ``last`` make of "linear" (B, 1) and of "x"."""
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["linear"]),
        *(last or [helper.make_node("Identity", ["linear"], ["score"])]),
    ]
    held = [numpy_helper.from_array(weights(shape), "w"), *held]
    outputs = [(name, [batch if axis == "batch" else axis for axis in axes]) for name, axes in outputs]
    return model(nodes, [("x", [batch, *shape])], outputs, held, **more)


def model(nodes, inputs, outputs, held, *, opset=17, functions=(), kinds=None):
    def values(entries):
        kind = kinds or {}
        return [helper.make_tensor_value_info(n, kind.get(n, TensorProto.FLOAT), axes) for n, axes in entries]

    graph = helper.make_graph(nodes, "graph", values(inputs), values(outputs), held)
    domains = [helper.make_opsetid("", opset), *[helper.make_opsetid(f.domain, 1) for f in functions]]
    return helper.make_model(graph, opset_imports=domains, functions=list(functions), ir_version=8)


def save(made, path):
    path.write_bytes(made.SerializeToString())
    return path


def outside(made, path, location="weights.bin", **entries):
    """Save ``made`` with its first tensor in another file; ``entries`` overwrite what the model says of it."""
    tensor = made.graph.initializer[0]
    content = tensor.raw_data
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    told = {"location": location, "offset": "0", "length": str(len(content)), **entries}
    for key, value in told.items():
        tensor.external_data.add(key=key, value=value)
    if location == "weights.bin":
        (path.parent / location).write_bytes(content)
    return save(made, path)
