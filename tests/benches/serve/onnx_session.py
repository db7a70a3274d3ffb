"""onnxruntime's session of the model in `$ONNX_MODEL`, with `$ONNX_THREADS` threads, warm."""

import os

import numpy as np
import onnxruntime


def session():
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["ONNX_THREADS"])
    options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    # A thread that waits for work by spinning takes the core from the other worker.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    found = onnxruntime.InferenceSession(os.environ["ONNX_MODEL"], options, providers=["CPUExecutionProvider"])
    found.run(["output"], {"input": np.zeros((1, 28, 28, 1), "f4")})
    return found
