"""Trains scikit-learn's HistGradientBoosting on a table that train-boosting.ts wrote; prints CPU seconds and the score."""

import json
import os
import resource
import sys
import time

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score

job = json.loads(sys.argv[1])
features = np.fromfile(os.path.join(job["folder"], "features.bin"), dtype=np.float32)
features = features.reshape(job["columns"], job["rows"]).T
target = np.fromfile(os.path.join(job["folder"], "target.bin"), dtype=np.float64)
n = job["trainRows"]

settings = dict(
    max_iter=100,
    max_depth=6,
    max_leaf_nodes=31,
    learning_rate=0.1,
    min_samples_leaf=20,
    l2_regularization=0.0,
    max_bins=255,
    early_stopping=False,
    categorical_features=job["categorical"] or None,
    random_state=1,
)
regression = job["task"] == "regression"
make = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
# What is loaded or compiled at first use is not training.
make(**{**settings, "max_iter": 2}).fit(features[:2000], target[:2000])

start = time.process_time()
model = make(**settings).fit(features[:n], target[:n])
cpu_seconds = time.process_time() - start

if regression:
    score = r2_score(target[n:], model.predict(features[n:]))
else:
    probabilities = model.predict_proba(features[n:])
    if job["task"] == "binary":
        score = roc_auc_score(target[n:], probabilities[:, 1])
    else:
        score = roc_auc_score(target[n:], probabilities, multi_class="ovr")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
print(json.dumps({"cpuSeconds": cpu_seconds, "score": score, "peakMemoryMb": peak}))
