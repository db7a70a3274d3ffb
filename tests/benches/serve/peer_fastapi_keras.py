"""FastAPI + Keras. `$KERAS_CALL` chooses how the network is called."""

import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

# One worker a core.
tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)

import network  # noqa: E402
from peer_fastapi import application  # noqa: E402

model = network.keras_model(os.environ["MODEL"])


@tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32)], reduce_retracing=True)
def function(rows):
    return model(rows, training=False)


calls = {
    "function": lambda rows: function(tf.constant(rows)).numpy(),
    "predict_on_batch": model.predict_on_batch,
}
score = calls[os.environ["KERAS_CALL"]]
# Traced and compiled before the first request.
score(np.zeros((1, 28, 28, 1), "f4"))
app = application(score)
