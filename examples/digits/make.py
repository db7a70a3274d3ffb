"""Lays out scikit-learn's small digits as an image folder: `python make.py` (scikit-learn 1.9.1, pillow).

The split is `train_test_split` with `random_state=0`; `scikit-learn.json` is what its logistic regression reaches on it.
"""

import json
import pathlib

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

HERE = pathlib.Path(__file__).resolve().parent
images, labels = load_digits(return_X_y=True)
# A part of the digits, so that the repository stays small.
images, labels = images[:900], labels[:900]
train_x, test_x, train_y, test_y = train_test_split(images, labels, test_size=1 / 3, random_state=0, stratify=labels)
for part, rows, names in (("train", train_x, train_y), ("test", test_x, test_y)):
    for idx, (row, name) in enumerate(zip(rows, names)):
        folder = HERE / "data" / part / str(name)
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.round(row.reshape(8, 8) * 255 / 16).astype("uint8")
        Image.fromarray(pixels, "L").save(folder / f"{idx:03}.png", optimize=True)
accuracy = LogisticRegression(max_iter=5000).fit(train_x, train_y).score(test_x, test_y)
(HERE / "scikit-learn.json").write_text(json.dumps({"logistic_regression": accuracy}, indent=1) + "\n")
print(accuracy)
