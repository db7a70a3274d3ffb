"""Lays out the data of this example from scikit-learn's copy: `python make.py` (scikit-learn 1.9.1).

The split is scikit-learn's `train_test_split` with `random_state=0`; `scikit-learn.json` is what its linear regression and
its multi-layer perceptron reach on the same split.
"""

import csv
import json
import pathlib

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = pathlib.Path(__file__).resolve().parent
data = load_diabetes(scaled=False)
parts = train_test_split(data.data, data.target, test_size=0.25, random_state=0)
train_x, test_x, train_y, test_y = parts

(HERE / "data").mkdir(exist_ok=True)
for name, rows, labels in (("train", train_x, train_y), ("test", test_x, test_y)):
    with open(HERE / "data" / f"{name}.csv", "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*data.feature_names, "progression"])
        writer.writerows([*map(repr, map(float, row)), repr(float(label))] for row, label in zip(rows, labels))


def mse(model):
    return mean_squared_error(test_y, model.fit(train_x, train_y).predict(test_x))


network = make_pipeline(StandardScaler(), MLPRegressor(hidden_layer_sizes=(32,), max_iter=2000, random_state=0))
figures = {"linear_regression": mse(LinearRegression()), "mlp_regressor": mse(network)}
(HERE / "scikit-learn.json").write_text(json.dumps(figures, indent=1) + "\n")
print(figures)
