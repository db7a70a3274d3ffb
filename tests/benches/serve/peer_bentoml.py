"""onnxruntime as a service of BentoML."""

import os

import bentoml
import numpy as np
from onnx_session import session


@bentoml.service(workers=int(os.environ["CORES"]), traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Mnist:
    def __init__(self):
        self.session = session()

    @bentoml.api
    def predict(self, instances: np.ndarray) -> np.ndarray:
        rows = instances.astype(np.float32)
        return self.session.run(["output"], {"input": rows / np.float32(255)})[0]
