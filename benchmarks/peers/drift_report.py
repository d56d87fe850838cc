"""Evidently's drift report on two Parquet files, with its defaults; prints one JSON line."""

import json
import resource
import sys
import time

began = time.perf_counter()

import evidently
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset

imported = time.perf_counter()
reference_path, current_path, html_path = sys.argv[1:4]
reference = pd.read_parquet(reference_path)
current = pd.read_parquet(current_path)
numbers = [name for name in reference.columns if pd.api.types.is_numeric_dtype(reference[name])]
definition = DataDefinition(
    numerical_columns=numbers,
    categorical_columns=[name for name in reference.columns if name not in numbers],
)
snapshot = Report([DataDriftPreset()]).run(
    Dataset.from_pandas(current, data_definition=definition),
    Dataset.from_pandas(reference, data_definition=definition),
)
snapshot.save_html(html_path)
done = time.perf_counter()
print(
    json.dumps(
        {
            "version": evidently.__version__,
            "seconds": round(done - began, 3),
            "without_imports": round(done - imported, 3),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }
    )
)
