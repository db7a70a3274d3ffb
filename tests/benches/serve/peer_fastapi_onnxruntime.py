"""FastAPI + onnxruntime."""

from onnx_session import session
from peer_fastapi import application

model = session()
app = application(lambda rows: model.run(["output"], {"input": rows})[0])
