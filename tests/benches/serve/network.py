"""The article's network, with the weights of a model that `trainyard-train` has written, for the peers.

    network.py MODEL_FOLDER model.onnx

writes it in ONNX's format, by hand with `onnx.helper`: for an image of one channel no transposition is needed, and the rows of
the first dense kernel are in the order of ONNX's flattened axes, so that onnxruntime has nothing to do but the network.
"""

import json
import pathlib
import struct
import sys

import numpy as np


def weights(folder):
    """The arrays of `weights.safetensors`, by name."""
    data = (pathlib.Path(folder) / "weights.safetensors").read_bytes()
    (n_header,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + n_header])
    header.pop("__metadata__", None)
    arrays = {}
    for name, spec in header.items():
        start, end = spec["data_offsets"]
        values = np.frombuffer(data[8 + n_header + start : 8 + n_header + end], "<f4")
        arrays[name] = values.reshape(spec["shape"])
    return arrays


def keras_model(folder):
    import keras

    model = keras.Sequential(
        [
            keras.layers.Input((28, 28, 1)),
            keras.layers.Conv2D(32, (3, 3), activation="relu"),
            keras.layers.MaxPooling2D((2, 2)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    arrays = weights(folder)
    names = ["conv2d/kernel", "conv2d/bias", "dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias"]
    model.set_weights([arrays[name] for name in names])
    return model


def onnx_model(folder):
    from onnx import TensorProto, checker, helper, numpy_helper

    arrays = weights(folder)
    flattened = arrays["dense/kernel"].reshape(13, 13, 32, 128).transpose(2, 0, 1, 3).reshape(5408, 128)
    constants = {
        "as_channels": np.array([-1, 1, 28, 28], "i8"),
        "conv2d/kernel": arrays["conv2d/kernel"].transpose(3, 2, 0, 1),
        "conv2d/bias": arrays["conv2d/bias"],
        "dense/kernel": flattened,
        "dense/bias": arrays["dense/bias"],
        "dense_1/kernel": arrays["dense_1/kernel"],
        "dense_1/bias": arrays["dense_1/bias"],
    }
    nodes = [
        helper.make_node("Reshape", ["input", "as_channels"], ["image"]),
        helper.make_node("Conv", ["image", "conv2d/kernel", "conv2d/bias"], ["convolved"]),
        helper.make_node("Relu", ["convolved"], ["rectified"]),
        helper.make_node("MaxPool", ["rectified"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense/kernel", "dense/bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "dense_1/kernel", "dense_1/bias"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["output"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "mnist",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 28, 28, 1])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in constants.items()],
    )
    # The version of the operators is one that every onnxruntime of recent years knows.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    folder, file = sys.argv[1:]
    pathlib.Path(file).write_bytes(onnx_model(folder).SerializeToString())
