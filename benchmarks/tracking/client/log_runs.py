"""Logs runs as people do, with the client as it is published: `log_runs.py COUNT together|alone`.

It runs in the client's environment. Params and metrics go out together, by `log_params` and `log_metrics` (5 requests a run), or
each alone (23 requests).
"""

import json
import statistics
import sys
import time

import mlflow

mlflow.set_experiment("through the client")
together = sys.argv[2] == "together"
params = {f"param-{number}": number * 3 for number in range(10)}
metrics = {f"metric-{number}": number / 7 for number in range(10)}
taken = []
computed = []
run_id = ""
for _ in range(int(sys.argv[1]) + 1):
    begun, computing = time.perf_counter(), time.process_time()
    with mlflow.start_run() as run:
        if together:
            mlflow.log_params(params)
            mlflow.log_metrics(metrics)
        else:
            for name, value in params.items():
                mlflow.log_param(name, value)
            for name, score in metrics.items():
                mlflow.log_metric(name, score)
    taken.append((time.perf_counter() - begun) * 1e3)
    computed.append((time.process_time() - computing) * 1e3)
    run_id = run.info.run_id
data = mlflow.get_run(run_id).data
# The first run also opens the connection and looks at the surroundings.
print(
    json.dumps(
        {
            "milliseconds": statistics.median(taken[1:]),
            "own": statistics.median(computed[1:]),
            "logged": {"params": data.params, "metrics": data.metrics},
        }
    )
)
