"""The same network and training in PyTorch, by its fastest setting on a CPU (fused Adam). Prints one JSON object."""

import gzip
import json
import sys
import time

START = time.perf_counter()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402


def idx(path, header):
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


folder, n_epochs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.manual_seed(seed)
images = lambda name: torch.from_numpy(idx(f"{folder}/{name}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28).astype("float32") / 255)  # noqa: E731
labels = lambda name: torch.from_numpy(idx(f"{folder}/{name}-labels-idx1-ubyte.gz", 8).astype("int64"))  # noqa: E731
train_x, train_y, test_x, test_y = images("train"), labels("train"), images("t10k"), labels("t10k")

model = nn.Sequential(
    nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(5408, 128), nn.ReLU(), nn.Linear(128, 10)
)
optimizer = torch.optim.Adam(model.parameters(), fused=True)
criterion = nn.CrossEntropyLoss()
epoch_s = []
for _ in range(n_epochs):
    start = time.perf_counter()
    for rows in torch.randperm(len(train_x)).split(128):
        optimizer.zero_grad(set_to_none=True)
        criterion(model(train_x[rows]), train_y[rows]).backward()
        optimizer.step()
    epoch_s.append(time.perf_counter() - start)
with torch.no_grad():
    scores = torch.cat([model(rows) for rows in test_x.split(1000)])
    accuracy = (scores.argmax(1) == test_y).float().mean().item()
    loss = criterion(scores, test_y).item()
print(json.dumps({"epoch_s": epoch_s, "total_s": time.perf_counter() - START, "accuracy": accuracy, "loss": loss}))
