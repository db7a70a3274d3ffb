"""Each classification metric once by scikit-learn, on arrays in memory."""

import json
import sys

import numpy
from sklearn import metrics

with numpy.load(sys.argv[1]) as arrays:
    label, predicted, score = arrays["label"], arrays["predicted"], arrays["score"]
classes = numpy.arange(score.shape[1])
found = {
    "accuracy": metrics.accuracy_score(label, predicted),
    "balanced_accuracy": metrics.balanced_accuracy_score(label, predicted),
    "matthews_corrcoef": metrics.matthews_corrcoef(label, predicted),
    "cohen_kappa": metrics.cohen_kappa_score(label, predicted),
    "jaccard_macro": metrics.jaccard_score(label, predicted, average="macro"),
    "log_loss": metrics.log_loss(label, score, labels=classes),
    "top_k_accuracy": metrics.top_k_accuracy_score(label, score, k=2, labels=classes),
    "brier_score": metrics.brier_score_loss(label, score, labels=classes),
    "roc_auc": metrics.roc_auc_score(label, score, multi_class="ovr", labels=classes),
    "average_precision": metrics.average_precision_score(label, score, average="macro"),
}
metrics.confusion_matrix(label, predicted)
metrics.precision_recall_fscore_support(label, predicted)
for average in ["macro", "weighted", "micro"]:
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(label, predicted, average=average)
    found |= {f"precision_{average}": precision, f"recall_{average}": recall, f"f1_{average}": f1}
# float32 scores lose digits in scikit-learn's sums, so these are not compared.
for name in ["log_loss", "brier_score", "roc_auc", "average_precision"]:
    found.pop(name)
print(json.dumps({name: float(value) for name, value in found.items()}))
