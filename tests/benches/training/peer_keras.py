"""The article's script: its network, data, optimiser, batch and epochs. Prints one JSON object."""

import gzip
import json
import os
import sys
import time

START = time.perf_counter()
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras  # noqa: E402
import numpy as np  # noqa: E402


def idx(path, header):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


folder, n_epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keras.utils.set_random_seed(seed)
train_x = idx(f"{folder}/train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype("float32") / 255
train_y = idx(f"{folder}/train-labels-idx1-ubyte.gz", 8).astype("int64")
test_x = idx(f"{folder}/t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype("float32") / 255
test_y = idx(f"{folder}/t10k-labels-idx1-ubyte.gz", 8).astype("int64")

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
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])


class Times(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.epoch_s = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.epoch_s.append(time.perf_counter() - self.start)


times = Times()
model.fit(train_x, train_y, batch_size=128, epochs=n_epochs, verbose=0, callbacks=[times])
loss, accuracy = model.evaluate(test_x, test_y, verbose=0)
print(json.dumps({"epoch_s": times.epoch_s, "total_s": time.perf_counter() - START, "accuracy": accuracy, "loss": loss}))
