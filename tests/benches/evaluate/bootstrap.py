"""A bootstrap of metrics of the confusion matrix as one writes it in NumPy: rows drawn with replacement, counted by `bincount`."""

import json
import sys
import time

import numpy

start = time.perf_counter()
with numpy.load(sys.argv[1]) as arrays:
    label, predicted = arrays["label"], arrays["predicted"]
n_classes = int(label.max()) + 1
cell = (label * n_classes + predicted).astype(numpy.int32)
loaded = time.perf_counter()
random = numpy.random.default_rng(1)
values = []
for _ in range(int(sys.argv[2])):
    rows = random.integers(len(cell), size=len(cell))
    counts = numpy.bincount(cell[rows], minlength=n_classes**2).reshape(n_classes, n_classes)
    right, labelled, guessed = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    # As floats: squares of millions of rows, multiplied, are more than an integer holds.
    right, labelled, guessed = right * 1.0, labelled * 1.0, guessed * 1.0
    n = labelled.sum()
    chance = labelled @ guessed
    values.append(
        (
            right.sum() / n,
            (right / numpy.maximum(labelled, 1)).mean(),
            (2 * right / numpy.maximum(labelled + guessed, 1)).mean(),
            (n * right.sum() - chance)
            / numpy.sqrt((n**2 - labelled @ labelled) * (n**2 - guessed @ guessed)),
        )
    )
numpy.percentile(values, [2.5, 97.5], axis=0)
done = time.perf_counter()
print(json.dumps({"load": loaded - start, "replicate": (done - loaded) / len(values)}))
