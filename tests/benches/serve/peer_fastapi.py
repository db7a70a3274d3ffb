"""FastAPI around a function `score` from `[n, 28, 28, 1]` to `[n, 10]`, with as little around it as FastAPI allows.

JSON by orjson, no validation by pydantic, and no thread pool: one worker a core computes one request at a time.
"""

import numpy as np
import orjson
from fastapi import FastAPI, Request, Response


def application(score):
    app = FastAPI(openapi_url=None)

    @app.get("/ready")
    async def ready():
        return Response(b'{"ready":true}', media_type="application/json")

    @app.post("/predict")
    async def predict(request: Request):
        rows = np.array(orjson.loads(await request.body())["instances"], dtype=np.float32)
        scores = score(rows / np.float32(255))
        answer = orjson.dumps({"predictions": scores}, option=orjson.OPT_SERIALIZE_NUMPY)
        return Response(answer, media_type="application/json")

    return app
