"""onnxruntime as a model of MLServer."""

import os
import sys

sys.path.insert(0, os.environ["BENCH"])

import numpy as np  # noqa: E402
from mlserver import MLModel  # noqa: E402
from mlserver.codecs import NumpyCodec  # noqa: E402
from mlserver.types import InferenceRequest, InferenceResponse  # noqa: E402
from onnx_session import session  # noqa: E402


class Mnist(MLModel):
    async def load(self):
        self.session = session()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        rows = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32)
        (scores,) = self.session.run(["output"], {"input": rows / np.float32(255)})
        output = NumpyCodec.encode_output("output", scores)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])
